"""The statistics of a comparison of methods: intervals, average ranks, Friedman's test and critical differences.

J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006).

Symbols: k methods, b blocks (benchmarks on which all methods are compared), s seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray

CONFIDENCE = 0.95
"""The default confidence of intervals."""


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mean of `values` [s, ...] over seeds, and the bounds of its confidence interval.

    The interval is that of Student's t distribution. With one seed the bounds are infinite.
    """
    from scipy.stats import t as student

    rows = np.asarray(values, dtype=np.float64)
    mean, s = rows.mean(axis=0), len(rows)
    if s < 2:
        return mean, np.full_like(mean, -math.inf), np.full_like(mean, math.inf)
    half_width = student.ppf((1 + confidence) / 2, s - 1) * rows.std(axis=0, ddof=1) / math.sqrt(s)
    return mean, mean - half_width, mean + half_width


def average_ranks(values: ArrayLike) -> FloatArray:
    """Return the average ranks [k] over blocks of `values` [b, k].

    Less is better, and rank 1 is the best. Ties share their average rank.
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(np.asarray(values, dtype=np.float64), axis=1).mean(axis=0))


def friedman_p_value(values: ArrayLike) -> float:
    """Return the p-value of Friedman's test of the hypothesis that all methods perform equally (Demsar 2006, section 3.2.2).

    Args:
        values: [b, k] the value of each method on each block.

    Returns:
        The p-value, or NaN if there are fewer than 3 methods or fewer than 2 blocks.
    """
    from scipy.stats import friedmanchisquare

    rows = np.asarray(values, dtype=np.float64)
    if rows.shape[1] < 3 or rows.shape[0] < 2:
        return math.nan
    # The statistic is not defined if all methods tie on every block.
    if np.all(rows == rows[:, :1]):
        return 1.0
    return float(friedmanchisquare(*rows.T).pvalue)


def critical_difference(k: int, b: int, alpha: float = 0.05) -> float:
    """Return the critical difference of average ranks by the Nemenyi test (Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    # CD = q_alpha sqrt(k (k + 1) / (6 b)), with q_alpha from the studentized range divided by sqrt(2).
    q = float(studentized_range.ppf(1 - alpha, k, math.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * b))


def indistinguishable_groups(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Return the groups of methods whose ranks do not differ significantly (Demsar 2006, figure 1).

    Args:
        ranks: average ranks [k], in ascending order.
        difference: the critical difference.

    Returns:
        The indices (first, last) of each group of at least two methods that is not a part of a larger group.
    """
    groups: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(i for i in range(first, len(ranks)) if ranks[i] - ranks[first] <= difference)
        # A group with the same end as the previous group is a part of it.
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups
