"""Models and images smaller than in full, as a proxy asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.task.proxy import Proxy
from ogive.user_code import RAISED

if TYPE_CHECKING:
    from torch import nn

TRIED = 5
"""Architectures of which one must take a proxy's size."""


def smaller(architecture: Any, seed: int, proxy: Proxy, shape: tuple[int, ...]) -> nn.Module:
    """The model of an architecture as a proxy trains it, for examples of `shape`."""
    if not proxy.reduced().keys() - {"data_fraction"}:
        return architecture.build(seed=seed)  # type: ignore[no-any-return]
    return architecture.build(seed=seed, multipliers=proxy.multipliers, example_input=shape)  # type: ignore[no-any-return]


def reshaped(architecture: Architecture, proxy: Proxy, shape: tuple[int, ...]) -> bool:
    """Whether the weights of an architecture have other names or shapes, as a proxy trains it, than in full."""
    if not proxy.reduced().keys() - {"data_fraction"}:
        return False
    models = architecture.build(), smaller(architecture, 0, proxy, shape)
    full, small = ({name: value.shape for name, value in model.state_dict().items()} for model in models)
    return bool(full != small)


def check_size(space: Space, proxy: Proxy, shape: tuple[int, ...]) -> None:
    """See that some architectures can be built and run as small as a proxy asks for: that none can is no accident.

    Raises:
        JobError: none can.
    """
    import torch

    wrong: BaseException | None = None
    for index in range(TRIED):
        architecture = space.sample(generator(0, "proxy", index))
        try:
            with torch.no_grad():  # for real: some models compute with values while they are built
                smaller(architecture, 0, proxy, shape).eval()(torch.zeros(1, *shape))
        except RAISED as error:  # a factory of the user's may raise anything; reported below
            wrong = wrong or error
        else:
            return
    asked = ", ".join(f"{name}={share:g}" for name, share in proxy.reduced().items() if name != "data_fraction")
    raise JobError(
        f"{asked}: none of {TRIED} models takes an example of {' x '.join(map(str, shape))} at that size "
        f"({type(wrong).__name__}: {str(wrong).splitlines()[0] if str(wrong) else ''}); give a larger share, or make the "
        "models adaptive: global pooling before the classifier, or lazy layers"
    ) from wrong
