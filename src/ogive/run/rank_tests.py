"""Two rank tests, equal to SciPy's: importing `scipy.stats` takes longer than reading a run of thousands of trials."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

EXACT_UP_TO = 33
"""So many values without ties have the exact distribution of Kendall's tau, as in SciPy; more the normal one."""

_BLOCK = 256
"""Rows of the comparison of all pairs that are in memory at a time."""


def mann_kendall(values: FloatArray) -> tuple[float, float]:
    """Kendall's tau-b of `values` [n], n at least 2, with their places, and the p value of Mann's test against a fall.

    A small p means that later values are lower. Values that are all equal have tau 0 and p 1.
    """
    n = len(values)
    pairs = n * (n - 1) // 2
    ties = _tied_pairs(values)
    if ties == pairs:
        return 0.0, 1.0
    rising = _rising(values)
    falling = pairs - ties - rising
    tau = (rising - falling) / math.sqrt(pairs * (pairs - ties))
    if ties == 0 and n <= EXACT_UP_TO:
        return tau, float(min(1.0, _concordances(n)[: rising + 1].sum()))
    _, counts = np.unique(values, return_counts=True)
    tied = counts.astype(np.float64)
    variance = (n * (n - 1) * (2 * n + 5) - float((tied * (tied - 1) * (2 * tied + 5)).sum())) / 18
    return tau, float(ndtr((rising - falling) / math.sqrt(variance)))


def mann_whitney(greater: FloatArray, less: FloatArray) -> float:
    """The p value of the Mann-Whitney test that `greater` [n] is not greater than `less` [m]: by the normal distribution,
    corrected for ties and continuity.
    """
    n, m = len(greater), len(less)
    _, place, counts = np.unique(np.concatenate([greater, less]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    excess = float(ranks[:n].sum()) - n * (n + 1) / 2 - n * m / 2
    tied = counts.astype(np.float64)
    size = n + m
    variance = n * m / 12 * (size + 1 - float((tied**3 - tied).sum()) / (size * (size - 1)))
    return float(ndtr(-(excess - 0.5) / math.sqrt(variance))) if variance > 0 else 1.0


def _tied_pairs(values: FloatArray) -> int:
    _, counts = np.unique(values, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


def _rising(values: FloatArray) -> int:
    """The pairs of which the later value is the higher one."""
    later = [
        np.triu(values[begin : begin + _BLOCK, None] < values[None, begin:], 1).sum()
        for begin in range(0, len(values), _BLOCK)
    ]
    return int(sum(later))


def _concordances(n: int) -> FloatArray:
    """The probability of each number of concordant pairs of n places in random order (Kendall 1938)."""
    distribution = np.ones(1)
    for size in range(2, n + 1):
        distribution = np.convolve(distribution, np.full(size, 1 / size))
    return distribution
