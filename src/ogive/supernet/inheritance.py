"""Copying weights from a supernet to the standalone model of one architecture."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space import Architecture
from ogive.supernet.mixture import Mixture, key


def standalone_state(net: nn.Module, architecture: Architecture) -> dict[str, object]:
    """Return the weights and buffers of the relaxed `net` that belong to `architecture`, by their names in its model."""
    standalone_paths = dict(_match_paths(net, "", "", architecture))
    state: dict[str, object] = {}
    for name, value in net.state_dict().items():
        module_path, _, attribute = name.rpartition(".")
        if module_path in standalone_paths:
            state[_join(standalone_paths[module_path], attribute)] = value
    return state


def _match_paths(
    module: nn.Module, path: str, standalone_path: str, architecture: Architecture
) -> Iterator[tuple[str, str]]:
    """Yield the path in the relaxed net, and the path in the standalone model, of each module of `architecture`."""
    yield path, standalone_path
    if isinstance(module, Mixture):
        # In the standalone model, the chosen alternative is at the position of the mixture.
        label = architecture[module.decision.name]
        yield from _match_paths(module.alternative(label), _join(path, key(label)), standalone_path, architecture)
        return
    # `named_children` would leave out a module that is registered under a second name, as with tied weights.
    for name, child in module._modules.items():
        if child is not None:
            yield from _match_paths(child, _join(path, name), _join(standalone_path, name), architecture)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def inherit(model: nn.Module, net: nn.Module, architecture: Architecture) -> None:
    """Copy the weights and buffers of the relaxed `net` into the standalone `model` of `architecture`.

    Raises:
        SpaceError: the two have different weights.
    """
    shared = standalone_state(net, architecture)
    target = model.state_dict(keep_vars=True)
    differing = sorted(set(target) ^ set(shared)) + [
        name
        for name, value in target.items()
        if isinstance(value, Tensor) and isinstance(other := shared.get(name), Tensor) and other.shape != value.shape
    ]
    if differing:
        raise SpaceError(
            f"the model of {architecture!r} and its part of the supernet differ in {', '.join(differing[:5])}: a layer of "
            "the space treats a mixture of layers differently from a single layer; it must use its arguments without "
            "looking into them"
        )
    # `load_state_dict` keeps device and type of the model; they must be those of the supernet.
    for name, value in target.items():
        other = shared[name]
        if isinstance(value, Tensor) and isinstance(other, Tensor):
            value.data = value.data.to(other.device, other.dtype)
    model.load_state_dict(shared)
