"""The models that a proxy trains, narrower or shallower than those of full training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.task.proxy import Proxy
from ogive.user_code import USER_EXCEPTIONS

if TYPE_CHECKING:
    from torch import nn

SAMPLE_SIZE = 5
"""The number of sampled architectures; at least one of them must run at the size of the proxy."""


def build_proxy_model(architecture: Any, seed: int, proxy: Proxy, shape: tuple[int, ...]) -> nn.Module:
    """Return the model of an architecture at the size of the proxy, for examples of `shape`."""
    if _keeps_model(proxy):
        return architecture.build(seed=seed)  # type: ignore[no-any-return]
    return architecture.build(seed=seed, multipliers=proxy.multipliers, example_input=shape)  # type: ignore[no-any-return]


def changes_weights(architecture: Architecture, proxy: Proxy, shape: tuple[int, ...]) -> bool:
    """Return whether the weights of the proxy's model have other names or shapes than those of the full-size model."""
    if _keeps_model(proxy):
        return False
    models = architecture.build(), build_proxy_model(architecture, 0, proxy, shape)
    full_shapes, proxy_shapes = ({name: value.shape for name, value in model.state_dict().items()} for model in models)
    return bool(full_shapes != proxy_shapes)


def _keeps_model(proxy: Proxy) -> bool:
    """Return whether the proxy leaves the model unchanged, because it reduces nothing but the training data."""
    return not proxy.list_reduced_shares().keys() - {"data_fraction"}


def check_proxy_size(space: Space, proxy: Proxy, shape: tuple[int, ...]) -> None:
    """Check that at least one of `SAMPLE_SIZE` sampled architectures can be built and run at the size of the proxy.

    Raises:
        JobError: none of the sampled architectures can be built and run.
    """
    import torch

    first_error: BaseException | None = None
    for index in range(SAMPLE_SIZE):
        architecture = space.sample(generator(0, "proxy", index))
        try:
            # On the CPU, not on the meta device, because some models read values of tensors while they are built.
            with torch.no_grad():
                build_proxy_model(architecture, 0, proxy, shape).eval()(torch.zeros(1, *shape))
        except USER_EXCEPTIONS as error:  # the user's code may raise anything; it is reported below
            first_error = first_error or error
        else:
            # One success is enough: the other architectures may be infeasible at any size, and then fail as trials.
            return
    shares = ", ".join(
        f"{name}={share:g}" for name, share in proxy.list_reduced_shares().items() if name != "data_fraction"
    )
    reason = str(first_error).splitlines()[0] if str(first_error) else ""
    raise JobError(
        f"{shares}: none of {SAMPLE_SIZE} sampled models accepts an example of shape {' x '.join(map(str, shape))} at this "
        f"size ({type(first_error).__name__}: {reason}); use a larger share, or make the models adaptive: global pooling "
        "before the classifier, or lazy layers"
    ) from first_error
