"""Plans: closed forms of the time, the best split on known machines, intervals, prices, and JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from machines import measurements

import ogive as og
from ogive.bench.simulated_search import PluginSpec
from ogive.monitor.cost import Interval
from ogive.objective import Objective
from ogive.planner import (
    FaultModel,
    Landscape,
    Machine,
    Plan,
    PlannedSearch,
    Shape,
    SimulatedSearch,
    WorkerSplit,
    build_plan,
    fit_machine,
    list_splits,
    simulate_split,
)
from ogive.planner.recommendation import recommend_split
from ogive.planner.split_forecasts import forecast_splits, predict_value
from ogive.run.prices import Price
from ogive.run.settings import Settings

SPACE = og.bench.load("chain").space
SHAPE = Shape("share", math.log(0.1))
CONSTANT = Machine(
    serial=2.0,
    parallel=6.0,
    communication=0.0,
    start_up_base=5.0,
    start_up_per_worker=1.0,
    attempt_base=0.5,
    attempt_per_worker=0.25,
)


@cache
def landscape(seed: int, epochs: int = 9) -> Landscape:
    return Landscape(SPACE, Objective("accuracy"), epochs, SHAPE, seed)


def full_training_of(trials: int, **changes: Any) -> PlannedSearch:
    return PlannedSearch(PluginSpec("random"), PluginSpec("full"), trials, **changes)


@pytest.mark.parametrize("split", [WorkerSplit(1, 4), WorkerSplit(2, 2), WorkerSplit(4, 1), WorkerSplit(3, 1)])
@pytest.mark.parametrize("trials", [7, 12])
def test_the_time_of_constant_durations_has_a_closed_form(split: WorkerSplit, trials: int) -> None:
    """Trials of equal length in rounds of P: ceil(trials / P) durations, after one start-up."""
    k = split.workers_per_trial
    run = simulate_split(landscape(0), full_training_of(trials), CONSTANT, split, 0)
    trial = CONSTANT.compute_attempt_seconds(k) + 9 * CONSTANT.compute_epoch_seconds(k)
    rounds = math.ceil(trials / split.parallel_trials)
    assert run.seconds == pytest.approx(CONSTANT.compute_start_up_seconds(k) + rounds * trial)
    assert run.compute_seconds == pytest.approx(trials * trial)
    assert len(run.report_times) == 9 * trials


def test_a_promoted_trial_repeats_no_epochs_but_starts_another_attempt() -> None:
    """Successive halving with one worker and rungs 1, 3 and 9; every attempt has its own start."""
    search = PlannedSearch(PluginSpec("random"), PluginSpec("successive_halving", {"eta": 3}), 9)
    run = simulate_split(landscape(0), search, CONSTANT, WorkerSplit(1, 1), 0)
    epochs, attempts = 9 * 1 + 3 * 2 + 1 * 6, 9 + 3 + 1
    expected = (
        CONSTANT.compute_start_up_seconds(1)
        + attempts * CONSTANT.compute_attempt_seconds(1)
        + epochs * CONSTANT.compute_epoch_seconds(1)
    )
    assert run.seconds == pytest.approx(expected)


def test_the_time_of_proposals_is_added() -> None:
    fast, slow = (
        simulate_split(landscape(0), full_training_of(10), CONSTANT, WorkerSplit(1, 1), 0, proposal_seconds=seconds)
        for seconds in (0.0, 3.0)
    )
    assert slow.seconds == pytest.approx(fast.seconds + 30)


def test_splits_that_leave_workers_idle_are_left_out() -> None:
    assert list_splits(2, 100) == [WorkerSplit(2, 1), WorkerSplit(1, 2)]
    assert list_splits(8, 100) == [WorkerSplit(8, 1), WorkerSplit(4, 2), WorkerSplit(2, 4), WorkerSplit(1, 8)]
    assert WorkerSplit(21, 3) in list_splits(64, 100)
    assert list_splits(64, 5)[0] == WorkerSplit(5, 12), "no more parallel trials than trials"
    for workers in (5, 12, 64):
        assert all(workers / 2 < split.workers <= workers for split in list_splits(workers, 1000))


@pytest.mark.parametrize(
    ("machine", "best"),
    [
        (Machine(serial=5.0, parallel=0.0), WorkerSplit(8, 1)),  # nothing can be shared
        # everything can be shared, and with one trial at a time no worker is idle at the end
        (Machine(serial=0.0, parallel=8.0), WorkerSplit(1, 8)),
    ],
)
def test_the_fastest_split_is_recommended(machine: Machine, best: WorkerSplit) -> None:
    plan = build_plan(
        measurements(machine, workers=(1, 2, 4, 8)), full_training_of(9), landscape, 8, seeds=3, proposal_seconds=0.0
    )
    assert plan.recommended == plan.chosen == best
    assert plan.chosen_forecast.fastest == 1.0
    assert "a probability of over 99%" in plan.sure
    assert all(row.seconds.expected >= plan.chosen_forecast.seconds.expected for row in plan.rows)


def test_a_split_that_was_not_measured_is_marked() -> None:
    machine = Machine(
        serial=0.5,
        parallel=4.0,
        communication=0.02,
        start_up_base=3.0,
        start_up_per_worker=0.0,
        attempt_base=0.0,
        attempt_per_worker=0.0,
        spread=0.3,
        noise=0.1,
    )
    plan = build_plan(measurements(machine), full_training_of(12), landscape, 16, seeds=3, proposal_seconds=0.0)
    assert [row.split.workers_per_trial for row in plan.rows if row.beyond] == [5, 8, 16]
    widths = {row.split.workers_per_trial: row.epoch.high / row.epoch.low for row in plan.rows}
    assert any("were not measured" in line for line in plan.assumptions)
    assert any(
        re.search(r"0\.\d+ s \(0\.\d+ s to 0\.\d+ s\) serial, [\d.]+ s \([\d.]+ s to [\d.]+ s\) that is shared", line)
        for line in plan.assumptions
    ), "the fitted terms have intervals"
    assert all(width > 1 for width in widths.values())


def test_a_plan_survives_json_and_holds_money_and_worker_hours() -> None:
    price = Price(3.0, "worker", "USD", "gpu")
    machine = Machine(
        serial=0.5,
        parallel=4.0,
        communication=0.02,
        start_up_base=3.0,
        start_up_per_worker=0.0,
        attempt_base=0.0,
        attempt_per_worker=0.0,
        spread=0.3,
        noise=0.1,
    )
    plan = build_plan(
        measurements(machine),
        full_training_of(12, price=price, uses_devices=True),
        landscape,
        4,
        seeds=3,
        proposal_seconds=0.0,
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    for row in plan.rows:
        hours = row.seconds.expected / 3600
        assert row.worker_hours.expected == pytest.approx(row.split.workers * hours)
        assert row.money is not None
        assert row.money.expected == pytest.approx(3.0 * row.split.workers * hours)
        assert row.seconds.low <= row.seconds.expected <= row.seconds.high
    by_threads = build_plan(
        measurements(machine), full_training_of(12, price=price), landscape, 4, seeds=3, proposal_seconds=0.0
    )
    money = {row.split.parallel_trials: row.money for row in by_threads.rows}
    hours = {row.split.parallel_trials: row.seconds.expected / 3600 for row in by_threads.rows}
    assert money[2] is not None
    assert money[2].expected == pytest.approx(3.0 * 2 * hours[2]), "processes are billed, as a run counts them"


def test_a_budget_ends_the_simulated_search() -> None:
    machine = Machine(serial=5.0, parallel=0.0)
    search = full_training_of(100, settings=Settings(budget=60 / 3600))
    plan = build_plan(measurements(machine, workers=(1, 2)), search, landscape, 2, seeds=3, proposal_seconds=0.0)
    assert all(row.seconds.expected <= 65 for row in plan.rows)
    assert plan.recommended == WorkerSplit(2, 1), "of splits with equal times, the one that finds better architectures"
    assert "about the same as every other split" in plan.why
    assert "slowest" not in plan.why


def test_stragglers_lengthen_the_search() -> None:
    plain = build_plan(measurements(CONSTANT), full_training_of(12), landscape, 4, seeds=3, proposal_seconds=0.0)
    faulty = build_plan(
        measurements(CONSTANT),
        full_training_of(12),
        landscape,
        4,
        seeds=3,
        proposal_seconds=0.0,
        faults=FaultModel(straggle=0.3, slowdown=4),
    )
    assert all(b.seconds.expected > a.seconds.expected for a, b in zip(plain.rows, faulty.rows, strict=True))


def test_one_measured_number_of_workers_gives_a_forecast_for_one_split() -> None:
    plan = build_plan(
        measurements(CONSTANT, workers=(2,)), full_training_of(12), landscape, 8, seeds=3, proposal_seconds=0.0
    )
    assert [row.split for row in plan.rows] == [WorkerSplit(4, 2)]
    assert "only" in plan.why


def test_intervals_cover_searches_on_the_true_machine() -> None:
    """Nominal coverage 90%: plans from six noisy trials, each compared with one search that was not simulated for it."""
    machine = Machine(
        serial=0.5,
        parallel=4.0,
        communication=0.05,
        start_up_base=3.0,
        start_up_per_worker=0.5,
        attempt_base=0.2,
        attempt_per_worker=0.0,
        spread=0.4,
        noise=0.05,
    )
    covered = 0
    for seed in range(16):
        plan = build_plan(
            measurements(machine, seed), full_training_of(8), landscape, 2, seeds=3, seed=seed, proposal_seconds=0.0
        )
        unseen = simulate_split(landscape(500 + seed), full_training_of(8), machine, plan.chosen, 500 + seed)
        covered += plan.chosen_forecast.seconds.low <= unseen.seconds <= plan.chosen_forecast.seconds.high
    assert covered >= 11  # of 16; fewer once in 600 times


def test_the_interval_of_the_value_covers_one_more_search() -> None:
    """Nominal coverage 90% for searches that were not simulated; an accuracy is never forecast above 1."""
    rng = np.random.default_rng(0)
    covered = 0
    for accuracies in 1 / (1 + np.exp(-rng.normal(3.0, 1.0, size=(400, 11)))):
        value = predict_value(accuracies[:10])
        assert 0 < value.low < value.expected < value.high < 1
        covered += value.low <= accuracies[10] <= value.high
    assert 0.86 <= covered / 400 <= 0.94  # 2.7 standard errors on both sides


def test_the_expected_value_is_the_median_of_the_searches() -> None:
    """If one search of ten has a loss a hundred times as high, no search finds the mean."""
    value = predict_value([0.5, 0.6, 0.7, 0.8, 0.9, 0.6, 0.7, 0.8, 0.7, 60.0])
    assert value.expected == pytest.approx(0.7)
    assert value.low < 0.5


def test_small_amounts_of_money_are_shown_with_their_interval() -> None:
    from ogive.cli.plan import _format_interval
    from ogive.formatting import amount

    assert _format_interval(Interval(0.0331, 0.0344, 0.0356), amount) == "0.0344 (0.0331 to 0.0356)"
    assert _format_interval(Interval(0.9, 1.25, 1200.0), amount) == "1.25 (0.90 to 1,200.00)"


def test_the_pace_ends_at_the_time_of_the_split() -> None:
    plan = build_plan(
        measurements(replace(CONSTANT, spread=0.3)), full_training_of(12), landscape, 4, seeds=3, proposal_seconds=0.0
    )
    reports = [point[0] for point in plan.chosen_forecast.pace]
    assert reports[0] == 1
    assert reports[-1] == 9 * 12
    assert plan.chosen_forecast.pace[-1][2] == pytest.approx(plan.chosen_forecast.seconds.expected)


@pytest.mark.parametrize(("seconds", "chosen"), [(130.0, WorkerSplit(1, 2)), (1000.0, WorkerSplit(2, 1))])
def test_a_slower_split_with_better_architectures_is_recommended(seconds: float, chosen: WorkerSplit) -> None:
    """The slower split finds better architectures with every seed."""

    def make_search(time: float, regret: float, seed: int) -> SimulatedSearch:
        curve = np.array([[time, regret + 0.001 * seed]])
        return SimulatedSearch(
            seconds=time,
            compute_seconds=time,
            report_times=np.array([time]),
            curve=curve,
            value=0.9 - regret,
            end_reason="",
            cpu_seconds=0.0,
        )

    searches = {
        WorkerSplit(2, 1): [make_search(100.0, 0.2, seed) for seed in range(8)],
        WorkerSplit(1, 2): [make_search(seconds, 0.1 + 0.01 * (seed % 2), seed) for seed in range(8)],
    }
    fitted = fit_machine(measurements(Machine(serial=1.0, parallel=1.0), workers=(1, 2)))
    rows = forecast_splits(searches, fitted, full_training_of(8), regret=0.3, seed=0)
    assert recommend_split(rows, searches, fitted)[0] == chosen
