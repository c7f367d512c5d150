"""The records that all packages share: `Proposal`, `Report`, `Status`, `BestEpoch`, `Trial` and `Pending`."""

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
"""How cheaply a trial is evaluated, by name: `{"epochs": 9}`. Empty if the estimator has no fidelities."""


class _Empty(Mapping[str, Any]):
    """An empty mapping that is hashable, so that a dataclass accepts it as a default, and picklable."""

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
    """The state of a trial. The record of a failed trial also has a reason and, for an exception, the traceback."""

    WAITING = "waiting"  # waits for a worker: it was just proposed, or its last attempt was interrupted
    RUNNING = "running"
    PAUSED = "paused"  # paused at a rung; may be resumed
    FINISHED = "finished"  # trained up to its fidelity, or ended by itself before (see `Trial.ended_by_itself`)
    STOPPED = "stopped"  # stopped by the schedule; its reports count
    ERROR = "error"  # the user's code raised an exception
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    NOT_FINITE = "not_finite"  # an objective or constraint was NaN or infinite
    MISSING_METRIC = "missing_metric"  # ended without reporting every objective and constraint
    INFEASIBLE = "infeasible"  # the user's code raised `Infeasible`: the architecture cannot be evaluated
    EXITED = "exited"  # the train function ended its worker: os._exit, sys.exit, a crash in native code
    KILLED = "killed"  # the worker was killed from outside, more often than retries allow
    LOST = "lost"  # the worker's host stopped responding, more often than retries allow

    failed: bool
    """Whether the trial ended without a value."""
    ended: bool
    """Whether the trial will report nothing more."""

    def __init__(self, value: str) -> None:
        # Both are computed once for each member, because they are read very often.
        self.ended = value not in ("waiting", "running", "paused")
        self.failed = self.ended and value not in ("finished", "stopped")


RETRYABLE = (Status.KILLED, Status.LOST)
"""The failures after which another attempt may succeed."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The evaluation that a strategy asks for. It is journalled, so all of its values are JSON.

    Attributes:
        architecture: the architecture to evaluate.
        inherit: (trial, step) of the checkpoint whose weights the trial starts from, or None.
        settings: values that are not part of the architecture, such as a learning rate; a train function reads them as
            `trial.settings`.
        note: values that say how the proposal was made. The strategy reads them later from `Trial.proposal.note`.
    """

    architecture: Architecture
    inherit: tuple[TrialId, Step] | None = None
    settings: Mapping[str, Any] = EMPTY
    note: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True)
class Report:
    """The metrics of a trial at one step.

    Attributes:
        step: the number of completed epochs, from 1; unique within the trial.
        metrics: all metrics that were reported up to this step, each with its last value.
        seconds: compute time since the previous report, or since the start of the attempt.
        time: the clock's time when the report arrived, in seconds.
        step_offset: `Trial.step_offset` at the time of the report. Reports at the same fidelity have the same value.
    """

    step: Step
    metrics: Mapping[str, float]
    seconds: float = 0.0
    time: float = 0.0
    step_offset: Step = 0


class BestEpoch(NamedTuple):
    """The rule that selects the epoch whose metrics are a trial's value, for `Objective(epoch="best")`.

    It is applied to the reports of a trial and, in the worker, to its checkpoints.

    Attributes:
        metric: the metric of the objective with `epoch="best"`.
        goal: "minimize" or "maximize".
        required_metrics: the names of the metrics of all objectives and constraints.
    """

    metric: str
    goal: str
    required_metrics: tuple[str, ...] = ()

    def without_screened(self, screened: Mapping[str, float]) -> BestEpoch:
        """Return a rule that does not require reports to contain the metrics in `screened`."""
        return (
            self._replace(required_metrics=tuple(name for name in self.required_metrics if name not in screened))
            if screened
            else self
        )

    def is_eligible(self, metrics: Mapping[str, float]) -> bool:
        """Return whether an epoch with these metrics is eligible: all required metrics are present and finite."""
        return are_finite(metrics, (self.metric, *self.required_metrics))

    def cost(self, metrics: Mapping[str, float]) -> float:
        """Return the cost of an eligible epoch; the best epoch has the lowest cost."""
        return metrics[self.metric] if self.goal == "minimize" else -metrics[self.metric]


@dataclass(frozen=True, repr=False)
class Trial:
    """The record of one evaluation of one proposal. It is immutable: each event of the trial creates a new record.

    Attributes:
        id: the number of the trial, from 0 in the order of proposals.
        proposal: the proposal that the trial evaluates.
        fidelity: the fidelity of its current job.
        step_offset: the step after which the epochs of `fidelity` are counted. It is 0 unless the trial inherits weights,
            or was trained before at a lower fidelity that cannot be continued. In the latter case it has started from
            scratch, and `step_offset` is its last step at the lower fidelity. The steps of a trial therefore only
            increase.
        seed: the seed of the trial's random numbers, in [0, 2**63).
        status: the state of the trial.
        reports: its reports, in ascending order of their steps.
        screened: metrics that were known before training (parameters, latency from a table, proxies).
        reason: why the trial failed or was stopped; None otherwise.
        traceback: the traceback of the exception that ended the trial; None if there was none.
        worker: the name of the worker of the latest attempt; None before the first attempt.
        attempts: the number of attempts so far.
        seconds: compute time so far, including lost attempts.
        cached: whether the reports come from the evaluation cache.
        proposed_at, started_at, ended_at: the clock's time of these events, in seconds; None before the event.
        best_epoch_rule: the rule that selects the epoch whose metrics are the trial's value; None for the last epoch.
    """

    id: TrialId
    proposal: Proposal
    fidelity: Fidelity = EMPTY
    seed: int = 0
    status: Status = Status.WAITING
    reports: tuple[Report, ...] = ()
    screened: Mapping[str, float] = EMPTY
    reason: str | None = None
    traceback: str | None = None
    worker: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    cached: bool = False
    step_offset: Step = 0
    proposed_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    best_epoch_rule: BestEpoch | None = None

    def __repr__(self) -> str:
        metrics = "".join(f", {name}={value:g}" for name, value in self.metrics.items())
        return f"<Trial {self.id}: {self.status} at step {self.step}{metrics}; {self.reason or self.architecture}>"

    def with_changes(self, **changes: Any) -> Trial:
        """Return a copy with some fields replaced, like `dataclasses.replace`, without a check of their names.

        This method takes a third of the time of `replace`. Reading a long journal spends most of its time here.
        """
        new = object.__new__(Trial)
        fields = new.__dict__
        fields.update(self.__dict__)
        fields.update(changes)
        return new

    @property
    def architecture(self) -> Architecture:
        """The architecture of the proposal."""
        return self.proposal.architecture

    @property
    def step(self) -> Step:
        """The last reported step; 0 before the first report."""
        return self.reports[-1].step if self.reports else 0

    @property
    def target_step(self) -> Step:
        """The step at which the current job ends."""
        return self.step_offset + count_steps(self.fidelity)

    @property
    def continues_training(self) -> bool:
        """Whether the trial continues the training of another trial, from its weights and its step."""
        return self.proposal.inherit is not None and self.proposal.inherit[1] == self.step_offset

    @property
    def value_report(self) -> Report | None:
        """The report whose metrics are the trial's value; None before the first report.

        It is the last report or, with `best_epoch_rule`, the best of the eligible reports at the current fidelity (the last
        report if none is eligible).
        """
        return self._value_report_after(len(self.reports))

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the trial's value: those of `value_report`, and the screened metrics."""
        return self._add_screened(self.value_report)

    @property
    def ended_by_itself(self) -> bool:
        """Whether the train function returned before the last epoch of its job, at full fidelity.

        Such a trial is complete, so its value is also its value at every later step.
        """
        if self.status is not Status.FINISHED or not self.reports or self.step >= self.target_step:
            return False
        return all(share >= 1 for name, share in self.fidelity.items() if name != "epochs")

    def has_reached(self, step: Step) -> bool:
        """Return whether the trial has a value at `step`: it was trained up to this step, or ended by itself before it."""
        return self.step >= step or self.ended_by_itself

    def metrics_at(self, step: Step) -> Mapping[str, float]:
        """Return the metrics of the trial's value as it was at `step`, with the screened metrics."""
        count = len(self.reports)
        while count and self.reports[count - 1].step > step:
            count -= 1
        return self._add_screened(self._value_report_after(count))

    def _value_report_after(self, count: int) -> Report | None:
        """Return the report that was the trial's value after its first `count` reports."""
        if count == 0:
            return None
        last = self.reports[count - 1]
        if self.best_epoch_rule is None:
            return last
        rule = self.best_epoch_rule.without_screened(self.screened)
        # Reports with the same offset are at the same fidelity.
        reports = [report for report in self.reports[:count] if report.step_offset == last.step_offset]
        eligible = [report for report in reports if rule.is_eligible(report.metrics)]
        # min() returns the earliest of equally good epochs. Its checkpoint is the one that the worker keeps.
        return min(eligible, key=lambda report: rule.cost(report.metrics), default=last)

    def _add_screened(self, report: Report | None) -> Mapping[str, float]:
        if report is None:
            return self.screened
        return {**self.screened, **report.metrics} if self.screened else report.metrics


def count_steps(fidelity: Fidelity) -> Step:
    """Return the number of steps of a job at `fidelity`: its "epochs", or 1 if it has no "epochs"."""
    return int(fidelity.get("epochs", 1))


def are_finite(metrics: Mapping[str, float], names: Iterable[str]) -> bool:
    """Return whether all metrics in `names` are present and finite."""
    return all(math.isfinite(metrics.get(name, math.nan)) for name in names)


def select_comparable(trials: Sequence[Trial], at_least: int | None = None) -> tuple[Step, list[Trial]]:
    """Return the highest step that `at_least` of the trials have reached, and the trials that have reached it.

    Trials must be compared at equal fidelity: compare `trial.metrics_at(step)` of the returned trials at the returned step.
    A trial that ended by itself has reached every step. Failed trials and trials without a report are ignored.

    Args:
        trials: any trials.
        at_least: the number of trials that must have reached the step. By default, or if fewer trials have a value, all
            trials that have a value must have reached it.

    Returns:
        The step and the trials; (0, []) if no trial has a value.
    """
    reported = [trial for trial in trials if trial.reports and not trial.status.failed]
    if not reported:
        return 0, []
    highest = max(trial.step for trial in reported)
    steps = [highest if trial.ended_by_itself else trial.step for trial in reported]
    count = len(steps) if at_least is None else max(1, min(at_least, len(steps)))
    common = sorted(steps, reverse=True)[count - 1]
    return common, [trial for trial, step in zip(reported, steps, strict=True) if step >= common]


@dataclass(frozen=True)
class Pending:
    """A read-only view of the pending proposals, for a strategy that is asked for a proposal.

    Attributes:
        proposals: the pending proposals by trial. The controller passes its own mapping, not a copy, so that creating a view
            takes no time. The same holds for `id_counts`.
        rejected: the proposals that a wrapper of the strategy has just rejected.
        id_counts: the number of pending proposals for each `architecture.id`; None if they are not counted.
        job_note: the schedule's note about the trial to propose (`Start.note`), such as its bracket.
    """

    proposals: Mapping[TrialId, Proposal] = field(default_factory=dict)
    rejected: tuple[Proposal, ...] = ()
    id_counts: Mapping[str, int] | None = None
    job_note: Mapping[str, Any] = EMPTY

    def __iter__(self) -> Iterator[Proposal]:
        yield from self.proposals.values()
        yield from self.rejected

    def __len__(self) -> int:
        return len(self.proposals) + len(self.rejected)

    def with_rejected(self, *rejected: Proposal) -> Pending:
        """Return the same view with more rejected proposals."""
        return replace(self, rejected=self.rejected + rejected)

    def with_job_note(self, note: Mapping[str, Any]) -> Pending:
        """Return the same view with the schedule's note about the trial to propose."""
        return replace(self, job_note=note) if note else self

    def contains_id(self, identity: str) -> bool:
        """Return whether an architecture whose `id` is `identity` is pending or rejected."""
        if self.id_counts is not None:
            is_pending = self.id_counts.get(identity, 0) > 0
        else:
            is_pending = any(proposal.architecture.id == identity for proposal in self.proposals.values())
        return is_pending or any(proposal.architecture.id == identity for proposal in self.rejected)
