"""Paired differences, the comparison with a baseline, and the random reference, against independent computations."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import ogive as og
from ogive.errors import RunError
from ogive.report import (
    BaselineComparison,
    ComparedNetwork,
    RandomReference,
    compute_expected_best,
    paired_difference,
    read_comparison,
    write_comparison,
)
from ogive.run.results import collect_random_values, compute_running_best, compute_search_curve
from ogive.stages.comparison_text import format_verdict, make_comparison_tables


def test_the_interval_of_a_paired_difference_is_students() -> None:
    """With three pairs, t(0.975, 2) = 4.302653; other cases are compared with SciPy's paired test."""
    a, b = [0.981, 0.979, 0.985], [0.972, 0.976, 0.974]
    mean, low, high = paired_difference(a, b)
    d = [0.009, 0.003, 0.011]
    half = 4.302653 * math.sqrt(sum((x - sum(d) / 3) ** 2 for x in d) / 2) / math.sqrt(3)
    assert (mean, low, high) == pytest.approx((sum(d) / 3, sum(d) / 3 - half, sum(d) / 3 + half), rel=1e-6)
    rng = np.random.default_rng(0)
    for confidence in (0.8, 0.99):
        a, b = rng.normal(size=(2, 7))
        interval = stats.ttest_rel(a, b).confidence_interval(confidence)
        assert paired_difference(a, b, confidence)[1:] == pytest.approx((interval.low, interval.high))


def test_one_pair_has_no_interval_and_wrong_arguments_are_refused() -> None:
    assert paired_difference([0.9], [0.8]) == (pytest.approx(0.1), -math.inf, math.inf)
    for arguments in (([1.0], [1.0, 2.0]), ([], []), ([1.0, 2.0], [1.0, 2.0], 95)):
        with pytest.raises(ValueError, match=r"expected as many|must be between 0 and 1"):
            paired_difference(*arguments)


def make_comparison(seeds: int = 3) -> BaselineComparison:
    rng = np.random.default_rng(1)
    searched = ComparedNetwork(
        "trial 7", {"accuracy": [*rng.normal(0.98, 0.001, seeds)], "log_loss": [0.1] * seeds}, 45210
    )
    baseline = ComparedNetwork("hand-drawn", {"accuracy": [*rng.normal(0.95, 0.001, seeds)]}, 65834)
    return BaselineComparison.of(
        searched, baseline, range(seeds), "test", RandomReference("accuracy", [0.9, 0.92], "same recipe")
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_comparison_is_read_back_from_its_file(tmp_path: Path, seeds: int) -> None:
    written = make_comparison(seeds)
    assert read_comparison(tmp_path) is None
    write_comparison(written, tmp_path)
    read = read_comparison(tmp_path)
    assert read is not None
    assert json.dumps(read.to_json()) == json.dumps(written.to_json())
    assert list(read.differences) == ["accuracy"]  # the baseline has no log_loss
    assert math.isinf(read.differences["accuracy"].low) == (seeds == 1)


def test_a_malformed_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"accuracy of a has 2 values for 3 seeds"):
        BaselineComparison.of(ComparedNetwork("a", {"accuracy": [1, 2]}), ComparedNetwork("b", {}), [0, 1, 2], "test")
    for text in ("{", "[]", '{"found": {}}', '{"found": {"name": 1, "metrics": {}, "x": 2}}'):
        (tmp_path / "comparison.json").write_text(text)
        with pytest.raises(
            RunError, match=r"comparison.json cannot be read: .*write the comparison again, or remove the file"
        ):
            read_comparison(tmp_path)


def test_the_verdict_depends_on_goal_and_interval() -> None:
    difference = make_comparison().differences["accuracy"]
    assert "The network of the search is better" in format_verdict("accuracy", difference, "maximize", 3)
    assert "The network of the search is worse" in format_verdict("accuracy", difference, "minimize", 3)
    equal = BaselineComparison.of(
        ComparedNetwork("a", {"x": [1, 2, 3]}), ComparedNetwork("b", {"x": [2, 1, 3]}), [0, 1, 2], "test"
    )
    assert "the difference is not significant" in format_verdict("x", equal.differences["x"], "", 3)
    assert "does not show the spread" in format_verdict(
        "accuracy", make_comparison(1).differences["accuracy"], "maximize", 1
    )
    constant = BaselineComparison.of(
        ComparedNetwork("a", {"x": [0.9, 0.8, 0.7]}), ComparedNetwork("b", {"x": [0.8, 0.7, 0.6]}), [0, 1, 2], "test"
    )
    assert constant.differences["x"].low == -math.inf, "an interval of width 0 would be too certain"
    assert format_verdict("x", constant.differences["x"], "maximize", 3) == (
        "x: +0.1, 95% interval none. Equal differences in all 3 seeds do not show the spread."
    )
    tables = make_comparison_tables(make_comparison(), [og.Objective("accuracy")])
    assert tables["rows"][1] == ("parameters", "45,210", "65,834", "0.69 times", "")


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7), st.sampled_from(["maximize", "minimize"]))
def test_expected_best_is_the_mean_over_all_subsets(values: list[float], goal: str) -> None:
    best = max if goal == "maximize" else min
    for n, expected in enumerate(compute_expected_best(values, goal), 1):
        subsets = list(itertools.combinations(values, n))
        assert expected == pytest.approx(sum(map(best, subsets)) / len(subsets), abs=1e-9)


def test_expected_best_of_many_values_is_stable() -> None:
    """Of m evenly spaced values the expected best of n is (n / (n + 1)) (m + 1) (order statistics without replacement)."""
    m = 2000
    n = np.arange(1, m + 1)
    np.testing.assert_allclose(compute_expected_best(np.arange(1, m + 1), "maximize"), n / (n + 1) * (m + 1), rtol=1e-7)


SPACE = og.Space(og.layer(dict, a=og.one_of(*range(10)), b=og.one_of(*range(10))))


def run(folder: Path, f: object = lambda a: {"accuracy": a["a"] + a["b"] / 10}, **options: object) -> og.Run:
    settings = {"max_trials": 40, "seed": 2, "strategy": {"regularized_evolution": {"population": 12}}, **options}
    return og.search(SPACE, og.estimate.function(f), run=folder, executor="inline", cache=False, **settings)  # type: ignore[arg-type]


def test_the_random_reference_is_the_random_start_of_the_run(tmp_path: Path) -> None:
    searched = run(tmp_path / "a")
    values, note = collect_random_values(searched.state)
    assert values == [trial.metrics["accuracy"] for trial in searched.trials[:12]]
    assert "the first 12 trials" in note
    values, note = collect_random_values(run(tmp_path / "b", strategy="random").state)
    assert len(values) == 40
    assert "all 40 trials" in note
    several = run(
        tmp_path / "c", objectives=["accuracy", og.Objective("a", "minimize")], f=lambda a: {**a, "accuracy": 1.0}
    )
    assert collect_random_values(several.state)[0] == []
    constrained = run(tmp_path / "d", constraints=[og.Constraint("accuracy", at_most=5)])
    values, note = collect_random_values(constrained.state)
    assert values == []
    assert "violate a constraint" in note


def test_the_running_best_follows_the_order_of_the_search(tmp_path: Path) -> None:
    def evaluate(a: og.Architecture) -> dict[str, float]:
        if a["a"] == 9:
            raise ValueError("no nine")
        return {"accuracy": a["a"] + a["b"] / 10}

    searched = run(tmp_path / "r", evaluate, strategy="random", constraints=[og.Constraint("accuracy", at_most=7.5)])
    points = compute_search_curve(searched.state, searched.state.objectives[0])
    assert [p.position for p in points] == list(range(1, 41))
    assert sum(math.isnan(p.value) for p in points) == searched.state.failed_count > 0
    places, values = compute_running_best(points, "maximize")
    allowed = [(p.position, p.value) for p in points if p.value <= 7.5]
    assert list(zip(places, values, strict=True))[: len(allowed)] == [
        (place, max(v for q, v in allowed if q <= place)) for place, _ in allowed
    ]
    assert values[-1] == searched.best.metrics["accuracy"]
    assert places[-1] == 40
