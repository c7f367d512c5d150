"""Building: the state of randomness around it, and lazy layers after it.

PyTorch is never imported here: a model can hold lazy layers only if its factories have imported it.
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
from ogive.space.tree import Node, realise
from ogive.user_code import call

ExampleInput = tuple[Any, ...] | Mapping[str, Any] | Callable[[], Any] | Any | None
"""A shape, a tensor, a tuple or a dict of these, or a callable; see `Space`."""


def build(tree: Node, choices: Mapping[str, Label], example_input: ExampleInput, seed: int | None) -> Any:
    """Evaluate the tree for `choices` under `seed` and materialise lazy layers with the example input."""
    had_torch = "torch" in sys.modules
    model = _build(tree, choices, example_input, seed)
    if seed is not None and not had_torch and "torch" in sys.modules:
        model = _build(tree, choices, example_input, seed)  # a factory has just imported it: only now can it be seeded
    return model


def _build(tree: Node, choices: Mapping[str, Label], example_input: ExampleInput, seed: int | None) -> Any:
    with _random_state(seed):
        model = realise(tree, choices)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(model, torch.nn.Module):
            materialise(model, example_input)
        return model


def checked_example(example_input: Any) -> ExampleInput:
    """The example input of a space, lists made tuples.

    Raises:
        SpaceError: it is neither a shape, nor a tensor, nor several of these, nor a callable, nor None.
    """
    if example_input is None or callable(example_input) or _is_tensor(example_input):
        return example_input
    if _is_input(example_input):
        return _checked(example_input)
    if isinstance(example_input, (list, tuple)) and all(map(_is_input, example_input)):
        return tuple(map(_checked, example_input))
    raise SpaceError(
        f"example_input={example_input!r}: it is the shape of one input without the batch, such as (1, 28, 28), a tensor "
        "with the batch, a list or a dict (by name, also one inside another) of these for several inputs, or a callable "
        "that makes the inputs"
    )


def _checked(item: Any) -> Any:
    """A shape as a tuple, a tensor as it is, a dict of these."""
    if isinstance(item, Mapping):
        return {name: _checked(value) for name, value in item.items()}
    return item if _is_tensor(item) else tuple(item)


def example_inputs(example_input: ExampleInput) -> tuple[Any, ...] | dict[str, Any]:
    """The inputs of a model, as `call_model` takes them: tensors as they are, zeros of a shape with a batch in front.

    The batch is that of the tensors, or one.

    Raises:
        SpaceError: the space has no example input.
        UserCodeError: the callable raised.
    """
    if example_input is None:
        raise SpaceError("this needs the shape of an input: Space(..., example_input=(channels, height, width))")
    if callable(example_input):
        example = call("example input", example_input)
        return example if isinstance(example, (tuple, dict)) else (example,)
    batch = next((tensor.shape[0] for tensor in _tensors(example_input) if tensor.ndim), 1)
    if isinstance(example_input, Mapping):
        return {name: _made(item, batch) for name, item in example_input.items()}
    items = (example_input,) if _is_input(example_input) else example_input
    return tuple(_made(item, batch) for item in items)


def call_model(model: Any, inputs: tuple[Any, ...] | Mapping[str, Any]) -> Any:
    """`model` of its inputs: a tuple is its positional arguments; see `arguments` for a dict."""
    args, kwargs = arguments(model, inputs)
    return model(*args, **kwargs)


def arguments(model: Any, inputs: tuple[Any, ...] | Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the model's `forward`.

    A dict is its keyword arguments where `forward` has parameters of these names, and its only argument elsewhere.
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
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(name, str) and _is_input(item) for name, item in value.items())
    return _is_tensor(value) or _is_shape(value)


def _tensors(value: Any) -> Iterator[Any]:
    """The tensors in an example input."""
    if _is_tensor(value):
        yield value
    elif not _is_shape(value):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def _made(item: Any, batch: int) -> Any:
    """An input: zeros of a shape with the batch in front."""
    if isinstance(item, Mapping):
        return {name: _made(value, batch) for name, value in item.items()}
    return item if _is_tensor(item) else sys.modules["torch"].zeros((batch, *item))


def materialise(model: Any, example_input: ExampleInput) -> None:
    """Give the lazy layers of `model` their shapes: one pass in eval mode without gradients on the example input."""
    torch = sys.modules["torch"]
    lazy = torch.nn.modules.lazy.LazyModuleMixin
    names = [name for name, module in model.named_modules() if isinstance(module, lazy)]
    if not names:
        return
    if example_input is None:
        raise SpaceError(f"the lazy layer {names[0]!r} needs Space(..., example_input=...) to learn its shape")
    training = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        call_model(model, example_inputs(example_input))
    for module, mode in training.items():
        module.training = mode


@contextmanager
def _random_state(seed: int | None) -> Iterator[None]:
    """The random states of Python, NumPy and PyTorch set to `seed` inside and put back afterwards; left alone where it is
    None. So a layer that draws while it is built (random wiring, random features) is the same whenever it is built.
    """
    if seed is None:
        yield
        return
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with _torch_state(seed):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _torch_state(seed: int) -> Iterator[None]:
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:  # else seeding them would outlive the block: it is put off until CUDA starts
            torch.cuda.manual_seed_all(seed)
        yield
