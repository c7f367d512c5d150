"""Copying weights from a supernet to the standalone model of one architecture."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space import Architecture
from ogive.supernet.mixture import Mixture, make_child_name


def collect_standalone_state(net: nn.Module, architecture: Architecture) -> dict[str, object]:
    """Return the weights and buffers of the relaxed `net` that belong to `architecture`, by name in its standalone model."""
    standalone_paths = dict(_match_paths(net, "", "", architecture))
    state: dict[str, object] = {}
    for name, value in net.state_dict().items():
        module_path, _, attribute = name.rpartition(".")
        if module_path in standalone_paths:
            state[_join_path(standalone_paths[module_path], attribute)] = value
    return state


def _match_paths(
    module: nn.Module, path: str, standalone_path: str, architecture: Architecture
) -> Iterator[tuple[str, str]]:
    """Yield two paths for each module of `architecture`: in the relaxed net and in the standalone model.

    Args:
        module: a module of the relaxed net.
        path: the path of the module in the relaxed net; "" for the net itself.
        standalone_path: the path of the same module in the standalone model.
        architecture: the architecture whose modules are visited.
    """
    yield path, standalone_path
    if isinstance(module, Mixture):
        # In the standalone model, the chosen alternative is at the position of the mixture.
        label = architecture[module.decision.name]
        yield from _match_paths(
            module.get_alternative(label), _join_path(path, make_child_name(label)), standalone_path, architecture
        )
        return
    # `named_children` would leave out a module that is registered under a second name, as with tied weights.
    for name, child in module._modules.items():
        if child is not None:
            yield from _match_paths(child, _join_path(path, name), _join_path(standalone_path, name), architecture)


def _join_path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def copy_shared_weights(model: nn.Module, net: nn.Module, architecture: Architecture) -> None:
    """Copy the weights and buffers of the relaxed `net` into the standalone `model` of `architecture`.

    Raises:
        SpaceError: the names or shapes of the weights differ.
    """
    shared = collect_standalone_state(net, architecture)
    target = model.state_dict(keep_vars=True)  # the parameters themselves, so that they can be moved below
    # First the names that only one of the two models has, then the names whose values have different shapes.
    differing_names = sorted(set(target) ^ set(shared)) + [
        name
        for name, value in target.items()
        if isinstance(value, Tensor) and isinstance(source := shared.get(name), Tensor) and source.shape != value.shape
    ]
    if differing_names:
        raise SpaceError(
            f"the weights of {architecture!r} and of its part of the supernet differ: "
            f"{', '.join(differing_names[:5])}. A layer of the space treats a mixture of layers differently from a single "
            "layer; a layer must not depend on the types or attributes of the layers that it receives"
        )
    # `load_state_dict` would convert the values to the device and dtype of the model, but those of the supernet are needed.
    for name, value in target.items():
        source = shared[name]
        if isinstance(value, Tensor) and isinstance(source, Tensor):
            value.data = value.data.to(source.device, source.dtype)
    model.load_state_dict(shared)
