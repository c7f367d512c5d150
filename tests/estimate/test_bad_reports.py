"""Train functions that report wrongly, and checkpoints that cannot be read: one failed trial each, and nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

import ogive as og
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.trial import Status

FAULTS = {
    "twice": "trial.report() was called twice in epoch 2; give all metrics of an epoch in one report",
    "out_of_order": "trial.epochs() came after trial.report(); report inside `for epoch in trial.epochs():` only",
    "nothing": "loss was never reported, nor was any other metric; call trial.report(loss=...) in each epoch",
    "something_else": "loss was never reported, only accuracy was; call trial.report(loss=...) in each epoch",
    "empty": "trial.report() was called without metrics",
    "text": "metric 'loss' is a str, but must be one number",
}


def train(model: dict[str, str], trial: Any) -> None:
    deed = model["deed"]
    if deed == "nothing":
        return
    if deed == "out_of_order":
        trial.report(loss=1.0)
    for epoch in trial.epochs():
        if deed == "empty":
            trial.report()
        trial.report(**{"accuracy" if deed == "something_else" else "loss": "0.5" if deed == "text" else 1 / epoch})
        if deed == "twice" and epoch == 2:
            trial.report(loss=0.0)


def test_each_way_to_report_wrongly_is_one_failed_trial_with_its_reason_and_remedy(tmp_path: Path) -> None:
    run = og.search(
        og.Space(og.layer(dict, deed=og.one_of(*FAULTS, "good"))),
        train,
        objectives="loss",
        strategy={"grid": {"order": "lexicographic"}},
        epochs=3,
        max_trials=len(FAULTS) + 1,
        max_failed_trials=99,
        executor="inline",
        run=tmp_path / "run",
    )
    trials = {str(trial.architecture["deed"]): trial for trial in run.trials}
    for deed, words in FAULTS.items():
        assert trials[deed].status in (Status.ERROR, Status.MISSING_METRIC), deed
        assert words in trials[deed].reason, trials[deed].reason
    assert [report.step for report in trials["twice"].reports] == [1, 2], "what was reported is kept"
    assert trials["good"].status is Status.FINISHED
    assert run.best.id == trials["good"].id


class Vandal:
    """Damages checkpoints of trials that are paused: cuts one short, puts another model's weights into the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paused = 0
        self.done: dict[int, str] = {}

    def __call__(self, state: State, event: Event | None) -> None:
        if event is None or event.kind is not Kind.PAUSED:
            return
        assert event.trial is not None
        (path,) = (self.folder / f"trials/{event.trial:06d}").glob("checkpoint-1.pt")
        deed = ("cut", "other", "spared")[self.paused % 3]
        self.paused += 1
        if deed == "other":
            torch.save({"model": nn.Linear(2, 2).state_dict(), "optimizer": {}}, path)
        elif deed == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        self.done[event.trial] = deed


def test_checkpoints_that_cannot_be_read_fail_their_trials_alone(tmp_path: Path) -> None:
    vandal = Vandal(tmp_path / "run")
    run = og.search(
        og.zoo.chain(channels=(4, 6), kernels=(3,), depth=(2, 3)),
        og.estimate.classifier(og.task.classification("digits", test=500, validation=200, train=100), epochs=2),
        strategy="random",
        schedule={"asha": {"eta": 2}},
        max_trials=8,
        max_failed_trials=99,
        cache=False,
        executor="inline",
        observer=vandal,
        run=tmp_path / "run",
    )
    failed = [trial for trial in run.trials if trial.status is Status.ERROR]
    words = {"cut": "checkpoint-1.pt: the checkpoint cannot be read", "other": "is not of this model (RuntimeError"}
    for trial in failed:
        assert words[vandal.done[trial.id]] in trial.reason
        assert "put the" in trial.reason
        assert [report.step for report in trial.reports] == [1], "what was reported is kept"
    assert {vandal.done[trial.id] for trial in failed} == {"cut", "other"}
    assert all(vandal.done[trial.id] == "spared" for trial in run.trials if trial.status is Status.FINISHED)
    assert run.best.status is Status.FINISHED
