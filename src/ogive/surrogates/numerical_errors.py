"""The exceptions that a model raises when its arithmetic fails."""

from __future__ import annotations

from numpy.linalg import LinAlgError

NUMERICAL = (ArithmeticError, LinAlgError, ValueError)
"""Overflow or division by zero; a singular matrix, or one that is not positive definite; infinite or NaN input."""


def format_error(error: BaseException) -> str:
    """Return the type and the message of an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
