"""The module that replaces a choice between layers, and the architecture parameters of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space.domain import Label


class RelaxedDecision(nn.Module):
    """A decision of a supernet. All mixtures of the decision share it.

    Attributes:
        name: the name of the decision.
        labels: the labels of its alternatives.
        alpha: the architecture parameters [alternatives], in the order of `labels`; initially zero.
        weights: the weights of the mixtures [alternatives] during a forward pass of the supernet, otherwise None.
        chosen: the label of the activated architecture; None to mix all alternatives.
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
    """The alternatives of a decision at one position of the space. It computes their weighted sum, or the chosen one only.

    The alternatives are child modules with the names `key(label)`.
    """

    decision: RelaxedDecision

    def __init__(self, decision: RelaxedDecision, path: str, alternatives: Mapping[Label, nn.Module]) -> None:
        super().__init__()
        # Assigned to __dict__, so that PyTorch does not register it as a child. The supernet registers each decision once,
        # although several mixtures share it.
        self.__dict__["decision"] = decision
        self.path = path
        for label, module in alternatives.items():
            self.add_module(key(label), module)

    def alternative(self, label: Label) -> nn.Module:
        """Return the module of an alternative."""
        return self.get_submodule(key(label))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        decision = self.decision
        # A single path: the other alternatives are not evaluated, so an activated architecture costs no more than its model.
        if decision.chosen is not None:
            return self.alternative(decision.chosen)(*args, **kwargs)
        if decision.weights is None:
            raise SpaceError(
                f"the mixture at {self.path!r} was called outside of its supernet, which computes the weights of "
                f"{decision.name!r}: call the supernet, or activate an architecture first"
            )
        # DARTS, equation 2: the sum of all alternatives, weighted by a function of the architecture parameters.
        total: Tensor | None = None
        for label, weight in zip(decision.labels, decision.weights, strict=True):
            output = self.alternative(label)(*args, **kwargs)
            if not isinstance(output, Tensor) or (total is not None and output.shape != total.shape):
                raise SpaceError(self._shape_message(label, output, total))
            total = weight * output if total is None else total + weight * output
        assert total is not None
        return total

    def _shape_message(self, label: Label, output: Any, total: Tensor | None) -> str:
        returned = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        expected = "a tensor" if total is None else f"a tensor of shape {list(total.shape)}, like the previous ones"
        return (
            f"the alternative {label!r} of {self.decision.name!r} at {self.path!r} returns {returned}, but the mixture "
            f"needs {expected}: give all alternatives the same output shape"
        )


def key(label: Label) -> str:
    """Return the name of the child module of a label.

    It differs from all attributes of a module, and contains no dots, which separate the names of nested modules.
    """
    return "=" + str(label).replace("%", "%25").replace(".", "%2E")
