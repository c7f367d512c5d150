"""What an exported model and Ogive do alike: raw values to inputs, inputs to a call, and a call's outputs by name.

The source of these functions is copied into `predict.py`; they use nothing but PyTorch and the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch


def fill(layout: Any, tensors: Mapping[str, Any]) -> Any:
    """The arguments that `layout` describes, with `tensors` by name in their places."""
    ((kind, content),) = layout.items()
    if kind == "input":
        return tensors[content]
    if kind == "dict":
        return {key: fill(item, tensors) for key, item in content.items()}
    if kind in ("list", "tuple"):
        items = [fill(item, tensors) for item in content]
        return items if kind == "list" else tuple(items)
    return content  # a plain value


def named(output: Any, name: str = "") -> dict[str, Any]:
    """The tensors of a model's output by name: keys of dicts, names of fields, `output` and positions elsewhere."""
    if isinstance(output, torch.Tensor):
        return {name or "output": output}
    if dataclasses.is_dataclass(output):
        output = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        output = dict(zip(output._fields, output, strict=True))
    elif isinstance(output, (list, tuple)):
        return {
            key: value for i, item in enumerate(output) for key, value in named(item, f"{name or 'output'}{i}").items()
        }
    if isinstance(output, Mapping):
        prefix = f"{name}." if name else ""
        return {key: value for k, item in output.items() for key, value in named(item, f"{prefix}{k}").items()}
    if isinstance(output, (bool, int, float)):
        return {name or "output": torch.tensor(output)}
    if output is None:
        return {}
    raise ValueError(
        f"the model's output {name!r} is a {type(output).__name__}; tensors, lists and dicts are supported"
    )


def arranged(raw: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """Raw examples as a batch [n, *shape]: one example or several; flat, without sizes of 1, or with the channels last.

    Raises:
        ValueError: they have another shape.
    """
    size = list(raw.shape)
    core = [n for n in shape if n != 1]
    last = [*shape[1:], shape[0]] if len(shape) == 3 else shape
    if [n for n in size if n != 1] == core:
        return raw.reshape(1, *shape)
    if size[1:] == shape or [n for n in size[1:] if n != 1] == core:
        return raw.reshape(-1, *shape)
    if size in (last, [*size[:1], *last]):
        return raw.reshape(-1, *last).movedim(-1, 1)
    if len(size) == 2 and size[1] == torch.Size(shape).numel():
        return raw.reshape(-1, *shape)
    raise ValueError(f"found examples of shape {size}; one example has the shape {shape}, several are [n, *{shape}]")


def normalized(raw: torch.Tensor, normalization: Mapping[str, Any]) -> torch.Tensor:
    """Features [n, *shape] of raw values [n, *shape]: `(raw / maximum - mean) / std`."""
    channels = (-1, *(1 for _ in raw.shape[2:]))
    features = raw if normalization["maximum"] is None else raw * (1 / normalization["maximum"])
    for name, apply in (("mean", torch.sub), ("std", torch.div)):
        if normalization[name]:
            features = apply(features, torch.tensor(normalization[name]).reshape(channels))
    return features
