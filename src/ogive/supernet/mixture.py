"""The module that stands for a choice between layers, and the state that all places of one decision share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space.domain import Label


class Relaxed(nn.Module):
    """One decision of a supernet, shared by every place where it stands.

    Attributes:
        alpha: the architecture parameters [alternatives], in the order of `labels`; zero at the start.
        weights: the mixture's weights [alternatives] during a forward pass of the supernet, else None.
        chosen: the label of the activated architecture; None mixes.
    """

    def __init__(self, name: str, labels: tuple[Label, ...]) -> None:
        super().__init__()
        self.name = name
        self.labels = labels
        self.alpha = nn.Parameter(torch.zeros(len(labels)))
        self.weights: Tensor | None = None
        self.chosen: Label | None = None

    def extra_repr(self) -> str:
        return f"{self.name}: {', '.join(map(str, self.labels))}"


class Mixture(nn.Module):
    """The alternatives of one decision at one place: their weighted sum, or the chosen one alone.

    The alternatives are its children; the name of each is `key(label)`.
    """

    decision: Relaxed

    def __init__(self, decision: Relaxed, path: str, alternatives: Mapping[Label, nn.Module]) -> None:
        super().__init__()
        # Outside of the registered children: the supernet holds the decision once, however many places share it.
        self.__dict__["decision"] = decision
        self.path = path
        for label, module in alternatives.items():
            self.add_module(key(label), module)

    def alternative(self, label: Label) -> nn.Module:
        """The module behind `label` at this place."""
        return self.get_submodule(key(label))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        decision = self.decision
        if decision.chosen is not None:
            return self.alternative(decision.chosen)(*args, **kwargs)
        if decision.weights is None:
            raise SpaceError(
                f"the mixture at {self.path!r} was called outside of its supernet, which weighs the alternatives of "
                f"{decision.name!r}: call the supernet, or activate an architecture first"
            )
        total: Tensor | None = None
        for label, weight in zip(decision.labels, decision.weights, strict=True):
            output = self.alternative(label)(*args, **kwargs)
            if not isinstance(output, Tensor) or (total is not None and output.shape != total.shape):
                raise SpaceError(self._unlike(label, output, total))
            total = weight * output if total is None else total + weight * output
        assert total is not None
        return total

    def _unlike(self, label: Label, output: Any, total: Tensor | None) -> str:
        found = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        wanted = "a tensor" if total is None else f"a tensor of shape {list(total.shape)} like those before it"
        return (
            f"the alternative {label!r} of {self.decision.name!r} at {self.path!r} gives {found}, and a mixture needs "
            f"{wanted}: give all alternatives the same output shape"
        )


def key(label: Label) -> str:
    """The name of a mixture's child: never that of an attribute, and without the dots that separate module names."""
    return "=" + str(label).replace("%", "%25").replace(".", "%2E")
