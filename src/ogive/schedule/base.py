"""The contract of a schedule: HOW FAR TO TRAIN.

The controller, having an idle worker, asks for the next job; and at every report asks whether to go on::

    job = schedule.next_job(rng, may_start)  # Start | Resume | Drop | Wait | Done: changes nothing
    schedule.on_job(trial, job)          # the Start or Resume was carried out; a Drop is told by on_end
    schedule.on_report(trial, report)    # CONTINUE | PAUSE | STOP
    schedule.on_end(trial)               # finished, stopped by STOP, or failed: a rung never waits for the dead

What every implementation guarantees, and `ogive.testing.check_schedule` checks:

- `next_job` is a function of what was told, `rng` and `may_start`; it changes no later answer. A decision counts once
  `on_job` reports it, so a resumed run, which reads decisions from its journal, calls only the three `on_` methods.
- A trial told PAUSE is later resumed, dropped, or left paused; it is never started again.
- Once `may_start` is false (`max_trials` is reached, or the space is used up) it stays so. A `Start` is then not carried
  out: the controller asks again after the next event, and ends the search when nothing runs any more. A schedule whose
  brackets wait to be full uses it to go on with what they have.
- A trial that returns before the end of its job, at full fidelity, is finished, and `on_end` says so: it has been trained as
  far as it will be, and its value counts at every later rung (`trial.ended_by_itself`).
- A `Start` without a proposal of its own may be carried out with the architecture and the settings of a failed trial that
  is repeated (`retry_failed`): `trial.proposal.settings` then holds, not `Start.settings`. One with a proposal is carried
  out as it is. What failed after it went on from another trial's weights (`trial.goes_on`) is not repeated: the schedule
  gives its place to another. What the schedule has no `Start` for is not repeated either, and the user is told.
- `on_report` is called only for reports after which every objective and constraint has a finite value; earlier ones are in
  `trial.reports`. A trial without a value at the end of its job goes on until it has one, so a report may be beyond the job.
  If a Resume then names a step that the trial has passed, its last report is given to `on_report` again, after `on_job`.
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
    """What a running trial does after a report."""

    CONTINUE = "continue"
    PAUSE = "pause"  # keep the checkpoint and free the worker
    STOP = "stop"  # enough is known of this trial


@dataclass(frozen=True)
class Start:
    """Ask the strategy for a new trial and train it up to `fidelity`.

    Attributes:
        note: kept with the trial's proposal.
        began: the step that the trial's steps are counted from; above 0 where lower rungs that it skips have theirs. Where
            it is the step of the weights that `proposal` inherits, the trial goes on with their training: metrics that it
            has not reported at its last epoch are taken over from there.
        settings: values that are not architecture, added to those of the strategy's proposal.
        proposal: what to evaluate, where the schedule decides that itself; the strategy is then not asked.
    """

    fidelity: Fidelity
    note: Mapping[str, Any] = EMPTY
    began: Step = 0
    settings: Mapping[str, Any] = EMPTY
    proposal: Proposal | None = None


@dataclass(frozen=True)
class Resume:
    """Train a paused trial on, up to `until`.

    Attributes:
        began: as it is where the trial goes on from its checkpoint; the trial's last step where it starts again, since
            it has been trained at a fidelity that cannot be continued (another image size, another share of the data).
    """

    trial: TrialId
    until: Fidelity
    began: Step = 0


@dataclass(frozen=True)
class Drop:
    """End a paused trial that will not be resumed: it is stopped, and its checkpoint can go."""

    trial: TrialId
    reason: str


@dataclass(frozen=True)
class Wait:
    """Nothing to do before something else is reported."""


@dataclass(frozen=True)
class Done:
    """Nothing to do any more."""


Job = Start | Resume | Drop | Wait | Done


class Schedule(ABC):
    """Decides how far each trial is trained. See the module's docstring for what implementations guarantee.

    Attributes:
        fidelities: those beside epochs that its jobs name; the estimator must know them.
        draws: whether `next_job` draws from `rng`. One that does not is given any, since making one for each job takes
            longer than most answers.
        hands_on: whether its trials start from the weights of others, which must then have been trained in this run: what
            comes from the evaluation cache has no weights.
    """

    fidelities: tuple[str, ...] = ()
    draws: bool = True
    hands_on: bool = False

    @abstractmethod
    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        """What an idle worker should do; `may_start` says whether a Start would be carried out."""

    def handed_on(self) -> Mapping[TrialId, Step]:
        """The trials from whose weights new ones may start, and the step of the checkpoint that is to be kept of each, even
        while it is trained further. It was the trial's last when it was paused.
        """
        return {}

    def on_job(self, trial: Trial, job: Start | Resume) -> None:  # noqa: B027 - for schedules that keep count
        """A Start or Resume was carried out as `trial`."""

    @abstractmethod
    def on_report(self, trial: Trial, report: Report) -> Action:
        """Take note of `report`, which is the last of `trial.reports`, and say how the trial goes on."""

    def on_end(self, trial: Trial) -> None:  # noqa: B027 - for schedules whose rungs wait
        """`trial` finished, was stopped or dropped, or failed."""
