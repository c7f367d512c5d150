"""Scales of axes: the positions of values, and round numbers as ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray

LARGEST, SMALLEST = 1e150, 1e-150
"""Absolute values above `LARGEST` are drawn at it, absolute values below `SMALLEST` at 0."""

UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, ""))
"""The units of tick values, as (smallest of the largest tick values, size of the unit, suffix)."""


@dataclass(frozen=True)
class AxisScale:
    """The scale of an axis.

    Attributes:
        low, high: the ends; both above 0 on a log scale.
        label: the text beside the axis.
        log: whether the scale is logarithmic.
        whole: whether only whole numbers are marked.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    whole: bool = False

    def positions(self, values: ArrayLike) -> FloatArray:
        """Return the position [n] of each value on the axis: 0 at `low`, 1 at `high`; not limited to 0 to 1."""
        points = _bounded(values)
        low, high = self.low, self.high
        if self.log:
            points, low, high = np.log(points), math.log(low), math.log(high)
        # If both ends are equal, the scale has length 1.
        return np.asarray((points - low) / ((high - low) or 1.0))

    def ticks(self, count: int = 6) -> list[float]:
        """Return about `count` round numbers on the axis."""
        if self.log:
            return self._list_log_ticks(count)
        step = _round_step((self.high - self.low) / count, self.whole)
        # The tolerance includes a tick at an end of the axis in spite of rounding errors.
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(n * step, 12) for n in range(first, last + 1)]

    def _list_log_ticks(self, count: int) -> list[float]:
        """Return 1, 2 and 5 times the powers of ten if these are at most `count` + 2 ticks; otherwise 1 and 3 times.

        If these are too many as well, return powers of ten: every one, or every n-th one, so that there are about `count`.
        """
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for factors in ((1, 2, 5), (1, 3), (1,)):
            every = max(1, math.ceil((last - first) / count)) if factors == (1,) else 1
            ticks = [f * 10.0**d for d in range(first, last + 1, every) for f in factors]
            ticks = [value for value in ticks if self.low <= value <= self.high]
            if len(ticks) <= count + 2 or factors == (1,):
                break
        return ticks


def fit_scale(
    values: ArrayLike, label: str = "", log: bool = False, margin: float = 0.04, whole: bool = False
) -> AxisScale:
    """Return a scale over all finite `values`, with a margin on both sides as a share of their range.

    The scale is linear even with `log` if a finite value is not above 0, or if all are equal.
    """
    points = _bounded(values)
    points = points[np.isfinite(points)]
    low, high = (float(points.min()), float(points.max())) if len(points) else (0.0, 1.0)
    if log and low > 0 and high > low:
        stretch = (high / low) ** margin
        return AxisScale(low / stretch, high * stretch, label, True, whole)
    span = (high - low) or abs(high) or 1.0
    return AxisScale(low - margin * span, high + margin * span, label, False, whole)


def _bounded(values: ArrayLike) -> FloatArray:
    """Return values whose differences and ratios can be computed without overflow; NaN and infinities stay as they are."""
    points = np.asarray(values, dtype=np.float64)
    bounded = np.where(np.abs(points) < SMALLEST, 0.0, np.clip(points, -LARGEST, LARGEST))
    return np.where(np.isfinite(points), bounded, points)


def _round_step(rough: float, whole: bool) -> float:
    """Return a round step between two ticks near `rough`; it may be up to 20% smaller. With `whole`, it is a whole one."""
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.8)
    return max(1.0, math.ceil(step)) if whole else step


def format_ticks(values: Sequence[float]) -> list[str]:
    """Return short texts of tick values; large values with k, M, G or T."""
    top = max((abs(value) for value in values), default=0.0)
    if top >= 1e15 or (0 < top < 1e-4):
        return [f"{value:.3g}" for value in values]
    unit, suffix = next((size, suffix) for smallest, size, suffix in UNITS if top >= smallest)
    texts = []
    for value in values:
        # Values far below the unit are written out: 5, not 0.005k.
        if unit > 1 and 0 < abs(value) < unit / 100:
            texts.append(f"{value:,.6g}")
        else:
            texts.append(f"{value / unit:,.6g}{suffix if value else ''}")
    return texts
