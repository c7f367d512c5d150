"""Checks for problems of data that make results unreliable: few examples, imbalance, order, copies, missing classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ogive.arrays import IntArray
from ogive.task.datasets import Data
from ogive.task.splits import Indices, Split, SplitPlan

MIN_EXAMPLES = 1000
"""The minimum number of examples without a warning. With fewer, a single example can change the order of architectures."""
MAX_IMBALANCE = 3.0
"""The maximum ratio of the sizes of the largest and the smallest class, without a warning."""
MIN_CHANGE_RATIO = 0.5
"""The minimum frequency of neighbouring examples with different classes, relative to that of a random order."""
MAX_COPY_SHARE = 0.01
"""From this share of copies of training examples among the validation and test examples on, there is a warning."""


def collect_data_warnings(data: Data, plan: SplitPlan, parts: Split) -> list[str]:
    """Return a warning for each problem of the data or of the split."""
    warnings = [
        _warn_about_size(data),
        _warn_about_imbalance(data),
        _warn_about_order(data.y),
        _warn_about_copies(data, parts),
        _warn_about_official_test(data, plan),
    ]
    return [warning for warning in warnings if warning is not None] + _warn_about_missing_classes(data, parts)


def get_parts_by_name(parts: Split) -> Mapping[str, Indices]:
    """Return the parts of a split by name."""
    return {"train": parts.train, "validation": parts.validation, "test": parts.test, "rest": parts.unused}


def _warn_about_size(data: Data) -> str | None:
    """Return a warning if there are few examples."""
    if len(data.y) >= MIN_EXAMPLES:
        return None
    return (
        f"the data have {len(data.y)} examples, fewer than {MIN_EXAMPLES}: small differences in accuracy are noise; "
        "compare log_loss as well, and use several seeds"
    )


def _warn_about_imbalance(data: Data) -> str | None:
    """Return a warning if the classes differ much in size."""
    largest, smallest = int(data.class_counts.max()), int(data.class_counts.min())
    if largest <= MAX_IMBALANCE * smallest:
        return None
    return (
        f"the classes are imbalanced, {largest} examples of one and {smallest} of another: accuracy mostly "
        "measures the large classes"
    )


def _warn_about_order(labels: IntArray) -> str | None:
    """Return a warning if neighbouring examples have different classes far less often than in a random order."""
    # In a random order, two examples have different classes with probability 1 - sum p^2, for class shares p.
    class_shares = np.bincount(labels) / len(labels)
    expected_share = float(1.0 - (class_shares**2).sum())
    change_share = float((labels[1:] != labels[:-1]).mean())
    if change_share >= MIN_CHANGE_RATIO * expected_share:
        return None
    return (
        f"the data are not shuffled: {1 - change_share:.0%} of neighbouring examples have the same class, but "
        f"{1 - expected_share:.0%} are expected by chance. Ogive shuffles before it splits. But if neighbours belong "
        "together (frames of one film, pages of one writer), validation and test contain near copies of training examples: "
        "write a train function that keeps such groups together"
    )


def _warn_about_copies(data: Data, parts: Split) -> str | None:
    """Return a warning if validation or test examples equal training examples to the last bit."""
    training_examples = {data.x[index].tobytes() for index in parts.train}
    evaluation_indices = np.concatenate([parts.validation, parts.test])
    copy_count = sum(data.x[index].tobytes() in training_examples for index in evaluation_indices)
    if copy_count < MAX_COPY_SHARE * len(evaluation_indices):
        return None
    return (
        f"{copy_count} of the {len(evaluation_indices)} validation and test examples are copies of training examples: "
        "results look better than they are; remove the duplicates"
    )


def _warn_about_official_test(data: Data, plan: SplitPlan) -> str | None:
    """Return a warning if the plan does not use the official test split of the data."""
    if not data.official_test_size or plan.test is None:
        return None
    return (
        f"{data.name!r} has an official test split of {data.official_test_size} examples, but another one is drawn: results "
        "are not comparable with published ones; to use the official split, remove the size of the test set"
    )


def _warn_about_missing_classes(data: Data, parts: Split) -> list[str]:
    """Return a warning for each part that lacks a class."""
    warnings = []
    for name, indices in get_parts_by_name(parts).items():
        missing_classes = np.setdiff1d(np.arange(data.classes), data.y[indices])
        if name != "rest" and len(missing_classes):
            warnings.append(
                f"{name} has no example of {len(missing_classes)} of the {data.classes} classes, such as class "
                f"{missing_classes[0]}"
            )
    return warnings
