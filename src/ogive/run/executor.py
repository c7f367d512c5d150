"""The contract of an executor: it runs trials, in worker processes, in the controller's process, or in virtual time.

An executor has a number of workers. Each carries out one assignment (one attempt of one trial) at a time. The controller
submits assignments while workers are idle, and `poll` calls it back with reports and ends::

    worker = executor.submit(assignment)  # only while executor.idle_count > 0
    executor.poll(listener, timeout)      # calls listener.on_report and listener.on_end, in this thread

The smallest controller runs one assignment, and lets it continue after every report::

    class Printer:
        running = True

        def on_report(self, trial, step, metrics, seconds):
            print(trial, step, metrics)
            return Action.CONTINUE

        def on_end(self, trial, outcome):
            self.running = False

        def on_warning(self, message, trial=None):
            print(message)

    printer = Printer()
    executor.submit(assignment)
    while printer.running:
        executor.poll(printer, timeout=0.5)
    executor.close()

Guarantees of every implementation:

- `on_end` is called exactly once for each submitted assignment, whatever the evaluation does, unless `close` is called
  before.
- An evaluation waits after a report until `on_report` has returned, and receives its answer.
- The listener is called in the thread that calls `poll`, and only during `poll`.
- After `recall`, every running evaluation ends at its next report. The status of its outcome is WAITING, unless the answer
  to that report has ended or paused the trial.
- After `close`, no process that an evaluation started is still running.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ogive.schedule.base import Action
from ogive.space.domain import Label
from ogive.trial import EMPTY, Fidelity, Status, Step, TrialId, count_steps

STARTUP_SECONDS = 600.0
"""The default of the setting `startup_limit`: the time that a worker may take to load code and data."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One attempt of one trial, as JSON values. The worker creates an `Evaluation` from it.

    Attributes:
        trial: the id of the trial.
        attempt: the number of the attempt, from 1.
        choices: the label of each active decision of the architecture, by the name of the decision.
        id: the id of the architecture.
        fidelity: the fidelity at which the trial is evaluated.
        seed: the seed of all random numbers of the trial, in [0, 2**63).
        folder: the folder of the trial, which the executor creates.
        settings: values that are not part of the architecture, such as a learning rate.
        inherit_from: the folder of the trial whose weights to start from, and the step of its checkpoint; None to start
            without inherited weights.
        last_reported_step: the last step that was reported before this attempt; 0 if there is none.
        spent_seconds: compute time of earlier attempts, in seconds; it counts towards the time limit.
        step_offset: the number to add to a step of this assignment to get the step of the trial. It is above 0 if the trial
            inherits weights, skips lower rungs, or was trained before at a fidelity from which it could not continue.
        missing_metrics: the metrics of objectives and constraints that the trial has not reported yet.
        max_step: the last step of this assignment to which training may continue while metrics are missing; 0 for the last
            step of `fidelity`.
        best_epoch_rule: the fields of a `BestEpoch`: the metric that selects the best epoch, its goal, and the metrics that
            an eligible epoch must have; None if the last epoch is the value of the trial.
    """

    trial: TrialId
    attempt: int
    choices: Mapping[str, Label]
    id: str
    fidelity: Fidelity
    seed: int
    folder: str
    settings: Mapping[str, Any] = EMPTY
    inherit_from: tuple[str, Step] | None = None
    last_reported_step: Step = 0
    spent_seconds: float = 0.0
    step_offset: Step = 0
    missing_metrics: Sequence[str] = ()
    max_step: Step = 0
    best_epoch_rule: tuple[str, str, Sequence[str]] | None = None

    def get_last_step(self, metrics: Mapping[str, float]) -> Step:
        """Return the last step that may be reported, given the metrics reported so far.

        It is the number of epochs of the fidelity, or `max_step` while metrics are missing.
        """
        steps = count_steps(self.fidelity)
        return steps if set(self.missing_metrics) <= metrics.keys() else max(steps, self.max_step)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: FINISHED if the estimator returned, WAITING if the trial needs another attempt because of a `recall`, else
            the kind of failure.
        reason: the reason of a failure; for the status FINISHED, a message for the user; "" for none.
        traceback: the traceback of an exception; "" for none.
        seconds: compute time since the last report, in seconds.
    """

    status: Status
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0


class Listener(Protocol):
    """The receiver of reports and ends: in a search, the controller's `AttemptRecorder`."""

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        """Return the answer to a report: whether the trial continues. `seconds`: compute time since the previous report."""

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        """Record the end of an attempt. Its worker is idle from now on."""

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        """Record a message for the user. `trial`: the trial that the message is about; None for no trial."""


class Executor(ABC):
    """Runs evaluations. See the docstring of the module for the guarantees of implementations.

    Attributes:
        is_virtual: whether time is virtual and nothing is trained. Failures are then simulated, and repeated failures do not
            end a search.
    """

    is_virtual: bool = False

    @property
    @abstractmethod
    def idle_count(self) -> int:
        """The number of assignments that can be submitted now."""

    @abstractmethod
    def submit(self, assignment: Assignment) -> str:
        """Start an evaluation; return the name of its worker."""

    @abstractmethod
    def poll(self, listener: Listener, timeout: float) -> None:
        """Pass reports and ends to the listener; wait at most `timeout` seconds for the first one."""

    @abstractmethod
    def recall(self) -> None:
        """Ask every running evaluation to end at its next report, so that its trial can be continued by another attempt."""

    @abstractmethod
    def close(self) -> None:
        """Kill all running evaluations and every process that they started."""
