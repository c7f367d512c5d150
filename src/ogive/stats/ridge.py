"""Ridge regression: its residuals when each row is left out in turn.

D. M. Allen, "The relationship between variable selection and data augmentation and a method for prediction", Technometrics
16 (1974): the residual of a row that is left out is its residual divided by 1 - leverage.

Symbols: n rows, p columns.
"""

from __future__ import annotations

import numpy as np

from ogive.arrays import FloatArray


def left_out_residuals(u: FloatArray, s: FloatArray, y: FloatArray, penalty: float, least: float = 1e-6) -> FloatArray:
    """Return the residual [n] of each row, predicted from all others.

    Args:
        u: [n, p], left singular vectors of the centred rows.
        s: [p], their singular values.
        y: [n], centred.
        penalty: added to the squares of the singular values.
        least: the least value of 1 - leverage. The leverages include 1 / n for the mean.
    """
    shrunk = s**2 / (s**2 + penalty)
    residuals = y - u @ (shrunk * (u.T @ y))
    leverages = u**2 @ shrunk + 1 / len(y)
    return np.asarray(residuals / np.maximum(1 - leverages, least))
