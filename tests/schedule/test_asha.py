"""ASHA compared with the paper's pseudocode, and with the sizes of successive halving."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ogive import schedule as schedules
from ogive.errors import JobError
from ogive.objective import Constraint, Objective, rank_costs, rank_metrics
from ogive.schedule import Action, Job, Resume, Schedule, Start
from ogive.schedule.asha import ASHA
from ogive.schedule.ladder import list_rung_epochs
from ogive.schedule.rung import Rung
from ogive.testing.episodes import PROBLEMS, EpisodeProblem
from ogive.testing.spaces import tiny
from ogive.testing.workers import SCENARIOS, ControllerLog, Scenario, SimulatedController, TrialBehavior
from ogive.trial import Report, Trial

ACCURACY = (Objective("accuracy"),)


class PaperASHA(Schedule):
    """Algorithm 2 of Li et al. (2020), written out with sets that are sorted at each call."""

    def __init__(self, problem: EpisodeProblem, lowest: int, highest: int, eta: int) -> None:
        self.problem, self.epochs, self.eta = problem, list_rung_epochs(lowest, highest, eta), eta
        self.rungs: list[dict[int, dict[str, float]]] = [{} for _ in self.epochs]
        self.promoted: list[set[int]] = [set() for _ in self.epochs]

    def top_k(self, rung: dict[int, dict[str, float]], k: int) -> list[int]:
        order = rank_metrics(list(rung.values()), self.problem.objectives, self.problem.constraints)
        valued = {i: all(np.isfinite(m[o.metric]) for o in self.problem.objectives) for i, m in rung.items()}
        return [i for _, i in sorted(zip(order, rung, strict=True))[:k] if valued[i]]

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        for k in range(len(self.epochs) - 2, -1, -1):
            candidates = self.top_k(self.rungs[k], len(self.rungs[k]) // self.eta)
            promotable = [t for t in candidates if t not in self.promoted[k]]
            if promotable:
                return Resume(promotable[0], {"epochs": self.epochs[k + 1]})
        return Start({"epochs": self.epochs[0]})

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            self.promoted[self.epochs.index(int(job.until["epochs"])) - 1].add(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        if report.step not in self.epochs[:-1]:
            return Action.CONTINUE
        self.rungs[self.epochs.index(report.step)][trial.id] = dict(report.metrics)
        return Action.PAUSE

    def on_end(self, trial: Trial) -> None:
        if trial.ended_by_itself:  # not in the paper: its value counts on the rungs of its job, too
            for level, rung in zip(self.epochs[:-1], self.rungs, strict=False):
                if trial.step < level <= trial.target_step:
                    rung[trial.id] = dict(trial.metrics)
        for rung, promoted in zip(self.rungs, self.promoted, strict=True):
            promoted.add(trial.id)
            if trial.status.failed:
                rung.pop(trial.id, None)


def run(schedule: Schedule, world: Scenario, trials: int, workers: int = 4) -> ControllerLog:
    return SimulatedController(schedule, world, tiny(), trials, workers).run()


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("world", SCENARIOS)
def test_asha_decides_like_the_pseudocode_of_the_paper(problem: str, world: str) -> None:
    episode = PROBLEMS[problem]
    schedule = ASHA(episode.objectives, episode.constraints, epochs=20, eta=3, capped=False)
    log, expected = run(schedule, SCENARIOS[world], 90), run(PaperASHA(episode, 1, 20, 3), SCENARIOS[world], 90)
    assert log.text() == expected.text()
    if world == "good":
        assert any(isinstance(job, Resume) for _, job in log.jobs)


def count_reached(log: ControllerLog, level: int) -> int:
    return sum(trial.step >= level for trial in log.trials.values())


@pytest.mark.parametrize(
    ("trials", "epochs", "eta", "counts"),
    [(100, 64, 2, [100, 50, 25, 12, 6, 3, 1]), (81, 81, 3, [81, 27, 9, 3, 1])],
)
def test_asha_has_the_sizes_of_successive_halving_if_no_later_trial_is_better(
    trials: int, epochs: int, eta: int, counts: list[int]
) -> None:
    """The second row is the first bracket of Hyperband with R = 81 (Li et al. 2018, table 1)."""
    log = run(ASHA(ACCURACY, epochs=epochs, eta=eta), SCENARIOS["equal"], trials)
    assert [count_reached(log, level) for level in list_rung_epochs(1, epochs, eta)] == counts


def test_later_trials_that_are_better_are_promoted_beyond_these_sizes() -> None:
    log = run(ASHA(ACCURACY, epochs=9, capped=False), lambda number: TrialBehavior(lambda epoch: number / 100), 81)
    # Each trial is the best when it reports, but the first two report before there are three trials.
    assert count_reached(log, 3) == 79
    assert count_reached(log, 9) > 9


def test_failed_trials_leave_their_rungs() -> None:
    """Of six trials the two best are promoted. When one of them fails, the third is not in the top third of five."""
    schedule = ASHA(ACCURACY, epochs=3)
    world = [0.9, 0.8, 0.7, 0.1, 0.1, 0.1]
    log = run(
        schedule, lambda i: replace(TrialBehavior(lambda epoch: world[i]), fails_at=2 if i == 0 else None), 6, workers=6
    )
    assert Counter(str(trial.status) for trial in log.trials.values()) == {"error": 1, "finished": 1, "paused": 4}


def test_a_large_rung_with_several_objectives_promotes_from_its_top() -> None:
    objectives = (Objective("accuracy"), Objective("loss"))
    rung, rng, promoted = Rung(objectives), np.random.default_rng(0), []
    rows = rng.random((1500, 2))
    for number, (accuracy, loss) in enumerate(rows):
        rung.add(number, {"accuracy": accuracy, "loss": loss})
        while (promotable := rung.find_promotable(4)) is not None:
            rung.promote(promotable)
            promoted.append(promotable)
    positions = np.argsort(np.argsort(rank_costs(rows * [-1, 1]), kind="stable"))
    top = set(np.flatnonzero(positions < len(rows) * 0.24))
    assert top - set(promoted) <= set(range(1480, 1500)), "only trials after the last sorting may be missing"


def test_a_report_beyond_a_rung_counts_on_it() -> None:
    """A train function that reports every second epoch pauses at the first report past the rung."""
    schedule = ASHA(ACCURACY, epochs=9)
    trial = Trial(0, None, reports=(Report(2, {"accuracy": 0.5}),))  # type: ignore[arg-type]
    assert schedule.on_report(trial, trial.reports[-1]) is Action.PAUSE


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "give epochs, or its option max_epochs"),
        ({"epochs": 9, "eta": 1}, "eta is 1, but must be a whole number of at least 2"),
        (
            {"epochs": 9, "min_epochs": 9},
            "min_epochs and max_epochs are both 9; with one rung, every trial is trained in full",
        ),
        ({"epochs": 9, "max_epochs": 1}, "give max_epochs above 1, or use schedule 'full'"),
        ({"epochs": 9, "min_epochs": 10}, "min_epochs is 10, but must be at most max_epochs, which is 9"),
        ({"epochs": 9, "max_epochs": 27}, "max_epochs is 27, but must be at most the 9 epochs"),
        ({"epochs": 9, "reduction": 3}, "has no option 'reduction'; its options: 'min_epochs', 'max_epochs', 'eta'"),
        ({"epochs": 9, "max_epoch": 3}, r"no option 'max_epoch' \(did you mean 'max_epochs'\?\)"),
    ],
)
def test_errors_name_the_invalid_option(options: dict[str, int], text: str) -> None:
    with pytest.raises(JobError, match=text):
        schedules.create("asha", objectives="accuracy", **options)


def test_an_unknown_schedule_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(
        JobError, match=r"no schedule 'ahsa' \(did you mean 'asha'\?\); registered names: 'asha', 'curve'"
    ):
        schedules.create("ahsa")


@pytest.mark.parametrize("name", ["asha", "pasha", "successive_halving", "hyperband"])
def test_a_short_phase_of_one_epoch_keeps_its_schedule(name: str) -> None:
    job = schedules.create(name, objectives="accuracy", epochs=1).next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.fidelity == {"epochs": 1}


def test_rungs_end_at_the_maximum() -> None:
    assert list_rung_epochs(1, 50, 3) == (1, 3, 9, 27, 50)
    assert list_rung_epochs(1, 81, 3) == (1, 3, 9, 27, 81)
    assert list_rung_epochs(2, 2, 3) == (2,)
    assert list_rung_epochs(12, 200, 16) == (12, 200), "192 is too close to 200"
    assert list_rung_epochs(1, 10, 3) == (1, 3, 10)
    assert list_rung_epochs(9, 10, 3) == (9, 10)


def test_trials_that_satisfy_the_constraints_come_first() -> None:
    rung = Rung(ACCURACY, (Constraint("latency", at_most=10),))
    for number, (accuracy, latency) in enumerate([(0.9, 20), (0.5, 9), (0.8, 11)]):
        rung.add(number, {"accuracy": accuracy, "latency": latency})
    assert rung.find_promotable(3) == 1
