"""Paired differences: their mean with Student's interval, and Wilcoxon's signed-rank test.

F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of a - b over pairs [n], and the bounds of its confidence interval by Student's t with n - 1 degrees.

    The bounds are infinite with a single pair, which tells nothing of the spread.

    Raises:
        ValueError: unequal lengths, no pairs, or a confidence that is not between 0 and 1.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"expected as many values of a as of b, at least one, but got {len(a)} and {len(b)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r}: a share between 0 and 1, such as 0.95")
    from scipy.stats import t as student  # takes as long to import as the rest of `ogive status`

    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    n = len(differences)
    mean = float(differences.mean())
    if n == 1:
        return mean, -math.inf, math.inf
    half = float(student.ppf((1 + confidence) / 2, n - 1) * differences.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Paired:
    """a minus b over pairs: the mean, its interval, and the p-value of the signed-rank test before and after correction."""

    mean: float
    low: float
    high: float
    p: float
    corrected: float = math.nan


def paired(a: Sequence[float], b: Sequence[float]) -> Paired:
    """The paired difference of `a` and `b` [s], which were measured under the same seeds.

    Wilcoxon's signed-rank test, zero differences split between both sides; exact without zeros and ties, else by the normal
    approximation. p is 1 where all differences are zero.
    """
    from scipy.stats import wilcoxon

    mean, low, high = paired_difference(a, b)
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if len(differences) < 2 or not np.any(differences):
        return Paired(mean, low, high, 1.0)
    sizes = np.abs(differences)
    clean = bool(np.all(sizes > 0)) and len(np.unique(sizes)) == len(sizes)
    found = wilcoxon(differences, zero_method="zsplit", method="exact" if clean else "asymptotic")
    return Paired(mean, low, high, float(found.pvalue))
