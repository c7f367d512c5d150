"""What a model costs: parameters, FLOPs, activation memory.

FLOPs follow PyTorch's own counter: two for every multiply-accumulate of convolutions, matrix products and attention;
batch norm, activations and pooling count nothing. Other conventions give other figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.flop_counter import FlopCounterMode

from ogive.hardware.example_inputs import model_inputs, tensors
from ogive.space.build import call_model

FLOP_CONVENTION = "torch.utils.flop_counter, 2 per multiply-accumulate"


@dataclass(frozen=True)
class Cost:
    """What one model costs.

    Attributes:
        parameters: number of trainable and frozen parameters; buffers are not counted.
        flops: of one forward pass, by `FLOP_CONVENTION`.
        activation_memory: bytes of all that the innermost modules put out in one forward pass.
    """

    parameters: int
    flops: int
    activation_memory: int


def parameters(model: nn.Module) -> int:
    """Number of parameters, shared ones counted once; those of a lazy layer that has not run yet are not counted."""
    return sum(p.numel() for p in model.parameters() if not is_lazy(p))


def flops(model: nn.Module, inputs: Any) -> int:
    """FLOPs of one forward pass by `FLOP_CONVENTION`, in eval mode; `inputs` as for `measure`."""
    return measure(model, inputs).flops


def activation_memory(model: nn.Module, inputs: Any) -> int:
    """Bytes of all that the innermost modules put out in one forward pass, in eval mode; `inputs` as for `measure`.

    Views and in-place results share the memory of what they come from, which is counted once. It is about what
    training keeps for the backward pass; results of functions between modules are not seen.
    """
    return measure(model, inputs).activation_memory


def measure(model: nn.Module, inputs: Any) -> Cost:
    """All of a model's costs from one forward pass in eval mode and without gradients, on the model's device.

    The figures depend on shapes alone, so that a model on the meta device gives them without computing anything.

    Args:
        model: any module; its mode is restored.
        inputs: a tensor, a tuple of the model's positional arguments, or a dict of its keyword arguments.
    """
    counter = FlopCounterMode(display=False)
    with _evaluating(model), torch.no_grad(), _outputs(model) as storages, counter:
        call_model(model, model_inputs(inputs))
    return Cost(parameters(model), counter.get_total_flops(), sum(storage.nbytes() for storage in storages.values()))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _outputs(model: nn.Module) -> Iterator[dict[int, torch.UntypedStorage]]:
    """The storages that the innermost modules put out and did not take in, by identity; kept alive to stay distinct."""
    made: dict[int, torch.UntypedStorage] = {}
    taken: dict[int, torch.UntypedStorage] = {}

    def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        for storage in _storages((args, kwargs)):
            if id(storage) not in made:
                taken[id(storage)] = storage
        for storage in _storages(output):
            if id(storage) not in taken:
                made[id(storage)] = storage

    with ExitStack() as stack:
        for module in model.modules():
            if next(module.children(), None) is None:
                handle = module.register_forward_hook(record, with_kwargs=True)
                stack.callback(handle.remove)
        yield made


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [tensor.untyped_storage() for tensor in tensors(tree)]
