"""Replay of one journal under other arguments, with results that were computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from journal_events import events_of

import ogive as og
from ogive.api.replay import Replay, replay
from ogive.errors import JobError

ROWS = [
    {"accuracy": 0.5, "latency": 1.0},
    {"accuracy": 0.9, "latency": 9.0},
    {"accuracy": 0.8, "latency": 4.0},
    None,
    {"accuracy": 0.7, "latency": 5.0},
    {"accuracy": 0.95, "latency": 6.0},
]


def replay_rows(rows: object = ROWS, journal: dict[str, Any] = {}, **question: Any) -> Replay:  # noqa: B006
    return replay(Path("run"), events_of(rows, **{"max_trials": 20, **journal}), **question)


def ids(result: Replay) -> list[int]:
    return [choice.trial.id for choice in result.selected]


def test_a_replay_without_changes_selects_the_best_trials_of_the_run() -> None:
    result = replay_rows(top=3)
    assert ids(result) == list(result.original_best) == [5, 1, 2]
    assert [choice.original_rank for choice in result.selected] == [1, 2, 3]
    assert (result.trials, result.comparable_count) == (6, 5)


def test_another_objective_or_constraint_selects_other_trials() -> None:
    result = replay_rows(objectives="latency", top=2)
    assert ids(result) == [0, 2]
    assert [choice.original_rank for choice in result.selected] == [5, 3]
    within = replay_rows(constraints=og.Constraint("latency", at_most=5), top=5)
    assert ids(within) == [2, 4, 0]
    assert all(choice.on_front for choice in within.selected)
    assert set(replay_rows(objectives=["accuracy", "latency"]).front) == {0, 2, 5}


def test_a_stop_has_a_loss_and_a_saving() -> None:
    """Trials take a minute each; the second reaches the criterion, so 0.95 - 0.9 is lost and four minutes are saved."""
    result = replay_rows(criteria=og.Constraint("accuracy", at_least=0.9), stop="criteria", price=6.0)
    (stop,) = result.stops
    assert (stop.stops, stop.trials, stop.chosen) == (True, 2, 1)
    assert stop.lost == pytest.approx(0.05)
    assert (stop.saved.hours, stop.saved.money) == (pytest.approx(4 / 60), pytest.approx(0.4))
    assert result.actual_spending.money is None
    assert result.replay_spending.money == pytest.approx(0.6)
    (never,) = replay_rows(criteria=og.Constraint("accuracy", at_least=0.99), stop=["criteria"]).stops
    assert (never.stops, never.lost, never.saved.hours) == (False, None, 0.0)
    (budget,) = replay_rows(stop="budget", budget={"hours": 3 / 60}).stops
    assert (budget.trials, budget.chosen, budget.lost) == (3, 1, pytest.approx(0.05))


def test_the_loss_of_a_front_is_the_missing_share_of_its_hypervolume() -> None:
    """The reference point is (0.5, 9). The hypervolume of trials 0, 2 and 5 is 0.3 * 5 + 0.15 * 3."""
    (stop,) = replay_rows(objectives=["accuracy", "latency"], stop="budget", max_trials=3).stops
    assert stop.lost == pytest.approx(1 - 1.5 / 1.95)


def test_the_loss_is_computed_at_a_step_that_both_trials_have_reached() -> None:
    """The first trial ends at step 1, when the search would stop; the best trial is at step 2."""
    rows = [[{"accuracy": 0.6}], [{"accuracy": 0.4}, {"accuracy": 0.9}]]
    (stop,) = replay_rows(rows, stop="budget", max_trials=1).stops
    assert (stop.chosen, stop.lost) == (0, 0.0), "at step 1 trial 0 is better"


def test_metrics_that_were_not_recorded_are_refused() -> None:
    with pytest.raises(JobError, match=r"objective 'energy' was not recorded.*recorded metrics: accuracy, latency"):
        replay_rows(objectives="energy")
    with pytest.raises(
        JobError, match="'boredom' is not a stop rule; known rules: criteria, budget, failures, converged"
    ):
        replay_rows(stop="boredom")
    with pytest.raises(JobError, match="no trial has reported anything yet"):
        replay_rows([None], objectives="accuracy")


def test_trials_without_the_metric_are_left_out() -> None:
    result = replay_rows([*ROWS, {"accuracy": 0.99}], objectives="latency")
    assert (result.trials, result.comparable_count) == (7, 5)
    assert 6 not in ids(result)


def test_a_replay_reads_a_running_search_and_writes_nothing(tmp_path: Path) -> None:
    space = og.Space(og.layer(dict, a=og.integer(0, 9, name="a")))
    replays: list[Replay] = []

    def evaluate(architecture: og.Architecture) -> dict[str, float]:
        if architecture["a"] > 0 and not replays and (tmp_path / "run" / "journal.db").stat().st_size:
            run = og.open_run(tmp_path / "run")
            if any(trial.reports for trial in run.trials):
                replays.append(run.replay(objectives=og.Objective("size", "minimize")))
        return {"accuracy": architecture["a"] / 9, "size": float(architecture["a"])}

    run = og.search(
        space, og.estimate.function(evaluate), run=tmp_path / "run", max_trials=6, executor="inline", cache=False
    )
    assert replays
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    result = run.replay(objectives=og.Objective("size", "minimize"), top=1)
    assert result.selected[0].trial.metrics["size"] == min(trial.metrics["size"] for trial in run.trials)
    assert json.dumps(result.to_json())
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}


def test_trials_that_violate_a_constraint_are_not_selected() -> None:
    """Two trials reached step 2 and two reached step 1; one of each is too slow."""
    fast, slow = {"accuracy": 0.6, "latency": 1.0}, {"accuracy": 0.9, "latency": 9.0}
    rows = [[fast, fast], [slow, slow], [fast], [slow]]
    result = replay_rows(rows, constraints=og.Constraint("latency", at_most=5))
    assert ids(result) == [0, 2]
    result = replay_rows(rows, objectives=["accuracy", "latency"], constraints=og.Constraint("latency", at_most=5))
    assert ids(result) == [0, 2]
