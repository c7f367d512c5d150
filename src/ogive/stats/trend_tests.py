"""Two rank tests, equal to SciPy's: importing `scipy.stats` takes longer than reading a run of thousands of trials."""

from __future__ import annotations

import math

import numpy as np

from ogive.arrays import FloatArray

EXACT_UP_TO = 33
"""So many values without ties have the exact distribution of Kendall's tau, as in SciPy; more the normal one."""


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
    return tau, _below((rising - falling) / math.sqrt(variance))


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
    return _below(-(excess - 0.5) / math.sqrt(variance)) if variance > 0 else 1.0


def _below(z: float) -> float:
    """The normal distribution function, precise in its tail."""
    return math.erfc(-z / math.sqrt(2)) / 2


def _tied_pairs(values: FloatArray) -> int:
    _, counts = np.unique(values, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


def _rising(values: FloatArray) -> int:
    """The pairs of which the later value is the higher one, in O(n log n).

    The ranks of two values first differ in one binary digit. So for each digit, the highest first, the pairs are counted
    that have it 0 and then 1 among those of equal higher digits, which stand together in the order of time.
    """
    rank = np.unique(values, return_inverse=True)[1]
    found = 0
    for digit in reversed(range(int(rank.max()).bit_length())):
        one = (rank >> digit & 1).astype(bool)
        begins = np.flatnonzero(np.diff(rank >> (digit + 1), prepend=-1))  # of the groups of equal higher digits
        group = np.repeat(begins, np.diff(begins, append=len(rank)))  # [n], where each one's begins
        zeros = np.cumsum(~one) - ~one  # [n], before it
        zeros -= zeros[group]  # in its group
        found += int(zeros[one].sum())
        all_zeros = np.repeat(np.add.reduceat(~one, begins, dtype=np.int64), np.diff(begins, append=len(rank)))
        sorted_rank = np.empty_like(rank)
        sorted_rank[np.where(one, np.arange(len(rank)) + all_zeros - zeros, group + zeros)] = rank
        rank = sorted_rank
    return found


def _concordances(n: int) -> FloatArray:
    """The probability of each number of concordant pairs of n places in random order (Kendall 1938)."""
    distribution = np.ones(1)
    for size in range(2, n + 1):
        distribution = np.convolve(distribution, np.full(size, 1 / size))
    return distribution
