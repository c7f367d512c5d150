"""Splits: disjoint, complete, stratified like those of scikit-learn, and a function of labels, plan and seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from ogive import task
from ogive.errors import JobError
from ogive.task.splits import SplitPlan, allocate_to_classes, draw_nested_order, draw_split


def labels(n: int, classes: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(classes, 3.0))
    y = np.concatenate([np.arange(classes).repeat(2), rng.choice(classes, n - 2 * classes, p=shares)])
    return rng.permutation(y)


@given(n=st.integers(60, 400), classes=st.integers(2, 8), seed=st.integers(0, 2**32 - 1), train=st.booleans())
def test_parts_are_disjoint_and_cover_the_data(n: int, classes: int, seed: int, train: bool) -> None:
    plan = SplitPlan(test=0.2, validation=0.25, train=0.5 if train else None, seed=seed)
    y = labels(n, classes, seed)
    parts = draw_split(y, plan)
    everything = np.concatenate([parts.train, parts.validation, parts.test, parts.unused])
    assert sorted(everything) == list(range(n))
    assert sorted(np.concatenate([parts.full_train, parts.test])) == list(range(n))
    assert len(parts.test) == round(0.2 * n)
    assert len(parts.unused) == 0 or train
    assert parts.fingerprint == draw_split(y, plan).fingerprint != draw_split(y, plan, "other data").fingerprint


@given(n=st.integers(40, 300), classes=st.integers(2, 8), seed=st.integers(0, 1000))
def test_class_counts_are_those_of_scikit_learn(n: int, classes: int, seed: int) -> None:
    """Both use the largest-remainder method. Ties are broken at random, so the counts are sorted before comparing."""
    y = labels(n, classes, seed)
    counts, size = np.bincount(y), n // 3
    ours = allocate_to_classes(counts, size, np.random.default_rng(seed))
    theirs, _ = next(StratifiedShuffleSplit(1, train_size=size, test_size=n - size, random_state=seed).split(y, y))
    remainders = counts * size % n
    for remainder in np.unique(remainders):
        tied = remainders == remainder
        assert sorted((ours - counts * size // n)[tied]) == sorted((np.bincount(y[theirs]) - counts * size // n)[tied])


def test_by_default_ninety_percent_of_the_examples_outside_the_test_set_are_for_training() -> None:
    digits = task.classification("digits")
    sizes = digits.describe()["sizes"]
    assert sizes == {"train": 1294, "validation": 144, "test": 359, "rest": 0}
    share = np.bincount(digits.train()[1].numpy()) / 1294
    np.testing.assert_allclose(share, digits.data.class_counts / 1797, atol=1e-3)


def test_the_test_set_depends_on_seed_and_size_only() -> None:
    y = labels(500, 5, 0)
    small, large = draw_split(y, SplitPlan(100, 50, 60, seed=1)), draw_split(y, SplitPlan(100, 0.4, None, seed=1))
    assert list(small.test) == list(large.test)
    assert list(small.test) != list(draw_split(y, SplitPlan(100, 50, 60, seed=2)).test)
    assert len(small.unused) == 500 - 100 - 50 - 60


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"test": 1.0}, "test is 1.0, but must be a share between 0 and 1, both excluded, or a number of examples"),
        ({"validation": 0}, "validation is 0"),
        ({"train": True}, "train is True"),
        ({"test": "0.2"}, "test is '0.2'"),
        ({"train": 0.9, "validation": 0.2}, "their sum must be at most 1"),
        ({"seed": -1}, "seed is -1"),
        (
            {"test": 500, "validation": 500, "train": 900},
            "500 test . 500 validation . 900 train .* the data have only 1797",
        ),
        ({"test": 1797}, "the data have only 1797"),
        ({"validation": 9}, "validation has 9 examples for 10 classes"),
    ],
)
def test_invalid_splits_are_errors(sizes: dict, message: str) -> None:
    with pytest.raises(JobError, match=message):
        task.classification("digits", **sizes).prepare()


def test_the_callback_is_called_before_the_test_set_is_returned() -> None:
    digits = task.classification("digits", test=500)
    fingerprints: list[str] = []
    assert len(digits.test(fingerprints.append)[1]) == 500
    assert fingerprints == [digits.split.fingerprint]

    def fail(fingerprint: str) -> None:
        raise RuntimeError("the journal is closed")

    with pytest.raises(RuntimeError, match="the journal is closed"):
        digits.test(fail)


def test_small_and_imbalanced_data_and_classes_without_examples_give_warnings() -> None:
    y = np.concatenate([np.zeros(90, int), np.ones(8, int), [2, 2]])
    warnings = task.classification((np.zeros((100, 2)), y), test=0.2, validation=0.1).warnings()
    assert [w.split(":")[0] for w in warnings[:2]] == [
        "the data have 100 examples, fewer than 1000",
        "the classes are imbalanced, 90 examples of one and 2 of another",
    ]
    assert any(w.startswith("validation has no example of 1 of the 3 classes, such as class 2") for w in warnings)
    assert task.classification("digits").warnings() == []


@given(n=st.integers(60, 300), classes=st.integers(2, 6), seed=st.integers(0, 1000), train=st.booleans())
def test_the_second_split_validates_on_other_examples_and_keeps_the_test_set(
    n: int, classes: int, seed: int, train: bool
) -> None:
    y = labels(n, classes, seed)
    plan = SplitPlan(test=0.2, validation=0.25, train=0.5 if train else None, seed=seed)
    first, second = draw_split(y, plan), draw_split(y, replace(plan, second=True))
    assert list(first.test) == list(second.test)
    assert len(second.validation) == len(first.validation)
    assert not set(first.validation) & set(second.validation)
    assert set(first.validation) <= set(second.train)
    assert sorted(np.concatenate([second.train, second.validation, second.test])) == list(range(n))


@given(n=st.integers(10, 300), classes=st.integers(2, 6), seed=st.integers(0, 1000))
def test_every_prefix_of_the_nested_order_is_stratified(n: int, classes: int, seed: int) -> None:
    y = labels(max(n, 2 * classes + 1), classes, seed)
    order = draw_nested_order(y, seed)
    assert sorted(order) == list(range(len(y)))
    assert len(set(y[order[:classes]])) == classes
    shares = np.bincount(y) / len(y)
    for m in range(1, len(y) + 1):
        assert (np.abs(np.bincount(y[order[:m]], minlength=classes) - m * shares) <= 2 + 1e-9).all()


def test_subsets_of_a_task_are_nested_and_keep_validation_and_test() -> None:
    digits = task.classification("digits")
    tenth, half = digits.subset(0.1).split, digits.subset(0.5).split
    assert set(tenth.train) < set(half.train) < set(digits.split.train)
    assert len(tenth.train) == 129
    assert list(tenth.validation) == list(digits.split.validation)
    assert list(tenth.test) == list(digits.split.test)
    assert len(tenth.full_train) == len(digits.split.full_train)
    assert sorted(digits.subset(0.5).subset(0.2).split.train) == sorted(tenth.train)
    with pytest.raises(JobError, match=r"fraction of the training part is 2"):
        digits.subset(2)


def test_a_split_by_percentages() -> None:
    sizes = task.classification("digits", split="70/15/15").describe()["sizes"]
    assert sizes == {"train": 1258, "validation": 269, "test": 270, "rest": 0}


@pytest.mark.parametrize("text", ["70/15", "70/20/20", "100/0/0", "a/b/c", "0.7/0.15/0.15"])
def test_invalid_percentages_are_errors(text: str) -> None:
    with pytest.raises(JobError, match=r"must be percentages .* add up to 100, such as 70/15/15"):
        task.classification("digits", split=text)


def test_unshuffled_data_and_copies_give_warnings() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((1200, 4)), np.repeat(np.arange(4), 300)
    shuffled = task.classification((x, rng.permutation(y)))
    assert shuffled.warnings() == []
    assert (
        "100% of neighbouring examples have the same class, but 25% are expected by chance"
        in task.classification((x, y)).warnings()[0]
    )
    copied = task.classification((np.tile(x[:600], (2, 1)), np.tile(rng.permutation(y)[:600], 2)))
    assert "are copies of training examples" in " ".join(copied.warnings())
