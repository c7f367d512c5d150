"""The errors by which the numbers of a model fail."""

from __future__ import annotations

from numpy.linalg import LinAlgError

NUMERICAL = (ArithmeticError, LinAlgError, ValueError)
"""Overflow and division by zero; a matrix that is not positive definite or singular; what is not finite."""


def one_line(error: BaseException) -> str:
    """An error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
