"""Invalid reports and unreadable checkpoints fail their own trial only, and lose no report."""

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
    "twice": "trial.report() was called twice in epoch 2; report all metrics of an epoch in one call",
    "out_of_order": "trial.epochs() was called after trial.report(); call trial.report() only inside",
    "nothing": "loss was never reported; what was: nothing; a train function calls trial.report(loss=...)",
    "something_else": "loss was never reported; what was: accuracy; a train function calls trial.report(loss=...)",
    "empty": "trial.report() was called without metrics",
    "text": "metric 'loss' is a str, but must be a single number",
}


def train(model: dict[str, str], trial: Any) -> None:
    fault = model["fault"]
    if fault == "nothing":
        return
    if fault == "out_of_order":
        trial.report(loss=1.0)
    for epoch in trial.epochs():
        if fault == "empty":
            trial.report()
        trial.report(**{"accuracy" if fault == "something_else" else "loss": "0.5" if fault == "text" else 1 / epoch})
        if fault == "twice" and epoch == 2:
            trial.report(loss=0.0)


def test_each_invalid_report_is_a_failed_trial_with_reason_and_remedy(tmp_path: Path) -> None:
    run = og.search(
        og.Space(og.layer(dict, fault=og.one_of(*FAULTS, "good"))),
        train,
        objectives="loss",
        strategy={"grid": {"order": "lexicographic"}},
        epochs=3,
        max_trials=len(FAULTS) + 1,
        max_failed_trials=99,
        executor="inline",
        run=tmp_path / "run",
    )
    trials = {str(trial.architecture["fault"]): trial for trial in run.trials}
    for fault, message in FAULTS.items():
        assert trials[fault].status in (Status.ERROR, Status.MISSING_METRIC), fault
        assert message in trials[fault].reason, trials[fault].reason
    assert [report.step for report in trials["twice"].reports] == [1, 2], "earlier reports are kept"
    assert trials["good"].status is Status.FINISHED
    assert run.best.id == trials["good"].id


class DamageCheckpoints:
    """An observer that damages the checkpoints of paused trials: it truncates one, and replaces the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paused = 0
        self.faults: dict[int, str] = {}

    def __call__(self, state: State, event: Event | None) -> None:
        if event is None or event.kind is not Kind.PAUSED:
            return
        assert event.trial is not None
        (path,) = (self.folder / f"trials/{event.trial:06d}").glob("checkpoint-1.pt")
        fault = ("truncated", "replaced", "intact")[self.paused % 3]
        self.paused += 1
        if fault == "replaced":
            torch.save({"model": nn.Linear(2, 2).state_dict(), "optimizer": {}}, path)
        elif fault == "truncated":
            path.write_bytes(path.read_bytes()[:-100])
        self.faults[event.trial] = fault


def test_unreadable_checkpoints_fail_their_own_trials_only(tmp_path: Path) -> None:
    damage = DamageCheckpoints(tmp_path / "run")
    run = og.search(
        og.zoo.chain(channels=(4, 6), kernels=(3,), depth=(2, 3)),
        og.estimate.classifier(og.task.classification("digits", test=500, validation=200, train=100), epochs=2),
        strategy="random",
        schedule={"asha": {"eta": 2}},
        max_trials=8,
        max_failed_trials=99,
        cache=False,
        executor="inline",
        observer=damage,
        run=tmp_path / "run",
    )
    failed = [trial for trial in run.trials if trial.status is Status.ERROR]
    messages = {
        "truncated": "checkpoint-1.pt: the checkpoint cannot be read",
        "replaced": "does not fit this model (RuntimeError",
    }
    for trial in failed:
        assert messages[damage.faults[trial.id]] in trial.reason
        assert "Restore the" in trial.reason or "restore the" in trial.reason
        assert [report.step for report in trial.reports] == [1], "earlier reports are kept"
    assert {damage.faults[trial.id] for trial in failed} == {"truncated", "replaced"}
    assert all(damage.faults[trial.id] == "intact" for trial in run.trials if trial.status is Status.FINISHED)
    assert run.best.status is Status.FINISHED
