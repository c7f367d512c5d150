"""Two rank tests that give the same results as SciPy, without the import of `scipy.stats`, which takes long.

H. B. Mann, "Nonparametric Tests Against Trend", Econometrica 13 (1945); M. G. Kendall, "A New Measure of Rank Correlation",
Biometrika 30 (1938); H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is Stochastically
Larger than the Other", Annals of Mathematical Statistics 18 (1947).
"""

from __future__ import annotations

import math

import numpy as np

from ogive.arrays import FloatArray
from ogive.stats.ranks import average_ranks

MAX_EXACT = 33
"""For up to this many values without ties, the exact distribution of Kendall's tau is used, and otherwise the normal
approximation, as in SciPy."""


def mann_kendall(values: FloatArray) -> tuple[float, float]:
    """Return Kendall's tau-b between `values` [n] and their indices, and the p-value of Mann's test for a falling trend.

    n must be at least 2. A small p-value means that later values are lower. If all values are equal, tau is 0 and p is 1.
    """
    n = len(values)
    pairs = n * (n - 1) // 2
    ties = _count_tied_pairs(values)
    if ties == pairs:
        return 0.0, 1.0
    # tau-b: the indices have no ties, so only ties of the values reduce the denominator.
    rising = _count_rising_pairs(values)
    falling = pairs - ties - rising
    tau = (rising - falling) / math.sqrt(pairs * (pairs - ties))
    # Kendall (1938): the exact probability of at most this many rising pairs.
    if ties == 0 and n <= MAX_EXACT:
        return tau, float(min(1.0, _rising_pairs_distribution(n)[: rising + 1].sum()))
    # Otherwise the normal approximation, with the variance of rising - falling corrected for ties.
    _, counts = np.unique(values, return_counts=True)
    tied = counts.astype(np.float64)
    variance = (n * (n - 1) * (2 * n + 5) - float((tied * (tied - 1) * (2 * tied + 5)).sum())) / 18
    return tau, _normal_cdf((rising - falling) / math.sqrt(variance))


def mann_whitney(greater: FloatArray, less: FloatArray) -> float:
    """Return the p-value of the Mann-Whitney test that the values `greater` [n] tend to be greater than `less` [m].

    The p-value is that of the normal approximation with corrections for ties and continuity.
    """
    n, m = len(greater), len(less)
    ranks, counts = average_ranks(np.concatenate([greater, less]))
    # U minus its expectation n m / 2.
    excess = float(ranks[:n].sum()) - n * (n + 1) / 2 - n * m / 2
    # The variance of U, corrected for ties.
    tied = counts.astype(np.float64)
    size = n + m
    variance = n * m / 12 * (size + 1 - float((tied**3 - tied).sum()) / (size * (size - 1)))
    return _normal_cdf(-(excess - 0.5) / math.sqrt(variance)) if variance > 0 else 1.0


def _normal_cdf(z: float) -> float:
    """Return the cumulative distribution function of the normal distribution, with full precision in the lower tail."""
    return math.erfc(-z / math.sqrt(2)) / 2


def _count_tied_pairs(values: FloatArray) -> int:
    _, counts = np.unique(values, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


def _count_rising_pairs(values: FloatArray) -> int:
    """Return the number of pairs whose later value is higher, in O(n log n).

    The higher of two ranks has a 1 in the first binary digit in which they differ. The digits are processed from the highest
    to the lowest. For each digit, values with equal higher digits form a group, in their original order. Count the pairs of
    a group in which a 0 comes before a 1. Then sort each group stably by this digit, which forms the groups for the next
    digit.
    """
    rank = np.unique(values, return_inverse=True)[1]
    count = 0
    for digit in reversed(range(int(rank.max()).bit_length())):
        is_one = (rank >> digit & 1).astype(bool)
        # The index of the first value of each group; then, for each value, the index of the first value of its group [n].
        group_starts = np.flatnonzero(np.diff(rank >> (digit + 1), prepend=-1))
        group = np.repeat(group_starts, np.diff(group_starts, append=len(rank)))
        # The number of zeros before each value in its group; for the ones they are the rising pairs.
        zeros = np.cumsum(~is_one) - ~is_one
        zeros -= zeros[group]
        count += int(zeros[is_one].sum())
        # The stable sort: zeros move to the front of their group, ones behind all zeros of the group.
        group_zeros = np.repeat(
            np.add.reduceat(~is_one, group_starts, dtype=np.int64), np.diff(group_starts, append=len(rank))
        )
        sorted_rank = np.empty_like(rank)
        sorted_rank[np.where(is_one, np.arange(len(rank)) + group_zeros - zeros, group + zeros)] = rank
        rank = sorted_rank
    return count


def _rising_pairs_distribution(n: int) -> FloatArray:
    """Return the probability of each number of rising pairs of n different values in random order (Kendall 1938)."""
    # The k-th value forms 0 to k - 1 rising pairs with those before it, each number with probability 1/k.
    distribution = np.ones(1)
    for size in range(2, n + 1):
        distribution = np.convolve(distribution, np.full(size, 1 / size))
    return distribution
