"""Paired differences: the mean with its confidence interval, and Wilcoxon's signed-rank test.

F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of a - b over n pairs, and the bounds of its confidence interval by Student's t distribution.

    With a single pair the bounds are infinite, because the spread is unknown.

    Raises:
        ValueError: the lengths differ, there are no pairs, or the confidence is not between 0 and 1.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"expected as many values of a as of b, at least one, but got {len(a)} and {len(b)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}, but must be between 0 and 1, such as 0.95")
    from scipy.stats import t as student  # its import takes as long as all of `ogive status`

    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    n = len(differences)
    mean = float(differences.mean())
    if n == 1:
        return mean, -math.inf, math.inf
    half_width = float(student.ppf((1 + confidence) / 2, n - 1) * differences.std(ddof=1) / math.sqrt(n))
    return mean, mean - half_width, mean + half_width


@dataclass(frozen=True)
class PairedComparison:
    """The difference a - b over pairs.

    Attributes:
        mean: the mean difference.
        low, high: the bounds of its 95% confidence interval.
        p: the p-value of the signed-rank test.
        corrected: the p-value after a correction for several tests; NaN if it was not corrected.
    """

    mean: float
    low: float
    high: float
    p: float
    corrected: float = math.nan


def compare_pairs(a: Sequence[float], b: Sequence[float]) -> PairedComparison:
    """Return the paired difference of `a` and `b`, the values of two methods with the same seeds.

    The p-value is 1 if all differences are zero, or if there is a single pair.
    """
    from scipy.stats import wilcoxon

    mean, low, high = paired_difference(a, b)
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if len(differences) < 2 or not np.any(differences):
        return PairedComparison(mean, low, high, 1.0)
    # Wilcoxon's exact distribution is valid only without zeros and ties; otherwise use the normal approximation. The ranks
    # of zero differences are split between both signs.
    sizes = np.abs(differences)
    is_exact = bool(np.all(sizes > 0)) and len(np.unique(sizes)) == len(sizes)
    test = wilcoxon(differences, zero_method="zsplit", method="exact" if is_exact else "asymptotic")
    return PairedComparison(mean, low, high, float(test.pvalue))
