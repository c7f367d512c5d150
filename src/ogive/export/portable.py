"""Functions that both Ogive and an exported model use to prepare inputs and to name outputs.

The source of these functions is copied into `predict.py`, so they use only PyTorch and the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch


def fill_layout(layout: Any, tensors: Mapping[str, Any]) -> Any:
    """Return the arguments that `layout` describes, with each named input replaced by its tensor."""
    ((kind, content),) = layout.items()
    if kind == "input":
        return tensors[content]
    if kind == "dict":
        return {key: fill_layout(item, tensors) for key, item in content.items()}
    if kind in ("list", "tuple"):
        items = [fill_layout(item, tensors) for item in content]
        return items if kind == "list" else tuple(items)
    return content  # a plain value


def name_outputs(output: Any, name: str = "") -> dict[str, Any]:
    """Return the tensors of a model's output by name.

    A name is a key of a dict or a field of a dataclass; otherwise it is `output`, with the index of an item in a list.
    """
    if isinstance(output, torch.Tensor):
        return {name or "output": output}
    if dataclasses.is_dataclass(output):
        output = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        output = dict(zip(output._fields, output, strict=True))
    elif isinstance(output, (list, tuple)):
        named_items = (name_outputs(item, f"{name or 'output'}{i}") for i, item in enumerate(output))
        return {key: value for tensors in named_items for key, value in tensors.items()}
    if isinstance(output, Mapping):
        prefix = f"{name}." if name else ""
        named_items = (name_outputs(item, f"{prefix}{key}") for key, item in output.items())
        return {key: value for tensors in named_items for key, value in tensors.items()}
    if isinstance(output, (bool, int, float)):
        return {name or "output": torch.tensor(output)}
    if output is None:
        return {}
    raise ValueError(
        f"the model's output {name!r} is a {type(output).__name__}; tensors, lists and dicts are supported"
    )


def arrange_examples(raw: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """Return raw examples as a batch [n, *shape].

    Accepts one example or several, which may be flat, lack dimensions of size 1, or have the channels last.

    Raises:
        ValueError: the examples have another shape.
    """
    size = list(raw.shape)
    core = [n for n in shape if n != 1]
    channels_last = [*shape[1:], shape[0]] if len(shape) == 3 else shape
    if [n for n in size if n != 1] == core:
        return raw.reshape(1, *shape)
    if size[1:] == shape or [n for n in size[1:] if n != 1] == core:
        return raw.reshape(-1, *shape)
    if size in (channels_last, [*size[:1], *channels_last]):
        return raw.reshape(-1, *channels_last).movedim(-1, 1)
    if len(size) == 2 and size[1] == torch.Size(shape).numel():
        return raw.reshape(-1, *shape)
    raise ValueError(f"found examples of shape {size}; one example has the shape {shape}, several are [n, *{shape}]")


def normalize(raw: torch.Tensor, normalization: Mapping[str, Any]) -> torch.Tensor:
    """Return the features [n, *shape] of raw values [n, *shape]: `(raw / maximum - mean) / std`."""
    per_channel = (-1, *(1 for _ in raw.shape[2:]))
    features = raw if normalization["maximum"] is None else raw * (1 / normalization["maximum"])
    for name, apply in (("mean", torch.sub), ("std", torch.div)):
        if normalization[name]:
            features = apply(features, torch.tensor(normalization[name]).reshape(per_channel))
    return features
