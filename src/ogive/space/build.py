"""Building a model: random states, example inputs and lazy layers.

This module never imports PyTorch: a model can have lazy layers only if its factories have imported it.
"""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ogive.errors import SpaceError
from ogive.space.domain import Label
from ogive.space.tree import Node, build_value
from ogive.user_code import call_user_function

ExampleInput = tuple[Any, ...] | Mapping[str, Any] | Callable[[], Any] | Any | None
"""A shape, a tensor, a tuple or a dict of these, or a function that makes the inputs; see `Space` for details."""


def build(tree: Node, labels: Mapping[str, Label], example_input: ExampleInput, seed: int | None) -> Any:
    """Build the model of the architecture with these labels, and initialize its lazy layers with the example input."""
    had_torch = "torch" in sys.modules
    model = _build(tree, labels, example_input, seed)
    if seed is not None and not had_torch and "torch" in sys.modules:
        # A factory has imported PyTorch during the first build. Build again, because its random state was not seeded then.
        model = _build(tree, labels, example_input, seed)
    return model


def _build(tree: Node, labels: Mapping[str, Label], example_input: ExampleInput, seed: int | None) -> Any:
    """Build the model once, with the random states set to `seed`."""
    with _random_state(seed):
        model = build_value(tree, labels)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(model, torch.nn.Module):
            initialize_lazy_layers(model, example_input)
        return model


def normalize_example_input(example_input: Any) -> ExampleInput:
    """Return the example input of a space, with lists converted to tuples.

    Raises:
        SpaceError: the value is not a shape, a tensor, a list or dict of these, a function, or None.
    """
    if example_input is None or callable(example_input) or _is_tensor(example_input):
        return example_input
    if _is_input(example_input):
        return _to_tuples(example_input)
    if isinstance(example_input, (list, tuple)) and all(map(_is_input, example_input)):
        return tuple(map(_to_tuples, example_input))
    raise SpaceError(
        f"example_input={example_input!r}: must be the shape of one input without the batch, such as (1, 28, 28); "
        "a tensor with the batch; a list of these or a dict of them by name (dicts may be nested) for several inputs; "
        "or a function that makes the inputs"
    )


def _to_tuples(item: Any) -> Any:
    """Return an input, with lists that are shapes converted to tuples."""
    if isinstance(item, Mapping):
        return {name: _to_tuples(value) for name, value in item.items()}
    return item if _is_tensor(item) else tuple(item)


def build_example_inputs(example_input: ExampleInput) -> tuple[Any, ...] | dict[str, Any]:
    """Return inputs of a model for `call_model`: tensors are returned as they are, and a shape gives a tensor of zeros.

    If the example input is a function, its result is returned; a single input becomes a tuple of one. A tensor of zeros has
    a batch dimension before the dimensions of its shape. The batch size is that of the first tensor in the example input, or
    1 if there is no tensor.

    Raises:
        SpaceError: there is no example input.
        UserCodeError: the function that makes the inputs raised an exception.
    """
    if example_input is None:
        raise SpaceError(
            "the space has no example input; declare one: Space(..., example_input=(channels, height, width))"
        )
    if callable(example_input):
        example = call_user_function("example input", example_input)
        return example if isinstance(example, (tuple, dict)) else (example,)
    batch = next((tensor.shape[0] for tensor in _tensors(example_input) if tensor.ndim), 1)
    if isinstance(example_input, Mapping):
        return {name: _make_input(item, batch) for name, item in example_input.items()}
    items = (example_input,) if _is_input(example_input) else example_input
    return tuple(_make_input(item, batch) for item in items)


def call_model(model: Any, inputs: tuple[Any, ...] | Mapping[str, Any]) -> Any:
    """Call `model` with its inputs: a tuple gives the positional arguments; for a dict, see `bind_forward_arguments`."""
    args, kwargs = bind_forward_arguments(model, inputs)
    return model(*args, **kwargs)


def bind_forward_arguments(
    model: Any, inputs: tuple[Any, ...] | Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and the keyword arguments of the model's `forward`.

    A dict gives the keyword arguments if `forward` has parameters of these names; otherwise it is the only argument.
    """
    if not isinstance(inputs, Mapping):
        return tuple(inputs), {}
    try:
        inspect.signature(model.forward).bind(**inputs)
    except TypeError:
        return (dict(inputs),), {}
    return (), dict(inputs)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(type(n) is int and n > 0 for n in value)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _is_input(value: Any) -> bool:
    """Return whether `value` is one input: a shape, a tensor, or a dict of inputs by name."""
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(name, str) and _is_input(item) for name, item in value.items())
    return _is_tensor(value) or _is_shape(value)


def _tensors(value: Any) -> Iterator[Any]:
    """Yield the tensors in an example input."""
    if _is_tensor(value):
        yield value
    elif not _is_shape(value):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def _make_input(item: Any, batch: int) -> Any:
    """Return an input, with a tensor of zeros for each shape; its batch dimension has the size `batch`."""
    if isinstance(item, Mapping):
        return {name: _make_input(value, batch) for name, value in item.items()}
    return item if _is_tensor(item) else sys.modules["torch"].zeros((batch, *item))


def initialize_lazy_layers(model: Any, example_input: ExampleInput) -> None:
    """Initialize the lazy layers of `model` by a forward pass of the example input, in eval mode and without gradients.

    Raises:
        SpaceError: the model has lazy layers, but there is no example input.
    """
    torch = sys.modules["torch"]
    lazy = torch.nn.modules.lazy.LazyModuleMixin
    names = [name for name, module in model.named_modules() if isinstance(module, lazy)]
    if not names:
        return
    if example_input is None:
        raise SpaceError(f"the lazy layer {names[0]!r} needs Space(..., example_input=...) to determine its shape")
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        call_model(model, build_example_inputs(example_input))
    for module, is_training in was_training.items():
        module.training = is_training


@contextmanager
def _random_state(seed: int | None) -> Iterator[None]:
    """Seed Python, NumPy and PyTorch with `seed` inside the block, and restore their random states afterwards.

    So layers that use random numbers when they are built (initial weights, random wiring, random features) depend only
    on the seed. With None, the random states are neither set nor restored.
    """
    if seed is None:
        yield
        return
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # NumPy accepts 32 bits
    try:
        with _torch_state(seed):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextmanager
def _torch_state(seed: int) -> Iterator[None]:
    """Seed PyTorch inside the block as `_random_state` does: on the CPU and, if CUDA is initialized, on all GPUs."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:  # before CUDA is initialized, PyTorch would delay the seeding until after this block
            torch.cuda.manual_seed_all(seed)
        yield
