"""Schedules in real training: population based training, and fidelities that cannot be continued."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ogive as og
from ogive.errors import JobError
from ogive.estimate.checkpoint import find_value_checkpoint, load_checkpoint
from ogive.run.events import Kind
from ogive.run.trial_folder import get_trial_folder
from ogive.run.unsaved_weights import UNSAVED_PREFIX
from ogive.trial import Status


def space() -> og.Space:
    width = og.integer(2, 60, name="width")
    return og.Space(
        og.layer(nn.Sequential, og.layer(nn.Linear, 3, width), og.layer(nn.Linear, width, 1)), example_input=(3,)
    )


PBT = {"pbt": {"settings": {"learning_rate": [0.001, 0.3]}, "population": 4, "interval": 3, "quantile": 0.25}}
EPOCHS: list[tuple[int, int, float, bool]] = []


def train(model: nn.Module, trial: Any) -> None:
    """Learn a linear function; record where the weights of each epoch came from."""
    restored, inherited = trial.restore(), trial.inherited()
    state = restored or inherited
    if state is not None:
        model.load_state_dict(state["model"])
    rate = trial.settings.get("learning_rate", 0.05)
    inputs = torch.linspace(-1, 1, 30).reshape(10, 3)
    target = inputs.sum(dim=1, keepdim=True)
    for epoch in trial.epochs():
        loss = nn.functional.mse_loss(model(inputs), target)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        EPOCHS.append(
            (trial.id, epoch, trial.fidelity.get("data_fraction", 1.0), restored is None and inherited is not None)
        )
        trial.checkpoint(model=model.state_dict())
        trial.report(loss=float(loss.detach()))


def search(run: Path, schedule: Any, fidelities: tuple[str, ...] = (), **options: Any) -> og.Run:
    EPOCHS.clear()
    return og.search(
        space(),
        og.estimate.train(train, fidelities=fidelities),
        objectives="loss",
        schedule=schedule,
        strategy="random",
        run=run,
        executor="inline",
        **{"epochs": 9, "max_trials": 12, **options},
    )


def list_checkpoints(run: Path) -> set[str]:
    return {path.parent.relative_to(run / "trials").parts[0] for path in run.rglob("checkpoint-*.pt")}


def test_pbt_copies_weights_and_perturbs_settings(tmp_path: Path) -> None:
    run = search(tmp_path / "run", PBT, max_trials=30)
    children = [trial for trial in run.trials if trial.proposal.inherit is not None]
    assert children
    for child in children:
        donor, step = child.proposal.inherit  # type: ignore[misc]
        parent = run.trials[donor]
        assert child.reports[0].step == step + 1
        assert child.reports[0].metrics["loss"] <= parent.metrics_at(step)["loss"], (
            "it continues from the donor's weights"
        )
        assert child.architecture == parent.architecture
    assert {epoch[0] for epoch in EPOCHS if epoch[3]} == {child.id for child in children}
    assert run.best.step == 9
    finished = {f"{trial.id:06d}" for trial in run.trials if trial.status is Status.FINISHED}
    assert list_checkpoints(tmp_path / "run") == finished, "checkpoints of replaced members are deleted"


def train_skill(model: Any, trial: Any) -> None:
    """Report a number that depends on the weights alone."""
    state = trial.restore() or trial.inherited() or {"skill": 0.0}
    for _ in trial.epochs():
        state["skill"] += trial.settings["rate"]
        trial.checkpoint(**state)
        trial.report(skill=state["skill"])


def search_skill(run: Path, workers: int, observer: Any = None) -> og.Run:
    schedule = {"pbt": {"settings": {"rate": [0.1, 1.0]}, "population": 4, "interval": 2, "quantile": 0.5}}
    return og.search(
        space(),
        train_skill,
        objectives=og.Objective("skill", "maximize"),
        schedule=schedule,
        strategy="random",
        epochs=8,
        max_trials=40,
        workers=workers,
        executor="inline" if workers == 1 else "processes",
        run=run,
        **({"observer": observer} if observer else {}),
    )


def check_weights(run: og.Run) -> int:
    """Check that reports follow from the weights that each trial inherited; return the number of these trials."""
    assert not [trial.reason for trial in run.trials if trial.status.failed]
    children = [trial for trial in run.trials if trial.proposal.inherit is not None]
    for child in children:
        donor, step = child.proposal.inherit  # type: ignore[misc]
        expected = run.trials[donor].metrics_at(step)["skill"] + child.proposal.settings["rate"]
        assert child.reports[0].metrics["skill"] == expected
    assert not (run.folder / "inherited").exists() or not list((run.folder / "inherited").iterdir())
    assert not (run.folder / "handed_on").exists()
    return len(children)


def test_members_of_pbt_inherit_from_others_that_train_in_parallel(tmp_path: Path) -> None:
    assert check_weights(search_skill(tmp_path / "run", workers=4)) > 3


def test_a_killed_pbt_continues_with_the_inherited_weights(tmp_path: Path) -> None:
    """It is killed after several of the first events of trials that inherit, and continued."""

    class Killed(BaseException):
        pass

    whole = search_skill(tmp_path / "whole", workers=1)
    remaining = list(range(1, 40, 3))
    count = 0

    def kill(state: Any, event: Any) -> None:
        nonlocal count
        if event is not None and event.trial is not None and state.trials[event.trial].proposal.inherit is not None:
            count += 1
            if remaining and count == remaining[0]:
                remaining.pop(0)
                raise Killed

    run = None
    while run is None:
        with suppress(Killed):
            run = search_skill(tmp_path / "run", 1, kill)
    assert check_weights(run) == check_weights(whole) > 3
    assert [trial.metrics for trial in run.trials] == [trial.metrics for trial in whole.trials]


def make_counting(broken: set[str]) -> Any:
    """Return a train function that counts the epochs of its weights; members of the kinds in `broken` fail."""

    def train(model: Any, trial: Any) -> None:
        state = trial.restore() or trial.inherited() or {"n": 0}
        if ("children" if trial.began else "roots") in broken:
            raise ValueError("broken")
        for _ in trial.epochs():
            state["n"] += 1
            trial.checkpoint(**state)
            trial.report(accuracy=trial.settings["rate"], n=state["n"])

    return train


def search_counting(run: Path, broken: set[str], retry_failed: bool = False) -> og.Run:
    done = og.search(
        space(),
        make_counting(broken),
        objectives="accuracy",
        schedule={"pbt": {"settings": {"rate": [0.1, 1.0]}, "population": 4, "interval": 2, "quantile": 0.25}},
        strategy="random",
        epochs=6,
        max_trials=20,
        max_failed_trials=4,
        executor="inline",
        run=run,
        cache=False,
        retry_failed=retry_failed,
    )
    assert all(trial.metrics["n"] == trial.step for trial in done.trials if trial.reports)
    assert [trial.metrics for trial in og.open_run(run).trials] == [trial.metrics for trial in done.trials]
    return done


def test_a_failed_member_is_repeated_with_its_settings(tmp_path: Path) -> None:
    broken = {"roots"}
    failed = search_counting(tmp_path / "run", broken).trials
    assert len(failed) == 3
    broken.clear()
    run = search_counting(tmp_path / "run", broken, retry_failed=True)
    repeats = run.trials[3:6]
    assert [trial.proposal.settings for trial in repeats] == [trial.proposal.settings for trial in failed]
    assert [(trial.architecture, trial.seed) for trial in repeats] == [(t.architecture, t.seed) for t in failed]
    assert not any(trial.status.failed for trial in run.trials[3:])
    assert run.ended == "the schedule is done"
    assert not any("repeated" in message for message, _ in run.state.warnings)


def test_a_warning_names_failed_trials_that_cannot_be_repeated(tmp_path: Path) -> None:
    broken = {"children"}
    assert "max_failed_trials" in search_counting(tmp_path / "run", broken).ended
    broken.clear()
    run = search_counting(tmp_path / "run", broken, retry_failed=True)
    children = [trial.id for trial in run.trials if trial.status.failed]
    assert len(children) == 4
    assert all(run.trials[number].continues_training for number in children)
    (warning,) = (message for message, _ in run.state.warnings if "repeated" in message)
    assert warning.startswith(
        f"trials {', '.join(map(str, children))}: not repeated, because the failed trials continued"
    )
    assert run.state.total_trials == 20

    def once(model: Any, trial: Any) -> None:
        if trial.id == 2:
            raise ValueError("once")
        make_counting(set())(model, trial)

    options: dict[str, Any] = {
        "objectives": "accuracy",
        "schedule": {"pbt": {"settings": {"rate": [0.1, 1.0]}, "population": 4, "interval": 2}},
        "strategy": "random",
        "epochs": 4,
        "max_trials": 20,
        "executor": "inline",
        "run": tmp_path / "full",
    }
    og.search(space(), once, **options)
    full = og.search(space(), once, retry_failed=True, **options)
    (warning,) = (message for message, _ in full.state.warnings if "repeated" in message)
    assert warning.startswith("trial 2: not repeated, because the schedule has replaced the failed trials by others")


@pytest.mark.parametrize("epoch", ["last", "best"])
def test_pbt_passes_on_the_latest_weights(tmp_path: Path, epoch: str) -> None:
    """Trial 0 is best in the first epoch, NaN in the second (or bad), and bad from then on."""

    def train_fading(model: Any, trial: Any) -> None:
        state = trial.restore() or trial.inherited() or {"of": trial.id}
        for each in trial.epochs():
            faded = float("nan") if epoch == "best" and trial.began + each == 2 else 0.1
            value = 0.5 + state["of"] / 100 if state["of"] else 0.95 if trial.began + each == 1 else faded
            trial.checkpoint(**state)
            trial.report(accuracy=value)

    run = og.search(
        space(),
        train_fading,
        objectives=og.Objective("accuracy", "maximize", epoch=epoch),
        schedule={"pbt": {"settings": {"rate": [0.1, 1]}, "population": 4, "interval": 2, "quantile": 0.25}},
        strategy="random",
        epochs=8,
        max_trials=30,
        executor="inline",
        run=tmp_path / "run",
    )
    assert not any(trial.status.failed for trial in run.trials)
    assert run.trials[0].status is Status.STOPPED
    assert run.trials[0].metrics["accuracy"] == (0.95 if epoch == "best" else 0.1)
    donors = {trial.proposal.inherit[0] for trial in run.trials if trial.proposal.inherit}
    assert donors
    assert 0 not in donors


@pytest.mark.parametrize("loss", [True, False], ids=("reports each epoch", "reports rarely"))
@pytest.mark.parametrize("epoch", ["last", "best"])
def test_a_member_that_inherits_after_the_last_validation_has_the_value_of_the_donor(
    tmp_path: Path, epoch: str, loss: bool
) -> None:
    """Every second of 9 epochs is validated, and members are compared as often, so some inherit at epoch 8."""

    def train_validating(model: Any, trial: Any) -> None:
        trial.restore() or trial.inherited()
        for each in trial.epochs():
            step = trial.began + each
            trial.checkpoint(epoch=step)
            metrics = {"accuracy": trial.settings["rate"] + step} if step % 2 == 0 else {}
            if metrics or loss:
                trial.report(**metrics, **({"loss": 1 / step} if loss else {}))

    run = og.search(
        space(),
        train_validating,
        objectives=og.Objective("accuracy", "maximize", epoch=epoch),
        schedule={"pbt": {"settings": {"rate": [0.1, 1]}, "population": 6, "interval": 2}},
        strategy="random",
        epochs=9,
        max_trials=40,
        executor="inline",
        run=tmp_path / "run",
    )
    assert not any(trial.status.failed for trial in run.trials)
    assert run.ended == "the schedule is done"
    late = [trial for trial in run.trials if trial.step_offset == 8]
    assert late
    for trial in late:
        donor, step = trial.proposal.inherit  # type: ignore[misc]
        assert trial.metrics["accuracy"] == run.trials[donor].metrics_at(step)["accuracy"]
        assert trial.status is Status.FINISHED
        saved = find_value_checkpoint(get_trial_folder(run.folder, trial))
        assert saved is not None
        assert load_checkpoint(saved.path)["epoch"] == 9
    assert [trial.metrics for trial in og.open_run(run.folder).trials] == [trial.metrics for trial in run.trials]
    warnings = [
        message for message, _ in run.state.warnings if "accuracy was not reported by a trial that continues" in message
    ]
    assert len(warnings) == 1


def test_a_fidelity_that_cannot_be_continued_starts_again(tmp_path: Path) -> None:
    schedule = {"successive_halving": {"trials": 9, "fidelities": {"data_fraction": 0.25}}}
    run = search(tmp_path / "run", schedule, ("data_fraction",), max_trials=9)
    best = max(run.trials, key=lambda trial: trial.step)
    assert [report.step for report in best.reports] == list(range(1, 14))
    epochs = [(epoch, fraction) for number, epoch, fraction, _ in EPOCHS if number == best.id]
    assert epochs == [(1, 0.25), *((e, 0.5) for e in (1, 2, 3)), *((e, 1.0) for e in range(1, 10))]
    assert list_checkpoints(tmp_path / "run") == {f"{best.id:06d}"}


def test_a_promoted_trial_repeats_no_epoch(tmp_path: Path) -> None:
    search(tmp_path / "run", "hyperband", max_trials=20)
    epochs = [(number, epoch) for number, epoch, _, _ in EPOCHS]
    assert len(epochs) == len(set(epochs))


def train_without_checkpoint(model: nn.Module, trial: Any) -> None:
    for epoch in trial.epochs():
        trial.report(loss=1.0 / (epoch + trial.id))


def train_own_loop(model: nn.Module, trial: Any) -> None:
    for epoch in range(1, 10):
        trial.report(loss=1.0 / (epoch + trial.id))


def train_without_restore(model: nn.Module, trial: Any) -> None:
    for epoch in trial.epochs():
        trial.checkpoint(model=model.state_dict())
        trial.report(loss=1.0 / (epoch + trial.id))


@pytest.mark.parametrize(
    ("function", "schedule", "words"),
    [
        (
            train_without_checkpoint,
            "asha",
            "because the train function writes no checkpoint: call trial.restore() first",
        ),
        (train_own_loop, "asha", "writes no checkpoint"),
        (
            train_without_restore,
            "hyperband",
            "because the train function does not call trial.restore(), although it writes",
        ),
        (
            train_without_restore,
            PBT,
            "because the train function does not call trial.inherited(): state = trial.restore() or",
        ),
        (train_without_checkpoint, "median", ""),
        (train, "asha", ""),
        (train, PBT, ""),
    ],
)
def test_a_train_function_that_cannot_continue_gives_one_warning(
    tmp_path: Path, function: Any, schedule: Any, words: str
) -> None:
    run = og.search(
        space(),
        function,
        objectives="loss",
        schedule=schedule,
        strategy="random",
        epochs=9,
        max_trials=12,
        executor="inline",
        run=tmp_path / "run",
    )
    continued = [trial for trial in run.trials if trial.attempts > 1 or trial.proposal.inherit is not None]
    assert len(continued) > 1 or schedule == "median"
    warnings = [message for message, _ in run.state.warnings if not message.startswith(UNSAVED_PREFIX)]
    assert len(warnings) == len(set(warnings))
    assert any(words in message for message in warnings) == bool(words), warnings


def test_a_continued_run_deletes_checkpoints_that_a_killed_session_left(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(state: Any, event: Any) -> None:
        if event is not None and event.kind is Kind.STOPPED:
            raise Killed

    schedule = {"asha": {"variant": "stopping"}}
    with pytest.raises(Killed):
        search(tmp_path / "run", schedule, observer=kill)
    (stopped,) = (t for t in og.open_run(tmp_path / "run").trials if t.status is Status.STOPPED)
    assert f"{stopped.id:06d}" in list_checkpoints(tmp_path / "run")
    run = search(tmp_path / "run", schedule)
    finished = {f"{trial.id:06d}" for trial in run.trials if trial.status is Status.FINISHED}
    assert list_checkpoints(tmp_path / "run") == finished


@pytest.mark.parametrize("schedule", ["asha", "pasha", "hyperband", "successive_halving", "median", "curve"])
def test_unneeded_checkpoints_are_deleted_at_once(tmp_path: Path, schedule: str) -> None:
    """Running, paused and finished trials have one checkpoint; stopped and dropped trials have none."""
    ended: set[int] = set()
    largest = 0

    def watch(state: Any, event: Any) -> None:
        nonlocal largest
        # At other events a stopped trial may still be in its worker.
        if event is None or event.kind is not Kind.PROPOSED:
            return
        files = [path.parent.name for path in (tmp_path / "run").rglob("checkpoint-*.pt")]
        assert len(files) == len(set(files)), "a trial has one checkpoint"
        assert not ended & set(map(int, files))
        largest = max(largest, len(files))
        trials = list(state.trials.values())
        ended.update(trial.id for trial in trials if trial.status.ended and trial.status is not Status.FINISHED)

    search(tmp_path / "run", schedule, max_trials=20, observer=watch)
    assert 0 < largest <= 20
    assert ended or schedule in ("asha", "pasha")


def test_a_fidelity_that_the_estimator_does_not_support_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"'resolution', which the estimator does not support \(it supports epochs\)"):
        search(tmp_path / "run", {"asha": {"fidelities": {"resolution": 0.5}}})
    assert not (tmp_path / "run").exists()
