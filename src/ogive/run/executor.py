"""The contract of an executor: WHERE IT RUNS.

An executor has a number of places. The controller fills the idle ones, and `poll` hands it what has happened::

    executor.submit(assignment)          # only when executor.idle > 0; returns the worker's name
    executor.poll(listener, timeout)     # calls listener.on_report and listener.on_end, in this thread

What every implementation guarantees:

- Each submitted assignment ends with exactly one `on_end`, whatever the evaluation does, unless `close` comes first.
- A report is delivered before the evaluation goes on, and the evaluation gets the listener's answer.
- `recall` asks the running evaluations to put themselves back at their next report.
- After `close`, nothing that the evaluations started is left running.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ogive.schedule.base import Action
from ogive.space.domain import Label
from ogive.trial import EMPTY, Fidelity, Status, Step, TrialId, until

STARTUP_SECONDS = 600.0
"""How long a worker may take to load code and data, unless `startup_limit` says otherwise."""


@dataclass(frozen=True)
class Assignment:
    """One attempt of one trial, as JSON: what `Evaluation` is made of where it runs.

    Attributes:
        choices: the architecture.
        id: the architecture's identity.
        folder: of the trial; made by the executor.
        inherit: the folder of the trial whose weights to start from, and the step; None for none.
        reported: the last step that the journal has.
        spent: compute seconds of earlier attempts, which count towards the time limit.
        began: steps that were trained before the first of this job; see `Evaluation`.
        awaits, limit: as in `Evaluation`.
        best_epoch_of: the fields of the rule in `Evaluation`.
    """

    trial: TrialId
    attempt: int
    choices: Mapping[str, Label]
    id: str
    fidelity: Fidelity
    seed: int
    folder: str
    settings: Mapping[str, Any] = EMPTY
    inherit: tuple[str, Step] | None = None
    reported: Step = 0
    spent: float = 0.0
    began: Step = 0
    awaits: Sequence[str] = ()
    limit: Step = 0
    best_epoch_of: tuple[str, str, Sequence[str]] | None = None

    def last_step(self, metrics: Mapping[str, float]) -> Step:
        """The last step that may be reported once `metrics` are: later than its fidelity says while a metric is awaited."""
        end = until(self.fidelity)
        return end if set(self.awaits) <= metrics.keys() else max(end, self.limit)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: FINISHED when the estimator returned, WAITING when the attempt put itself back, else the failure.
        reason: of the failure; where it is FINISHED, what the user should know all the same.
        seconds: compute time since the last report.
    """

    status: Status
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0


class Listener(Protocol):
    """Who is told what happens: the controller."""

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        """A trial reported; the answer says how it goes on."""

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        """An attempt ended; its place is free."""

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        """Something that a user should know."""


class Executor(ABC):
    """Runs evaluations. See the module's docstring for what implementations guarantee.

    Attributes:
        virtual: nothing is trained and time is virtual, so that failures say nothing of the user's code.
    """

    virtual: bool = False

    @property
    @abstractmethod
    def idle(self) -> int:
        """How many assignments can be submitted now."""

    @abstractmethod
    def submit(self, assignment: Assignment) -> str:
        """Begin an evaluation; returns the name of the worker that has it."""

    @abstractmethod
    def poll(self, listener: Listener, timeout: float) -> None:
        """Deliver what has happened, waiting at most `timeout` seconds for the first thing."""

    @abstractmethod
    def recall(self) -> None:
        """Ask every running evaluation to put itself back at its next report."""

    @abstractmethod
    def close(self) -> None:
        """End everything at once."""
