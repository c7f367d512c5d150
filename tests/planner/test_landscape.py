"""The metrics of a simulation: learning curves like the measured ones, over the job's space."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import ogive as og
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.planner import Landscape, MeasuredEpoch, Shape, find_bundled_table, fit_shape, limit_epochs
from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of

SPACE = Space(layer(dict, a=one_of(*"wxyz", name="a"), b=one_of(1, 2, 3, name="b"), c=integer(1, 6, name="c")))
LOSS, ACCURACY = Objective("log_loss"), Objective("accuracy")


def curves(slope: float, ends: list[float], measured: int, last: int, metric: str = "log_loss") -> list[MeasuredEpoch]:
    """Return power laws that end at `ends`, up to epoch `measured`."""
    epochs = []
    for trial, end in enumerate(ends):
        for e in range(1, measured + 1):
            error = end * (last / e) ** slope
            value = 1 - error if metric == "accuracy" else error
            epochs.append(MeasuredEpoch(f"{trial}", 1, e, 1.0, e == 1, {metric: value}))
    return epochs


@pytest.mark.parametrize("measured", [3, 6, 27])
def test_a_power_law_is_extrapolated_to_its_end(measured: int) -> None:
    ends = [0.2, 0.3, 0.45]
    shape = fit_shape(curves(0.4, ends, measured, 27), LOSS, 27)
    assert shape.kind == "loss"
    # the slope of three epochs is averaged with 0.5; growth curves are fitted to five epochs or more
    assert math.exp(shape.level) == pytest.approx(
        0.3 * (27 / measured) ** -0.05 if measured == 3 else 0.3, rel=0.3 if measured == 6 else 0.02
    )
    assert shape.decay == pytest.approx(0.45 if measured == 3 else 0.4, abs=0.02)
    if measured > 3:
        assert shape.spread == pytest.approx(np.log(ends).std(ddof=1), rel=0.4)


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
@pytest.mark.parametrize("last", [9, 16])
def test_the_interval_from_three_epochs_covers_the_best_of_thirty_networks(objective: Objective, last: int) -> None:
    """On digits, whose curves fall late: the measured slopes alone would forecast a log-loss of 1.4, but 0.2 is reached."""
    table, maximize = og.bench.load("digits", objectives=objective.metric), objective.goal == "maximize"
    whole = [
        [
            observation.metrics[objective.metric]
            for observation in table.evaluate(table.space.sample(generator(i)), {"epochs": last}, 0)
        ]
        for i in range(90)
    ]
    rng, forecasts, scale = np.random.default_rng(0), [], Shape("share" if maximize else "loss", 0.0)
    ends = np.array([scale.to_log_error(curve[-1], maximize) for curve in whole])
    best = np.median([rng.choice(ends, 30).min() for _ in range(100)])
    for _ in range(60):
        epochs = [
            MeasuredEpoch(f"{trial}", 1, e, 1.0, e == 1, {objective.metric: value})
            for trial, i in enumerate(rng.choice(90, 6, replace=False))
            for e, value in enumerate(whole[i][:3], 1)
        ]
        shape = fit_shape(epochs, objective, last)
        forecasts.append(shape.level + shape.level_std * rng.normal() + shape.spread * rng.normal(size=30).min())
    low, middle, high = np.quantile(forecasts, [0.025, 0.5, 0.975])
    assert low < best < high
    assert abs(middle - best) < math.log(3.5), "of the right order"


def test_simulated_accuracies_never_reach_one() -> None:
    shape = fit_shape(curves(0.4, [0.05, 0.1, 0.2], 3, 9, "accuracy"), ACCURACY, 9)
    assert shape.kind == "share"
    shape = replace(shape, level_std=0.0)
    values = [Landscape(SPACE, ACCURACY, 9, shape, 0).truth(a)["accuracy"] for a in SPACE.grid()]
    assert 0.85 < np.mean(values) < 0.95
    assert max(values) < 1


def test_percentages_are_simulated_like_shares() -> None:
    """The unit of the metric does not matter: early epochs are misleading, and curves rise."""
    rng = np.random.default_rng(0)
    ends = [5.0, 8.0, 12.0, 15.0]
    shares = [replace(e, metrics={"accuracy": 1 - e.metrics["log_loss"] / 100}) for e in curves(0.4, ends, 3, 9)]
    percent = [replace(e, metrics={"accuracy": 100 * e.metrics["accuracy"]}) for e in shares]
    for epochs in (shares, percent):
        landscape = Landscape(SPACE, ACCURACY, 9, fit_shape(epochs, ACCURACY, 9), int(rng.integers(9)))
        observations = [landscape.evaluate(a, {"epochs": 9}, i) for i, a in enumerate(SPACE.grid())]
        rows = np.array([[o.metrics["accuracy"] for o in curve] for curve in observations])
        truths = [landscape.truth(a)["accuracy"] for a in SPACE.grid()]
        assert 0.4 < spearmanr(rows[:, 0], truths).statistic < 0.97
        assert 0.8 * np.std(truths) < rows[:, -1].mean() - rows[:, 0].mean() < 8 * np.std(truths)


def test_without_measured_metrics_the_shape_is_assumed() -> None:
    assert "assumed" in fit_shape([MeasuredEpoch("a", 1, 1, 1.0, True)], ACCURACY, 9).basis


def test_the_level_is_more_uncertain_if_more_epochs_are_extrapolated() -> None:
    few, many = (fit_shape(curves(0.4, [0.2, 0.3, 0.4], measured, 27), LOSS, 27).level_std for measured in (3, 27))
    assert few > 1.5 * many


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
def test_the_uncertainty_of_the_level_covers_real_curves(objective: Objective) -> None:
    """Three epochs of six networks on digits; the mean of all networks after 16 epochs, in an interval of nominally 90%."""
    table = og.bench.load("digits", objectives=objective.metric)
    whole = [
        [o.metrics[objective.metric] for o in table.evaluate(table.space.sample(generator(i)), {"epochs": 16}, 0)]
        for i in range(100)
    ]
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        six = [whole[i][:3] for i in rng.choice(100, 6, replace=False)]
        epochs = [
            MeasuredEpoch(f"{trial}", 1, e, 1.0, e == 1, {objective.metric: value})
            for trial, curve in enumerate(six)
            for e, value in enumerate(curve, 1)
        ]
        shape = fit_shape(epochs, objective, 16)
        ends = [shape.to_log_error(curve[-1], objective.goal == "maximize") for curve in whole]
        covered.append(abs(np.mean(ends) - shape.level) <= 1.645 * shape.level_std)
    assert np.mean(covered) >= 0.8
    assert shape.level_std < 1.5, "the interval is not arbitrarily wide"


def test_the_bound_is_the_true_best_and_seeds_give_different_landscapes() -> None:
    shape = Shape("share", math.log(0.1))
    first, second = (Landscape(SPACE, ACCURACY, 9, shape, seed) for seed in (0, 1))
    truths = [first.truth(architecture)["accuracy"] for architecture in SPACE.grid()]
    assert first.bounds["accuracy"].best == pytest.approx(max(truths))  # all 72 architectures
    others = [second.truth(architecture)["accuracy"] for architecture in SPACE.grid()]
    assert abs(spearmanr(truths, others).statistic) < 0.7


def test_early_epochs_are_less_informative_than_late_ones() -> None:
    landscape = Landscape(SPACE, ACCURACY, 27, Shape("share", math.log(0.1), early_error=0.3), 0)
    rows = [
        [o.metrics["accuracy"] for o in landscape.evaluate(a, {"epochs": 27}, i)] for i, a in enumerate(SPACE.grid())
    ]
    truths = [landscape.truth(a)["accuracy"] for a in SPACE.grid()]
    early, late = (spearmanr([row[e] for row in rows], truths).statistic for e in (0, 26))
    assert 0.2 < early < late - 0.1
    assert np.mean(rows, axis=0)[0] < np.mean(rows, axis=0)[-1], "curves rise"


def test_a_job_may_use_fewer_epochs_than_a_table_has_but_not_more() -> None:
    chain = og.bench.load("chain")
    assert chain.epochs is not None
    shorter = limit_epochs(chain, chain.epochs - 1)(0)
    architecture = chain.space.sample(generator(0, "test"))
    metrics = [o.metrics for o in shorter.evaluate(architecture, {"epochs": 2}, 1)]
    assert metrics == [o.metrics for o in chain.evaluate(architecture, {"epochs": 2}, 1)]
    assert shorter.epochs == chain.epochs - 1
    assert shorter.bounds == chain.bounds
    with pytest.raises(JobError, match="give at most epochs="):
        limit_epochs(chain, chain.epochs + 1)


def test_the_bundled_table_is_not_used_for_another_space() -> None:
    assert find_bundled_table(SPACE, LOSS) is None
