"""Replay: other questions to one journal, against what can be worked out by hand."""

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


def asked(rows: object = ROWS, journal: dict[str, Any] = {}, **question: Any) -> Replay:  # noqa: B006
    return replay(Path("run"), events_of(rows, **{"max_trials": 20, **journal}), **question)


def ids(found: Replay) -> list[int]:
    return [choice.trial.id for choice in found.chosen]


def test_the_runs_own_question_gives_its_own_answer() -> None:
    found = asked(top=3)
    assert ids(found) == list(found.was) == [5, 1, 2]
    assert [choice.was for choice in found.chosen] == [1, 2, 3]
    assert (found.trials, found.valued) == (6, 5)


def test_another_objective_and_constraint() -> None:
    found = asked(objectives="latency", top=2)
    assert ids(found) == [0, 2]
    assert [choice.was for choice in found.chosen] == [5, 3]
    within = asked(constraints=og.Constraint("latency", at_most=5), top=5)
    assert ids(within) == [2, 4, 0]
    assert all(choice.on_front for choice in within.chosen)
    assert set(asked(objectives=["accuracy", "latency"]).front) == {0, 2, 5}


def test_stops_say_what_would_have_been_lost_and_saved() -> None:
    """Trials take a minute each; the second reaches the criterion, and 0.95 - 0.9 is lost and four minutes are saved."""
    found = asked(criteria=og.Constraint("accuracy", at_least=0.9), stop="criteria", price=6.0)
    (stop,) = found.stops
    assert (stop.stops, stop.trials, stop.chosen) == (True, 2, 1)
    assert stop.lost == pytest.approx(0.05)
    assert (stop.saved.hours, stop.saved.money) == (pytest.approx(4 / 60), pytest.approx(0.4))
    assert found.paid.money is None
    assert found.would_pay.money == pytest.approx(0.6)
    (never,) = asked(criteria=og.Constraint("accuracy", at_least=0.99), stop=["criteria"]).stops
    assert (never.stops, never.lost, never.saved.hours) == (False, None, 0.0)
    (budget,) = asked(stop="budget", budget={"hours": 3 / 60}).stops
    assert (budget.trials, budget.chosen, budget.lost) == (3, 1, pytest.approx(0.05))


def test_a_front_that_was_half_found() -> None:
    """Hypervolume from the worst (0.5, 9): of 0, 2 and 5 it is 0.3 * 5 + 0.15 * 3, of the first two trials nothing."""
    (stop,) = asked(objectives=["accuracy", "latency"], stop="budget", max_trials=3).stops
    assert stop.lost == pytest.approx(1 - 1.5 / 1.95)


def test_a_stop_is_judged_at_the_step_that_both_trials_have_reached() -> None:
    """The first trial is at step 1 when the search would stop, and goes no further; the best of all is at step 2."""
    rows = [[{"accuracy": 0.6}], [{"accuracy": 0.4}, {"accuracy": 0.9}]]
    (stop,) = asked(rows, stop="budget", max_trials=1).stops
    assert (stop.chosen, stop.lost) == (0, 0.0), "at step 1 it is the better one"


def test_what_was_not_recorded_is_named() -> None:
    with pytest.raises(JobError, match=r"objective 'energy' was not recorded.*what was: accuracy, latency"):
        asked(objectives="energy")
    with pytest.raises(
        JobError, match="'boredom' is no stop rule; the rules are criteria, budget, failures, converged"
    ):
        asked(stop="boredom")
    with pytest.raises(JobError, match="no trial has reported anything yet"):
        asked([None], objectives="accuracy")


def test_trials_without_the_metric_are_left_out() -> None:
    found = asked([*ROWS, {"accuracy": 0.99}], objectives="latency")
    assert (found.trials, found.valued) == (7, 5)
    assert 6 not in ids(found)


def test_of_a_live_run_in_a_folder_that_is_only_read(tmp_path: Path) -> None:
    space = og.Space(og.layer(dict, a=og.integer(0, 9, name="a")))
    answers: list[Replay] = []

    def judge(architecture: og.Architecture) -> dict[str, float]:
        if architecture["a"] > 0 and not answers and (tmp_path / "run" / "journal.db").stat().st_size:
            run = og.open_run(tmp_path / "run")
            if any(trial.reports for trial in run.trials):
                answers.append(run.replay(objectives=og.Objective("size", "minimize")))
        return {"accuracy": architecture["a"] / 9, "size": float(architecture["a"])}

    run = og.search(
        space, og.estimate.function(judge), run=tmp_path / "run", max_trials=6, executor="inline", cache=False
    )
    assert answers
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    found = run.replay(objectives=og.Objective("size", "minimize"), top=1)
    assert found.chosen[0].trial.metrics["size"] == min(trial.metrics["size"] for trial in run.trials)
    assert json.dumps(found.to_json())
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}


def test_what_violates_a_constraint_is_not_chosen_however_far_it_was_trained() -> None:
    """Two trials came to step 2, one of which is too slow; of the two that came to step 1 only, one is."""
    fast, slow = {"accuracy": 0.6, "latency": 1.0}, {"accuracy": 0.9, "latency": 9.0}
    rows = [[fast, fast], [slow, slow], [fast], [slow]]
    found = asked(rows, constraints=og.Constraint("latency", at_most=5))
    assert ids(found) == [0, 2]
    several = asked(rows, objectives=["accuracy", "latency"], constraints=og.Constraint("latency", at_most=5))
    assert ids(several) == [0, 2]
