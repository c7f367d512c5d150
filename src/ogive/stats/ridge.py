"""Leave-one-out residuals of ridge regression.

D. M. Allen, "The relationship between variable selection and data augmentation and a method for prediction", Technometrics
16 (1974).

Symbols: n rows, p columns.
"""

from __future__ import annotations

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
