"""Example inputs of a space on a device, and the tensors within inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ogive.space import Space
from ogive.space import build as space_build


def example_inputs(space: Space, device: torch.device | str = "cpu") -> tuple[Any, ...] | dict[str, Any]:
    """A model's inputs on `device`: zeros of [1, *shape], or the tensors of the space's example input.

    They are made on the CPU, where a callable may do as it likes; random state is put back.

    Raises:
        SpaceError: the space has no example input.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        made = space_build.example_inputs(space.example_input)
    moved: tuple[Any, ...] | dict[str, Any] = tree_map_only(Tensor, lambda tensor: tensor.to(device), made)
    return moved


def model_inputs(inputs: Any) -> Any:
    """Inputs as `call_model` takes them: a tuple, a list or a dict as it is, anything else as the only one."""
    return inputs if isinstance(inputs, (tuple, list, Mapping)) else (inputs,)


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
