"""Domains: the alternatives of one decision, and how they are sampled, encoded and written as JSON.

Every domain maps a number `u` in [0, 1) to a label (`pick`), so that a whole architecture is drawn from one vector of
uniform numbers. Labels are JSON scalars, except a subset, which is a tuple of labels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Label = Any
Array = NDArray[np.float64]


class Domain(ABC):
    """The alternatives of a decision. `size` is their number (infinite for a real)."""

    kind: str
    size: float  # a whole number or infinity
    width: int  # columns of the encoding
    ordered: bool = False

    @abstractmethod
    def parse(self, value: Any) -> Label:
        """The label that equals `value`; ValueError says what is allowed."""

    @abstractmethod
    def pick(self, u: float) -> Label:
        """The label at `u` in [0, 1), uniform over labels (over the logarithm where so declared)."""

    @abstractmethod
    def pick_other(self, label: Label, u: float) -> Label:
        """A label other than `label`, uniform over the others."""

    @abstractmethod
    def near(self, label: Label) -> Iterator[Label]:
        """The labels next to `label`; symmetric: b is near a exactly when a is near b (to the last digit of a real)."""

    @abstractmethod
    def all(self, resolution: int) -> Iterator[Label]:
        """Every label, or `resolution` evenly spaced ones of a real."""

    @abstractmethod
    def encode(self, labels: Sequence[Label]) -> Array:
        """[n] labels -> [n, width] numbers in [0, 1]."""

    @abstractmethod
    def decode(self, columns: Array) -> list[Label]:
        """[n, width] numbers -> [n] labels, the nearest where the numbers are no exact encoding."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The domain as JSON; `from_json` reads it back."""


@dataclass(frozen=True)
class Categorical(Domain):
    """Unordered alternatives; one-hot encoding."""

    labels: tuple[Label, ...]
    kind = "one_of"

    @cached_property
    def size(self) -> int:  # type: ignore[override]
        return len(self.labels)

    @cached_property
    def width(self) -> int:  # type: ignore[override]
        return len(self.labels)

    @cached_property
    def index(self) -> dict[Label, int]:
        return {label: i for i, label in enumerate(self.labels)}

    def parse(self, value: Any) -> Label:
        quick = isinstance(value, (str, int))  # asking an ABC takes its time
        position = self.index.get(value) if quick or isinstance(value, Real) else None
        if position is None:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, self.labels))}")
        return self.labels[position]

    def pick(self, u: float) -> Label:
        return self.labels[int(u * len(self.labels))]

    def pick_other(self, label: Label, u: float) -> Label:
        position = int(u * (len(self.labels) - 1))
        return self.labels[position + (position >= self.index[label])]

    def near(self, label: Label) -> Iterator[Label]:
        return (other for other in self.labels if other != label)

    def all(self, resolution: int) -> Iterator[Label]:
        return iter(self.labels)

    def encode(self, labels: Sequence[Label]) -> Array:
        columns = np.zeros((len(labels), self.width))
        columns[np.arange(len(labels)), [self.index[label] for label in labels]] = 1.0
        return columns

    def decode(self, columns: Array) -> list[Label]:
        return [self.labels[i] for i in columns.argmax(axis=1)]

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels)}


@dataclass(frozen=True)
class IntegerRange(Domain):
    """Ordered whole numbers low, low + step, ... up to high; one column, on a log scale where so declared."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    kind = "integer"
    width = 1
    ordered = True

    @cached_property
    def size(self) -> int:  # type: ignore[override]
        return (self.high - self.low) // self.step + 1

    @cached_property
    def _scale(self) -> tuple[float, float]:
        bottom, top = self.low, self.low + (self.size - 1) * self.step
        return (math.log(bottom), math.log(top)) if self.log else (float(bottom), float(top))

    def parse(self, value: Any) -> int:
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high or (value - self.low) % self.step:
            step = f" in steps of {self.step}" if self.step != 1 else ""
            raise ValueError(f"{value!r} is not a whole number from {self.low} to {self.high}{step}")
        return int(value)

    def pick(self, u: float) -> int:
        if self.log:  # each whole number owns the stretch of the log scale around it
            bottom = max(self.low - 0.5 * self.step, 0.5 * self.low)  # above 0 where the step is large
            top = self.low + (self.size - 0.5) * self.step
            return self._nearest(bottom * (top / bottom) ** u)
        return self.low + int(u * self.size) * self.step

    def pick_other(self, label: int, u: float) -> int:
        position = int(u * (self.size - 1))
        return self.low + (position + (position >= (label - self.low) // self.step)) * self.step

    def near(self, label: int) -> Iterator[int]:
        return (n for n in (label - self.step, label + self.step) if self.low <= n <= self.high)

    def all(self, resolution: int) -> Iterator[int]:
        return iter(range(self.low, self.high + 1, self.step))

    def encode(self, labels: Sequence[int]) -> Array:
        low, high = self._scale
        values = np.asarray(labels, dtype=float).reshape(-1, 1)
        return ((np.log(values) if self.log else values) - low) / ((high - low) or 1.0)

    def decode(self, columns: Array) -> list[int]:
        low, high = self._scale
        values = low + np.clip(columns[:, 0], 0, 1) * (high - low)
        return [self._nearest(v) for v in (np.exp(values) if self.log else values)]

    def _nearest(self, value: float) -> int:
        position = round((value - self.low) / self.step)
        return self.low + min(max(position, 0), self.size - 1) * self.step

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "step": self.step, "log": self.log}


_DIGITS = 10


@dataclass(frozen=True)
class RealRange(Domain):
    """A number in [low, high], kept to ten digits so that it prints, parses, encodes and decodes exactly."""

    low: float
    high: float
    log: bool = False
    kind = "real"
    size = math.inf
    width = 1
    ordered = True

    @cached_property
    def _scale(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def _round(self, value: float) -> float:
        value = min(max(float(value), self.low), self.high)
        reference = abs(value) if self.log else self.high - self.low
        return min(max(round(value, _DIGITS - 1 - math.floor(math.log10(reference))), self.low), self.high)

    def parse(self, value: Any) -> float:
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not a number from {self.low} to {self.high}")
        return self._round(value)

    def pick(self, u: float) -> float:
        low, high = self._scale
        value = low + u * (high - low)
        return self._round(math.exp(value) if self.log else value)

    def pick_other(self, label: float, u: float) -> float:
        other = self.pick(u)
        return other if other != label else self.pick((u + 0.5) % 1.0)

    def near(self, label: float) -> Iterator[float]:
        u = float(self.encode([label])[0, 0])
        # The tolerance is wider than the rounding of a label, so that the way to an end of the range leads back.
        return (self.pick(v) for v in (u - 0.1, u + 0.1) if -1e-6 <= v <= 1 + 1e-6)

    def all(self, resolution: int) -> Iterator[float]:
        return iter(dict.fromkeys(self.pick(u) for u in np.linspace(0, 1, resolution)))

    def encode(self, labels: Sequence[float]) -> Array:
        low, high = self._scale
        values = np.asarray(labels, dtype=float).reshape(-1, 1)
        return ((np.log(values) if self.log else values) - low) / (high - low)

    def decode(self, columns: Array) -> list[float]:
        return [self.pick(float(u)) for u in np.clip(columns[:, 0], 0, 1)]

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True)
class Subset(Domain):
    """Between `low` and `high` of the labels, without order; a label of the decision is the tuple of those chosen."""

    labels: tuple[Label, ...]
    low: int
    high: int
    kind = "some_of"

    @cached_property
    def _counts(self) -> list[int]:
        return [math.comb(len(self.labels), k) for k in range(self.low, self.high + 1)]

    @cached_property
    def size(self) -> int:  # type: ignore[override]
        return sum(self._counts)

    @cached_property
    def width(self) -> int:  # type: ignore[override]
        return len(self.labels)

    @cached_property
    def index(self) -> dict[Label, int]:
        return {label: i for i, label in enumerate(self.labels)}

    def parse(self, value: Any) -> tuple[Label, ...]:
        items = list(value) if isinstance(value, (list, tuple, set, frozenset)) else None
        known = items is not None and all(isinstance(item, (str, Real)) and item in self.index for item in items)
        if items is None or not known or len(set(items)) != len(items):
            raise ValueError(f"{value!r} is not a list of different labels of {', '.join(map(repr, self.labels))}")
        if not self.low <= len(items) <= self.high:
            raise ValueError(f"{value!r} has {len(items)} labels; {self.low} to {self.high} are allowed")
        return self._ordered(self.index[item] for item in items)

    def _ordered(self, positions: Any) -> tuple[Label, ...]:
        return tuple(self.labels[i] for i in sorted(positions))

    def _unrank(self, rank: int) -> tuple[Label, ...]:
        """The subset at `rank`: by number of members, then in lexicographic order."""
        k = self.low
        for count in self._counts:
            if rank < count:
                break
            rank, k = rank - count, k + 1
        chosen, position = [], 0
        while k:
            below = math.comb(len(self.labels) - position - 1, k - 1)
            if rank < below:
                chosen.append(position)
                k -= 1
            else:
                rank -= below
            position += 1
        return self._ordered(chosen)

    def pick(self, u: float) -> tuple[Label, ...]:
        return self._unrank(min(int(u * self.size), self.size - 1))

    def pick_other(self, label: tuple[Label, ...], u: float) -> tuple[Label, ...]:
        other = self._unrank(min(int(u * (self.size - 1)), self.size - 2))
        return other if other != label else self._unrank(self.size - 1)

    def near(self, label: tuple[Label, ...]) -> Iterator[tuple[Label, ...]]:
        """One member exchanged, taken away or added, as far as the number of members allows."""
        inside = {self.index[item] for item in label}
        outside = [i for i in range(len(self.labels)) if i not in inside]
        for out in sorted(inside):
            if len(inside) > self.low:
                yield self._ordered(inside - {out})
            for new in outside:
                yield self._ordered((inside - {out}) | {new})
        if len(inside) < self.high:
            for new in outside:
                yield self._ordered(inside | {new})

    def all(self, resolution: int) -> Iterator[tuple[Label, ...]]:
        return (self._unrank(rank) for rank in range(self.size))

    def encode(self, labels: Sequence[tuple[Label, ...]]) -> Array:
        columns = np.zeros((len(labels), self.width))
        for row, label in enumerate(labels):
            columns[row, [self.index[item] for item in label]] = 1.0
        return columns

    def decode(self, columns: Array) -> list[tuple[Label, ...]]:
        result = []
        for row in columns:
            order = np.argsort(-row, kind="stable")
            k = min(max(int((row > 0.5).sum()), self.low), self.high)
            result.append(self._ordered(order[:k]))
        return result

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels), "low": self.low, "high": self.high}


def from_json(data: dict[str, Any]) -> Domain:
    """The domain that `describe` wrote."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    if "labels" in fields:
        fields["labels"] = tuple(fields["labels"])
    kinds: dict[str, type[Domain]] = {d.kind: d for d in (Categorical, IntegerRange, RealRange, Subset)}
    return kinds[data["kind"]](**fields)
