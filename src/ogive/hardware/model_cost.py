"""The cost of a model: parameters, FLOPs, activation memory.

FLOPs are counted as in PyTorch: two for each multiply-accumulate of convolutions, matrix products and attention. Batch norm,
activation functions and pooling are not counted. Other conventions give other numbers.
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

from ogive.hardware.example_inputs import as_arguments, iterate_tensors
from ogive.space.build import call_model

FLOP_CONVENTION = "torch.utils.flop_counter, 2 per multiply-accumulate"
"""The rule by which FLOPs are counted; reports state it next to the numbers."""


@dataclass(frozen=True)
class ModelCost:
    """The cost of one model.

    Attributes:
        parameters: the number of trainable and frozen parameters; buffers are not counted.
        flops: the FLOPs of one forward pass, counted by `FLOP_CONVENTION`.
        activation_memory: the bytes of all outputs of the innermost modules in one forward pass.
    """

    parameters: int
    flops: int
    activation_memory: int


def parameters(model: nn.Module) -> int:
    """Return the number of parameters.

    A shared parameter counts once. A parameter of a lazy layer counts only after a forward pass has given it a shape.
    """
    return sum(p.numel() for p in model.parameters() if not is_lazy(p))


def flops(model: nn.Module, inputs: Any) -> int:
    """Return the FLOPs of one forward pass in eval mode, counted by `FLOP_CONVENTION`; for `inputs` see `measure`."""
    return measure(model, inputs).flops


def activation_memory(model: nn.Module, inputs: Any) -> int:
    """Return the bytes of all outputs of the innermost modules in one forward pass, in eval mode.

    This approximates the memory that training needs for the backward pass. A view or an in-place result shares its memory
    with an input, so the memory counts once. Results of functions that are called between modules are not counted. For
    `inputs` see `measure`.
    """
    return measure(model, inputs).activation_memory


def measure(model: nn.Module, inputs: Any) -> ModelCost:
    """Measure the cost of a model by one forward pass in eval mode, without gradients, on the device of the model.

    The cost depends on shapes only, so a model on the meta device can be measured without computing values.

    Args:
        model: a module; its mode is restored.
        inputs: a tensor, a tuple of positional arguments, or a dict of keyword arguments.
    """
    counter = FlopCounterMode(display=False)
    with _set_eval_mode(model), torch.no_grad(), _collect_outputs(model) as storages, counter:
        call_model(model, as_arguments(inputs))
    return ModelCost(
        parameters(model), counter.get_total_flops(), sum(storage.nbytes() for storage in storages.values())
    )


@contextmanager
def _set_eval_mode(model: nn.Module) -> Iterator[None]:
    """Set all modules to eval mode, and restore the mode of each module afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _collect_outputs(model: nn.Module) -> Iterator[dict[int, torch.UntypedStorage]]:
    """Collect the storages in which the innermost modules return their outputs, by `id`.

    A storage that a module receives, and that no module has returned before, is an input of the model and is not collected.
    The dicts keep references to all storages, because Python may use the `id` of a deleted object again.
    """
    outputs: dict[int, torch.UntypedStorage] = {}
    inputs: dict[int, torch.UntypedStorage] = {}

    def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        for storage in _list_storages((args, kwargs)):
            if id(storage) not in outputs:
                inputs[id(storage)] = storage
        for storage in _list_storages(output):
            if id(storage) not in inputs:
                outputs[id(storage)] = storage

    with ExitStack() as stack:
        for module in model.modules():
            if next(module.children(), None) is None:
                handle = module.register_forward_hook(record, with_kwargs=True)
                stack.callback(handle.remove)
        yield outputs


def _list_storages(tree: Any) -> list[torch.UntypedStorage]:
    return [tensor.untyped_storage() for tensor in iterate_tensors(tree)]
