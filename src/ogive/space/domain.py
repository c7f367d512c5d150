"""Domains: the labels of one decision, and how they are sampled, encoded and written as JSON.

Every domain maps a number `u` in [0, 1) to a label (`pick`), so that one vector of uniform numbers gives a whole
architecture. Labels are JSON scalars; a label of a `Subset` is a tuple of these.
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
    """The labels that a decision can have.

    Attributes:
        kind: the function that declares the domain, such as "one_of".
        size: the number of labels; `math.inf` for a real number.
        width: the number of columns of the encoding.
        ordered: whether the labels have an order.
    """

    kind: str
    size: float
    width: int
    is_ordered: bool = False

    @abstractmethod
    def parse(self, value: Any) -> Label:
        """Return the label that equals `value`.

        Raises:
            ValueError: there is none; the message says what is allowed.
        """

    @abstractmethod
    def pick(self, u: float) -> Label:
        """Return the label at `u` in [0, 1): uniform over the labels, or over their logarithms with `log=True`."""

    @abstractmethod
    def pick_other(self, label: Label, u: float) -> Label:
        """Return the label at `u` in [0, 1) among all labels except `label`, uniform over them."""

    @abstractmethod
    def neighbors(self, label: Label) -> Iterator[Label]:
        """Yield the neighbours of `label`.

        The relation is symmetric: b is a neighbour of a if and only if a is one of b (for real numbers up to rounding).
        """

    @abstractmethod
    def enumerate_labels(self, resolution: int) -> Iterator[Label]:
        """Yield every label; of a real number, `resolution` evenly spaced ones."""

    @abstractmethod
    def encode(self, labels: Sequence[Label]) -> Array:
        """Return the vectors of n labels, [n, width], with values in [0, 1]."""

    @abstractmethod
    def decode(self, columns: Array) -> list[Label]:
        """Return the labels of n vectors, [n, width]: the nearest label of a vector that encodes none exactly."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the domain as JSON, which `from_json` reads."""


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
        builtin = isinstance(value, (str, int))  # first, since isinstance() with the ABC `Real` is slow
        index = self.index.get(value) if builtin or isinstance(value, Real) else None
        if index is None:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, self.labels))}")
        return self.labels[index]

    def pick(self, u: float) -> Label:
        return self.labels[int(u * len(self.labels))]

    def pick_other(self, label: Label, u: float) -> Label:
        index = int(u * (len(self.labels) - 1))
        return self.labels[index + (index >= self.index[label])]  # skip `label` itself

    def neighbors(self, label: Label) -> Iterator[Label]:
        return (other for other in self.labels if other != label)

    def enumerate_labels(self, resolution: int) -> Iterator[Label]:
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
            # Round a number that is uniform on the log scale. The range extends by half a step on both sides, so that
            # the two ends have their share of the scale too; its lower end stays above 0 where the step is large.
            bottom = max(self.low - 0.5 * self.step, 0.5 * self.low)
            top = self.low + (self.size - 0.5) * self.step
            return self._nearest(bottom * (top / bottom) ** u)
        return self.low + int(u * self.size) * self.step

    def pick_other(self, label: int, u: float) -> int:
        index = int(u * (self.size - 1))
        return self.low + (index + (index >= (label - self.low) // self.step)) * self.step

    def neighbors(self, label: int) -> Iterator[int]:
        return (n for n in (label - self.step, label + self.step) if self.low <= n <= self.high)

    def enumerate_labels(self, resolution: int) -> Iterator[int]:
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
        index = round((value - self.low) / self.step)
        return self.low + min(max(index, 0), self.size - 1) * self.step

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "step": self.step, "log": self.log}


_DIGITS = 10


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
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def _round(self, value: float) -> float:
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
        other = self.pick(u)
        return other if other != label else self.pick((u + 0.5) % 1.0)

    def neighbors(self, label: float) -> Iterator[float]:
        u = float(self.encode([label])[0, 0])
        # The tolerance is wider than the rounding of a label, so that an end of the range is a neighbour in both directions.
        return (self.pick(v) for v in (u - 0.1, u + 0.1) if -1e-6 <= v <= 1 + 1e-6)

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


@dataclass(frozen=True)
class Subset(Domain):
    """Subsets of `low` to `high` labels, without order. A label of the decision is the tuple of the chosen labels."""

    labels: tuple[Label, ...]
    low: int
    high: int
    kind = "some_of"

    @cached_property
    def _counts(self) -> list[int]:
        """The number of subsets of each allowed size, from `low` to `high`."""
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
        are_labels = items is not None and all(isinstance(item, (str, Real)) and item in self.index for item in items)
        if items is None or not are_labels or len(set(items)) != len(items):
            raise ValueError(f"{value!r} is not a list of different labels of {', '.join(map(repr, self.labels))}")
        if not self.low <= len(items) <= self.high:
            raise ValueError(f"{value!r} has {len(items)} labels; {self.low} to {self.high} are allowed")
        return self._subset(self.index[item] for item in items)

    def _subset(self, indices: Any) -> tuple[Label, ...]:
        """Return the labels at `indices`, in the order of declaration."""
        return tuple(self.labels[i] for i in sorted(indices))

    def _unrank(self, rank: int) -> tuple[Label, ...]:
        """Return the subset at `rank` in the order by number of members, then lexicographic."""
        # First the number of members k: skip all subsets that have fewer.
        k = self.low
        for count in self._counts:
            if rank < count:
                break
            rank, k = rank - count, k + 1
        # Then label by label: of the subsets in question, C(labels after this one, k - 1) contain this label.
        chosen, index = [], 0
        while k:
            with_index = math.comb(len(self.labels) - index - 1, k - 1)
            if rank < with_index:
                chosen.append(index)
                k -= 1
            else:
                rank -= with_index
            index += 1
        return self._subset(chosen)

    def pick(self, u: float) -> tuple[Label, ...]:
        return self._unrank(min(int(u * self.size), self.size - 1))

    def pick_other(self, label: tuple[Label, ...], u: float) -> tuple[Label, ...]:
        other = self._unrank(min(int(u * (self.size - 1)), self.size - 2))
        return other if other != label else self._unrank(self.size - 1)

    def neighbors(self, label: tuple[Label, ...]) -> Iterator[tuple[Label, ...]]:
        """Yield the subsets with one member exchanged, removed or added, as far as the number of members allows."""
        inside = {self.index[item] for item in label}
        outside = [i for i in range(len(self.labels)) if i not in inside]
        for removed in sorted(inside):
            if len(inside) > self.low:
                yield self._subset(inside - {removed})
            for added in outside:
                yield self._subset((inside - {removed}) | {added})
        if len(inside) < self.high:
            for added in outside:
                yield self._subset(inside | {added})

    def enumerate_labels(self, resolution: int) -> Iterator[tuple[Label, ...]]:
        return (self._unrank(rank) for rank in range(self.size))

    def encode(self, labels: Sequence[tuple[Label, ...]]) -> Array:
        columns = np.zeros((len(labels), self.width))
        for row, label in enumerate(labels):
            columns[row, [self.index[item] for item in label]] = 1.0
        return columns

    def decode(self, columns: Array) -> list[tuple[Label, ...]]:
        result = []
        for row in columns:
            # The labels with the largest values, as many as are above 0.5 and as `low` and `high` allow.
            order = np.argsort(-row, kind="stable")
            k = min(max(int((row > 0.5).sum()), self.low), self.high)
            result.append(self._subset(order[:k]))
        return result

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels), "low": self.low, "high": self.high}


def from_json(data: dict[str, Any]) -> Domain:
    """Return the domain that `describe` wrote."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    if "labels" in fields:
        fields["labels"] = tuple(fields["labels"])
    kinds: dict[str, type[Domain]] = {d.kind: d for d in (Categorical, IntegerRange, RealRange, Subset)}
    return kinds[data["kind"]](**fields)
