"""Ridge regression: leave-one-out residuals, and the choice of the penalty by them.

D. M. Allen, "The relationship between variable selection and data augmentation and a method for prediction", Technometrics
16 (1974).

Symbols: n rows, p columns.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ogive.arrays import FloatArray


def leave_one_out_residuals(
    u: FloatArray, s: FloatArray, y: FloatArray, penalty: float, min_denominator: float = 1e-6
) -> FloatArray:
    """Return the residual [n] of each row when it is predicted from all others.

    Args:
        u: [n, p] the left singular vectors of the centered rows.
        s: [p] the singular values of the centered rows.
        y: [n] the centered targets.
        penalty: the ridge penalty, which is added to the squares of the singular values.
        min_denominator: a lower bound on 1 - leverage, by which residuals are divided.
    """
    shrinkage = s**2 / (s**2 + penalty)
    residuals = y - u @ (shrinkage * (u.T @ y))
    # The leverage of each row. The centering (the fitted mean) contributes 1 / n.
    leverages = u**2 @ shrinkage + 1 / len(y)
    # Allen (1974): the leave-one-out residual is the residual divided by 1 - leverage.
    return np.asarray(residuals / np.maximum(1 - leverages, min_denominator))


def choose_penalty(
    u: FloatArray, s: FloatArray, y: FloatArray, penalties: Iterable[float], min_denominator: float = 1e-6
) -> tuple[float, float]:
    """Return the penalty with the smallest leave-one-out error, the first of equal ones, and its mean square error.

    For the other arguments see `leave_one_out_residuals`.
    """
    errors = {
        penalty: float(np.mean(leave_one_out_residuals(u, s, y, penalty, min_denominator) ** 2))
        for penalty in penalties
    }
    return min(errors.items(), key=lambda item: item[1])
