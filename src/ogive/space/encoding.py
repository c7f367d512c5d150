"""Architectures as vectors: a fixed number of columns, whatever is active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.space.domain import Array, Categorical, Label
from ogive.space.table import Decision


class Encoding:
    """The layout: a one-hot block for `one_of`, a multi-hot one for `some_of`, one column for a number.

    An inactive decision has zeros. Where zeros would also be a value (numbers, subsets), a conditional decision has a
    further column that is 1 when it is active.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        self.flagged = [d.conditional and not isinstance(d.domain, Categorical) for d in self.decisions]
        widths = [d.domain.width + flag for d, flag in zip(self.decisions, self.flagged, strict=True)]
        self.starts = np.concatenate([[0], np.cumsum(widths)]).astype(int)

    @property
    def width(self) -> int:
        return int(self.starts[-1])

    def columns(self) -> list[tuple[str, str]]:
        """For each column: the decision's name and what the column stands for."""
        result = []
        for decision, flag in zip(self.decisions, self.flagged, strict=True):
            labels = getattr(decision.domain, "labels", None)
            result += [(decision.name, str(label)) for label in labels] if labels else [(decision.name, "value")]
            result += [(decision.name, "active")] if flag else []
        return result

    def encode(self, architectures: Sequence[Mapping[str, Label]]) -> Array:
        """[n] architectures -> [n, width]."""
        encoded = np.zeros((len(architectures), self.width))
        for decision, flag, start in zip(self.decisions, self.flagged, self.starts, strict=False):
            name, width = decision.name, decision.domain.width
            rows = [i for i, choices in enumerate(architectures) if name in choices]
            if rows:
                block = decision.domain.encode([architectures[i][name] for i in rows])
                encoded[rows, start : start + width] = block
                if flag:
                    encoded[rows, start + width] = 1.0
        return encoded

    def decode(self, encoded: Array) -> list[dict[str, Label]]:
        """[n, width] -> [n] assignments: the nearest label of each decision that is active, in the table's order."""
        blocks = zip(self.decisions, self.starts, strict=False)
        labels = [d.domain.decode(encoded[:, start : start + d.domain.width]) for d, start in blocks]
        result = []
        for row in range(len(encoded)):
            choices: dict[str, Label] = {}
            for decision, column in zip(self.decisions, labels, strict=True):
                if decision.active(choices):
                    choices[decision.name] = column[row]
            result.append(choices)
        return result
