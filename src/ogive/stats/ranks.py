"""Ranks of values, without the import of `scipy.stats`, which takes half a second."""

from __future__ import annotations

import numpy as np

from ogive.arrays import FloatArray, IntArray


def average_ranks(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the ranks [n] of `values` [n], from 1 on, and the sizes of the groups of equal values.

    Equal values share the mean of their ranks, as in SciPy's `rankdata`.
    """
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    # The last rank of a group is the number of values up to it; the mean rank lies half a group before.
    return (np.cumsum(sizes) - (sizes - 1) / 2)[group], sizes
