"""Relaxing a space: the same expression, with each choice between layers replaced by one mixture module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space import Architecture, Space
from ogive.space.build import materialise
from ogive.supernet.inheritance import inherit
from ogive.supernet.mixture import Relaxed
from ogive.supernet.tree_walk import relax_tree

Weigh = Callable[[Tensor], Tensor]
"""Architecture parameters [alternatives] of one decision to the weights [alternatives] of its mixture."""


def softmax(alpha: Tensor) -> Tensor:
    """The weights of DARTS (Liu et al. 2019, section 2.2)."""
    return alpha.softmax(-1)


def relax(space: Space, mixture: Weigh | None = None) -> Supernet:
    """The supernet of `space`: a module that contains every architecture, each layer once.

    The expression is built as for one architecture, but a choice between layers is handed to the surrounding layer as
    one `Mixture` of them all. Choices within a chosen layer are mixtures inside it. Architecture parameters belong to
    decisions, so that a named choice has one vector of them for all its places. Lazy layers are materialised in
    every branch. The space's constraint is not asked.

    Args:
        space: with choices between layers only.
        mixture: turns the architecture parameters [alternatives] of a decision into the mixture's weights
            [alternatives], once for each forward pass; softmax by default.

    Raises:
        SpaceError: a choice between values, or an open repeat, which needs an elastic layer; the message names the
            decision and its place.
    """
    if space.tree is None:
        raise SpaceError("this space was read from a journal and holds no layers; load it from where it is declared")
    decisions: dict[str, Relaxed] = {}
    net = relax_tree(space.tree, decisions)
    if not isinstance(net, nn.Module):
        raise SpaceError(f"the space builds {type(net).__name__}; a supernet is made of an nn.Module")
    ordered = [decisions[d.name] for d in space.decisions if d.name in decisions]
    supernet = Supernet(space, net, ordered, mixture or softmax)
    materialise(supernet, space.example_input)
    return supernet


class Supernet(nn.Module):
    """Every architecture of a space in one module; made by `relax`.

    It is called like a model of the space. At first it mixes; after `activate(architecture)` only that
    architecture's layers are evaluated.

    Attributes:
        space: that was relaxed.
        net: the relaxed expression.
        decisions: the decisions with their architecture parameters, in the order of the space's table.
    """

    def __init__(self, space: Space, net: nn.Module, decisions: list[Relaxed], mixture: Weigh) -> None:
        super().__init__()
        self.space = space
        self.net = net
        self.decisions = nn.ModuleList(decisions)
        self.mixture = mixture
        self.active: Architecture | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.active is not None:
            return self.net(*args, **kwargs)
        with self._weighed():
            return self.net(*args, **kwargs)

    @contextmanager
    def _weighed(self) -> Iterator[None]:
        for decision in self._relaxed():
            decision.weights = self.mixture(decision.alpha)
        try:
            yield
        finally:
            for decision in self._relaxed():
                decision.weights = None

    def _relaxed(self) -> Iterator[Relaxed]:
        for decision in self.decisions:
            assert isinstance(decision, Relaxed)
            yield decision

    def architecture_parameters(self) -> dict[str, nn.Parameter]:
        """The architecture parameters by decision, each [alternatives] in the order of the decision's labels."""
        return {decision.name: decision.alpha for decision in self._relaxed()}

    def weight_parameters(self) -> list[nn.Parameter]:
        """The parameters of the layers: all that are not architecture parameters."""
        return list(self.net.parameters())

    def activate(self, architecture: Architecture | None) -> Supernet:
        """Evaluate only the layers of `architecture` from now on; None goes back to the mixture. Returns itself.

        Raises:
            SpaceError: the architecture is of another space.
        """
        if architecture is not None:
            architecture = self._own(architecture)
        for decision in self._relaxed():
            decision.chosen = architecture.get(decision.name) if architecture is not None else None
        self.active = architecture
        return self

    def extract(self, architecture: Architecture) -> nn.Module:
        """The plain model, as `architecture.build()` makes it, with a copy of the supernet's weights and buffers.

        It computes what the supernet computes with that architecture activated, and has its mode, device and types.

        Raises:
            SpaceError: the architecture is of another space, or a factory treats a mixture unlike a layer, so that
                the plain model's weights are not all found.
        """
        architecture = self._own(architecture)
        with torch.random.fork_rng(devices=[]):
            model: nn.Module = architecture.build()
        inherit(model, self.net, architecture)
        return model.train(self.training)

    def _own(self, architecture: Architecture) -> Architecture:
        if architecture.space is self.space:
            return architecture
        try:
            return self.space.architecture(architecture)
        except SpaceError as error:
            raise SpaceError(f"{architecture!r} is not of the space of this supernet: {error}") from error
