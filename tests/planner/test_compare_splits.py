"""The plan: closed forms where there are some, the right split on machines that are known, and what else it tells."""

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
    compare_splits,
    fit,
    simulate_split,
    splits,
)
from ogive.run.prices import Price
from ogive.run.settings import Settings

SPACE = og.bench.load("chain").space
SHAPE = Shape("share", math.log(0.1))
CONSTANT = Machine(2.0, 6.0, 0.0, 5.0, 1.0, 0.5, 0.25)


@cache
def landscape(seed: int, epochs: int = 9) -> Landscape:
    return Landscape(SPACE, Objective("accuracy"), epochs, SHAPE, seed)


def full(trials: int, **changes: Any) -> PlannedSearch:
    return PlannedSearch(PluginSpec("random"), PluginSpec("full"), trials, **changes)


@pytest.mark.parametrize("split", [WorkerSplit(1, 4), WorkerSplit(2, 2), WorkerSplit(4, 1), WorkerSplit(3, 1)])
@pytest.mark.parametrize("trials", [7, 12])
def test_with_constant_durations_the_time_is_the_closed_form(split: WorkerSplit, trials: int) -> None:
    """Trials of equal length in rounds of P: ceil(trials / P) durations, after one start-up."""
    k = split.workers_per_trial
    run = simulate_split(landscape(0), full(trials), CONSTANT, split, 0)
    trial = CONSTANT.attempt(k) + 9 * CONSTANT.epoch(k)
    rounds = math.ceil(trials / split.parallel_trials)
    assert run.seconds == pytest.approx(CONSTANT.start_up(k) + rounds * trial)
    assert run.compute == pytest.approx(trials * trial)
    assert len(run.reports) == 9 * trials


def test_a_trial_that_goes_on_does_not_repeat_epochs_but_begins_anew() -> None:
    """Successive halving with one worker: rungs 1, 3 and 9; every start of an attempt is paid."""
    search = PlannedSearch(PluginSpec("random"), PluginSpec("successive_halving", {"eta": 3}), 9)
    run = simulate_split(landscape(0), search, CONSTANT, WorkerSplit(1, 1), 0)
    epochs, attempts = 9 * 1 + 3 * 2 + 1 * 6, 9 + 3 + 1
    expected = CONSTANT.start_up(1) + attempts * CONSTANT.attempt(1) + epochs * CONSTANT.epoch(1)
    assert run.seconds == pytest.approx(expected)


def test_thinking_comes_on_top() -> None:
    plain, thoughtful = (
        simulate_split(landscape(0), full(10), CONSTANT, WorkerSplit(1, 1), 0, thinking=t) for t in (0.0, 3.0)
    )
    assert thoughtful.seconds == pytest.approx(plain.seconds + 30)


def test_splits_use_the_workers_and_waste_none_that_another_would_use() -> None:
    assert splits(2, 100) == [WorkerSplit(2, 1), WorkerSplit(1, 2)]
    assert splits(8, 100) == [WorkerSplit(8, 1), WorkerSplit(4, 2), WorkerSplit(2, 4), WorkerSplit(1, 8)]
    assert WorkerSplit(21, 3) in splits(64, 100)
    assert splits(64, 5)[0] == WorkerSplit(5, 12), "no more at a time than there are trials"
    for workers in (5, 12, 64):
        assert all(workers / 2 < split.workers <= workers for split in splits(workers, 1000))


@pytest.mark.parametrize(
    ("machine", "best"),
    [
        (Machine(5.0, 0.0), WorkerSplit(8, 1)),  # nothing can be shared
        (
            Machine(0.0, 8.0),
            WorkerSplit(1, 8),
        ),  # everything can, and one at a time never leaves a worker idle at the end
    ],
)
def test_the_right_split_is_recommended(machine: Machine, best: WorkerSplit) -> None:
    plan = build_plan(measurements(machine, workers=(1, 2, 4, 8)), full(9), landscape, 8, seeds=3, thinking=0.0)
    assert plan.recommended == plan.chosen == best
    assert plan.row.fastest == 1.0
    assert "a probability of over 99%" in plan.sure
    assert all(row.seconds.expected >= plan.row.seconds.expected for row in plan.rows)


def test_a_split_that_was_not_measured_is_marked_and_less_sure() -> None:
    machine = Machine(0.5, 4.0, 0.02, 3.0, 0.0, 0.0, 0.0, 0.3, 0.1)
    plan = build_plan(measurements(machine), full(12), landscape, 16, seeds=3, thinking=0.0)
    assert [row.split.workers_per_trial for row in plan.rows if row.beyond] == [5, 8, 16]
    widths = {row.split.workers_per_trial: row.epoch.high / row.epoch.low for row in plan.rows}
    assert any("were not measured" in line for line in plan.assumptions)
    assert any(
        re.search(r"0\.\d+ s \(0\.\d+ s to 0\.\d+ s\) serial, [\d.]+ s \([\d.]+ s to [\d.]+ s\) that is shared", line)
        for line in plan.assumptions
    ), "the fitted terms are told with intervals"
    assert all(width > 1 for width in widths.values())


def test_the_plan_is_json_both_ways_and_tells_money_and_worker_hours() -> None:
    price = Price(3.0, "worker", "USD", "gpu")
    machine = Machine(0.5, 4.0, 0.02, 3.0, 0.0, 0.0, 0.0, 0.3, 0.1)
    plan = build_plan(measurements(machine), full(12, price=price, devices=True), landscape, 4, seeds=3, thinking=0.0)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    for row in plan.rows:
        hours = row.seconds.expected / 3600
        assert row.worker_hours.expected == pytest.approx(row.split.workers * hours)
        assert row.money is not None
        assert row.money.expected == pytest.approx(3.0 * row.split.workers * hours)
        assert row.seconds.low <= row.seconds.expected <= row.seconds.high
    by_threads = build_plan(measurements(machine), full(12, price=price), landscape, 4, seeds=3, thinking=0.0)
    paid = {row.split.parallel_trials: row.money for row in by_threads.rows}
    hours = {row.split.parallel_trials: row.seconds.expected / 3600 for row in by_threads.rows}
    assert paid[2] is not None
    assert paid[2].expected == pytest.approx(3.0 * 2 * hours[2]), "processes are paid for, as a run counts them"


def test_a_budget_ends_the_simulated_search_too() -> None:
    machine = Machine(5.0, 0.0)
    search = full(100, settings=Settings(budget=60 / 3600))
    plan = build_plan(measurements(machine, workers=(1, 2)), search, landscape, 2, seeds=3, thinking=0.0)
    assert all(row.seconds.expected <= 65 for row in plan.rows)
    assert plan.recommended == WorkerSplit(2, 1), "of equal times, the one that finds more"
    assert "as with any" in plan.why
    assert "slowest" not in plan.why


def test_stragglers_make_it_longer() -> None:
    calm = build_plan(measurements(CONSTANT), full(12), landscape, 4, seeds=3, thinking=0.0)
    rough = build_plan(
        measurements(CONSTANT),
        full(12),
        landscape,
        4,
        seeds=3,
        thinking=0.0,
        faults=FaultModel(straggle=0.3, slowdown=4),
    )
    assert all(b.seconds.expected > a.seconds.expected for a, b in zip(calm.rows, rough.rows, strict=True))


def test_durations_of_one_number_of_workers_give_one_row() -> None:
    plan = build_plan(measurements(CONSTANT, workers=(2,)), full(12), landscape, 8, seeds=3, thinking=0.0)
    assert [row.split for row in plan.rows] == [WorkerSplit(4, 2)]
    assert "only" in plan.why


def test_the_intervals_of_plans_hold_searches_on_the_true_machine() -> None:
    """Nominally 90 %: plans from six noisy trials, each judged by one search that it has not seen."""
    machine = Machine(0.5, 4.0, 0.05, 3.0, 0.5, 0.2, 0.0, 0.4, 0.05)
    held = 0
    for seed in range(16):
        plan = build_plan(measurements(machine, seed), full(8), landscape, 2, seeds=3, seed=seed, thinking=0.0)
        unseen = simulate_split(landscape(500 + seed), full(8), machine, plan.chosen, 500 + seed)
        held += plan.row.seconds.low <= unseen.seconds <= plan.row.seconds.high
    assert held >= 11  # of 16; fewer once in 600 times


def test_the_value_that_is_foretold_is_that_of_a_search_and_not_of_their_mean() -> None:
    """Nominally 90 % of searches that were not simulated, and never above what an accuracy can be."""
    rng = np.random.default_rng(0)
    held = 0
    for accuracies in 1 / (1 + np.exp(-rng.normal(3.0, 1.0, size=(400, 11)))):
        value = compare_splits._values(accuracies[:10])
        assert 0 < value.low < value.expected < value.high < 1
        held += value.low <= accuracies[10] <= value.high
    assert 0.86 <= held / 400 <= 0.94  # 2.7 standard errors on both sides


def test_the_value_that_is_expected_is_what_half_of_the_searches_reach() -> None:
    """The mean of a loss that one search in ten has a hundred times as high is what none of them finds."""
    value = compare_splits._values([0.5, 0.6, 0.7, 0.8, 0.9, 0.6, 0.7, 0.8, 0.7, 60.0])
    assert value.expected == pytest.approx(0.7)
    assert value.low < 0.5


def test_money_is_shown_with_its_interval_however_little_it_is() -> None:
    from ogive.cli.plan import _format_interval, _format_money

    assert _format_interval(Interval(0.0331, 0.0344, 0.0356), _format_money) == "0.0344 (0.0331 to 0.0356)"
    assert _format_interval(Interval(0.9, 1.25, 1200.0), _format_money) == "1.25 (0.90 to 1,200.00)"


def test_pace_is_of_the_chosen_split_and_ends_at_its_time() -> None:
    plan = build_plan(measurements(replace(CONSTANT, spread=0.3)), full(12), landscape, 4, seeds=3, thinking=0.0)
    reports = [point[0] for point in plan.row.pace]
    assert reports[0] == 1
    assert reports[-1] == 9 * 12
    assert plan.row.pace[-1][2] == pytest.approx(plan.row.seconds.expected)


@pytest.mark.parametrize(("seconds", "chosen"), [(130.0, WorkerSplit(1, 2)), (1000.0, WorkerSplit(2, 1))])
def test_better_architectures_are_worth_half_as_much_time_again_and_no_more(
    seconds: float, chosen: WorkerSplit
) -> None:
    """The slower split finds better ones on every seed."""

    def ended(time: float, regret: float, seed: int) -> SimulatedSearch:
        curve = np.array([[time, regret + 0.001 * seed]])
        return SimulatedSearch(time, time, np.array([time]), curve, 0.9 - regret, "", 0.0)

    found = {
        WorkerSplit(2, 1): [ended(100.0, 0.2, seed) for seed in range(8)],
        WorkerSplit(1, 2): [ended(seconds, 0.1 + 0.01 * (seed % 2), seed) for seed in range(8)],
    }
    fitted = fit(measurements(Machine(1.0, 1.0), workers=(1, 2)))
    rows = compare_splits.rows_of(found, fitted, full(8), 0.3, 0)
    assert compare_splits.choose(rows, found, fitted)[0] == chosen
