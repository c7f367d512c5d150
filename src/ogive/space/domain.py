"""All domains. `Categorical` and `Subset` are defined here, and the domains of numbers in `number_domains`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from ogive.space.domain_base import Array, Domain, Label
from ogive.space.number_domains import IntegerRange, RealRange

__all__ = ["Array", "Categorical", "Domain", "IntegerRange", "Label", "RealRange", "Subset", "from_json"]


@dataclass(frozen=True)
class Categorical(Domain):
    """Labels without an order, of which one is chosen. The encoding is one-hot."""

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
        """The index of each label in `labels`."""
        return {label: i for i, label in enumerate(self.labels)}

    def parse(self, value: Any) -> Label:
        # A value of another type may not be hashable. `str` and `int` come first, because isinstance() with `Real` is slow.
        index = self.index.get(value) if isinstance(value, (str, int, Real)) else None
        if index is None:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, self.labels))}")
        return self.labels[index]

    def pick(self, u: float) -> Label:
        return self.labels[int(u * len(self.labels))]

    def pick_other(self, label: Label, u: float) -> Label:
        index = int(u * (len(self.labels) - 1))
        # Skip `label` itself: from its index on, take the next label.
        return self.labels[index + 1 if index >= self.index[label] else index]

    def neighbors(self, label: Label) -> Iterator[Label]:
        return (neighbor for neighbor in self.labels if neighbor != label)

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
class Subset(Domain):
    """Subsets of `labels` with `low` to `high` members, without an order.

    A label of the decision is a tuple of its members, in the order in which they are declared.
    """

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
        """The index of each label in `labels`."""
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
        """Return the subset at index `rank` of all subsets, sorted by the number of members, and then lexicographically."""
        # First the number of members k: skip all subsets that have fewer.
        k = self.low
        for count in self._counts:
            if rank < count:
                break
            rank, k = rank - count, k + 1
        # Then go through the labels; k is now the number of members still to be chosen. Of the remaining subsets,
        # C(number of later labels, k - 1) contain the label, and they precede all others. So either the subset is among
        # them, or they are skipped.
        indices, index = [], 0
        while k:
            with_index = math.comb(len(self.labels) - index - 1, k - 1)
            if rank < with_index:
                indices.append(index)
                k -= 1
            else:
                rank -= with_index
            index += 1
        return self._subset(indices)

    def pick(self, u: float) -> tuple[Label, ...]:
        # The limit is for sizes above 2^53, which may be rounded up in the product.
        return self._unrank(min(int(u * self.size), self.size - 1))

    def pick_other(self, label: tuple[Label, ...], u: float) -> tuple[Label, ...]:
        # Draw from all subsets but the last one. If this gives `label` itself, return the last subset in its place: so every
        # other subset has the same probability.
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
            # Choose the labels with the largest values: those above 0.5, but at least `low` and at most `high` of them.
            order = np.argsort(-row, kind="stable")
            k = min(max(int((row > 0.5).sum()), self.low), self.high)
            result.append(self._subset(order[:k]))
        return result

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels), "low": self.low, "high": self.high}


def from_json(data: dict[str, Any]) -> Domain:
    """Return the domain from the result of its `describe`."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    if "labels" in fields:
        fields["labels"] = tuple(fields["labels"])
    kinds: dict[str, type[Domain]] = {d.kind: d for d in (Categorical, IntegerRange, RealRange, Subset)}
    return kinds[data["kind"]](**fields)
