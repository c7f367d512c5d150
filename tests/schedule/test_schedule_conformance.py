"""All schedules pass the conformance suite, and broken ones fail it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ogive import schedule as schedules
from ogive.schedule import Action, Job, Resume, Schedule, Start, Wait
from ogive.schedule.asha import ASHA
from ogive.schedule.full import Full
from ogive.testing.schedules import check_schedule
from ogive.trial import Report, Trial

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "asha": [
        {},
        {"eta": 2, "capped": False},
        {"grace": 6},
        {"variant": "stopping"},
        {"fidelities": {"data_fraction": 0.1}},
    ],
    "curve": [{}, {"model": "parametric", "min_epochs": 5}, {"model": "learned", "min_trials": 1}],
    "hyperband": [{}, {"overlap": False}, {"fidelities": {"resolution": 0.25}, "min_epochs": 9}],
    "successive_halving": [{}, {"trials": 12, "eta": 2}],
    "pbt": [{"settings": {"learning_rate": [0.001, 0.1]}, "population": 6, "interval": 2}],
    "progressive_dynamic_hurdles": [{"models": 5}],
}
CASES = [(name, options) for name in schedules.names() for options in OPTIONS.get(name, [{}])]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_every_registered_schedule_conforms(name: str, options: dict[str, Any]) -> None:
    check_schedule(
        lambda objectives, constraints: schedules.create(
            name, objectives=objectives, constraints=constraints, epochs=9, **options
        )
    )


def test_full_without_epochs_conforms() -> None:
    check_schedule(Full)


class Halving(ASHA):
    """The base of some broken schedules."""

    def __init__(self, objectives: Any, constraints: Any) -> None:
        super().__init__(objectives, constraints, epochs=9, eta=2)


class CountsCalls(Halving):
    """`next_job` changes its own later results."""

    calls = 0

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        self.calls += 1
        job = super().next_job(rng, may_start)
        return Start(job.fidelity, {"calls": self.calls}) if isinstance(job, Start) else job


class RecordsPromotionTooEarly(Halving):
    """`next_job` records the promotion: a continued run does not know it, and a second call promotes another trial."""

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        job = super().next_job(rng, may_start)
        if isinstance(job, Resume):
            super().on_job(Trial(job.trial, None), job)  # type: ignore[arg-type]
        return job


class ForgetsPromotions(Halving):
    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        pass


class PromotesFailedTrials(Halving):
    def on_end(self, trial: Trial) -> None:
        self.rungs[0].remove(trial.id)
        self.rungs[0]._not_waiting.discard(trial.id)
        self.rungs[0].add(trial.id, trial.metrics or {"accuracy": 1.0})


class PausesWithoutRung(Halving):
    """Pauses at every report, and resumes trials at the fidelity that they have already."""

    def on_report(self, trial: Trial, report: Report) -> Action:
        super().on_report(trial, report)
        return Action.PAUSE

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        job = super().next_job(rng, may_start)
        return Resume(job.trial, {"epochs": 1}) if isinstance(job, Resume) else job


class WaitsForFailedTrials(Full):
    """Starts four trials at a time and waits until all have reported, also for those that failed."""

    def __init__(self, objectives: Any, constraints: Any) -> None:
        super().__init__(objectives, constraints, epochs=3)
        self.started: set[int] = set()
        self.reported: set[int] = set()

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        is_waiting = len(self.started) % 4 == 0 and len(self.reported) < len(self.started)
        return Wait() if is_waiting else super().next_job(rng, may_start)

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        self.started.add(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        self.reported.add(trial.id)
        return super().on_report(trial, report)


class OwnRandomNumbers(Full):
    def __init__(self, objectives: Any, constraints: Any) -> None:
        super().__init__(objectives, constraints)

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start({"epochs": int(np.random.default_rng().integers(1, 9))})


class HashOrder(OwnRandomNumbers):
    uses_rng = True

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start({"epochs": 1 + hash(str(rng.random())) % 8})


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (CountsCalls, "next job has no side effects"),
        (RecordsPromotionTooEarly, "next job has no side effects"),
        (ForgetsPromotions, "jobs are valid"),
        (PromotesFailedTrials, "jobs are valid"),
        (PausesWithoutRung, "jobs are valid"),
        (WaitsForFailedTrials, "jobs are valid"),
        (OwnRandomNumbers, "next job is deterministic"),
        (HashOrder, "another process agrees"),
    ],
)
def test_the_suite_names_the_broken_rule(broken: type[Schedule], rule: str) -> None:
    with pytest.raises(AssertionError, match=f"rule '{rule}' is broken"):
        check_schedule(broken)
