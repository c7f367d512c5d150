"""Weights from the supernet to the plain model of one architecture."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space import Architecture
from ogive.supernet.mixture import Mixture, key


def plain_state(net: nn.Module, architecture: Architecture) -> dict[str, object]:
    """The state of the relaxed `net` as far as it belongs to `architecture`, under the plain model's names."""
    plain = dict(_plain_names(net, "", "", architecture))
    state: dict[str, object] = {}
    for name, value in net.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        if owner in plain:
            state[_join(plain[owner], leaf)] = value
    return state


def _plain_names(module: nn.Module, name: str, plain: str, architecture: Architecture) -> Iterator[tuple[str, str]]:
    """The path of each module of the relaxed net that belongs to `architecture`, and its path in the plain model."""
    yield name, plain
    if isinstance(module, Mixture):  # the chosen alternative stands where the mixture stood
        label = architecture[module.decision.name]
        yield from _plain_names(module.alternative(label), _join(name, key(label)), plain, architecture)
        return
    for child, part in module._modules.items():
        if part is not None:
            yield from _plain_names(part, _join(name, child), _join(plain, child), architecture)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def inherit(model: nn.Module, net: nn.Module, architecture: Architecture) -> None:
    """Copy the weights and buffers of the relaxed `net` into the plain `model` of `architecture`.

    Raises:
        SpaceError: the two do not have the same weights.
    """
    state = plain_state(net, architecture)
    own = model.state_dict(keep_vars=True)
    wrong = sorted(set(own) ^ set(state)) + [
        name
        for name, value in own.items()
        if isinstance(value, Tensor) and isinstance(kept := state.get(name), Tensor) and kept.shape != value.shape
    ]
    if wrong:
        raise SpaceError(
            f"the model of {architecture!r} and its part of the supernet differ in {', '.join(wrong[:5])}: a factory "
            "treats the mixture of several layers unlike one layer; let it use the layers that it is given as they are"
        )
    for name, value in own.items():
        kept = state[name]
        if isinstance(value, Tensor) and isinstance(kept, Tensor):
            value.data = value.data.to(kept.device, kept.dtype)
    model.load_state_dict(state)
