"""What makes results on a data set doubtful: too few examples, unequal classes, order, copies, missing classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ogive.arrays import IntArray
from ogive.task.datasets import Data
from ogive.task.splits import Indices, Split, SplitPlan

SMALL = 1000  # below that many examples, one example moves accuracy by more than what architectures differ in
IMBALANCED = 3.0  # largest class over smallest
UNSHUFFLED = 0.5  # neighbours of different classes, over what a random order would have
COPIES = 0.01  # share of what is selected and tested on that is in the training part, too


def data_warnings(data: Data, plan: SplitPlan, parts: Split) -> list[str]:
    """What a user who trusts a search on these data should know, one sentence each."""
    found = [_small(data), _imbalanced(data), _unshuffled(data.y), _copies(data, parts), _own_test(data, plan)]
    return [doubt for doubt in found if doubt] + _missing(data, parts)


def named(parts: Split) -> Mapping[str, Indices]:
    """The parts of a split by their names."""
    return {"train": parts.train, "validation": parts.validation, "test": parts.test, "rest": parts.rest}


def _small(data: Data) -> str:
    if len(data.y) >= SMALL:
        return ""
    return (
        f"the data hold {len(data.y)} examples, fewer than {SMALL}: small differences in accuracy are noise; "
        "compare log_loss as well, and several seeds"
    )


def _imbalanced(data: Data) -> str:
    largest, smallest = int(data.class_counts.max()), int(data.class_counts.min())
    if largest <= IMBALANCED * smallest:
        return ""
    return (
        f"the classes are imbalanced, {largest} examples of one and {smallest} of another: accuracy mostly "
        "tells about the large ones"
    )


def _unshuffled(labels: IntArray) -> str:
    """Whether neighbours are of one class far more often than in a random order, where they differ with 1 - sum p^2."""
    shares = np.bincount(labels) / len(labels)
    by_chance = float(1.0 - (shares**2).sum())
    changes = float((labels[1:] != labels[:-1]).mean())
    if changes >= UNSHUFFLED * by_chance:
        return ""
    return (
        f"the data are not shuffled: {1 - changes:.0%} of neighbouring examples are of one class, {1 - by_chance:.0%} would "
        "be by chance. Splits are shuffled here; but if neighbours belong together (frames of one film, pages of one "
        "writer), near copies of what is trained on are selected and tested on: keep such groups together in a train "
        "function of your own"
    )


def _copies(data: Data, parts: Split) -> str:
    """Whether examples of the other parts stand in the training part as well, to the last bit."""
    trained = {data.x[index].tobytes() for index in parts.train}
    judged = np.concatenate([parts.validation, parts.test])
    copies = sum(data.x[index].tobytes() in trained for index in judged)
    if copies < COPIES * len(judged):
        return ""
    return (
        f"{copies} of the {len(judged)} examples to select and test on are copies of training examples: results look "
        "better than they are; remove the duplicates"
    )


def _own_test(data: Data, plan: SplitPlan) -> str:
    if not data.own_test or plan.test is None:
        return ""
    return (
        f"{data.name!r} has an official test split of {data.own_test} examples, but another one is drawn: results cannot "
        "be compared with published ones; leave the size of the test set out to keep the official one"
    )


def _missing(data: Data, parts: Split) -> list[str]:
    found = []
    for name, indices in named(parts).items():
        missing = np.setdiff1d(np.arange(data.classes), data.y[indices])
        if name != "rest" and len(missing):
            found.append(f"{name} has no example of {len(missing)} of the {data.classes} classes, such as {missing[0]}")
    return found
