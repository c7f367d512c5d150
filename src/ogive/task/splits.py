"""Splits of a data set into training, validation and test, stratified and shuffled. The test set is drawn first."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ogive.arrays import IntArray
from ogive.errors import JobError
from ogive.hashing import hash_bytes
from ogive.seeds import generator

Indices = IntArray
Amount = float | int
"""A share between 0 and 1, both excluded, or a number of examples."""

TEST_SHARE = 0.2
"""The default size of the test set, for data without an official test split."""


@dataclass(frozen=True)
class Split:
    """The indices of the examples in each part. The four parts are disjoint and cover the data.

    Attributes:
        train: the training examples of the search, int64 [n_train].
        validation: the examples on which the search compares architectures, int64 [n_validation].
        test: the test examples, which are read once, at the end, int64 [n_test].
        unused: the examples that the search does not use, int64 [n_unused]; empty unless the plan limits the training part.
        fingerprint: the first 16 hexadecimal digits of the SHA-256 of the indices and the fingerprint of the data.
    """

    train: Indices = field(repr=False, compare=False)
    validation: Indices = field(repr=False, compare=False)
    test: Indices = field(repr=False, compare=False)
    unused: Indices = field(repr=False, compare=False)
    fingerprint: str

    @property
    def full_train(self) -> Indices:
        """All examples but the test set."""
        return np.concatenate([self.train, self.validation, self.unused])


@dataclass(frozen=True)
class SplitPlan:
    """The sizes of the parts of a split.

    Attributes:
        test: the size of the test set: a share of all examples, or a number of examples. None for the official test split of
            the data, or for 20% if the data have no official test split.
        validation: the size of the validation part: a share of all examples but the test set, or a number of examples.
        train: the size of the training part: a share of all examples but the test set, or a number of examples. None for all
            examples that are in no other part.
        seed: the seed of the shuffling. The test set depends on `test` and `seed` only.
        second: whether to use a second validation part, disjoint from that of the same plan with `second=False`. All other
            examples but the test set are then for training.
        fraction: the share of the training part that is used, in (0, 1]. The subset of a smaller share is contained in
            that of a larger one.

    Raises:
        JobError: a size is neither a share nor a number of examples, shares add up to more than 1, or the seed is not a
            whole number.
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
                f"split: train={self.train} and validation={self.validation} are shares of all examples but the test set; "
                "their sum must be at most 1"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise JobError(f"split: seed is {self.seed!r}, but must be a whole number of at least 0")


def parse_percentages(text: str) -> dict[str, float]:
    """Return `test` and `validation` of a plan from percentages for training, validation and test, such as "70/15/15".

    Raises:
        JobError: the text is not three percentages that add up to 100.
    """
    parts = str(text).replace("%", "").split("/")
    try:
        train, validation, test = (float(part) / 100 for part in parts)
    except ValueError:
        # The check below rejects zeros, with the same message.
        train = validation = test = 0.0
    if min(train, validation, test) <= 0 or not math.isclose(train + validation + test, 1.0):
        raise JobError(
            f"split is {text!r}, but must be percentages for training, validation and test that add up to 100, such as "
            "70/15/15"
        )
    return {"test": test, "validation": validation / (1 - test)}


def draw_split(labels: IntArray, plan: SplitPlan, data_fingerprint: str = "", official_test_size: int = 0) -> Split:
    """Split examples with classes `labels` [n] by `plan`. The result depends on the arguments only.

    Args:
        labels: the class of each example.
        plan: the sizes of the parts.
        data_fingerprint: the fingerprint of the data; the fingerprint of the split depends on it.
        official_test_size: the number of examples, the last ones, that are the official test split. It is used if the plan
            has no test size.

    Raises:
        JobError: there are fewer examples than the plan needs, or a part is smaller than the number of classes.
    """
    n, classes = len(labels), len(np.unique(labels))
    sizes = _compute_sizes(n, plan, official_test_size)
    for name, size in sizes.items():
        _check_size(name, size, classes)
    all_indices = np.arange(n, dtype=np.int64)
    if plan.test is None and official_test_size:
        remaining, test = np.split(all_indices, [n - official_test_size])
    else:
        test, remaining = _draw_part(all_indices, labels, sizes["test"], plan.seed, "test")
    validation, remaining = _draw_part(remaining, labels, sizes["validation"], plan.seed, "validation")
    if plan.second:
        first_validation = validation
        # At least one training example per class must remain.
        size = min(sizes["validation"], len(remaining) - classes)
        _check_size("the second validation part", size, classes)
        validation, remaining = _draw_part(remaining, labels, size, plan.seed, "second validation")
        # The examples of the first validation part are for training in the second split.
        remaining = np.sort(np.concatenate([remaining, first_validation]))
        sizes["train"] = len(remaining)
    # A limited training part leaves examples that the search does not use.
    train, unused = _draw_part(remaining, labels, sizes["train"], plan.seed, "train")
    if plan.fraction < 1:
        # Every prefix of this order is stratified, so a smaller share is contained in a larger one.
        order = draw_nested_order(labels[train], plan.seed)
        size = round(plan.fraction * len(train))
        _check_size(f"{plan.fraction:g} of train", size, classes)
        train, unused = train[order[:size]], np.concatenate([train[order[size:]], unused])
    parts = (train, validation, test, unused)
    return Split(train, validation, test, unused, _compute_fingerprint(parts, data_fingerprint))


def draw_nested_order(labels: IntArray, seed: int) -> Indices:
    """Draw an order of the examples in which every prefix is stratified. Return the indices, int64 [n].

    The first k examples (for k classes) contain one of each class. In the first m examples, the number of examples of a
    class differs from its share of m by at most two.

    Args:
        labels: the class of each example, int64 [n].
        seed: the seed of the order.
    """
    rng = generator(seed, "split", "nested")
    shuffled = rng.permutation(len(labels))
    # The members of each class get evenly spaced positions in [0, 1). Sorting by position mixes the classes evenly.
    positions = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        positions[members] = (np.arange(len(members)) + rng.random()) / len(members)
        # The first member of each class moves to the front, so that small prefixes contain all classes.
        positions[members[0]] = -1.0
    return shuffled[np.argsort(positions[shuffled], kind="stable")].astype(np.int64)


def allocate_to_classes(counts: IntArray, size: int, rng: np.random.Generator) -> IntArray:
    """Divide `size` examples among the classes in proportion to `counts` [k], by the largest-remainder method.

    Each class gets its quota, rounded down. The remaining examples go to the classes with the largest remainders; ties are
    broken at random.

    Returns:
        The number of examples of each class, [k].
    """
    total = int(counts.sum())
    quotas, remainders = np.divmod(counts * size, total)
    order = np.lexsort((rng.random(len(counts)), -remainders))
    quotas[order[: size - int(quotas.sum())]] += 1
    return quotas


def _draw_part(pool: Indices, labels: IntArray, size: int, seed: int, part: str) -> tuple[Indices, Indices]:
    """Return `size` examples of `pool`, stratified and shuffled, and the other examples of `pool` in their order."""
    rng = generator(seed, "split", part)
    classes, counts = np.unique(labels[pool], return_counts=True)
    quotas = allocate_to_classes(counts, size, rng)
    members = [
        rng.permutation(pool[labels[pool] == label])[:quota] for label, quota in zip(classes, quotas, strict=True)
    ]
    sample = rng.permutation(np.concatenate(members))
    return sample, pool[~np.isin(pool, sample)]


def _compute_sizes(n: int, plan: SplitPlan, official_test_size: int = 0) -> dict[str, int]:
    """Return the number of examples of each part.

    Raises:
        JobError: the parts need more examples than there are.
    """
    default_test_amount = official_test_size or TEST_SHARE
    test = _count_examples(default_test_amount if plan.test is None else plan.test, n)
    available = max(0, n - test)
    validation = _count_examples(plan.validation, available)
    if plan.train is None:
        train = available - validation
    elif isinstance(plan.train, float):
        # Both shares may have been rounded up.
        train = min(_count_examples(plan.train, available), available - validation)
    else:
        train = plan.train
    total = test + validation + train
    if train <= 0 or total > n:
        raise JobError(
            f"split: {test} test + {validation} validation + {plan.train or 'at least 1'} train examples are needed, but "
            f"the data have only {n}; reduce the sizes"
        )
    return {"test": test, "validation": validation, "train": train}


def _count_examples(amount: Amount, total: int) -> int:
    return round(amount * total) if isinstance(amount, float) else amount


def _check_size(part: str, size: int, classes: int) -> None:
    """Raise JobError if a part is smaller than the number of classes."""
    if size < classes:
        raise JobError(
            f"split: {part} has {size} examples for {classes} classes; a part needs at least one example of each class"
        )


def _check_amount(name: str, amount: Any) -> None:
    """Raise JobError if an amount is neither a share nor a number of examples."""
    is_share = isinstance(amount, float) and 0.0 < amount < 1.0
    is_number = isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1
    if not is_share and not is_number:
        raise JobError(
            f"split: {name} is {amount!r}, but must be a share between 0 and 1, both excluded, or a number of examples"
        )


def _compute_fingerprint(parts: tuple[Indices, ...], data_fingerprint: str) -> str:
    contents = [(len(part).to_bytes(8, "little"), np.ascontiguousarray(part, dtype="<i8").data) for part in parts]
    return hash_bytes(data_fingerprint.encode(), *(piece for pair in contents for piece in pair))
