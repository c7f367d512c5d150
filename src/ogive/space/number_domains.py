"""Domains of numbers: `IntegerRange` and `RealRange`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from ogive.space.domain_base import Array, Domain


@dataclass(frozen=True)
class IntegerRange(Domain):
    """Whole numbers low, low + step, ..., up to high, with an order; one column, logarithmic with `log=True`."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    kind = "integer"
    width = 1
    is_ordered = True

    @cached_property
    def size(self) -> int:  # type: ignore[override]
        return (self.high - self.low) // self.step + 1

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """The smallest and the largest number, or their logarithms, which the encoding maps to 0 and 1."""
        bottom, top = self.low, self.low + (self.size - 1) * self.step
        return (math.log(bottom), math.log(top)) if self.log else (float(bottom), float(top))

    def parse(self, value: Any) -> int:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high or (value - self.low) % self.step:
            step = f" in steps of {self.step}" if self.step != 1 else ""
            raise ValueError(f"{value!r} is not a whole number from {self.low} to {self.high}{step}")
        return int(value)

    def pick(self, u: float) -> int:
        if self.log:
            # Draw uniformly on the log scale, and round to the nearest number. The scale extends by half a step beyond both
            # ends, so that the ends are as probable as other numbers. Its lower end must stay above 0 if the step is large.
            bottom = max(self.low - 0.5 * self.step, 0.5 * self.low)
            top = self.low + (self.size - 0.5) * self.step
            return self._nearest(bottom * (top / bottom) ** u)
        return self.low + int(u * self.size) * self.step

    def pick_other(self, label: int, u: float) -> int:
        index = int(u * (self.size - 1))
        # Skip `label` itself: from its index on, take the next number.
        if index >= (label - self.low) // self.step:
            index += 1
        return self.low + index * self.step

    def neighbors(self, label: int) -> Iterator[int]:
        return (n for n in (label - self.step, label + self.step) if self.low <= n <= self.high)

    def enumerate_labels(self, resolution: int) -> Iterator[int]:
        return iter(range(self.low, self.high + 1, self.step))

    def encode(self, labels: Sequence[int]) -> Array:
        low, high = self._scale
        values = np.asarray(labels, dtype=float).reshape(-1, 1)
        # A range of one number has the length 0; its number is encoded as 0.
        return ((np.log(values) if self.log else values) - low) / ((high - low) or 1.0)

    def decode(self, columns: Array) -> list[int]:
        low, high = self._scale
        values = low + np.clip(columns[:, 0], 0, 1) * (high - low)
        return [self._nearest(v) for v in (np.exp(values) if self.log else values)]

    def _nearest(self, value: float) -> int:
        """Return the number of the range that is nearest to `value`."""
        index = round((value - self.low) / self.step)
        return self.low + min(max(index, 0), self.size - 1) * self.step

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "step": self.step, "log": self.log}


_DIGITS = 10
"""The number of digits that real numbers are rounded to: with `log` their own significant digits; otherwise the digits of
the length of the range, so that all numbers have the same number of decimals."""

_NEIGHBOR_DISTANCE = 0.1
"""The distance of two neighbours, as a fraction of the range (with `log`, of its logarithmic scale)."""


@dataclass(frozen=True)
class RealRange(Domain):
    """A number in [low, high], rounded to ten digits, so that printing, parsing, encoding and decoding are exact."""

    low: float
    high: float
    log: bool = False
    kind = "real"
    size = math.inf
    width = 1
    is_ordered = True

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """The ends of the range, or their logarithms, which the encoding maps to 0 and 1."""
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def _round(self, value: float) -> float:
        """Return the value with `_DIGITS` digits, or the end of the range if it is outside."""
        value = min(max(float(value), self.low), self.high)
        reference = abs(value) if self.log else self.high - self.low
        return min(max(round(value, _DIGITS - 1 - math.floor(math.log10(reference))), self.low), self.high)

    def parse(self, value: Any) -> float:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not a number from {self.low} to {self.high}")
        return self._round(value)

    def pick(self, u: float) -> float:
        low, high = self._scale
        value = low + u * (high - low)
        return self._round(math.exp(value) if self.log else value)

    def pick_other(self, label: float, u: float) -> float:
        # `pick` rarely gives `label` itself, as one of about 10**10 numbers. Then pick at half the range from there.
        other = self.pick(u)
        return other if other != label else self.pick((u + 0.5) % 1.0)

    def neighbors(self, label: float) -> Iterator[float]:
        u = float(self.encode([label])[0, 0])
        # The tolerance is wider than the rounding of a label, so that an end of the range is a neighbour in both directions.
        return (self.pick(v) for v in (u - _NEIGHBOR_DISTANCE, u + _NEIGHBOR_DISTANCE) if -1e-6 <= v <= 1 + 1e-6)

    def enumerate_labels(self, resolution: int) -> Iterator[float]:
        return iter(dict.fromkeys(self.pick(u) for u in np.linspace(0, 1, resolution)))

    def encode(self, labels: Sequence[float]) -> Array:
        low, high = self._scale
        values = np.asarray(labels, dtype=float).reshape(-1, 1)
        return ((np.log(values) if self.log else values) - low) / (high - low)

    def decode(self, columns: Array) -> list[float]:
        return [self.pick(float(u)) for u in np.clip(columns[:, 0], 0, 1)]

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "log": self.log}
