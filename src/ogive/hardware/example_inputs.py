"""Example inputs of a space on a device, and the tensors in nested inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ogive.space import Space
from ogive.space import build as space_build


def make_example_inputs(space: Space, device: torch.device | str = "cpu") -> tuple[Any, ...] | dict[str, Any]:
    """Make example inputs of a model on `device`: zeros of [1, *shape], or the tensors of the space's example input.

    They are created on the CPU, because a callable example input may compute values, and then moved. The random state is
    restored.

    Raises:
        SpaceError: the space has no example input.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        inputs = space_build.build_example_inputs(space.example_input)
    moved: tuple[Any, ...] | dict[str, Any] = tree_map_only(Tensor, lambda tensor: tensor.to(device), inputs)
    return moved


def as_arguments(inputs: Any) -> Any:
    """Return inputs in the form for `call_model`: a tuple, list or dict unchanged, anything else as a tuple of one."""
    return inputs if isinstance(inputs, (tuple, list, Mapping)) else (inputs,)


def iterate_tensors(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and mappings, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for item in tree.values():
            yield from iterate_tensors(item)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from iterate_tensors(item)
