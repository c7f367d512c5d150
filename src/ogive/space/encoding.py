"""The encoding of architectures as vectors. The number of columns is the same for all architectures of a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.space.domain import Array, Categorical, Label
from ogive.space.table import Decision


class Encoding:
    """The columns of each decision: a one-hot block for `one_of`, a multi-hot block for `some_of`, one column for a number.

    The columns of an inactive decision are zeros. The columns of a number or a subset may also be zeros when the decision is
    active. If such a decision is conditional, it therefore has an additional column, which is 1 if the decision is active.

    Attributes:
        decisions: the table.
        has_active_column: whether each decision has this additional column.
        starts: the index of the first column of each decision, and as an additional last item the total number of columns.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        self.has_active_column = [d.is_conditional and not isinstance(d.domain, Categorical) for d in self.decisions]
        widths = [
            d.domain.width + int(has_column)
            for d, has_column in zip(self.decisions, self.has_active_column, strict=True)
        ]
        self.starts = np.concatenate([[0], np.cumsum(widths)]).astype(int)

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.starts[-1])

    def columns(self) -> list[tuple[str, str]]:
        """Return (decision, meaning) of each column; the meaning is a label, "value" (of a number) or "active"."""
        columns = []
        for decision, has_column in zip(self.decisions, self.has_active_column, strict=True):
            labels = getattr(decision.domain, "labels", None)
            columns += [(decision.name, str(label)) for label in labels] if labels else [(decision.name, "value")]
            columns += [(decision.name, "active")] if has_column else []
        return columns

    def encode(self, architectures: Sequence[Mapping[str, Label]]) -> Array:
        """Return the vectors of n architectures, [n, width]."""
        encoded = np.zeros((len(architectures), self.width))
        # Not strict, because `starts` has one more item than there are decisions.
        for decision, has_column, start in zip(self.decisions, self.has_active_column, self.starts, strict=False):
            name, width = decision.name, decision.domain.width
            rows = [i for i, architecture in enumerate(architectures) if name in architecture]
            if rows:
                block = decision.domain.encode([architectures[i][name] for i in rows])
                encoded[rows, start : start + width] = block
                if has_column:
                    encoded[rows, start + width] = 1.0
        return encoded

    def decode(self, encoded: Array) -> list[dict[str, Label]]:
        """Return the labels of n vectors, [n, width]: for each active decision its nearest label, in the table's order."""
        # Not strict, because `starts` has one more item than there are decisions.
        blocks = zip(self.decisions, self.starts, strict=False)
        decoded = [d.domain.decode(encoded[:, start : start + d.domain.width]) for d, start in blocks]
        architectures = []
        for row in range(len(encoded)):
            labels: dict[str, Label] = {}
            for decision, decoded_labels in zip(self.decisions, decoded, strict=True):
                if decision.is_active(labels):
                    labels[decision.name] = decoded_labels[row]
            architectures.append(labels)
        return architectures
