"""One attempt, wherever it runs: from an assignment to an outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ogive.errors import RunError
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.executors.base import Assignment, Outcome
from ogive.run.outcome import classify, disk_fault
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Status, Step

Deliver = Callable[[Step, Mapping[str, float], float], Action]


def evaluate(
    space: Space, estimator: Estimator, assignment: Assignment, deliver: Deliver, leaving: Callable[[], bool]
) -> Outcome:
    """Carry out `assignment`; `deliver(step, metrics, seconds)` hands a report over and brings the answer.

    Everything that the evaluation raises becomes an outcome, KeyboardInterrupt excepted: that one is for the process.

    Raises:
        RunError: the run's disk is full or read-only, which is no fault of the architecture.
    """
    mark = time.perf_counter()
    left = False

    def lap() -> float:
        nonlocal mark
        now = time.perf_counter()
        seconds, mark = now - mark, now
        return seconds

    def send(step: Step, metrics: Mapping[str, float]) -> Action:
        nonlocal mark, left
        answer = deliver(step, metrics, lap())
        mark = time.perf_counter()  # waiting for the controller is not compute time
        left = answer is Action.CONTINUE and leaving()
        return Action.PAUSE if left else answer

    try:
        folder = Path(assignment.folder)
        folder.mkdir(parents=True, exist_ok=True)
        evaluation = Evaluation(
            assignment.trial,
            space.architecture(assignment.choices),
            assignment.fidelity,
            assignment.seed,
            folder,
            send,
            assignment.settings,
            Path(assignment.inherit) if assignment.inherit else None,
            assignment.reported,
        )
        estimator.evaluate(evaluation)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # failure is an input: every one becomes a status
        if fault := disk_fault(error):
            raise RunError(fault) from error
        return classify(error, lap())
    return Outcome(Status.WAITING if left else Status.FINISHED, "interrupted" if left else "", "", lap())
