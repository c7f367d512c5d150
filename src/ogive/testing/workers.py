"""Workers, trials and a clock in memory: the material of `check_schedule`.

The simulated controller does what the contract in `ogive.schedule.base` says and asserts that the schedule's answers
allow it. What becomes of a trial (durations, metrics, failures) is a function of its number.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ogive.schedule.base import Action, Done, Drop, Job, Resume, Schedule, Start, Wait
from ogive.seeds import generator
from ogive.space import Space
from ogive.testing.episodes import FAILURES
from ogive.testing.episodes import describe as proposal_text
from ogive.testing.rules import assert_that
from ogive.trial import Fidelity, Proposal, Report, Status, Trial, TrialId

MAX_EVENTS = 20_000


@dataclass(frozen=True)
class Fate:
    """What becomes of a trial.

    Attributes:
        accuracy: at each epoch, as a function of it; loss is 1 - accuracy, the other metrics are constant.
        fails: at which epoch it fails instead of reporting, if ever.
        returns: after which epoch its train function returns, whatever it was asked for, if ever.
        every: it reports the objectives in each of so many epochs only, and "train_loss" alone in the others.
    """

    accuracy: Callable[[int], float]
    latency: float = 0.5
    parameters: float = 0.5
    seconds: float = 1.0
    fails: int | None = None
    returns: int | None = None
    every: int = 1

    def metrics(self, epoch: int) -> dict[str, float]:
        if epoch % self.every:
            return {"train_loss": 1 / epoch}
        value = self.accuracy(epoch)
        constant = {"latency": self.latency, "parameters": self.parameters, "memory": self.latency * self.parameters}
        return {"accuracy": value, "loss": 1 - value, **constant}


World = Callable[[TrialId], Fate]


def good(number: TrialId) -> Fate:
    """Every trial works; no two are equally good, and the order changes with the epochs."""
    quality, speed, latency, parameters, seconds = generator(1, "fate", number).random(5)
    return Fate(lambda epoch: quality * (1 - math.exp(-epoch * speed)), latency, parameters, 0.1 + seconds)


def stormy(number: TrialId) -> Fate:
    """Ties, NaN, failures of every kind early and late, trials that return early."""
    fate = replace(good(number), accuracy=lambda epoch: number % 5 / 5)
    if number % 6 == 1:
        return replace(fate, fails=1 + number % 4)
    if number % 6 == 3:
        return replace(fate, returns=1 + number % 3)
    return replace(fate, accuracy=lambda epoch: math.nan) if number % 6 == 5 else fate


def hopeless(number: TrialId) -> Fate:
    """Every trial fails before it reports."""
    return replace(good(number), fails=1)


def level(number: TrialId) -> Fate:
    """All trials are equally good, at every epoch."""
    return Fate(lambda epoch: 0.5)


def sparse(number: TrialId) -> Fate:
    """The objectives are reported in every third epoch; some trials fail, or return early, before or after that."""
    fate = replace(good(number), every=3)
    if number % 5 == 1:
        return replace(fate, fails=2 + number % 3)
    return replace(fate, returns=3 + number % 2) if number % 5 == 3 else fate


WORLDS: Mapping[str, World] = {"good": good, "stormy": stormy, "hopeless": hopeless, "level": level, "sparse": sparse}


@dataclass
class Log:
    """What happened: the calls of the `on_` methods; for every job how many of them came before, and its `may_start`."""

    calls: list[tuple[str, Trial, Any]] = field(default_factory=list)
    jobs: list[tuple[int, Job]] = field(default_factory=list)
    may_start: list[bool] = field(default_factory=list)
    trials: dict[TrialId, Trial] = field(default_factory=dict)

    def text(self) -> list[str]:
        return [describe(job) for _, job in self.jobs]


def describe(job: Job) -> str:
    """A job as text, equal for equal jobs."""
    if isinstance(job, Start):
        given = f" {proposal_text(job.proposal)}" if job.proposal else ""
        parts = [dict(job.fidelity), dict(job.note), dict(job.settings)]
        return f"Start {json.dumps(parts, sort_keys=True, allow_nan=False)}{_again(job)}{given}"
    if isinstance(job, Resume):
        return f"Resume {job.trial} {json.dumps(dict(job.until), sort_keys=True)}{_again(job)}"
    if isinstance(job, Drop):
        return f"Drop {job.trial}: {job.reason}"
    return type(job).__name__


def _again(job: Start | Resume) -> str:
    return f" from step {job.began}" if job.began else ""


class Workers:
    """A controller with simulated workers, for one schedule."""

    def __init__(
        self,
        schedule: Schedule,
        world: World,
        space: Space,
        trials: int,
        workers: int,
        before_job: Callable[[Schedule], None] = lambda schedule: None,
    ) -> None:
        self.schedule, self.world, self.space = schedule, world, space
        self.max_trials, self.idle, self.before_job = trials, workers, before_job
        self.log = Log()
        self.repeats: list[Proposal] = []
        self.events: list[tuple[float, TrialId]] = []  # (time, trial): the next epoch of a running trial is over
        self.now = 0.0

    def run(self) -> Log:
        """Work until nothing runs and the schedule starts and resumes nothing."""
        for _ in range(MAX_EVENTS):
            while self.idle and self.give_job():
                pass
            if not self.events:
                return self.log
            self.now, number = heapq.heappop(self.events)
            self.epoch(self.log.trials[number])
        raise AssertionError(f"the search of {self.max_trials} trials is not over after {MAX_EVENTS} epochs")

    def go_on(self, schedule: Schedule) -> Log:
        """Go on in a new session, with a new `schedule`: what failed is proposed again, beyond the trials so far."""
        for method, trial, argument in self.log.calls:
            call(schedule, method, trial, argument)
        failed = [trial for trial in self.log.trials.values() if trial.status.failed and not trial.goes_on]
        self.schedule, self.repeats = schedule, [trial.proposal for trial in failed]
        self.max_trials = len(self.log.trials) + len(failed)
        return self.run()

    def give_job(self) -> bool:
        """Ask for a job for an idle worker; False if there is none now."""
        self.before_job(self.schedule)
        may_start = len(self.log.trials) < self.max_trials
        job = self.schedule.next_job(generator(0, "job", len(self.log.calls)), may_start)
        self.log.jobs.append((len(self.log.calls), job))
        self.log.may_start.append(may_start)
        trials = self.log.trials
        if isinstance(job, Start):
            if len(trials) >= self.max_trials:
                return False  # refused
            number = len(trials)
            proposal = job.proposal or (self.repeats.pop(0) if self.repeats else self._proposal(number, job))
            proposal = replace(proposal, note={"schedule": dict(job.note)})
            self._work(Trial(number, proposal, job.fidelity, status=Status.RUNNING, began=job.began), job)
            return True
        if isinstance(job, (Resume, Drop)):
            trial = trials.get(job.trial)
            if trial is None or trial.status is not Status.PAUSED:
                raise AssertionError(
                    f"{describe(job)}: the trial is {trial.status if trial else 'unknown'}, not paused"
                )
            if isinstance(job, Drop):
                self._call("on_end", replace(trial, status=Status.STOPPED), None)
                return True
            resumed = replace(trial, fidelity=job.until, began=job.began, status=Status.RUNNING)
            if self.world(trial.id).every > 1 and resumed.until <= trial.step:
                # It went further before it had a value: its last report answers this job, and no worker has it.
                self._call("on_job", resumed, job)
                self.idle -= 1
                self._answer(resumed, self._call("on_report", resumed, resumed.reports[-1]))
                return True
            assert_that(resumed.until > trial.step, f"{describe(job)}: the trial has done {trial.step} steps already")
            self._work(resumed, job)
            return True
        if isinstance(job, Wait):
            assert_that(bool(self.events) or not may_start, "Wait, while no trial runs: it waits for the dead")
        if isinstance(job, Done):
            self.max_trials = 0
        return False

    def _proposal(self, number: TrialId, job: Start) -> Proposal:
        return Proposal(self.space.sample(generator(0, "trial", number)), settings=job.settings)

    def _work(self, trial: Trial, job: Start | Resume) -> None:
        self.idle -= 1
        self._call("on_job", trial, job)
        heapq.heappush(self.events, (self.now + self.world(trial.id).seconds, trial.id))

    def epoch(self, trial: Trial) -> None:
        """The trial's next epoch is over."""
        fate, epoch = self.world(trial.id), max(trial.step, trial.began) + 1
        if fate.returns is not None and fate.returns < epoch:  # resumed, but it has nothing to do any more
            self._end(trial, Status.FINISHED)
            return
        if fate.fails == epoch:
            self._end(trial, FAILURES[trial.id % len(FAILURES)])
            return
        former = trial.reports[-1].metrics if trial.reports else {}
        report = Report(epoch, {**former, **fate.metrics(epoch)}, time=self.now, began=trial.began)
        trial = replace(trial, reports=(*trial.reports, report))
        if "accuracy" in report.metrics:
            self._answer(trial, self._call("on_report", trial, report))
        elif fate.returns == epoch:
            self._end(trial, Status.MISSING_METRIC)
        else:  # the schedule is not asked before there is a value, and the trial goes on until then
            self.log.trials[trial.id] = trial
            heapq.heappush(self.events, (self.now + fate.seconds, trial.id))

    def _answer(self, trial: Trial, action: Action) -> None:
        """What becomes of a trial after its last report."""
        fate, epoch = self.world(trial.id), trial.step
        if action is Action.STOP:
            self._end(trial, Status.STOPPED)
        elif action is Action.PAUSE:
            self.log.trials[trial.id] = replace(trial, status=Status.PAUSED)
            self.idle += 1
        elif epoch >= trial.until or fate.returns == epoch:
            self._end(trial, Status.FINISHED)
        else:
            heapq.heappush(self.events, (self.now + fate.seconds, trial.id))

    def _end(self, trial: Trial, status: Status) -> None:
        self.idle += 1
        self._call("on_end", replace(trial, status=status), None)

    def _call(self, method: str, trial: Trial, argument: Any) -> Any:
        self.log.trials[trial.id] = trial
        self.log.calls.append((method, trial, argument))
        return call(self.schedule, method, trial, argument)


def call(schedule: Schedule, method: str, trial: Trial, argument: Any) -> Any:
    """Call one of the `on_` methods as it was logged."""
    return getattr(schedule, method)(trial) if argument is None else getattr(schedule, method)(trial, argument)


def epochs(fidelity: Fidelity) -> int:
    """Steps of a job of this fidelity, as the estimator counts them."""
    return int(fidelity.get("epochs", 1))
