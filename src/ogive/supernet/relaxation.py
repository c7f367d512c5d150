"""The supernet of a space: the declared expression, with each choice between layers replaced by a mixture module.

The continuous relaxation is that of DARTS: H. Liu, K. Simonyan and Y. Yang, "DARTS: Differentiable Architecture Search"
(ICLR 2019), section 2.2. Training of weights and architecture parameters is up to the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space import Architecture, Space
from ogive.space.build import initialize_lazy_layers
from ogive.supernet.inheritance import copy_shared_weights
from ogive.supernet.mixture import RelaxedDecision
from ogive.supernet.tree_walk import relax_tree

MixtureFunction = Callable[[Tensor], Tensor]
"""Maps the architecture parameters [alternatives] of a decision to the weights [alternatives] of its mixtures."""


def softmax(alpha: Tensor) -> Tensor:
    """Return the mixture weights of DARTS: the softmax of the architecture parameters (Liu et al. 2019, equation 2)."""
    return alpha.softmax(-1)


def relax(space: Space, mixture: MixtureFunction | None = None) -> Supernet:
    """Return the supernet of `space`: a module that contains every architecture, with each layer once.

    The expression is built as for a single architecture, except that each choice between layers becomes one `Mixture` of
    all its alternatives. A choice inside an alternative becomes a mixture inside that alternative. A decision has one
    vector of architecture parameters, even if it appears at several positions. Lazy layers are materialized in all
    alternatives. The supernet also contains the combinations of labels that the `constraint` of the space forbids.

    Args:
        space: a space with choices between layers only.
        mixture: the mixture function: it maps the architecture parameters [alternatives] of a decision to the weights
            [alternatives] of its mixtures. It is called once for each decision in a forward pass. By default softmax.

    Raises:
        SpaceError: the space contains a choice between values, or a repeat with an open number of times. (For these, a
            supernet needs elastic layers.) The message names the decision and its position.
    """
    if space.tree is None:
        raise SpaceError("this space was read from a journal and has no layers; load it from where it is declared")
    decisions: dict[str, RelaxedDecision] = {}
    net = relax_tree(space.tree, decisions)
    if not isinstance(net, nn.Module):
        raise SpaceError(f"the space builds a {type(net).__name__}, but a supernet needs an nn.Module")
    # The walk adds inner decisions before the outer ones. The order of the space is the one that users see elsewhere.
    sorted_decisions = [decisions[d.name] for d in space.decisions if d.name in decisions]
    supernet = Supernet(space, net, sorted_decisions, mixture or softmax)
    # A forward pass of the supernet evaluates all alternatives, so it materializes all lazy layers.
    initialize_lazy_layers(supernet, space.example_input)
    return supernet


class Supernet(nn.Module):
    """A module that contains every architecture of a space; created by `relax`.

    A supernet is called like a model of the space. Initially it mixes all alternatives. After `activate(architecture)` it
    evaluates only the layers of that architecture.

    Attributes:
        space: the relaxed space.
        net: the relaxed expression.
        decisions: the decisions with their architecture parameters, in the order of the decisions of the space.
        mixture: the mixture function, which maps the architecture parameters of a decision to the weights of its mixtures.
        active: the activated architecture; None to mix all alternatives.
    """

    def __init__(
        self, space: Space, net: nn.Module, decisions: list[RelaxedDecision], mixture: MixtureFunction
    ) -> None:
        super().__init__()
        self.space = space
        self.net = net
        self.decisions = nn.ModuleList(decisions)
        self.mixture = mixture
        self.active: Architecture | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.active is not None:
            return self.net(*args, **kwargs)
        with self._set_mixture_weights():
            return self.net(*args, **kwargs)

    @contextmanager
    def _set_mixture_weights(self) -> Iterator[None]:
        # Equation 2 of DARTS: the weights of the operations are a function of the architecture parameters.
        # They are computed once per forward pass, not once per mixture: with a random mixture function such as
        # Gumbel-softmax, all mixtures of a decision must use the same sample.
        for decision in self._relaxed_decisions():
            decision.weights = self.mixture(decision.alpha)
        try:
            yield
        finally:
            # A mixture that is called outside of the supernet must raise an error, not use the weights of an earlier pass.
            for decision in self._relaxed_decisions():
                decision.weights = None

    def _relaxed_decisions(self) -> Iterator[RelaxedDecision]:
        for decision in self.decisions:
            assert isinstance(decision, RelaxedDecision)
            yield decision

    def architecture_parameters(self) -> dict[str, nn.Parameter]:
        """Return the architecture parameters by decision. Each has the shape [alternatives], in the order of the labels."""
        return {decision.name: decision.alpha for decision in self._relaxed_decisions()}

    def weight_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the layers: all parameters other than the architecture parameters."""
        return list(self.net.parameters())

    def activate(self, architecture: Architecture | None) -> Supernet:
        """Evaluate only the layers of `architecture` from now on; with None, mix all alternatives. Return the supernet.

        Raises:
            SpaceError: the architecture belongs to another space.
        """
        if architecture is not None:
            architecture = self._to_own_space(architecture)
        # A decision that is inactive in the architecture has no label. Its mixtures are inside of alternatives that are not
        # chosen, so they are not called.
        for decision in self._relaxed_decisions():
            decision.active_label = architecture.get(decision.name) if architecture is not None else None
        self.active = architecture
        return self

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return the standalone model of `architecture` with a copy of the weights and buffers of the supernet.

        The model computes the same outputs as the supernet with this architecture activated. It has the same mode (training
        or eval), device and dtypes as the supernet.

        Raises:
            SpaceError: the architecture belongs to another space, or the parameters of the model do not match those in the
                supernet in name or shape. This happens if a layer looks into its children, and finds a mixture in place of a
                layer.
        """
        architecture = self._to_own_space(architecture)
        # The initial weights are overwritten below, so drawing them must not advance the caller's random state.
        with torch.random.fork_rng(devices=[]):
            model: nn.Module = architecture.build()
        copy_shared_weights(model, self.net, architecture)
        return model.train(self.training)

    def _to_own_space(self, architecture: Architecture) -> Architecture:
        """Return `architecture` as one of `self.space`. It may belong to another `Space` with the same declaration."""
        if architecture.space is self.space:
            return architecture
        try:
            return self.space.architecture(architecture)
        except SpaceError as error:
            raise SpaceError(f"{architecture!r} does not belong to the space of this supernet: {error}") from error
