"""The statistics of a comparison: intervals, paired tests with correction, ranks and critical differences.

J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006). S. Holm, "A simple sequentially
rejective multiple test procedure" (1979). F. Wilcoxon, "Individual comparisons by ranking methods" (1945).

Symbols: k entrants, b blocks (what entrants are compared on), s seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray

CONFIDENCE = 0.95


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean over the seeds of `values` [s, ...] and the bounds of its interval by Student's t; infinite with one seed."""
    from scipy.stats import t as student

    rows = np.asarray(values, dtype=np.float64)
    mean, s = rows.mean(axis=0), len(rows)
    if s < 2:
        return mean, np.full_like(mean, -math.inf), np.full_like(mean, math.inf)
    half = student.ppf((1 + confidence) / 2, s - 1) * rows.std(axis=0, ddof=1) / math.sqrt(s)
    return mean, mean - half, mean + half


def average_ranks(values: ArrayLike) -> FloatArray:
    """Mean ranks [k] over blocks of `values` [b, k], less is better, 1 the best; ties share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(np.asarray(values, dtype=np.float64), axis=1).mean(axis=0))


def friedman(values: ArrayLike) -> float:
    """The p-value of Friedman's test that all k entrants of `values` [b, k] are alike; NaN with fewer than 3 or 2 blocks."""
    from scipy.stats import friedmanchisquare

    rows = np.asarray(values, dtype=np.float64)
    if rows.shape[1] < 3 or rows.shape[0] < 2:
        return math.nan
    if np.all(rows == rows[:, :1]):
        return 1.0
    return float(friedmanchisquare(*rows.T).pvalue)


def critical_difference(k: int, b: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks of k entrants over b blocks (Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, k, math.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * b))


def groups(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Stretches (first, last) of sorted `ranks` [k] that do not differ, as long as can be, at least two entrants each."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(i for i in range(first, len(ranks)) if ranks[i] - ranks[first] <= difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
