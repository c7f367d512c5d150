"""Splits: the test set is set aside first; what is left is split, stratified and shuffled, for training and selection."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ogive.errors import JobError
from ogive.hashing import hash_bytes
from ogive.seeds import generator

Indices = NDArray[np.int64]
Amount = float | int
"""A share strictly between 0 and 1, or a count of examples."""

TEST = 0.2
"""The share of the test set, where data have no test split of their own."""


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
class SplitPlan:
    """How data are to be split.

    Attributes:
        test: share of all examples, or their number; None for the data's own test split, or 20 % where they have none.
        validation: share of what the test set leaves, or the number of examples.
        train: likewise; None for all that validation leaves.
        seed: of the shuffling. The test set depends on `test` and `seed` alone.
        second: validate on other examples than the plan without it does, and train on all others but the test set.
        fraction: share of the training part that is used, in (0, 1]; a smaller share is part of every larger one.

    Raises:
        JobError: an amount is neither a share nor a count, shares add up to more than 1, or the seed is no whole number.
    """

    test: Amount | None = None
    validation: Amount = 0.1
    train: Amount | None = None
    seed: int = 0
    second: bool = False
    fraction: float = 1.0

    def __post_init__(self) -> None:
        for name in ("test", "validation", "train"):
            if getattr(self, name) is not None or name == "validation":
                _check_amount(name, getattr(self, name))
        if isinstance(self.fraction, bool) or not isinstance(self.fraction, (int, float)) or not 0 < self.fraction <= 1:
            raise JobError(f"split: the fraction of the training part is {self.fraction!r}, but must be in (0, 1]")
        if isinstance(self.train, float) and isinstance(self.validation, float) and self.train + self.validation > 1.0:
            raise JobError(
                f"split: train={self.train} and validation={self.validation} are shares of what the test set leaves; "
                "together they may be at most 1"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise JobError(f"split: seed is {self.seed!r}, but must be a whole number of at least 0")


def shares(text: str) -> dict[str, float]:
    """`test` and `validation` of a plan from percentages of all examples to train, select and test on, such as 70/15/15.

    Raises:
        JobError: it is not three percentages that add up to 100.
    """
    parts = str(text).replace("%", "").split("/")
    try:
        train, validation, test = (float(part) / 100 for part in parts)
    except ValueError:
        train = validation = test = 0.0
    if min(train, validation, test) <= 0 or not math.isclose(train + validation + test, 1.0):
        raise JobError(
            f"split: found {text!r}; give percentages to train, select and test on that add up to 100, such as 70/15/15"
        )
    return {"test": test, "validation": validation / (1 - test)}


def split(labels: NDArray[np.int64], plan: SplitPlan, data_fingerprint: str = "", own_test: int = 0) -> Split:
    """Split examples with classes `labels` [n] by `plan`; a function of these alone.

    The last `own_test` examples are the data's own test split, which is kept where the plan names no other.

    Raises:
        JobError: there are fewer examples than asked for, or a part is smaller than the number of classes.
    """
    n, classes = len(labels), len(np.unique(labels))
    sizes = _sizes(n, plan, own_test)
    for name, size in sizes.items():
        _check_size(name, size, classes)
    everything = np.arange(n, dtype=np.int64)
    if plan.test is None and own_test:
        left, test = np.split(everything, [n - own_test])
    else:
        test, left = _draw(everything, labels, sizes["test"], plan.seed, "test")
    validation, left = _draw(left, labels, sizes["validation"], plan.seed, "validation")
    if plan.second:
        first = validation
        size = min(sizes["validation"], len(left) - classes)  # something must be left of a small one to train on
        _check_size("the second validation part", size, classes)
        validation, left = _draw(left, labels, size, plan.seed, "second validation")
        left = np.sort(np.concatenate([left, first]))
        sizes["train"] = len(left)
    train, rest = _draw(left, labels, sizes["train"], plan.seed, "train")
    if plan.fraction < 1:
        order = nested_order(labels[train], plan.seed)
        size = round(plan.fraction * len(train))
        _check_size(f"{plan.fraction:g} of train", size, classes)
        train, rest = train[order[:size]], np.concatenate([train[order[size:]], rest])
    return Split(train, validation, test, rest, _fingerprint((train, validation, test, rest), data_fingerprint))


def nested_order(labels: NDArray[np.int64], seed: int) -> Indices:
    """An order of examples with classes `labels` [n] whose every beginning is stratified: positions, int64 [n].

    The first [k] are one of each class. In the first m, each class has its share of m, give or take two examples.
    """
    rng = generator(seed, "split", "nested")
    shuffled = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
        place[members[0]] = -1.0
    return shuffled[np.argsort(place[shuffled], kind="stable")].astype(np.int64)


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


def _sizes(n: int, plan: SplitPlan, own_test: int = 0) -> dict[str, int]:
    test = own_test if plan.test is None and own_test else _size(TEST if plan.test is None else plan.test, n)
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


def _check_size(part: str, size: int, classes: int) -> None:
    if size < classes:
        raise JobError(f"split: {part} has {size} examples for {classes} classes; it needs at least one for each class")


def _check_amount(name: str, amount: Any) -> None:
    share = isinstance(amount, float) and 0.0 < amount < 1.0
    count = isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1
    if not share and not count:
        raise JobError(
            f"split: {name} is {amount!r}, but must be a share between 0 and 1, both excluded, or a count of examples"
        )


def _fingerprint(parts: tuple[Indices, ...], data_fingerprint: str) -> str:
    contents = [(len(part).to_bytes(8, "little"), np.ascontiguousarray(part, dtype="<i8").data) for part in parts]
    return hash_bytes(data_fingerprint.encode(), *(piece for pair in contents for piece in pair))
