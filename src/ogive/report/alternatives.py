"""The alternatives of every decision, and which trials chose which: what the questions about decisions are asked of.

Symbols: n architectures, k alternatives of all decisions together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.formatting import number
from ogive.space import Architecture, Decision, Space
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, Subset

FEW = 6
"""A number with more values than this is cut into stretches."""
STRETCHES = 4
GRID = 420
"""Labels looked at to tell how often each is sampled; divisible by 2 to 7."""
_NOT_ACTIVE: Label = object()


@dataclass(frozen=True)
class Alternative:
    """One alternative.

    Attributes:
        decision: its name.
        text: the label, or a stretch of a number such as `4 to 7`.
        ends: the first and the last label of a stretch; the label itself, twice, elsewhere.
    """

    decision: str
    text: str
    ends: tuple[Label, Label]


@dataclass(frozen=True)
class Alternatives:
    """Alternatives [k] and who chose them: `chosen` [n, k]. A decision that is not active chose none of its own."""

    space: Space
    levels: tuple[Alternative, ...]
    chosen: BoolArray

    @staticmethod
    def of(space: Space, architectures: Sequence[Architecture]) -> Alternatives:
        """What these architectures chose."""
        levels: list[Alternative] = []
        blocks = [np.zeros((len(architectures), 0), dtype=bool)]
        for decision in space.decisions:
            cut = _cut(decision)
            levels += [Alternative(decision.name, text, ends) for text, ends in cut]
            blocks.append(_chosen(decision, [ends for _, ends in cut], architectures))
        return Alternatives(space, tuple(levels), np.concatenate(blocks, axis=1))

    @cached_property
    def columns(self) -> dict[str, IntArray]:
        """For each decision, in the table's order, the positions of its alternatives."""
        places: dict[str, list[int]] = {decision.name: [] for decision in self.space.decisions}
        for i, level in enumerate(self.levels):
            places[level.decision].append(i)
        return {name: np.array(found) for name, found in places.items()}

    @cached_property
    def active(self) -> BoolArray:
        """[n, k] whether the decision of each alternative is active."""
        active = np.zeros_like(self.chosen)
        for places in self.columns.values():
            active[:, places] = self.chosen[:, places].any(axis=1, keepdims=True)
        return active

    @cached_property
    def expected(self) -> FloatArray:
        """[k] how often random sampling chooses each alternative where its decision is active; no constraint considered."""
        grid = (np.arange(GRID) + 0.5) / GRID
        shares = [
            _chosen(d, [self.levels[i].ends for i in self.columns[d.name]], [{d.name: d.domain.pick(u)} for u in grid])
            for d in self.space.decisions
        ]
        return np.concatenate([np.zeros(0), *(share.mean(axis=0) for share in shares)])


def _cut(decision: Decision) -> list[tuple[str, tuple[Label, Label]]]:
    domain = decision.domain
    if isinstance(domain, (Categorical, Subset)):
        return [(str(label), (label, label)) for label in domain.labels]
    if isinstance(domain, IntegerRange) and domain.size <= FEW:
        return [(str(label), (label, label)) for label in domain.all(0)]
    return _stretches(domain)


def _stretches(domain: Domain) -> list[tuple[str, tuple[Label, Label]]]:
    """About equal stretches of a number's scale."""
    (edges,) = [domain.decode(np.linspace(0, 1, STRETCHES + 1).reshape(-1, 1))]
    found = []
    for i, (low, high) in enumerate(pairwise(edges)):
        if isinstance(domain, IntegerRange):
            low = low if i == 0 else low + domain.step
            if low > high:
                continue
        found.append((f"{number(low)} to {number(high)}", (low, high)))
    return found


def _chosen(
    decision: Decision, ends: Sequence[tuple[Label, Label]], architectures: Sequence[Mapping[str, Label]]
) -> BoolArray:
    name, domain = decision.name, decision.domain
    chosen = np.zeros((len(architectures), len(ends)), dtype=bool)
    found = [architecture.get(name, _NOT_ACTIVE) for architecture in architectures]
    rows = [i for i, label in enumerate(found) if label is not _NOT_ACTIVE]
    labels = [found[i] for i in rows]
    if not rows:
        return chosen
    if isinstance(domain, (Categorical, Subset)):
        chosen[rows] = domain.encode(labels) > 0.5
        return chosen
    tops = np.array([high for _, high in ends], dtype=np.float64)
    place = np.minimum(np.searchsorted(tops, np.array(labels, dtype=np.float64)), len(ends) - 1)
    chosen[rows, place] = True
    return chosen
