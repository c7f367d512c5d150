"""Architectures as points of the unit cube, for strategies that move through vectors of numbers.

The encoding of Awad, Mallik and Hutter, "Differential Evolution for Neural Architecture Search" (NAS workshop at ICLR 2020),
section 3.1: each decision has one coordinate. Its range is divided into equal bins, one for each alternative; numbers are
scaled to [0, 1]. Here a subset has one coordinate for each of its labels.

Symbols: d is the number of coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset

DIGITS = 6
"""The number of decimal places of coordinates in a proposal's note."""

BELOW_ONE = 1.0 - 1e-12
"""The largest coordinate that is passed to `Domain.pick`, whose argument must be below 1."""


class UnitCube:
    """A mapping from [0, 1]^d to the architectures of a space, and back. Coordinates of inactive decisions are ignored."""

    def __init__(self, space: Space) -> None:
        self.space = space
        widths = [_count_coordinates(decision.domain) for decision in space.decisions]
        self._starts = np.concatenate([[0], np.cumsum(widths)]).astype(int).tolist()

    @property
    def dimensions(self) -> int:
        """The number of coordinates, d."""
        return int(self._starts[-1])

    def decode(self, x: FloatArray) -> Architecture:
        """Return the architecture whose bin contains the point `x` [d]; the space's constraint is not checked."""
        labels: dict[str, Label] = {}
        # `_starts` has one more item than there are decisions: the number of coordinates.
        for decision, start in zip(self.space.decisions, self._starts, strict=False):
            if decision.is_active(labels):
                labels[decision.name] = _label_at(
                    decision.domain, x[start : start + _count_coordinates(decision.domain)]
                )
        return Architecture(self.space, labels)

    def encode(self, architecture: Architecture) -> FloatArray:
        """Return the center [d] of the architecture's bin.

        The coordinates of inactive decisions are random, but always the same for an architecture.
        """
        x = generator(0, "unit cube", architecture.id).random(self.dimensions)
        for decision, start in zip(self.space.decisions, self._starts, strict=False):
            if decision.name in architecture:
                label = architecture[decision.name]
                x[start : start + _count_coordinates(decision.domain)] = _bin_center(decision.domain, label)
        return x

    def to_note(self, x: FloatArray) -> list[float]:
        """Return the point `x` [d] as JSON, for a proposal's note."""
        return [round(float(value), DIGITS) for value in x]

    def from_note(self, note: Mapping[str, object], architecture: Architecture) -> FloatArray:
        """Return the point [d] in a note if it decodes to `architecture`; otherwise the center of the architecture's bin."""
        x = note.get("x")
        if isinstance(x, Sequence) and len(x) == self.dimensions and all(isinstance(v, (int, float)) for v in x):
            point = np.asarray(x, dtype=np.float64)
            if self.decode(point) == architecture:
                return point
        return self.encode(architecture)


def _count_coordinates(domain: Domain) -> int:
    """Return the number of coordinates of a decision with this domain."""
    return len(domain.labels) if isinstance(domain, Subset) else 1


def _label_at(domain: Domain, x: FloatArray) -> Label:
    """Return the label whose bin contains the coordinates `x` of one decision."""
    if isinstance(domain, Subset):
        return domain.decode(x[None, :])[0]
    return domain.pick(min(float(x[0]), BELOW_ONE))


def _bin_center(domain: Domain, label: Label) -> FloatArray | float:
    """Return the coordinates of `label` that are farthest from those of other labels."""
    match domain:
        case Subset():
            # A label is a member if its coordinate is above 0.5. The centers are 0.75 for members and 0.25 for the others.
            return np.asarray(0.25 + 0.5 * domain.encode([label])[0])
        case Categorical():
            return (domain.index[label] + 0.5) / domain.size
        case RealRange():
            return float(domain.encode([label])[0, 0])
        case IntegerRange(log=False):
            return float(((label - domain.low) // domain.step + 0.5) / domain.size)
        case _:
            # On a log scale the bins have different widths.
            return _bisect(domain, label)


def _bisect(domain: Domain, label: Label) -> float:
    """Return a coordinate of `label` in a domain whose `pick` is an increasing function."""
    low, high = 0.0, 1.0
    # 60 halvings reach the precision of a float.
    for _ in range(60):
        middle = (low + high) / 2
        picked = domain.pick(middle)
        if picked == label:
            return middle
        low, high = (middle, high) if picked < label else (low, middle)
    return low
