"""Splits: the test set is set aside first; what is left is split, stratified and shuffled, for training and selection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ogive.errors import JobError
from ogive.seeds import generator

Indices = NDArray[np.int64]
Amount = float | int
"""A share strictly between 0 and 1, or a count of examples."""


@dataclass(frozen=True)
class Split:
    """Which example serves what purpose. The four parts are disjoint and cover the data.

    Attributes:
        train: what stage 1 trains on, int64 [n_train].
        validation: what stage 1 selects on, int64 [n_validation].
        test: read once, at the end, int64 [n_test].
        rest: neither of them in stage 1, where `train` is a smaller search split, int64 [n_rest].
        fingerprint: the first 16 hexadecimal digits of the SHA-256 over the indices and the data's fingerprint.
    """

    train: Indices = field(repr=False, compare=False)
    validation: Indices = field(repr=False, compare=False)
    test: Indices = field(repr=False, compare=False)
    rest: Indices = field(repr=False, compare=False)
    fingerprint: str

    @property
    def full_train(self) -> Indices:
        """What stage 2 trains on: all but the test set."""
        return np.concatenate([self.train, self.validation, self.rest])


@dataclass(frozen=True)
class Plan:
    """How data are to be split.

    Attributes:
        test: share of all examples, or their number.
        validation: share of what the test set leaves, or the number of examples.
        train: likewise; None for all that validation leaves.
        seed: of the shuffling. The test set depends on `test` and `seed` alone.

    Raises:
        JobError: an amount is neither a share nor a count, shares add up to more than 1, or the seed is no whole number.
    """

    test: Amount = 0.2
    validation: Amount = 0.1
    train: Amount | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("test", "validation") + (("train",) if self.train is not None else ()):
            _check_amount(name, getattr(self, name))
        if isinstance(self.train, float) and isinstance(self.validation, float) and self.train + self.validation > 1.0:
            raise JobError(
                f"split: train={self.train} and validation={self.validation} are shares of what the test set leaves; "
                "together they may be at most 1"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise JobError(f"split: seed is {self.seed!r}, but must be a whole number of at least 0")


def split(labels: NDArray[np.int64], plan: Plan, data_fingerprint: str = "") -> Split:
    """Split examples with classes `labels` [n] by `plan`; a function of these alone.

    Raises:
        JobError: there are fewer examples than asked for, or a part is smaller than the number of classes.
    """
    n, classes = len(labels), len(np.unique(labels))
    sizes = _sizes(n, plan)
    for name, size in sizes.items():
        if size < classes:
            raise JobError(
                f"split: {name} has {size} examples for {classes} classes; it needs at least one for each class"
            )
    everything = np.arange(n, dtype=np.int64)
    test, left = _draw(everything, labels, sizes["test"], plan.seed, "test")
    validation, left = _draw(left, labels, sizes["validation"], plan.seed, "validation")
    train, rest = _draw(left, labels, sizes["train"], plan.seed, "train")
    return Split(train, validation, test, rest, _fingerprint((train, validation, test, rest), data_fingerprint))


def allocate(counts: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many of `size` draws fall to each class so that shares stay as in `counts` [k]: largest remainders.

    Each class gets its exact quota rounded down; the draws left over go to the largest remainders, ties by lot.
    """
    total = int(counts.sum())
    quota, remainder = np.divmod(counts * size, total)
    by_remainder = np.lexsort((rng.random(len(counts)), -remainder))
    quota[by_remainder[: size - int(quota.sum())]] += 1
    return quota


def _draw(pool: Indices, labels: NDArray[np.int64], size: int, seed: int, part: str) -> tuple[Indices, Indices]:
    """`size` examples of `pool`, stratified and shuffled, and those that are left, in their order."""
    rng = generator(seed, "split", part)
    classes, counts = np.unique(labels[pool], return_counts=True)
    wanted = allocate(counts, size, rng)
    members = [rng.permutation(pool[labels[pool] == c])[:k] for c, k in zip(classes, wanted, strict=True)]
    drawn = rng.permutation(np.concatenate(members))
    return drawn, pool[~np.isin(pool, drawn)]


def _sizes(n: int, plan: Plan) -> dict[str, int]:
    test = _size(plan.test, n)
    left = max(0, n - test)
    validation = _size(plan.validation, left)
    if plan.train is None:
        train = left - validation
    elif isinstance(plan.train, float):
        train = min(_size(plan.train, left), left - validation)  # two shares, each rounded, may be one too many
    else:
        train = plan.train
    asked = test + validation + train
    if train <= 0 or asked > n:
        raise JobError(
            f"split: {test} test + {validation} validation + {plan.train or 'at least 1'} train examples are asked for, "
            f"but there are only {n}; ask for fewer"
        )
    return {"test": test, "validation": validation, "train": train}


def _size(amount: Amount, of: int) -> int:
    return round(amount * of) if isinstance(amount, float) else amount


def _check_amount(name: str, amount: Any) -> None:
    share = isinstance(amount, float) and 0.0 < amount < 1.0
    count = isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1
    if not share and not count:
        raise JobError(
            f"split: {name} is {amount!r}, but must be a share between 0 and 1, both excluded, or a count of examples"
        )


def _fingerprint(parts: tuple[Indices, ...], data_fingerprint: str) -> str:
    digest = hashlib.sha256(data_fingerprint.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(part, dtype="<i8").data)
    return digest.hexdigest()[:16]
