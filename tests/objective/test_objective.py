"""Objectives, constraints and the ranking by them, compared with brute force, closed forms and moocore."""

from __future__ import annotations

import math
from typing import Any

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ogive.errors import JobError
from ogive.objective import (
    Constraint,
    Objective,
    compute_costs,
    crowding_distance,
    find_pareto_front,
    hypervolume,
    parse_constraints,
    parse_objectives,
    rank_costs,
    rank_metrics,
    total_violation,
)

MAYBE_NAN = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan])


def rows(m: int) -> st.SearchStrategy[np.ndarray]:
    """Costs [n, m] with many ties and some NaN."""
    return st.integers(0, 12).flatmap(lambda n: arrays(float, (n, m), elements=MAYBE_NAN))


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@pytest.mark.parametrize(
    ("metric", "goal"),
    [
        ("accuracy", "maximize"),
        ("val_auc", "maximize"),
        ("F1", "maximize"),
        ("log_loss", "minimize"),
        ("error-rate", "minimize"),
        ("latency_ms", "minimize"),
        ("val/Acc", "maximize"),
        ("valTop1Accuracy", "maximize"),
        ("acc@1", "maximize"),
        ("f1-score", "maximize"),
        ("test_top1_accuracy", "maximize"),
        ("train_seconds", "minimize"),
        ("parameters", "minimize"),
        ("seconds", "minimize"),
    ],
)
def test_the_goal_of_a_metric_with_a_known_name_is_inferred(metric: str, goal: str) -> None:
    assert Objective(metric).goal == goal


@pytest.mark.parametrize(
    "metric",
    "neg_mean_squared_error neg_log_loss energy_efficiency memory_saved 1-accuracy accuracy_drop accuracy_std "
    "flops_per_second flops_s flops_rate inverseLoss log_likelihood latency_ms_pixel3 loss.gap accuracyLoss".split(),
)
def test_no_goal_is_inferred_from_a_name_with_a_word_that_may_reverse_it(metric: str) -> None:
    with pytest.raises(JobError, match="needs a goal"):
        Objective(metric)
    assert Objective(metric, "minimize").goal == "minimize"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Objective("quality"),
            r"'quality' needs a goal, because the word 'quality' in its name does not imply one: in Python Objective",
        ),
        (lambda: Objective("val_entropy"), "its name does not imply one"),
        (lambda: parse_objectives("train_loss"), "the name of objective 'train_loss' says that it is measured on"),
        (
            lambda: parse_objectives(Objective("trainloss", "minimize")),
            "the name of objective 'trainloss' says that it is measured on",
        ),
        (
            lambda: parse_objectives(Objective("train2_acc", "maximize")),
            "the name of objective 'train2_acc' says that it is measured on",
        ),
        (lambda: parse_objectives(Objective("quality/training", "maximize")), "Use a metric of the validation part"),
        (lambda: Objective("accuracy_loss"), "its name implies both goals"),
        (lambda: Objective("accuracy", "max"), "goal 'max' is not 'maximize' or 'minimize'; did you mean 'maximize'"),
        (lambda: Objective(""), "must be the name under which it is reported"),
        (lambda: parse_objectives([]), "the list is empty"),
        (lambda: parse_objectives(["loss", "loss"]), "'loss' is listed twice"),
        (
            lambda: parse_objectives(["loss", Objective("loss", "maximize")]),
            "'loss' is both maximized and minimized",
        ),
        (lambda: parse_objectives([3]), "3 is neither the name"),
        (lambda: Constraint("flops"), "exactly one of at_most and at_least"),
        (lambda: Constraint("flops", at_most=1, at_least=0), "exactly one of at_most and at_least"),
        (lambda: Constraint("flops", at_most=math.nan), "must be a finite number"),
        (lambda: parse_constraints([Constraint("a", at_most=1), Constraint("a", at_most=2)]), "'a' has at_most twice"),
        (
            lambda: parse_constraints([Constraint("a", at_most=1), Constraint("a", at_least=2)]),
            "satisfies a >= 2 and a <= 1",
        ),
        (lambda: parse_constraints(["a <= 1"]), "is not a Constraint"),
    ],
)
def test_errors_state_the_problem(make: Any, text: str) -> None:
    with pytest.raises(JobError, match=text):
        make()


def test_objectives_are_parsed_from_names_and_objects() -> None:
    size = Objective("size_on_disk", "minimize")
    assert parse_objectives("accuracy") == (Objective("accuracy", "maximize"),)
    assert parse_objectives(["accuracy", size]) == (Objective("accuracy", "maximize"), size)
    assert parse_objectives(size) == (size,)


@pytest.mark.parametrize(
    "metric",
    "training_time training_hours train_throughput train_samples_per_second train_val_gap bleu_en_tr "
    "trainable_parameters".split(),
)
def test_resources_of_training_may_be_objectives(metric: str) -> None:
    assert parse_objectives(Objective(metric, "minimize"))


def test_costs_are_minimized_and_nan_without_a_finite_value() -> None:
    result = compute_costs({"accuracy": 0.9, "loss": math.inf}, parse_objectives(["accuracy", "loss", "latency"]))
    assert result[0] == -0.9
    assert np.isnan(result[1:]).all()


def test_violations_are_relative_to_the_threshold() -> None:
    assert Constraint("flops", at_most=200).violation({"flops": 250}) == 0.25
    assert Constraint("flops", at_most=200).violation({"flops": 200}) == 0
    assert Constraint("accuracy", at_least=0.8).violation({"accuracy": 0.6}) == pytest.approx(0.25)
    assert Constraint("gap", at_least=-2).violation({"gap": -3}) == 0.5
    assert Constraint("gap", at_most=0).violation({"gap": 3}) == 3
    assert Constraint("gap", at_most=0).violation({}) == math.inf
    assert Constraint("gap", at_most=0).violation({"gap": math.nan}) == math.inf
    both = parse_constraints([Constraint("flops", at_most=200), Constraint("gap", at_most=0)])
    assert total_violation({"flops": 250, "gap": 3}, both) == 3.25


@given(st.sampled_from([1, 2, 3]).flatmap(rows))
def test_the_front_equals_that_of_brute_force(c: np.ndarray) -> None:
    valid = [i for i in range(len(c)) if not np.isnan(c[i]).any()]
    expected = [i in valid and not any(dominates(c[j], c[i]) for j in valid) for i in range(len(c))]
    assert find_pareto_front(c).tolist() == expected


@given(rows(1), st.data())
def test_one_objective_ranks_feasible_rows_then_violations_then_nan(c: np.ndarray, data: st.DataObject) -> None:
    v = data.draw(arrays(float, len(c), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, math.inf])))
    keys = [(2, 0.0) if math.isnan(x) else (1, y) if y else (0, x) for x, y in zip(c[:, 0], v, strict=True)]
    expected = [sorted(set(keys)).index(key) for key in keys]
    assert rank_costs(c, v).tolist() == expected
    metrics = [{"loss": x, "excess": y} for x, y in zip(c[:, 0], v, strict=True)]
    assert rank_metrics(metrics, parse_objectives("loss"), [Constraint("excess", at_most=0)]) == expected


@given(st.sampled_from([2, 3]).flatmap(rows))
def test_several_objectives_rank_by_fronts_and_equal_rows_share_a_rank(c: np.ndarray) -> None:
    valid = np.flatnonzero(~np.isnan(c).any(axis=1))
    remaining, front, number = list(valid), {}, 0
    while remaining:
        layer = [i for i in remaining if not any(dominates(c[j], c[i]) for j in remaining)]
        front.update(dict.fromkeys(layer, number))
        remaining, number = [i for i in remaining if i not in layer], number + 1
    result = rank_costs(c)
    for i in range(len(c)):
        for j in range(len(c)):
            if front.get(i, number) < front.get(j, number):
                assert result[i] < result[j]
            if i in front and (c[i] == c[j]).all():
                assert result[i] == result[j]
    assert sorted(set(result.tolist())) == list(range(len(set(result.tolist()))))
    metrics = [{"loss": row[0], "accuracy": -row[1], "seconds": row[-1]} for row in c]
    names = ["loss", "accuracy", "seconds"][: c.shape[1]] if len(c) else ["loss", "accuracy"]
    assert rank_metrics(metrics, parse_objectives(names)) == rank_costs(c[:, : len(names)]).tolist()


def test_feasible_rows_come_before_infeasible_ones_whatever_their_front() -> None:
    """Deb et al. (2002), definition 1: feasible before infeasible rows, infeasible rows by their violation."""
    c = [[9, 9], [0, 0], [1, 1], [8, 9], [math.nan, 0]]
    assert rank_costs(c, [0, 0.2, 0.1, 0, 0]).tolist() == [1, 3, 2, 0, 4]


def test_crowding_distance_of_a_worked_example() -> None:
    """Four points on a line: the ends are infinite, the gaps of the others are (2 + 2)/4 and (3 + 3)/4 of both ranges."""
    distance = crowding_distance([[0, 4], [1, 3], [2, 2], [4, 0]])
    assert distance.tolist() == [math.inf, 1.0, 1.5, math.inf]
    assert rank_costs([[0, 4], [1, 3], [2, 2], [4, 0]]).tolist() == [0, 2, 1, 0]


def test_crowding_distance_does_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    c = rng.integers(0, 4, size=(30, 3)).astype(float)
    order = rng.permutation(len(c))
    assert crowding_distance(c)[order].tolist() == crowding_distance(c[order]).tolist()


def test_hypervolume_equals_that_of_boxes_and_of_sampling() -> None:
    assert hypervolume([[1, 2], [2, 1], [math.nan, 0], [5, 5]], [3, 3]) == 3.0
    assert hypervolume(np.empty((0, 2)), [3, 3]) == 0.0
    c = np.random.default_rng(0).random((20, 3))
    points = np.random.default_rng(1).random((20_000, 3))
    share = (c[None] <= points[:, None]).all(axis=2).any(axis=1).mean()
    assert hypervolume(c, [1, 1, 1]) == pytest.approx(share, abs=0.012)
    assert hypervolume(c, [1, 1, 1]) == moocore.hypervolume(c[find_pareto_front(c)], ref=[1, 1, 1])


def test_errors_state_the_expected_shapes() -> None:
    with pytest.raises(ValueError, match=r"expected costs of shape \(n, m\)"):
        rank_costs([1.0, 2.0])
    with pytest.raises(ValueError, match="expected violations of shape"):
        rank_costs([[1.0]], [0.0, 0.0])
    with pytest.raises(ValueError, match="reference of 2 numbers"):
        hypervolume([[1.0, 2.0]], [3.0])
