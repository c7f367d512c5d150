"""Conversion of the metric values that a user's code reports."""

from __future__ import annotations

import math
import numbers
from typing import Any

from ogive.errors import JobError


class InvalidMetric(JobError, TypeError):
    """A value that was reported as a metric is not a number."""


def to_float(name: str, value: Any) -> float:
    """Return the value of a metric: a number of Python or NumPy, or an array or tensor with one element.

    Args:
        name: the metric, for the message.
        value: the reported value; it may be NaN or infinite.

    Raises:
        InvalidMetric: the value is not a single number.
    """
    shape = getattr(value, "shape", None)
    if shape is not None and math.prod(shape) == 1 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        size = "" if shape is None else f" of shape {tuple(shape)}"
        raise InvalidMetric(
            f"metric {name!r} is a {type(value).__name__}{size}, but must be a single number; "
            "reduce it first, for example with float(value.mean())"
        )
    return float(value)
