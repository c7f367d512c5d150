"""Every schedule keeps the contract; and the suite notices those that do not."""

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
        lambda objectives, rest: schedules.create(name, objectives=objectives, constraints=rest, epochs=9, **options)
    )


def test_full_without_epochs_conforms() -> None:
    check_schedule(Full)


class Halving(ASHA):
    """A base for broken schedules."""

    def __init__(self, objectives: Any, constraints: Any) -> None:
        super().__init__(objectives, constraints, epochs=9, eta=2)


class CountsQuestions(Halving):
    asked = 0

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        self.asked += 1
        job = super().next_job(rng, may_start)
        return Start(job.fidelity, {"asked": self.asked}) if isinstance(job, Start) else job


class RecordsPromotionWhenAsked(Halving):
    """The promotion is lost when a run is resumed, and a second question promotes the next one."""

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        job = super().next_job(rng, may_start)
        if isinstance(job, Resume):
            super().on_job(Trial(job.trial, None), job)  # type: ignore[arg-type]
        return job


class ForgetsPromotions(Halving):
    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        pass


class PromotesTheDead(Halving):
    def on_end(self, trial: Trial) -> None:
        self.rungs[0].remove(trial.id)
        self.rungs[0]._gone_on.discard(trial.id)
        self.rungs[0].add(trial.id, trial.metrics or {"accuracy": 1.0})


class PausesWithoutRung(Halving):
    """Pauses below the top, at every report: promoted trials never get to their rung, and are not resumed."""

    def on_report(self, trial: Trial, report: Report) -> Action:
        super().on_report(trial, report)
        return Action.PAUSE

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        job = super().next_job(rng, may_start)
        return Resume(job.trial, {"epochs": 1}) if isinstance(job, Resume) else job


class WaitsForTheDead(Full):
    """Starts four trials at a time and waits until all have reported."""

    def __init__(self, objectives: Any, constraints: Any) -> None:
        super().__init__(objectives, constraints, epochs=3)
        self.started: set[int] = set()
        self.reported: set[int] = set()

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        full = len(self.started) % 4 == 0 and len(self.reported) < len(self.started)
        return Wait() if full else super().next_job(rng, may_start)

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
    draws = True

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start({"epochs": 1 + hash(str(rng.random())) % 8})


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (CountsQuestions, "next job has no side effects"),
        (RecordsPromotionWhenAsked, "next job has no side effects"),
        (ForgetsPromotions, "jobs are valid"),
        (PromotesTheDead, "jobs are valid"),
        (PausesWithoutRung, "jobs are valid"),
        (WaitsForTheDead, "jobs are valid"),
        (OwnRandomNumbers, "next job is deterministic"),
        (HashOrder, "another process agrees"),
    ],
)
def test_the_suite_names_the_rule_that_is_broken(broken: type[Schedule], rule: str) -> None:
    with pytest.raises(AssertionError, match=f"rule '{rule}' is broken"):
        check_schedule(broken)
