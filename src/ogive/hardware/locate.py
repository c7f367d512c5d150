"""Locating the layer in which a forward pass fails, and explaining a mismatch of shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ogive.hardware.example_inputs import iterate_tensors

Shape = tuple[int, ...]
OpenCall = tuple[str, nn.Module, tuple[Shape, ...]]
"""A call of a module that has not returned: the path of the module, the module, and the shapes of its tensor inputs."""


@contextmanager
def track_calls(model: nn.Module) -> Iterator[list[OpenCall]]:
    """Track the calls of modules that have not returned, the outermost first.

    After an error, the last entry of the list is the call in which the error was raised.
    """
    open_calls: list[OpenCall] = []

    def on_call(name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            open_calls.append((name, module, collect_shapes((args, kwargs))))

        return hook

    def on_return(module: nn.Module, args: Any, output: Any) -> None:
        open_calls.pop()

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(on_call(name), prepend=True, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(on_return).remove)
        yield open_calls


def collect_shapes(tree: Any) -> tuple[Shape, ...]:
    """Return the shapes of the tensors in nested tuples, lists and dicts."""
    return tuple(tuple(tensor.shape) for tensor in iterate_tensors(tree))


def explain_mismatch(module: nn.Module, inputs: tuple[Shape, ...]) -> str | None:
    """Return how the shape of the first input of a module differs from the shape that the module expects.

    Returns:
        A phrase such as "expects 3 channels, but got 2"; None if the class of the module is not known, or the input fits.
    """
    shape = inputs[0] if inputs else ()
    if isinstance(module, nn.Linear) and shape and shape[-1] != module.in_features:
        return f"expects {module.in_features} features in the last dimension, but got {shape[-1]}"
    if isinstance(module, _ConvNd):
        # Counted from the end, because the batch dimension is optional.
        channel_offset = len(module.kernel_size) + 1
        if len(shape) >= channel_offset and shape[-channel_offset] != module.in_channels:
            return f"expects {module.in_channels} channels, but got {shape[-channel_offset]}"
        sides = shape[-len(module.kernel_size) :]
        if isinstance(module.padding, tuple) and not module.transposed:
            for side, kernel, padding in zip(sides, module.kernel_size, module.padding, strict=False):
                if side + 2 * padding < kernel:
                    return f"has a kernel of {kernel}, larger than the padded side of {side + 2 * padding}"
    if isinstance(module, _BatchNorm) and len(shape) > 1 and shape[1] != module.num_features:
        return f"expects {module.num_features} channels, but got {shape[1]}"
    if isinstance(module, nn.LayerNorm) and shape[-len(module.normalized_shape) :] != tuple(module.normalized_shape):
        last_sides = shape[-len(module.normalized_shape) :]
        return f"expects {list(module.normalized_shape)} as last dimensions, but got {list(last_sides)}"
    return None
