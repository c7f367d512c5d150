"""What the schedule sees in a simulation: curves like those that were measured, over the job's own space."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import ogive as og
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.planner import Epoch, Landscape, Shape, bundled, learn, limited
from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of

SPACE = Space(layer(dict, a=one_of(*"wxyz", name="a"), b=one_of(1, 2, 3, name="b"), c=integer(1, 6, name="c")))
LOSS, ACCURACY = Objective("log_loss"), Objective("accuracy")


def curves(slope: float, ends: list[float], seen: int, last: int, metric: str = "log_loss") -> list[Epoch]:
    """Power laws that end at `ends`, as far as epoch `seen`."""
    found = []
    for trial, end in enumerate(ends):
        for e in range(1, seen + 1):
            error = end * (last / e) ** slope
            value = 1 - error if metric == "accuracy" else error
            found.append(Epoch(f"{trial}", 1, e, 1.0, e == 1, {metric: value}))
    return found


@pytest.mark.parametrize("seen", [3, 6, 27])
def test_a_power_law_is_extrapolated_to_its_end(seen: int) -> None:
    ends = [0.2, 0.3, 0.45]
    shape = learn(curves(0.4, ends, seen, 27), LOSS, 27)
    assert shape.kind == "loss"
    # three epochs are taken halfway to a slope of 0.5; from five on there are growth curves
    assert math.exp(shape.level) == pytest.approx(
        0.3 * (27 / seen) ** -0.05 if seen == 3 else 0.3, rel=0.3 if seen == 6 else 0.02
    )
    assert shape.decay == pytest.approx(0.45 if seen == 3 else 0.4, abs=0.02)
    if seen > 3:
        assert shape.spread == pytest.approx(np.log(ends).std(ddof=1), rel=0.4)


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
@pytest.mark.parametrize("last", [9, 16])
def test_what_the_best_of_thirty_is_lies_in_what_three_epochs_foretell(objective: Objective, last: int) -> None:
    """On digits, whose curves have barely begun to fall: what was seen alone foretells a log-loss of 1.4; 0.2 is found."""
    table, maximize = og.bench.load("digits", objectives=objective.metric), objective.goal == "maximize"
    whole = [
        [
            seen.metrics[objective.metric]
            for seen in table.evaluate(table.space.sample(generator(i)), {"epochs": last}, 0)
        ]
        for i in range(90)
    ]
    rng, foretold, plain = np.random.default_rng(0), [], Shape("share" if maximize else "loss", 0.0)
    ends = np.array([plain.log_error(curve[-1], maximize) for curve in whole])
    found = np.median([rng.choice(ends, 30).min() for _ in range(100)])
    for _ in range(60):
        epochs = [
            Epoch(f"{trial}", 1, e, 1.0, e == 1, {objective.metric: value})
            for trial, i in enumerate(rng.choice(90, 6, replace=False))
            for e, value in enumerate(whole[i][:3], 1)
        ]
        shape = learn(epochs, objective, last)
        foretold.append(shape.level + shape.doubt * rng.normal() + shape.spread * rng.normal(size=30).min())
    low, middle, high = np.quantile(foretold, [0.025, 0.5, 0.975])
    assert low < found < high
    assert abs(middle - found) < math.log(3.5), "a guess, but of that order"


def test_accuracies_are_errors_and_never_reach_one() -> None:
    shape = learn(curves(0.4, [0.05, 0.1, 0.2], 3, 9, "accuracy"), ACCURACY, 9)
    assert shape.kind == "share"
    sure = replace(shape, doubt=0.0)
    values = [Landscape(SPACE, ACCURACY, 9, sure, 0).truth(a)["accuracy"] for a in SPACE.grid()]
    assert 0.85 < np.mean(values) < 0.95
    assert max(values) < 1


def test_percentages_are_simulated_as_shares_are() -> None:
    """The metric's unit is nobody's business: early epochs mislead, and curves rise by more than architectures differ."""
    rng = np.random.default_rng(0)
    ends = [5.0, 8.0, 12.0, 15.0]
    shares = [replace(e, metrics={"accuracy": 1 - e.metrics["log_loss"] / 100}) for e in curves(0.4, ends, 3, 9)]
    percent = [replace(e, metrics={"accuracy": 100 * e.metrics["accuracy"]}) for e in shares]
    for epochs in (shares, percent):
        landscape = Landscape(SPACE, ACCURACY, 9, learn(epochs, ACCURACY, 9), int(rng.integers(9)))
        seen = [landscape.evaluate(a, {"epochs": 9}, i) for i, a in enumerate(SPACE.grid())]
        rows = np.array([[o.metrics["accuracy"] for o in curve] for curve in seen])
        truths = [landscape.truth(a)["accuracy"] for a in SPACE.grid()]
        assert 0.4 < spearmanr(rows[:, 0], truths).statistic < 0.97
        assert 0.8 * np.std(truths) < rows[:, -1].mean() - rows[:, 0].mean() < 8 * np.std(truths)


def test_what_was_not_measured_is_said_to_be_assumed() -> None:
    assert "assumed" in learn([Epoch("a", 1, 1, 1.0, True)], ACCURACY, 9).basis


def test_doubt_grows_with_what_is_extrapolated() -> None:
    few, many = (learn(curves(0.4, [0.2, 0.3, 0.4], seen, 27), LOSS, 27).doubt for seen in (3, 27))
    assert few > 1.5 * many


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
def test_the_doubt_is_not_less_than_what_real_curves_turn_out_to_be(objective: Objective) -> None:
    """Six networks on digits, of which three epochs are seen: the mean of all after 16, in an interval of nominally 90 %."""
    table = og.bench.load("digits", objectives=objective.metric)
    whole = [
        [seen.metrics[objective.metric] for seen in table.evaluate(table.space.sample(generator(i)), {"epochs": 16}, 0)]
        for i in range(100)
    ]
    rng = np.random.default_rng(0)
    held = []
    for _ in range(60):
        six = [whole[i][:3] for i in rng.choice(100, 6, replace=False)]
        epochs = [
            Epoch(f"{trial}", 1, e, 1.0, e == 1, {objective.metric: value})
            for trial, curve in enumerate(six)
            for e, value in enumerate(curve, 1)
        ]
        shape = learn(epochs, objective, 16)
        ends = [shape.log_error(curve[-1], objective.goal == "maximize") for curve in whole]
        held.append(abs(np.mean(ends) - shape.level) <= 1.645 * shape.doubt)
    assert np.mean(held) >= 0.8
    assert shape.doubt < 1.5, "and something is said"


def test_the_best_is_the_best_of_all_and_seeds_are_other_landscapes() -> None:
    shape = Shape("share", math.log(0.1))
    first, second = (Landscape(SPACE, ACCURACY, 9, shape, seed) for seed in (0, 1))
    truths = [first.truth(architecture)["accuracy"] for architecture in SPACE.grid()]
    assert first.bounds["accuracy"].best == pytest.approx(max(truths))  # brute force over all 72
    others = [second.truth(architecture)["accuracy"] for architecture in SPACE.grid()]
    assert abs(spearmanr(truths, others).statistic) < 0.7


def test_early_epochs_tell_less_than_late_ones() -> None:
    landscape = Landscape(SPACE, ACCURACY, 27, Shape("share", math.log(0.1), cross=0.3), 0)
    rows = [
        [seen.metrics["accuracy"] for seen in landscape.evaluate(a, {"epochs": 27}, i)]
        for i, a in enumerate(SPACE.grid())
    ]
    truths = [landscape.truth(a)["accuracy"] for a in SPACE.grid()]
    early, late = (spearmanr([row[e] for row in rows], truths).statistic for e in (0, 26))
    assert 0.2 < early < late - 0.1
    assert np.mean(rows, axis=0)[0] < np.mean(rows, axis=0)[-1], "curves rise"


def test_a_job_of_fewer_epochs_sees_the_beginning_of_a_table_and_one_of_more_is_refused() -> None:
    chain = og.bench.load("chain")
    assert chain.epochs is not None
    shorter = limited(chain, chain.epochs - 1)(0)
    architecture = chain.space.sample(generator(0, "test"))
    seen = [o.metrics for o in shorter.evaluate(architecture, {"epochs": 2}, 1)]
    assert seen == [o.metrics for o in chain.evaluate(architecture, {"epochs": 2}, 1)]
    assert shorter.epochs == chain.epochs - 1
    assert shorter.bounds == chain.bounds
    with pytest.raises(JobError, match="give at most as many"):
        limited(chain, chain.epochs + 1)


def test_only_the_space_of_the_bundled_table_has_its_curves() -> None:
    assert bundled(SPACE, LOSS) is None
