"""How different the architectures are that a search tries: the mean pairwise distance of a population.

The distance of two architectures is the share of the decisions active in either that differ; 0 for the same labels, 1 where
nothing is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.arrays import IntArray
from ogive.seeds import generator
from ogive.space import Space

WINDOW = 50
"""The recent population: so many of the last proposals."""


def mean_distance(architectures: Sequence[Mapping[str, object]]) -> float:
    """The mean distance of all pairs, in [0, 1]; 0 for one architecture or none."""
    n = len(architectures)
    if n < 2:
        return 0.0
    codes = _codes(architectures)
    if codes.size and codes.min() >= 0:  # every decision is active, so pairs need only be counted
        alike = sum(int((np.bincount(column) ** 2).sum()) for column in codes.T)
        return float((n * n - alike / codes.shape[1]) / (n * (n - 1)))
    differ, active = np.zeros((n, n)), np.zeros((n, n))
    for column in codes.T:
        differ += column[:, None] != column[None, :]
        active += (column[:, None] >= 0) | (column[None, :] >= 0)
    return float((differ / np.maximum(active, 1)).sum()) / (n * (n - 1))  # each pair twice; none differs from itself


def diversity(architectures: Sequence[Mapping[str, object]], window: int = WINDOW, points: int = 200) -> list[float]:
    """The mean distance among the last `window` architectures, at up to `points` places evenly spread.

    Returns:
        A value for each of `places(len(architectures), points)`.
    """
    return [mean_distance(architectures[max(0, end - window) : end]) for end in places(len(architectures), points)]


def places(count: int, points: int = 200) -> list[int]:
    """How many architectures there were at each of up to `points` places; the last one is `count`."""
    return sorted({round(i * count / points) for i in range(1, points + 1)} - {0}) if count else []


def random_distance(space: Space, draws: int = 64) -> float:
    """What random sampling has: the yardstick of what is diverse in this space."""
    rng = generator(0, "diversity")
    return mean_distance([space.sample(rng) for _ in range(draws)])


def _codes(architectures: Sequence[Mapping[str, object]]) -> IntArray:
    """[n, decisions]: a number for each label, -1 where the decision is not active."""
    columns: dict[str, int] = {}
    labels: list[dict[object, int]] = []
    for architecture in architectures:
        for name in architecture:
            if name not in columns:
                columns[name] = len(columns)
                labels.append({})
    codes = np.full((len(architectures), len(columns)), -1, dtype=np.int64)
    for row, architecture in enumerate(architectures):
        for name, label in architecture.items():
            column = columns[name]
            codes[row, column] = labels[column].setdefault(label, len(labels[column]))
    return codes
