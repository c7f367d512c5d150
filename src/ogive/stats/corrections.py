"""Corrections of p-values for several tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray

FAMILY_LEVEL = 0.05
"""The probability of any false rejection in a family of tests, unless a caller says otherwise."""


def holm(p: ArrayLike) -> FloatArray:
    """Return the p-values [m] of a family of tests after Holm's correction.

    Rejecting the hypotheses whose corrected p-value is at most a level keeps the probability of any false rejection below
    that level. S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979).
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.minimum(1.0, np.arange(len(values), 0, -1) * values[order])
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(steps) if len(values) else steps
    return corrected
