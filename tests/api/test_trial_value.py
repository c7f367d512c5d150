"""The value of a trial: early ends, the best epoch, objectives that are reported rarely or never."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.errors import Infeasible, JobError, RunError
from ogive.estimate.checkpoint import find_value_checkpoint, load_checkpoint
from ogive.run.trial_folder import get_trial_folder
from ogive.trial import Status

EPOCHS = 9
SCHEDULES: list[Any] = [
    "full",
    "asha",
    {"asha": {"variant": "stopping"}},
    "pasha",
    "hyperband",
    "successive_halving",
    "median",
    "curve",
    {"progressive_dynamic_hurdles": {"models": 4}},
]


def search(run: Path, train: Callable[..., object], **options: Any) -> og.Run:
    defaults: dict[str, Any] = {
        "epochs": EPOCHS,
        "max_trials": 25,
        "strategy": "random",
        "executor": "inline",
        "observer": lambda state, event: None,
    }
    space = og.Space(og.layer(dict, width=og.integer(1, 40, name="width")))
    return og.search(space, train, run=run, **{**defaults, **options})


def train_until_flat(model: dict[str, int], trial: Any) -> None:
    """Stop when the accuracy no longer rises: wide models end after 4 epochs at 0.95, narrow ones reach 0.57."""
    accuracy = 0.3
    for _ in trial.epochs():
        new = min(0.95, accuracy + 0.3) if model["width"] > 20 else min(0.60, accuracy + 0.03)
        trial.report(accuracy=new)
        if new == accuracy:
            return
        accuracy = new


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_trial_that_ends_by_itself_has_its_last_value_under_every_schedule(tmp_path: Path, schedule: Any) -> None:
    run = search(tmp_path / "run", train_until_flat, schedule=schedule)
    assert run.best.architecture["width"] > 20
    assert run.best.metrics["accuracy"] == 0.95


def test_trials_that_end_early_count_in_their_rung(tmp_path: Path) -> None:
    """The second rung has three of nine trials; two that ended early take two of its places."""

    def train(model: dict[str, int], trial: Any) -> None:
        for epoch in trial.epochs():
            trial.report(accuracy=model["width"] / 100 + epoch / 1000)
            if model["width"] > 7 and epoch == 2:
                return

    space = og.Space(og.layer(dict, width=og.one_of(*range(1, 10), name="width")))
    schedule = {"successive_halving": {"trials": 9, "min_epochs": 3}}
    run = og.search(
        space,
        train,
        epochs=9,
        max_trials=9,
        strategy="grid",
        schedule=schedule,
        run=tmp_path / "run",
        executor="inline",
    )
    steps = {trial.architecture["width"]: trial.step for trial in run.trials}
    assert {width: steps[width] for width in (9, 8, 7, 6)} == {9: 2, 8: 2, 7: 9, 6: 3}
    assert [trial.architecture["width"] for trial in run.top(3)] == [9, 8, 7]


def train_overfitting(model: dict[str, int], trial: Any) -> None:
    """The error is lowest at epoch 3 and rises afterwards."""
    state = trial.restore() or {"done": 0}
    for epoch in trial.epochs():
        trial.checkpoint(done=epoch, before=state["done"])
        trial.report(rmse=[9, 5, 1, 2, 4, 6, 7, 8, 9][epoch - 1] + model["width"] / 100)
        state = {"done": epoch}


@pytest.mark.parametrize("schedule", ["full", {"asha": {"min_epochs": 2}}], ids=str)
def test_the_best_epoch_is_the_value_and_its_checkpoint_is_kept(tmp_path: Path, schedule: Any) -> None:
    objective = og.Objective("rmse", "minimize", epoch="best")
    run = search(tmp_path / "run", train_overfitting, objectives=objective, schedule=schedule, max_trials=6)
    widths = [trial.architecture["width"] for trial in run.trials if trial.step >= 3]
    assert run.best.metrics["rmse"] == 1 + min(widths) / 100
    assert run.best.step == EPOCHS
    assert run.best.value_report is not None
    assert run.best.value_report.step == 3
    saved = find_value_checkpoint(get_trial_folder(run.folder, run.best))
    assert saved is not None
    assert (saved.step, saved.metrics["rmse"]) == (3, run.best.metrics["rmse"])
    assert load_checkpoint(saved.path)["done"] == 3
    assert not any("earlier" in alert.message for alert in run.state.alerts)
    page = run.report(tmp_path / "report.html").read_text()
    assert "is that of its best epoch, 3 of 9" in page
    reopened = og.open_run(run.folder)
    assert reopened.best.metrics == run.best.metrics


def train_with_late_latency(model: dict[str, int], trial: Any) -> None:
    """The accuracy falls from the first epoch; the latency is measured in the last two epochs."""
    state = trial.restore() or {"done": 0}
    for epoch in trial.epochs():
        trial.checkpoint(done=epoch, before=state["done"])
        late = {"latency_ms": float(model["width"])} if epoch >= EPOCHS - 1 else {}
        trial.report(accuracy=0.9 - 0.01 * epoch + model["width"] / 1000, **late)
        state = {"done": epoch}


ACCURACY = og.Objective("accuracy", "maximize", epoch="best")
GOALS: list[dict[str, Any]] = [
    {"objectives": ACCURACY, "constraints": og.Constraint("latency_ms", at_most=100)},
    {"objectives": [ACCURACY, og.Objective("latency_ms", "minimize")]},
]


@pytest.mark.parametrize("goals", GOALS, ids=("constraint", "objective"))
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_best_epoch_has_all_objectives_and_constraints(
    tmp_path: Path, schedule: Any, goals: dict[str, Any]
) -> None:
    run = search(tmp_path / "run", train_with_late_latency, schedule=schedule, max_trials=9, **goals)
    assert not any(trial.status.failed for trial in run.trials)
    for trial in run.trials:
        assert trial.metrics["latency_ms"] == trial.architecture["width"]
        assert trial.value_report is not None
        assert trial.value_report.step == EPOCHS - 1
    best = run.top(1)[0]
    saved = find_value_checkpoint(get_trial_folder(run.folder, best))
    assert saved is not None
    assert (saved.step, dict(saved.metrics)) == (EPOCHS - 1, dict(best.metrics))


def test_an_epoch_that_is_not_finite_fails_a_trial_only_if_it_is_its_value(
    tmp_path: Path,
) -> None:
    """Widths 1, 2 and 3 report NaN in that epoch, 4 in none, 5 in all, and 6 in all and ends early."""

    def train(model: dict[str, int], trial: Any) -> None:
        for epoch in trial.epochs():
            nan = epoch == model["width"] or model["width"] > 4
            trial.checkpoint(epoch=epoch)
            trial.report(accuracy=float("nan") if nan else epoch / 10)
            if model["width"] == 6 and epoch == 2:
                return

    space = og.Space(og.layer(dict, width=og.one_of(4, 1, 2, 3, 5, 6, name="width")))
    for epoch, values in (("last", {4: 0.3}), ("best", {4: 0.3, 1: 0.3, 2: 0.3, 3: 0.2})):
        run = og.search(
            space,
            train,
            objectives=og.Objective("accuracy", "maximize", epoch=epoch),
            epochs=3,
            max_trials=6,
            max_failed_trials=9,
            strategy={"grid": {"order": "lexicographic"}},
            executor="inline",
            run=tmp_path / epoch,
            observer=lambda state, event: None,
        )
        finished = [trial for trial in run.trials if trial.status is Status.FINISHED]
        assert {trial.architecture["width"]: trial.metrics["accuracy"] for trial in finished} == values
        failed = {t.architecture["width"]: t.reason for t in run.trials if t.status is Status.NOT_FINITE}
        assert len(failed) + len(values) == 6
        if epoch == "best":
            assert failed[5] == "no epoch had finite values of accuracy: accuracy is nan at step 3"
            assert failed[6] == "no epoch had finite values of accuracy: accuracy is nan at step 2"
            saved = find_value_checkpoint(get_trial_folder(run.folder, run.trials[3]))
            assert saved is not None
            assert saved.step == 2


def test_a_hint_names_trials_that_were_better_at_an_earlier_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = search(tmp_path / "run", train_overfitting, objectives="rmse", max_trials=4, observer=None)
    assert run.best.metrics["rmse"] == 9 + min(trial.architecture["width"] for trial in run.trials) / 100
    hint = "4 of 4 trials had a clearly better rmse earlier than at their last epoch (median: epoch 3 of 9)"
    assert hint in capsys.readouterr().err
    assert hint in run.report(tmp_path / "report.html").read_text()
    steady = search(
        tmp_path / "steady",
        lambda model, trial: [trial.report(rmse=9.0 - e) for e in trial.epochs()],
        objectives="rmse",
    )
    assert not any(alert.cause == "overtraining" for alert in steady.state.alerts)


def test_only_one_objective_may_choose_the_epoch(tmp_path: Path) -> None:
    best = [og.Objective("rmse", "minimize", epoch="best"), og.Objective("accuracy", epoch="best")]
    with pytest.raises(JobError, match="only one objective can choose the epoch"):
        search(tmp_path / "run", train_overfitting, objectives=best)
    search(tmp_path / "run", train_overfitting, objectives="rmse", max_trials=2)
    with pytest.raises(RunError, match=r"objectives: was .* and is"):
        search(tmp_path / "run", train_overfitting, objectives=og.Objective("rmse", epoch="best"), max_trials=2)
    with pytest.raises(JobError, match="epoch 'median' is not 'last' or 'best'"):
        og.Objective("rmse", epoch="median")


def train_validating_rarely(model: dict[str, int], trial: Any) -> None:
    for epoch in trial.epochs():
        trial.report(train_loss=1 / epoch, **({"accuracy": model["width"] * epoch / 1000} if epoch % 4 == 0 else {}))


def train_reporting_rarely(model: dict[str, int], trial: Any) -> None:
    for epoch in trial.epochs():
        if epoch % 4 == 0:
            trial.report(accuracy=model["width"] * epoch / 1000)


def train_reporting_rarely_with_checkpoints(model: dict[str, int], trial: Any) -> None:
    trial.restore()
    for epoch in trial.epochs():
        trial.checkpoint(epoch=epoch)
        if epoch % 4 == 0:
            trial.report(accuracy=model["width"] * epoch / 1000)


@pytest.mark.parametrize(
    "train", [train_validating_rarely, train_reporting_rarely, train_reporting_rarely_with_checkpoints]
)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_reports_without_the_objective_decide_nothing(tmp_path: Path, schedule: Any, train: Any) -> None:
    run = search(tmp_path / "run", train, schedule=schedule, max_trials=12)
    assert not any(trial.status.failed for trial in run.trials)
    assert all(
        trial.metrics["accuracy"] == trial.architecture["width"] * (4 if trial.step < 8 else 8) / 1000
        for trial in run.trials
    )
    assert run.best.architecture["width"] == max(
        trial.architecture["width"] for trial in run.trials if trial.has_reached(run.best.step)
    )


def test_worker_processes_continue_until_a_first_value(tmp_path: Path) -> None:
    """The workers import the train function from this module by its name."""
    options: dict[str, Any] = {"schedule": "asha", "max_trials": 4, "executor": "processes", "workers": 2}
    run = search(tmp_path / "run", train_reporting_rarely_with_checkpoints, **options)
    assert not any(trial.status.failed for trial in run.trials)
    assert {trial.step for trial in run.trials} <= {4, 8}


def train_and_end_slowly(model: dict[str, int], trial: Any) -> None:
    train_reporting_rarely_with_checkpoints(model, trial)
    time.sleep(0.2)


@pytest.mark.parametrize("schedule", ["hyperband", "successive_halving"])
def test_a_rung_is_decided_while_the_worker_is_busy(tmp_path: Path, schedule: str) -> None:
    options: dict[str, Any] = {"schedule": schedule, "max_trials": 6, "executor": "processes", "workers": 2}
    run = search(tmp_path / "run", train_and_end_slowly, **options)
    assert not any(trial.status.failed for trial in run.trials)
    assert all(trial.status.ended for trial in run.trials)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_trial_that_never_reports_the_objective_fails_with_one_reason(tmp_path: Path, schedule: Any) -> None:
    def train(model: dict[str, int], trial: Any) -> None:
        for epoch in trial.epochs():
            trial.report(acc=0.1 * epoch)

    run = search(tmp_path / "run", train, schedule=schedule)
    assert {trial.status for trial in run.trials} == {Status.MISSING_METRIC}
    (reason,) = {trial.reason for trial in run.trials}
    assert reason.startswith(
        "accuracy was never reported, only acc was; call trial.report(accuracy=...) in each epoch of the train function"
    )
    assert run.ended.startswith(
        "the first 3 trials all ended with the same failure: missing metric: accuracy was never"
    )


def test_a_report_after_the_loop_counts(tmp_path: Path) -> None:
    trained: list[int] = []

    def train(model: dict[str, int], trial: Any) -> None:
        epoch = 0
        for epoch in trial.epochs():
            trained.append(epoch)
        trial.report(accuracy=model["width"] * epoch / 1000)

    run = search(tmp_path / "run", train, schedule={"asha": {"min_epochs": 3}}, max_trials=3)
    assert [trial.step for trial in run.trials].count(3) == 2
    promoted = [trial.step for trial in run.trials].count(9)
    assert trained.count(1) == 3 + promoted, "without restore() a promoted trial starts again"


def test_the_same_failure_of_the_first_trials_ends_the_search_until_it_is_fixed(tmp_path: Path) -> None:
    broken = {"on": True}

    def train(model: dict[str, int], trial: Any) -> None:
        if broken["on"]:
            raise ValueError(f"a layer of {model['width']} inputs cannot be built")
        trial.report(accuracy=model["width"] / 100)

    options: dict[str, Any] = {"epochs": 1, "max_trials": 9}
    run = search(tmp_path / "run", train, **options)
    assert len(run.trials) == 3
    assert "the first 3 trials all ended with the same failure: error: ValueError: a layer of" in run.ended
    assert f"({__file__}:" in run.ended
    run = search(tmp_path / "run", train, **options)  # not fixed: it ends as early
    assert len(run.trials) == 6
    broken["on"] = False
    fixed = search(tmp_path / "run", train, retry_failed=True, **options)
    assert fixed.ended == "all 15 trials are done"
    failed, repeats = fixed.trials[:6], fixed.trials[6:12]
    assert [trial.architecture for trial in repeats] == [trial.architecture for trial in failed]
    assert [trial.seed for trial in repeats] == [trial.seed for trial in failed]
    assert {trial.status for trial in repeats} == {Status.FINISHED}
    assert search(tmp_path / "run", train, retry_failed=True, **options).ended == fixed.ended  # nothing to repeat


def test_different_failures_and_infeasible_architectures_do_not_end_the_search(tmp_path: Path) -> None:
    def train(model: dict[str, int], trial: Any) -> None:
        if trial.id < 3:
            raise [ValueError, KeyError, TypeError][trial.id]("no")
        trial.report(accuracy=0.5)

    def infeasible(model: dict[str, int], trial: Any) -> None:
        if trial.id < 4:
            raise Infeasible("too wide")
        trial.report(accuracy=0.5)

    for name, function in (("differ", train), ("infeasible", infeasible)):
        run = search(tmp_path / name, function, epochs=1, max_trials=15)
        assert run.ended == "all 15 trials are done"
