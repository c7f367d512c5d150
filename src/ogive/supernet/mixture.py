"""The module that replaces a choice between layers, and the architecture parameters of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import SpaceError
from ogive.space.domain import Label


class RelaxedDecision(nn.Module):
    """A decision of a supernet, with its architecture parameters. All mixtures of the decision share one object.

    Attributes:
        name: the name of the decision.
        labels: the labels of its alternatives.
        alpha: the architecture parameters [alternatives], in the order of `labels`; initially zero.
        weights: the weights of the mixtures [alternatives] during a forward pass of the supernet, otherwise None.
        active_label: the label of the activated architecture; None to mix all alternatives.
    """

    def __init__(self, name: str, labels: tuple[Label, ...]) -> None:
        super().__init__()
        self.name = name
        self.labels = labels
        self.alpha = nn.Parameter(torch.zeros(len(labels)))
        self.weights: Tensor | None = None
        self.active_label: Label | None = None

    def extra_repr(self) -> str:
        return f"{self.name}: {', '.join(map(str, self.labels))}"


class Mixture(nn.Module):
    """A module that holds all alternatives of a decision at one position of the space.

    Its output is the weighted sum of the outputs of all alternatives. If an architecture is activated, it is the output of
    the chosen alternative. The alternatives are child modules with the names `make_child_name(label)`.

    Attributes:
        decision: the decision, shared by all of its mixtures.
        path: the position in the space, for messages.
    """

    decision: RelaxedDecision

    def __init__(self, decision: RelaxedDecision, path: str, alternatives: Mapping[Label, nn.Module]) -> None:
        super().__init__()
        # Assigned to __dict__, so that PyTorch does not register it as a child. The supernet registers each decision once,
        # although several mixtures share it.
        self.__dict__["decision"] = decision
        self.path = path
        for label, module in alternatives.items():
            self.add_module(make_child_name(label), module)

    def get_alternative(self, label: Label) -> nn.Module:
        """Return the module of an alternative."""
        return self.get_submodule(make_child_name(label))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        decision = self.decision
        # The other alternatives are not evaluated, so an activated architecture takes no more time than its model.
        if decision.active_label is not None:
            return self.get_alternative(decision.active_label)(*args, **kwargs)
        if decision.weights is None:
            raise SpaceError(
                f"the mixture at {self.path!r} was called outside of its supernet, which computes the weights of "
                f"{decision.name!r}: call the supernet, or activate an architecture first"
            )
        # DARTS, equation 2: the sum of all alternatives, weighted by a function of the architecture parameters.
        total: Tensor | None = None
        for label, weight in zip(decision.labels, decision.weights, strict=True):
            output = self.get_alternative(label)(*args, **kwargs)
            if not isinstance(output, Tensor) or (total is not None and output.shape != total.shape):
                raise SpaceError(self._format_shape_error(label, output, total))
            total = weight * output if total is None else total + weight * output
        assert total is not None
        return total

    def _format_shape_error(self, label: Label, output: Any, total: Tensor | None) -> str:
        returned = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        expected = (
            "a tensor"
            if total is None
            else f"a tensor of shape {list(total.shape)}, like the outputs of the previous alternatives"
        )
        return (
            f"the alternative {label!r} of {self.decision.name!r} at {self.path!r} returns {returned}, but the mixture "
            f"needs {expected}: give all alternatives the same output shape"
        )


def make_child_name(label: Label) -> str:
    """Return the name of the child module of an alternative.

    The name starts with `=`, so that it differs from all attributes of a module. Dots are escaped, because PyTorch uses
    them to separate the names of nested modules.
    """
    return "=" + str(label).replace("%", "%25").replace(".", "%2E")
