"""Corrections of p-values for several tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray

FAMILY_LEVEL = 0.05
"""The default probability of at least one false rejection in a family of tests."""


def correct_by_holm(p: ArrayLike) -> FloatArray:
    """Return the m p-values of a family of tests after Holm's correction.

    Reject the hypotheses whose corrected p-value is at most alpha. Then the probability of at least one false rejection is
    at most alpha. S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979).
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    # Multiply the i-th smallest p-value by m - i + 1. A corrected p-value is at least as large as the previous one.
    multiplied = np.minimum(1.0, np.arange(len(values), 0, -1) * values[order])
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(multiplied) if len(values) else multiplied
    return corrected
