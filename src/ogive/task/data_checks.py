"""Checks for problems of data that make results unreliable: few examples, imbalance, order, copies, missing classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ogive.arrays import IntArray
from ogive.task.datasets import Data
from ogive.task.splits import Indices, Split, SplitPlan

MIN_EXAMPLES = 1000
"""With fewer examples, a single one changes the accuracy by more than the typical difference between architectures."""
MAX_IMBALANCE = 3.0
"""The largest class may be this many times as large as the smallest."""
MIN_CHANGES = 0.5
"""Neighbouring examples of different classes must be at least this frequent, relative to a random order."""
MAX_COPIES = 0.01
"""The share of validation and test examples that may be copies of training examples."""


def data_warnings(data: Data, plan: SplitPlan, parts: Split) -> list[str]:
    """Return a warning for each problem of the data or of the split."""
    warnings = [
        _check_size(data),
        _check_balance(data),
        _check_order(data.y),
        _check_copies(data, parts),
        _check_official_test(data, plan),
    ]
    return [warning for warning in warnings if warning is not None] + _check_classes(data, parts)


def parts_by_name(parts: Split) -> Mapping[str, Indices]:
    """Return the parts of a split by name."""
    return {"train": parts.train, "validation": parts.validation, "test": parts.test, "rest": parts.rest}


def _check_size(data: Data) -> str | None:
    if len(data.y) >= MIN_EXAMPLES:
        return None
    return (
        f"the data have {len(data.y)} examples, fewer than {MIN_EXAMPLES}: small differences in accuracy are noise; "
        "compare log_loss as well, and use several seeds"
    )


def _check_balance(data: Data) -> str | None:
    largest, smallest = int(data.class_counts.max()), int(data.class_counts.min())
    if largest <= MAX_IMBALANCE * smallest:
        return None
    return (
        f"the classes are imbalanced, {largest} examples of one and {smallest} of another: accuracy mostly "
        "measures the large classes"
    )


def _check_order(labels: IntArray) -> str | None:
    """Warn if neighbours differ in class far less often than in a random order, where the probability is 1 - sum p^2."""
    shares = np.bincount(labels) / len(labels)
    expected = float(1.0 - (shares**2).sum())
    changes = float((labels[1:] != labels[:-1]).mean())
    if changes >= MIN_CHANGES * expected:
        return None
    return (
        f"the data are not shuffled: {1 - changes:.0%} of neighbouring examples have the same class, but "
        f"{1 - expected:.0%} are expected by chance. Ogive shuffles before it splits. But if neighbours belong together "
        "(frames of one film, pages of one writer), validation and test contain near copies of training examples: write "
        "a train function that keeps such groups together"
    )


def _check_copies(data: Data, parts: Split) -> str | None:
    """Warn if validation and test examples are equal, to the last bit, to training examples."""
    training = {data.x[index].tobytes() for index in parts.train}
    evaluated = np.concatenate([parts.validation, parts.test])
    copies = sum(data.x[index].tobytes() in training for index in evaluated)
    if copies < MAX_COPIES * len(evaluated):
        return None
    return (
        f"{copies} of the {len(evaluated)} validation and test examples are copies of training examples: results look "
        "better than they are; remove the duplicates"
    )


def _check_official_test(data: Data, plan: SplitPlan) -> str | None:
    if not data.own_test or plan.test is None:
        return None
    return (
        f"{data.name!r} has an official test split of {data.own_test} examples, but another one is drawn: results are not "
        "comparable with published ones; to use the official split, remove the size of the test set"
    )


def _check_classes(data: Data, parts: Split) -> list[str]:
    warnings = []
    for name, indices in parts_by_name(parts).items():
        missing = np.setdiff1d(np.arange(data.classes), data.y[indices])
        if name != "rest" and len(missing):
            warnings.append(
                f"{name} has no example of {len(missing)} of the {data.classes} classes, such as {missing[0]}"
            )
    return warnings
