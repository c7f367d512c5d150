"""Example inputs of a space on a device, and the tensors within inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ogive.space import Space
from ogive.space import build as space_build


def example_inputs(space: Space, device: torch.device | str = "cpu") -> tuple[Any, ...]:
    """A model's positional arguments on `device`: zeros of [1, *shape], or what the space's callable makes.

    They are made on the CPU, where a callable may do as it likes; random state is put back.

    Raises:
        SpaceError: the space has no example input.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        made = space_build.example_inputs(space.example_input)
    return tuple(item.to(device) if isinstance(item, Tensor) else item for item in made)


def arguments(inputs: Any) -> tuple[Any, ...]:
    """Positional arguments: a tuple or list as it is, anything else as the only one."""
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors in a tree of tuples, lists and mappings, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for item in tree.values():
            yield from tensors(item)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from tensors(item)
