"""A controller with simulated workers and a simulated clock, for the conformance suite of schedules.

The controller follows the contract in `ogive.schedule.base`, and raises AssertionError if the schedule violates it. The
behavior of a trial (durations, metrics, failures) depends only on its number.
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
from ogive.testing.episodes import describe as describe_proposal
from ogive.testing.rules import assert_that
from ogive.trial import Fidelity, Proposal, Report, Status, Trial, TrialId

MAX_EPOCH_ENDS = 20_000
"""A search that has not ended after this many ends of epochs counts as endless."""


@dataclass(frozen=True)
class TrialBehavior:
    """The behavior of a trial.

    Attributes:
        accuracy: a function that returns the accuracy after an epoch. The loss is 1 - accuracy, and the other metrics are
            constant.
        latency: a constant metric.
        parameters: a constant metric. A further metric, memory, is latency times parameters.
        seconds: the duration of an epoch.
        fails_at: the epoch at which the trial fails instead of reporting; None if it does not fail.
        returns_after: the epoch after which its train function returns, whatever the fidelity; None if it trains as far as
            requested.
        report_interval: the interval, in epochs, at which the trial reports the objectives. In the other epochs it reports
            only "train_loss".
    """

    accuracy: Callable[[int], float]
    latency: float = 0.5
    parameters: float = 0.5
    seconds: float = 1.0
    fails_at: int | None = None
    returns_after: int | None = None
    report_interval: int = 1

    def metrics(self, epoch: int) -> dict[str, float]:
        """Return the metrics that the trial reports after an epoch."""
        if epoch % self.report_interval:
            return {"train_loss": 1 / epoch}
        accuracy = self.accuracy(epoch)
        constant = {"latency": self.latency, "parameters": self.parameters, "memory": self.latency * self.parameters}
        return {"accuracy": accuracy, "loss": 1 - accuracy, **constant}


Scenario = Callable[[TrialId], TrialBehavior]
"""A function that returns the behavior of a trial, given the number of the trial."""


def good(number: TrialId) -> TrialBehavior:
    """No trial fails. No two trials are equally good, and their order changes with the epochs."""
    quality, speed, latency, parameters, seconds = generator(1, "fate", number).random(5)
    return TrialBehavior(
        accuracy=lambda epoch: quality * (1 - math.exp(-epoch * speed)),
        latency=latency,
        parameters=parameters,
        seconds=0.1 + seconds,
    )


def faulty(number: TrialId) -> TrialBehavior:
    """Some trials have equal values, some report NaN, some fail early or late, and some train functions return early."""
    behavior = replace(good(number), accuracy=lambda epoch: number % 5 / 5)
    if number % 6 == 1:
        return replace(behavior, fails_at=1 + number % 4)
    if number % 6 == 3:
        return replace(behavior, returns_after=1 + number % 3)
    return replace(behavior, accuracy=lambda epoch: math.nan) if number % 6 == 5 else behavior


def always_failing(number: TrialId) -> TrialBehavior:
    """Every trial fails before its first report."""
    return replace(good(number), fails_at=1)


def equal(number: TrialId) -> TrialBehavior:
    """All trials are equally good at every epoch."""
    return TrialBehavior(lambda epoch: 0.5)


def sparse(number: TrialId) -> TrialBehavior:
    """Trials report the objectives in every third epoch; some fail or return before or after such an epoch."""
    behavior = replace(good(number), report_interval=3)
    if number % 5 == 1:
        return replace(behavior, fails_at=2 + number % 3)
    return replace(behavior, returns_after=3 + number % 2) if number % 5 == 3 else behavior


SCENARIOS: Mapping[str, Scenario] = {
    "good": good,
    "faulty": faulty,
    "always_failing": always_failing,
    "equal": equal,
    "sparse": sparse,
}


@dataclass
class ControllerLog:
    """The history of a simulated search.

    Attributes:
        calls: the calls of the schedule's `on_...` methods: name, trial, further argument or None.
        jobs: each job, with the number of calls before it.
        may_start: the argument `may_start` of each request for a job.
        trials: the latest record of each trial.
    """

    calls: list[tuple[str, Trial, Any]] = field(default_factory=list)
    jobs: list[tuple[int, Job]] = field(default_factory=list)
    may_start: list[bool] = field(default_factory=list)
    trials: dict[TrialId, Trial] = field(default_factory=dict)

    def text(self) -> list[str]:
        """Return the jobs as texts."""
        return [describe(job) for _, job in self.jobs]


def describe(job: Job) -> str:
    """Return a job as text. Equal jobs have equal texts."""
    if isinstance(job, Start):
        proposal = f" {describe_proposal(job.proposal)}" if job.proposal else ""
        parts = [dict(job.fidelity), dict(job.note), dict(job.settings)]
        return f"Start {json.dumps(parts, sort_keys=True, allow_nan=False)}{_describe_first_step(job)}{proposal}"
    if isinstance(job, Resume):
        return f"Resume {job.trial} {json.dumps(dict(job.until), sort_keys=True)}{_describe_first_step(job)}"
    if isinstance(job, Drop):
        return f"Drop {job.trial}: {job.reason}"
    return type(job).__name__


def _describe_first_step(job: Start | Resume) -> str:
    return f" from step {job.step_offset}" if job.step_offset else ""


class SimulatedController:
    """A controller with simulated workers, for one schedule.

    Attributes:
        log: the history of the search.
        repeats: the proposals of failed trials that are still to be repeated; empty in the first session.
        epoch_ends: a heap of (time, trial): when the next epoch of each running trial ends.
        now: the simulated time, in seconds.
    """

    def __init__(
        self,
        schedule: Schedule,
        scenario: Scenario,
        space: Space,
        trials: int,
        workers: int,
        before_job: Callable[[Schedule], None] = lambda schedule: None,
    ) -> None:
        self.schedule, self.scenario, self.space = schedule, scenario, space
        self.max_trials, self.idle_workers, self.before_job = trials, workers, before_job
        self.log = ControllerLog()
        self.repeats: list[Proposal] = []
        self.epoch_ends: list[tuple[float, TrialId]] = []
        self.now = 0.0

    def run(self) -> ControllerLog:
        """Run until no trial is running, and the schedule does not start or resume another one."""
        for _ in range(MAX_EPOCH_ENDS):
            while self.idle_workers and self.assign_job():
                pass
            if not self.epoch_ends:
                return self.log
            self.now, number = heapq.heappop(self.epoch_ends)
            self.end_epoch(self.log.trials[number])
        raise AssertionError(f"the search of {self.max_trials} trials has not ended after {MAX_EPOCH_ENDS:,} epochs")

    def continue_in_new_session(self, schedule: Schedule) -> ControllerLog:
        """Continue in a new session with a new `schedule`, which repeats the failed trials."""
        for method, trial, argument in self.log.calls:
            call(schedule, method, trial, argument)
        failed = [trial for trial in self.log.trials.values() if trial.status.failed and not trial.continues_training]
        self.schedule, self.repeats = schedule, [trial.proposal for trial in failed]
        self.max_trials = len(self.log.trials) + len(failed)
        return self.run()

    def assign_job(self) -> bool:
        """Request a job for an idle worker, and carry it out; return whether another job may be requested now."""
        self.before_job(self.schedule)
        may_start = len(self.log.trials) < self.max_trials
        job = self.schedule.next_job(generator(0, "job", len(self.log.calls)), may_start)
        self.log.jobs.append((len(self.log.calls), job))
        self.log.may_start.append(may_start)
        if isinstance(job, Start):
            return self._start(job)
        if isinstance(job, (Resume, Drop)):
            self._continue_paused(job)
            return True
        if isinstance(job, Wait):
            is_running = bool(self.epoch_ends)
            assert_that(is_running or not may_start, "Wait, although no trial is running: the schedule waits forever")
        if isinstance(job, Done):
            self.max_trials = 0
        return False

    def _start(self, job: Start) -> bool:
        """Start a trial; return False if the largest number of trials has been reached."""
        number = len(self.log.trials)
        if number >= self.max_trials:
            return False
        proposal = job.proposal or (self.repeats.pop(0) if self.repeats else self._make_proposal(number, job))
        # As in a run, the note of the job is stored with the proposal.
        proposal = replace(proposal, note={"schedule": dict(job.note)})
        self._start_work(Trial(number, proposal, job.fidelity, status=Status.RUNNING, step_offset=job.step_offset), job)
        return True

    def _continue_paused(self, job: Resume | Drop) -> None:
        """Resume or drop a paused trial."""
        trial = self.log.trials.get(job.trial)
        if trial is None or trial.status is not Status.PAUSED:
            raise AssertionError(f"{describe(job)}: the trial is {trial.status if trial else 'unknown'}, not paused")
        if isinstance(job, Drop):
            self._call("on_end", replace(trial, status=Status.STOPPED), None)
            return
        resumed = replace(trial, fidelity=job.until, step_offset=job.step_offset, status=Status.RUNNING)
        if self.scenario(trial.id).report_interval > 1 and resumed.target_step <= trial.step:
            # The trial was trained beyond this step, to an epoch with a value. So the schedule receives its last report
            # again, without further training.
            self._call("on_job", resumed, job)
            self.idle_workers -= 1
            self._carry_out_answer(resumed, self._call("on_report", resumed, resumed.reports[-1]))
            return
        assert_that(resumed.target_step > trial.step, f"{describe(job)}: the trial has done {trial.step} steps already")
        self._start_work(resumed, job)

    def _make_proposal(self, number: TrialId, job: Start) -> Proposal:
        return Proposal(self.space.sample(generator(0, "trial", number)), settings=job.settings)

    def _start_work(self, trial: Trial, job: Start | Resume) -> None:
        """Let an idle worker start or resume a trial."""
        self.idle_workers -= 1
        self._call("on_job", trial, job)
        self._schedule_next_epoch(trial)

    def _schedule_next_epoch(self, trial: Trial) -> None:
        heapq.heappush(self.epoch_ends, (self.now + self.scenario(trial.id).seconds, trial.id))

    def end_epoch(self, trial: Trial) -> None:
        """Process the end of the next epoch of a trial: a report, a failure, or the return of its train function."""
        behavior, epoch = self.scenario(trial.id), max(trial.step, trial.step_offset) + 1
        # The train function returns without a report.
        if behavior.returns_after is not None and behavior.returns_after < epoch:
            self._end(trial, Status.FINISHED)
            return
        if behavior.fails_at == epoch:
            self._end(trial, FAILURES[trial.id % len(FAILURES)])
            return
        # As in a run, metrics that are not reported keep their last values.
        last_metrics = trial.reports[-1].metrics if trial.reports else {}
        report = Report(
            epoch, {**last_metrics, **behavior.metrics(epoch)}, time=self.now, step_offset=trial.step_offset
        )
        trial = replace(trial, reports=(*trial.reports, report))
        if "accuracy" in report.metrics:
            self._carry_out_answer(trial, self._call("on_report", trial, report))
        elif behavior.returns_after == epoch:
            self._end(trial, Status.MISSING_METRIC)
        else:  # the report has no value of the objectives, so the schedule does not receive it, and the trial continues
            self.log.trials[trial.id] = trial
            self._schedule_next_epoch(trial)

    def _carry_out_answer(self, trial: Trial, action: Action) -> None:
        """Carry out the answer of the schedule to the last report of a trial."""
        behavior, epoch = self.scenario(trial.id), trial.step
        if action is Action.STOP:
            self._end(trial, Status.STOPPED)
        elif action is Action.PAUSE:
            self.log.trials[trial.id] = replace(trial, status=Status.PAUSED)
            self.idle_workers += 1
        elif epoch >= trial.target_step or behavior.returns_after == epoch:
            self._end(trial, Status.FINISHED)
        else:
            self._schedule_next_epoch(trial)

    def _end(self, trial: Trial, status: Status) -> None:
        self.idle_workers += 1
        self._call("on_end", replace(trial, status=status), None)

    def _call(self, method: str, trial: Trial, argument: Any) -> Any:
        """Call one of the schedule's `on_...` methods, and log the call."""
        self.log.trials[trial.id] = trial
        self.log.calls.append((method, trial, argument))
        return call(self.schedule, method, trial, argument)


def call(schedule: Schedule, method: str, trial: Trial, argument: Any) -> Any:
    """Call one of a schedule's `on_...` methods with the arguments in a log."""
    return getattr(schedule, method)(trial) if argument is None else getattr(schedule, method)(trial, argument)


def epochs(fidelity: Fidelity) -> int:
    """Return the number of steps of a job with this fidelity, as the estimator counts them."""
    return int(fidelity.get("epochs", 1))
