"""The alternatives of every decision, and which trials chose which: the data of all statistics about decisions.

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

MAX_VALUES = 6
"""Integer decisions with more values than this, and all real decisions, are divided into ranges."""
RANGES = 4
"""The number of these ranges."""
GRID = 420
"""The share of each label is computed from this many evenly spaced samples; a multiple of the numbers 2 to 7."""
_INACTIVE: Label = object()
"""Stands for the label of an inactive decision."""


@dataclass(frozen=True)
class Alternative:
    """An alternative of a decision; for a number, a range of its values.

    Attributes:
        decision: the decision's name.
        text: the label, or the range, such as `4 to 7`.
        ends: the first and the last label of a range; for other alternatives the label itself, twice.
    """

    decision: str
    text: str
    ends: tuple[Label, Label]


@dataclass(frozen=True)
class Alternatives:
    """A table of architectures and alternatives.

    Attributes:
        space: the space of the architectures.
        alternatives: [k] the alternatives of all decisions.
        chosen: [n, k] whether an architecture chose an alternative; False for alternatives of an inactive decision.
    """

    space: Space
    alternatives: tuple[Alternative, ...]
    chosen: BoolArray

    @staticmethod
    def of(space: Space, architectures: Sequence[Architecture]) -> Alternatives:
        """Return the table of `architectures` of `space`."""
        alternatives: list[Alternative] = []
        blocks = [np.zeros((len(architectures), 0), dtype=bool)]
        for decision in space.decisions:
            texts_and_ends = _split_domain(decision)
            alternatives += [Alternative(decision.name, text, ends) for text, ends in texts_and_ends]
            blocks.append(_is_chosen(decision, [ends for _, ends in texts_and_ends], architectures))
        return Alternatives(space, tuple(alternatives), np.concatenate(blocks, axis=1))

    @cached_property
    def columns(self) -> dict[str, IntArray]:
        """The column indices of each decision's alternatives, in the order of the space's decisions."""
        columns: dict[str, list[int]] = {decision.name: [] for decision in self.space.decisions}
        for i, alternative in enumerate(self.alternatives):
            columns[alternative.decision].append(i)
        return {name: np.array(indices) for name, indices in columns.items()}

    @cached_property
    def active(self) -> BoolArray:
        """[n, k] whether the decision of an alternative is active in an architecture."""
        active = np.zeros_like(self.chosen)
        for columns in self.columns.values():
            active[:, columns] = self.chosen[:, columns].any(axis=1, keepdims=True)
        return active

    @cached_property
    def expected(self) -> FloatArray:
        """[k] the share of random samples with an alternative among those in which its decision is active.

        The constraint of the space is ignored.
        """
        grid = (np.arange(GRID) + 0.5) / GRID
        shares = []
        for decision in self.space.decisions:
            ends = [self.alternatives[i].ends for i in self.columns[decision.name]]
            samples = [{decision.name: decision.domain.pick(u)} for u in grid]
            shares.append(_is_chosen(decision, ends, samples).mean(axis=0))
        return np.concatenate([np.zeros(0), *shares])


def _split_domain(decision: Decision) -> list[tuple[str, tuple[Label, Label]]]:
    """Return the text and the ends of each alternative of a decision."""
    domain = decision.domain
    if isinstance(domain, (Categorical, Subset)):
        return [(str(label), (label, label)) for label in domain.labels]
    if isinstance(domain, IntegerRange) and domain.size <= MAX_VALUES:
        # A range of integers has no resolution.
        return [(str(label), (label, label)) for label in domain.enumerate_labels(resolution=0)]
    return _split_range(domain)


def _split_range(domain: Domain) -> list[tuple[str, tuple[Label, Label]]]:
    """Divide a number's scale into `RANGES` ranges of about equal length."""
    edges = domain.decode(np.linspace(0, 1, RANGES + 1).reshape(-1, 1))
    ranges = []
    for i, (low, high) in enumerate(pairwise(edges)):
        if isinstance(domain, IntegerRange):
            # A range begins after the last value of the previous one.
            low = low if i == 0 else low + domain.step
            if low > high:
                continue
        ranges.append((f"{number(low)} to {number(high)}", (low, high)))
    return ranges


def _is_chosen(
    decision: Decision, ends: Sequence[tuple[Label, Label]], architectures: Sequence[Mapping[str, Label]]
) -> BoolArray:
    """Return which alternative of `decision` each architecture chose, [n, alternatives of the decision]."""
    name, domain = decision.name, decision.domain
    chosen = np.zeros((len(architectures), len(ends)), dtype=bool)
    all_labels = [architecture.get(name, _INACTIVE) for architecture in architectures]
    rows = [i for i, label in enumerate(all_labels) if label is not _INACTIVE]
    labels = [all_labels[i] for i in rows]
    if not rows:
        return chosen
    if isinstance(domain, (Categorical, Subset)):
        chosen[rows] = domain.encode(labels) > 0.5
        return chosen
    upper_ends = np.array([high for _, high in ends], dtype=np.float64)
    # The alternative of a number is the first range whose upper end is not below the number.
    column = np.minimum(np.searchsorted(upper_ends, np.array(labels, dtype=np.float64)), len(ends) - 1)
    chosen[rows, column] = True
    return chosen
