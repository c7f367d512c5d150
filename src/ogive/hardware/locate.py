"""Finding the layer in which a forward pass fails, and saying in plain words what it was given and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ogive.hardware.example_inputs import tensors

Shape = tuple[int, ...]
Running = tuple[str, nn.Module, tuple[Shape, ...]]
"""A module being called: dotted path, module, shapes of its tensor inputs."""


@contextmanager
def calls(model: nn.Module) -> Iterator[list[Running]]:
    """The modules being called at this moment, outermost first.

    After an error the list is as it was when the error was raised, so its last entry is where that was.
    """
    running: list[Running] = []

    def entered(name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            running.append((name, module, shapes((args, kwargs))))

        return hook

    def left(module: nn.Module, args: Any, output: Any) -> None:
        running.pop()

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(entered(name), prepend=True, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(left).remove)
        yield running


def shapes(tree: Any) -> tuple[Shape, ...]:
    """Shapes of the tensors in a tree of tuples, lists and dicts."""
    return tuple(tuple(tensor.shape) for tensor in tensors(tree))


def explain(module: nn.Module, inputs: tuple[Shape, ...]) -> str:
    """What `module` takes and was given instead; empty where its class is not known or its input looks right."""
    given = inputs[0] if inputs else ()
    if isinstance(module, nn.Linear) and given and given[-1] != module.in_features:
        return f"takes {module.in_features} features in the last dimension, was given {given[-1]}"
    if isinstance(module, _ConvNd):
        channel = len(module.kernel_size) + 1
        if len(given) >= channel and given[-channel] != module.in_channels:
            return f"takes {module.in_channels} channels, was given {given[-channel]}"
        spatial = given[-len(module.kernel_size) :]
        if isinstance(module.padding, tuple) and not module.transposed:
            for side, kernel, padding in zip(spatial, module.kernel_size, module.padding, strict=False):
                if side + 2 * padding < kernel:
                    return f"has a kernel of {kernel}, larger than the padded side of {side + 2 * padding}"
    if isinstance(module, _BatchNorm) and len(given) > 1 and given[1] != module.num_features:
        return f"takes {module.num_features} channels, was given {given[1]}"
    if isinstance(module, nn.LayerNorm) and given[-len(module.normalized_shape) :] != tuple(module.normalized_shape):
        last = given[-len(module.normalized_shape) :]
        return f"takes {list(module.normalized_shape)} as last dimensions, was given {list(last)}"
    return ""
