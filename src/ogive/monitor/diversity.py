"""The diversity of the architectures that a search proposes: their mean distance, over all pairs.

The distance of two architectures is the share of decisions in which they differ. Only decisions that are active in at least
one of the two are counted. Equal architectures have the distance 0; architectures that differ everywhere, the distance 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.arrays import IntArray
from ogive.seeds import generator
from ogive.space import Space

DIVERSITY_WINDOW = 50
"""The diversity is computed over this number of the latest proposals."""


def compute_mean_distance(architectures: Sequence[Mapping[str, object]]) -> float:
    """Return the mean distance of all pairs, in [0, 1]; 0 for fewer than two architectures."""
    n = len(architectures)
    if n < 2:
        return 0.0
    codes = _encode_labels(architectures)
    # If every decision is active in all architectures, the counts of each label give the number of equal pairs, which is
    # faster than comparing all pairs.
    if codes.size and codes.min() >= 0:
        # These are ordered pairs, and each architecture is paired with itself too.
        equal_pairs = sum(int((np.bincount(column) ** 2).sum()) for column in codes.T)
        return float((n * n - equal_pairs / codes.shape[1]) / (n * (n - 1)))
    different, active = np.zeros((n, n)), np.zeros((n, n))
    for column in codes.T:
        different += column[:, None] != column[None, :]
        active += (column[:, None] >= 0) | (column[None, :] >= 0)
    # The matrix holds each pair twice, and zeros on its diagonal, so the mean is over n (n - 1) of its elements.
    return float((different / np.maximum(active, 1)).sum()) / (n * (n - 1))


def compute_diversity(
    architectures: Sequence[Mapping[str, object]], window: int = DIVERSITY_WINDOW, points: int = 200
) -> list[float]:
    """Return the diversity during a search, at up to `points` evenly spaced points.

    Args:
        architectures: all proposed architectures, in the order of the proposals.
        window: the number of architectures before each point over which the mean distance is computed.
        points: the largest number of points.

    Returns:
        The mean distance at each of the points `list_sample_points(len(architectures), points)`.
    """
    counts = list_sample_points(len(architectures), points)
    return [compute_mean_distance(architectures[max(0, count - window) : count]) for count in counts]


def list_sample_points(count: int, points: int = 200) -> list[int]:
    """Return up to `points` evenly spaced whole numbers from 1 to `count`; the last one is `count`."""
    # With fewer numbers than points, some are rounded to the same number, or to 0.
    return sorted({round(i * count / points) for i in range(1, points + 1)} - {0}) if count else []


def estimate_random_distance(space: Space, draws: int = 64) -> float:
    """Return the mean distance of `draws` random architectures of a space, for comparison with a search."""
    rng = generator(0, "diversity")
    return compute_mean_distance([space.sample(rng) for _ in range(draws)])


def _encode_labels(architectures: Sequence[Mapping[str, object]]) -> IntArray:
    """Return the labels of n architectures as numbers.

    Returns:
        An array [n, number of decisions] with equal numbers for equal labels of a decision, and -1 where it is not active.
    """
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
