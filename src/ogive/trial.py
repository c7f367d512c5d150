"""The vocabulary that strategies, schedules, runs and reports share: Proposal, Report, Status, Trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from ogive.space import Architecture

TrialId = int
Step = int
Fidelity = Mapping[str, float]
"""How cheaply a trial is estimated, by name, such as `{"epochs": 9}`; empty where there is only one way."""


class _Empty(Mapping[str, Any]):
    """An empty mapping that a frozen dataclass takes as a default (hashable) and that travels (picklable)."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Mapping[str, Any] = _Empty()


class Status(StrEnum):
    """Where a trial stands. A trial that has failed says how; the reason and the traceback are beside it."""

    WAITING = "waiting"  # proposed, or put back after an interruption; no worker has it
    RUNNING = "running"
    PAUSED = "paused"  # reached a rung; may be resumed
    FINISHED = "finished"  # reached its fidelity
    STOPPED = "stopped"  # ended early by the schedule; its reports count
    ERROR = "error"  # the train function raised
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    NOT_FINITE = "not_finite"  # an objective or constraint was NaN or infinite
    MISSING_METRIC = "missing_metric"  # ended without reporting every objective and constraint
    INFEASIBLE = "infeasible"
    EXITED = "exited"  # the train function ended its worker: os._exit, sys.exit, a crash in native code
    KILLED = "killed"  # the worker was killed from outside, more often than retries allow
    LOST = "lost"  # the worker's host stopped answering, more often than retries allow

    failed: bool
    """The trial ended without a value."""
    ended: bool
    """Nothing more will be reported."""

    def __init__(self, value: str) -> None:  # once for each member: everything asks for these two all the time
        self.ended = value not in ("waiting", "running", "paused")
        self.failed = self.ended and value not in ("finished", "stopped")


RETRIED = (Status.KILLED, Status.LOST)
"""The failures that another attempt can mend."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a strategy asks for. All of it is journalled, so all of it is JSON.

    Attributes:
        architecture: the architecture to evaluate.
        inherit: (trial, step) whose weights it starts from, or None.
        settings: values that are not architecture, such as a learning rate; a train function's `trial.settings`.
        note: whatever the algorithm wants to find again in `Trial.proposal.note`.
    """

    architecture: Architecture
    inherit: tuple[TrialId, Step] | None = None
    settings: Mapping[str, Any] = EMPTY
    note: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True)
class Report:
    """Metrics at one step of a trial.

    Attributes:
        step: epochs done, from 1; unique within the trial.
        metrics: every metric known at this step; what was not repeated is carried forward from earlier steps.
        seconds: compute time since the former report (or since the start of the attempt).
        time: the clock's time when the report arrived, in seconds.
        began: the trial's `began` when it was reported: reports of one fidelity share it.
    """

    step: Step
    metrics: Mapping[str, float]
    seconds: float = 0.0
    time: float = 0.0
    began: Step = 0


class BestEpoch(NamedTuple):
    """The rule by which the best epoch is a trial's value (`Objective(epoch="best")`): for its reports, and for its
    checkpoints where they are written.

    Attributes:
        metric, goal: of the objective that chooses.
        needed: the metrics of objectives and constraints.
    """

    metric: str
    goal: str
    needed: tuple[str, ...] = ()

    def beside(self, screened: Mapping[str, float]) -> BestEpoch:
        """The rule for a trial of which `screened` is known before training: these need not be reported."""
        return self._replace(needed=tuple(name for name in self.needed if name not in screened)) if screened else self

    def counts(self, metrics: Mapping[str, float]) -> bool:
        """Whether an epoch with these metrics can be the value: all that is needed is there and finite."""
        return finite(metrics, (self.metric, *self.needed))

    def cost(self, metrics: Mapping[str, float]) -> float:
        """What is least at the best of the epochs that count."""
        return metrics[self.metric] if self.goal == "minimize" else -metrics[self.metric]


@dataclass(frozen=True, repr=False)
class Trial:
    """The record of one evaluation of one proposal; a new record replaces it whenever something happens.

    Attributes:
        id: counts from 0 in the order of proposal.
        fidelity: how far the trial has been told to go.
        began: the step that those of `fidelity` are counted from: 0, or where the trial started again because it had been
            trained at a fidelity that cannot be continued. So the steps of a trial only grow.
        seed: of this trial's random numbers, in [0, 2**63).
        screened: metrics known before training (parameters, table latency, proxies).
        seconds: compute time so far, lost attempts included.
        cached: the reports come from the evaluation cache.
        best_epoch_of: the rule by which the best epoch is the trial's value; None where the last epoch is.
    """

    id: TrialId
    proposal: Proposal
    fidelity: Fidelity = EMPTY
    seed: int = 0
    status: Status = Status.WAITING
    reports: tuple[Report, ...] = ()
    screened: Mapping[str, float] = EMPTY
    reason: str = ""
    traceback: str = ""
    worker: str = ""
    attempts: int = 0
    seconds: float = 0.0
    cached: bool = False
    began: Step = 0
    proposed_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    best_epoch_of: BestEpoch | None = None

    def __repr__(self) -> str:
        metrics = "".join(f", {name}={value:g}" for name, value in self.metrics.items())
        return f"<Trial {self.id}: {self.status} at step {self.step}{metrics}; {self.reason or self.architecture}>"

    def changed(self, **changes: Any) -> Trial:
        """`dataclasses.replace` in a third of its time, unchecked: most of what reading a long journal takes is this."""
        new = object.__new__(Trial)
        fields = new.__dict__
        fields.update(self.__dict__)
        fields.update(changes)
        return new

    @property
    def architecture(self) -> Architecture:
        return self.proposal.architecture

    @property
    def step(self) -> Step:
        """The last reported step; 0 before the first report."""
        return self.reports[-1].step if self.reports else 0

    @property
    def until(self) -> Step:
        """The step at which it has gone as far as it was told to."""
        return self.began + until(self.fidelity)

    @property
    def goes_on(self) -> bool:
        """Whether it goes on from another trial's weights where that one stood: its steps count on from there."""
        return self.proposal.inherit is not None and self.proposal.inherit[1] == self.began

    @property
    def value_report(self) -> Report | None:
        """The report that is the trial's value: the last one, or by `best_epoch_of` the best at its highest fidelity among
        those that count, the last where none does. None before the first.
        """
        return self._value_among(len(self.reports))

    @property
    def metrics(self) -> Mapping[str, float]:
        """The trial's value: the metrics of `value_report`, with those that were known before training."""
        return self._known(self.value_report)

    @property
    def ended_by_itself(self) -> bool:
        """Whether the train function returned before the last epoch it was given, at full fidelity. The trial has then been
        trained as far as it will be, so its value is also its value at every later step.
        """
        if self.status is not Status.FINISHED or not self.reports or self.step >= self.until:
            return False
        return all(share >= 1 for name, share in self.fidelity.items() if name != "epochs")

    def reaches(self, step: Step) -> bool:
        """Whether the trial has a value at `step`: it was trained that far, or ended by itself before."""
        return self.step >= step or self.ended_by_itself

    def at(self, step: Step) -> Mapping[str, float]:
        """The trial's value as it was at `step`, with the metrics that were known before training."""
        count = len(self.reports)
        while count and self.reports[count - 1].step > step:
            count -= 1
        return self._known(self._value_among(count))

    def _value_among(self, count: int) -> Report | None:
        """The report that was the trial's value after its first `count` reports."""
        if count == 0:
            return None
        last = self.reports[count - 1]
        if self.best_epoch_of is None:
            return last
        rule = self.best_epoch_of.beside(self.screened)
        reports = [report for report in self.reports[:count] if report.began == last.began]  # of one fidelity
        counting = [report for report in reports if rule.counts(report.metrics)]
        # min() takes the earliest of equally good epochs, whose checkpoint is the one that is kept.
        return min(counting, key=lambda report: rule.cost(report.metrics), default=last)

    def _known(self, report: Report | None) -> Mapping[str, float]:
        if report is None:
            return self.screened
        return {**self.screened, **report.metrics} if self.screened else report.metrics


def until(fidelity: Fidelity) -> Step:
    """The last step of a job at `fidelity`: its number of epochs, 1 where there are none."""
    return int(fidelity.get("epochs", 1))


def finite(metrics: Mapping[str, float], names: Iterable[str]) -> bool:
    """Whether every one of `names` is there and is a finite number."""
    return all(math.isfinite(metrics.get(name, math.nan)) for name in names)


def comparable(trials: Sequence[Trial], at_least: int | None = None) -> tuple[Step, list[Trial]]:
    """The highest step that `at_least` of the trials have reached, and the trials that have reached it.

    Values of unequal fidelity are never mixed raw: whoever compares trials compares `trial.at(step)` of these.
    A trial that ended by itself has reached every step. Failed trials and trials without a report have no value and are
    left out. `at_least` is by default all that have one; fewer than that many having one means: the lowest step at which
    all of them can be compared.
    """
    reported = [trial for trial in trials if trial.reports and not trial.status.failed]
    if not reported:
        return 0, []
    furthest = max(trial.step for trial in reported)
    steps = [furthest if trial.ended_by_itself else trial.step for trial in reported]
    count = len(steps) if at_least is None else max(1, min(at_least, len(steps)))
    least = sorted(steps, reverse=True)[count - 1]
    return least, [trial for trial, step in zip(reported, steps, strict=True) if step >= least]


@dataclass(frozen=True)
class Pending:
    """A read-only view of the proposals in flight, and of those that a wrapper has just turned down.

    `in_flight`, and `ids`, how many of them have each identity, are the controller's own mappings, seen live: nothing is
    copied or counted when a strategy is asked. `ids` may be left out where nobody keeps it.

    `job` is what the schedule notes about the trial that is asked for (`Start.note`), such as its bracket.
    """

    in_flight: Mapping[TrialId, Proposal] = field(default_factory=dict)
    rejected: tuple[Proposal, ...] = ()
    ids: Mapping[str, int] | None = None
    job: Mapping[str, Any] = EMPTY

    def __iter__(self) -> Iterator[Proposal]:
        yield from self.in_flight.values()
        yield from self.rejected

    def __len__(self) -> int:
        return len(self.in_flight) + len(self.rejected)

    def plus(self, *rejected: Proposal) -> Pending:
        """The same view with `rejected` added."""
        return replace(self, rejected=self.rejected + rejected)

    def about(self, job: Mapping[str, Any]) -> Pending:
        """The same view with the schedule's note of the trial that is asked for."""
        return replace(self, job=job) if job else self

    def holds(self, identity: str) -> bool:
        """Whether an architecture with this `id` is in flight or was turned down."""
        if self.ids is not None:
            flying = self.ids.get(identity, 0) > 0
        else:
            flying = any(proposal.architecture.id == identity for proposal in self.in_flight.values())
        return flying or any(proposal.architecture.id == identity for proposal in self.rejected)
