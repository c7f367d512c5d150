"""Architectures as points of the unit cube, one coordinate for each decision, for strategies that move through numbers.

The encoding of Awad, Mallik and Hutter, "Differential Evolution for Neural Architecture Search" (NAS workshop at ICLR 2020),
section 3.1: the coordinate of a decision is cut into equal bins, one for each alternative; a number is scaled. Here a subset
has one coordinate for each of its labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset

DIGITS = 6
"""Of coordinates, as they are noted with a proposal."""
BELOW_ONE = 1.0 - 1e-12


class UnitCube:
    """The way from [0, 1]^d to architectures and back. Decisions that are not active keep their coordinates, unread."""

    def __init__(self, space: Space) -> None:
        self.space = space
        widths = [_width(decision.domain) for decision in space.decisions]
        self._starts = np.concatenate([[0], np.cumsum(widths)]).astype(int).tolist()

    @property
    def dimensions(self) -> int:
        """d"""
        return int(self._starts[-1])

    def architecture(self, x: FloatArray) -> Architecture:
        """[d] coordinates -> the architecture in whose bin they lie; the space's constraint is not asked."""
        choices: dict[str, Label] = {}
        for decision, start in zip(self.space.decisions, self._starts, strict=False):
            if decision.active(choices):
                choices[decision.name] = _label(decision.domain, x[start : start + _width(decision.domain)])
        return Architecture(self.space, choices)

    def point(self, architecture: Architecture) -> FloatArray:
        """The middle of its bin [d]; coordinates of inactive decisions are random, a function of the architecture."""
        x = generator(0, "unit cube", architecture.id).random(self.dimensions)
        for decision, start in zip(self.space.decisions, self._starts, strict=False):
            if decision.name in architecture:
                label = architecture[decision.name]
                x[start : start + _width(decision.domain)] = _middle(decision.domain, label)
        return x

    def noted(self, x: FloatArray) -> list[float]:
        """[d] coordinates as JSON."""
        return [round(float(value), DIGITS) for value in x]

    def read(self, note: Mapping[str, object], architecture: Architecture) -> FloatArray:
        """[d] the coordinates that are noted under `x`, if they are those of the architecture; else its middle."""
        x = note.get("x")
        if isinstance(x, Sequence) and len(x) == self.dimensions and all(isinstance(v, (int, float)) for v in x):
            point = np.asarray(x, dtype=np.float64)
            if self.architecture(point) == architecture:
                return point
        return self.point(architecture)


def _width(domain: Domain) -> int:
    return len(domain.labels) if isinstance(domain, Subset) else 1


def _label(domain: Domain, x: FloatArray) -> Label:
    if isinstance(domain, Subset):
        return domain.decode(x[None, :])[0]
    return domain.pick(min(float(x[0]), BELOW_ONE))


def _middle(domain: Domain, label: Label) -> FloatArray | float:
    """The coordinates that are farthest from other labels."""
    match domain:
        case Subset():
            return np.asarray(0.25 + 0.5 * domain.encode([label])[0])
        case Categorical():
            return (domain.index[label] + 0.5) / domain.size
        case RealRange():
            return float(domain.encode([label])[0, 0])
        case IntegerRange(log=False):
            return float(((label - domain.low) // domain.step + 0.5) / domain.size)
        case _:
            return _bisected(domain, label)


def _bisected(domain: Domain, label: Label) -> float:
    """A coordinate of `label`, where `pick` grows with its argument."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        found = domain.pick(middle)
        if found == label:
            return middle
        low, high = (middle, high) if found < label else (low, middle)
    return low
