"""The contract of a schedule, which decides how far each trial is trained.

The controller calls four methods::

    job = schedule.next_job(rng, may_start)     # a worker is idle: Start | Resume | Drop | Wait | Done
    schedule.on_job(trial, job)                 # the job, a Start or a Resume, was carried out: `trial` is running
    action = schedule.on_report(trial, report)  # a running trial has reported: CONTINUE | PAUSE | STOP
    schedule.on_end(trial)                      # the trial has finished or failed, or was stopped or dropped

A trial moves between these states::

              Start             PAUSE
    (new) ----------> running ----------> paused
                       |   <------------   |
                       |       Resume      |
                       | end, STOP         | Drop
                       v                   v
                     ended               ended

Every schedule guarantees the following. `ogive.testing.check_schedule` checks it.

- Decisions are reproducible. `next_job` depends only on the earlier calls of the `on_` methods, on `rng` and on `may_start`.
  It does not change any state: a job takes effect when `on_job` is called (for a Drop: `on_end`). When a run is continued,
  the journal is replayed by calling only the `on_` methods.
- A paused trial is later resumed, dropped or left paused. It is never started again.
- A failed trial does not block others: a rung does not wait for it.

The controller guarantees the following.

- Limits. `may_start` is false once `max_trials` is reached or the space is exhausted, and then stays false. A Start is then
  not carried out: the controller calls `next_job` again after the next event, and ends the search when no trial is running.
  A schedule that waits until its brackets are full must therefore continue with fewer trials once `may_start` is false.
- Values. `on_report` is called only for reports after which every objective and constraint has a finite value. All reports
  are in `trial.reports`. A trial that has no value at the end of its job is trained further until it has one,
  so the step of a report may be beyond the end of the job. If a Resume names a step that the trial has already passed,
  `on_report` is called again with its last report, after `on_job`.
- Early returns. If a train function returns before the end of its job, at full fidelity, the trial is finished, and `on_end`
  is called. The trial is complete, so its value counts at every later rung (see `Trial.ended_by_itself`).
- Repeated trials. With `retry_failed`, a Start without a proposal may be carried out with the architecture and the
  settings of a failed trial. Then `trial.proposal.settings` are used, not `Start.settings`. A Start with a proposal
  is carried out unchanged. A failed trial that continued the training of another trial (`trial.continues_training`) is not
  repeated; the schedule replaces it. A failed trial for which the schedule returns no Start is not repeated either, and the
  user gets a warning.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ogive.trial import EMPTY, Fidelity, Proposal, Report, Step, Trial, TrialId


class Action(StrEnum):
    """The decision about a running trial after a report."""

    CONTINUE = "continue"
    PAUSE = "pause"  # keep the checkpoint and free the worker
    STOP = "stop"  # end the trial; its reports count


@dataclass(frozen=True)
class Start:
    """Train a new trial up to `fidelity`; the strategy proposes its architecture.

    Attributes:
        fidelity: the fidelity up to which the trial is trained.
        note: JSON values that the strategy receives, and that are journalled with the trial's proposal.
        step_offset: the step after which the trial's epochs are counted, usually 0. It is above 0 in two cases. If trials
            start from scratch on every rung, a trial that skips lower rungs counts their steps too (see `Ladder`). If the
            trial continues the training of inherited weights, `step_offset` is the step of the inherited checkpoint, and
            metrics that the trial has not reported by its last epoch are copied from the trial that it inherits from.
        settings: values that are not part of the architecture; they are added to the settings of the strategy's proposal.
        proposal: the proposal to evaluate, if the schedule makes it itself. The strategy is then not asked.
    """

    fidelity: Fidelity
    note: Mapping[str, Any] = EMPTY
    step_offset: Step = 0
    settings: Mapping[str, Any] = EMPTY
    proposal: Proposal | None = None


@dataclass(frozen=True)
class Resume:
    """Train a paused trial further.

    Attributes:
        trial: the id of the trial.
        until: the fidelity up to which the trial is trained.
        step_offset: the step after which the epochs of `until` are counted. It is `Trial.step_offset` if the trial
            continues from its checkpoint. It is the trial's last step if the trial starts from scratch, because a
            fidelity other than epochs changes (such as the image size or the share of the data).
    """

    trial: TrialId
    until: Fidelity
    step_offset: Step = 0


@dataclass(frozen=True)
class Drop:
    """End a paused trial that will not be resumed. Its checkpoint may be deleted.

    Attributes:
        trial: the id of the trial.
        reason: the reason, which is shown to the user.
    """

    trial: TrialId
    reason: str


@dataclass(frozen=True)
class Wait:
    """There is no job before the next event."""


@dataclass(frozen=True)
class Done:
    """There will be no more jobs."""


Job = Start | Resume | Drop | Wait | Done


class Schedule(ABC):
    """Base class of schedules. The module's docstring states what an implementation must guarantee.

    Attributes:
        fidelities: the names of the fidelities other than epochs that the jobs set. The estimator must support them.
        uses_rng: whether `next_job` uses `rng`. If not, the controller passes an arbitrary generator, because creating
            one for each job takes longer than most decisions.
        inherits_weights: whether its trials inherit weights from other trials. The other trials must have been trained in
            the same run, since results from the evaluation cache have no weights.
    """

    fidelities: tuple[str, ...] = ()
    uses_rng: bool = True
    inherits_weights: bool = False

    @abstractmethod
    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        """Return the job for an idle worker.

        Args:
            rng: the source of all random decisions.
            may_start: whether a Start would be carried out.
        """

    def inheritable_checkpoints(self) -> Mapping[TrialId, Step]:
        """Return the checkpoints that new trials may inherit, as {trial: step}.

        These checkpoints are kept even while their trials are trained further. The trial must have been paused at the step.
        """
        return {}

    def on_job(self, trial: Trial, job: Start | Resume) -> None:  # noqa: B027 - optional
        """Record that a Start or Resume was carried out as `trial`."""

    @abstractmethod
    def on_report(self, trial: Trial, report: Report) -> Action:
        """Record a report of a running trial, and return whether the trial continues.

        Args:
            trial: the trial, with all of its reports so far.
            report: the last one of `trial.reports`.
        """

    def on_end(self, trial: Trial) -> None:  # noqa: B027 - optional
        """Record that `trial` has finished or failed, or was stopped or dropped; `trial.status` says which."""
