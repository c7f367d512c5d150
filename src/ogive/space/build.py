"""Building: the state of randomness around it, and lazy layers after it.

PyTorch is never imported here: a model can hold lazy layers only if its factories have imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ogive.errors import SpaceError
from ogive.space.domain import Label
from ogive.space.tree import Node, realise
from ogive.user_code import call

ExampleInput = tuple[int, ...] | Callable[[], Any] | None


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
    """The example input of a space, a list of sizes made a tuple.

    Raises:
        SpaceError: it is neither a shape, nor a callable, nor None.
    """
    if example_input is None or callable(example_input):
        return cast("ExampleInput", example_input)
    if isinstance(example_input, (list, tuple)) and all(isinstance(n, int) and n > 0 for n in example_input):
        return tuple(example_input)
    raise SpaceError(
        f"example_input={example_input!r}: it is the shape of one input without the batch, such as (1, 28, 28), or a "
        "callable that makes the inputs"
    )


def example_inputs(example_input: ExampleInput) -> tuple[Any, ...]:
    """The positional inputs of a model: zeros of the shape with a batch of one in front, or what the callable makes.

    Raises:
        SpaceError: the space has no example input.
        UserCodeError: the callable raised.
    """
    if example_input is None:
        raise SpaceError("this needs the shape of an input: Space(..., example_input=(channels, height, width))")
    if callable(example_input):
        made = call("example input", example_input)
        return made if isinstance(made, tuple) else (made,)
    return (sys.modules["torch"].zeros((1, *example_input)),)


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
        model(*example_inputs(example_input))
    for module, mode in training.items():
        module.training = mode


@contextmanager
def _random_state(seed: int | None) -> Iterator[None]:
    """PyTorch's random state set to `seed` inside and put back afterwards; left alone where `seed` is None."""
    if seed is None:
        yield
        return
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
