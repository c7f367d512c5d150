"""One attempt, wherever it runs: from an assignment to an outcome."""

from __future__ import annotations

import operator
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ogive.errors import JobError, RunError
from ogive.run.estimator import ALONE, Estimator, Evaluation, Team
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify, disk_fault
from ogive.run.trial_folder import trials_folder
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import BestEpoch, Status, Step

Deliver = Callable[[Step, Mapping[str, float], float], Action]


def evaluate(
    space: Space,
    estimator: Estimator,
    assignment: Assignment,
    deliver: Deliver,
    leaving: Callable[[], bool],
    team: Team = ALONE,
) -> Outcome:
    """Carry out `assignment`; `deliver(step, metrics, seconds)` hands a report over and brings the answer.

    Everything that the evaluation raises becomes an outcome, KeyboardInterrupt excepted: that one is for the process.

    Raises:
        RunError: the run's disk is full or read-only, or its folder is away, which is no fault of the architecture.
    """
    mark = time.perf_counter()
    left = False
    last = 0
    notes: list[str] = []

    def lap() -> float:
        nonlocal mark
        now = time.perf_counter()
        seconds, mark = now - mark, now
        return seconds

    def send(step: Step, metrics: Mapping[str, float]) -> Action:
        nonlocal mark, left, last
        last = _checked(step, last, assignment.last_step({}))
        answer = deliver(last, metrics, lap())
        mark = time.perf_counter()  # waiting for the controller is not compute time
        left = answer is Action.CONTINUE and leaving()
        return Action.PAUSE if left else answer

    folder = Path(assignment.folder)
    try:
        evaluation = Evaluation(
            assignment.trial,
            space.architecture(assignment.choices),
            assignment.fidelity,
            assignment.seed,
            folder,
            send,
            assignment.settings,
            (Path(assignment.inherit[0]), assignment.inherit[1]) if assignment.inherit else None,
            assignment.reported,
            assignment.began,
            team,
            assignment.attempt,
            notes.append,
            awaits=tuple(assignment.awaits),
            limit=assignment.limit,
            best_epoch_of=_rule(assignment),
        )
        estimator.evaluate(evaluation)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # failure is an input: every one becomes a status
        if fault := disk_fault(error):
            raise RunError(fault) from error
        if not trials_folder(folder).is_dir():
            raise RunError(f"the run's folder {trials_folder(folder).parent} was moved or deleted") from error
        return classify(error, lap())
    return Outcome(Status.WAITING if left else Status.FINISHED, "interrupted" if left else "; ".join(notes), "", lap())


def _rule(assignment: Assignment) -> BestEpoch | None:
    if assignment.best_epoch_of is None:
        return None
    metric, goal, needed = assignment.best_epoch_of
    return BestEpoch(metric, goal, tuple(needed))


def make_folder(assignment: Assignment) -> Path:
    """The trial's folder. A first attempt finds it empty: what is there was left by a start that never reached the journal,
    perhaps of another architecture.
    """
    folder = Path(assignment.folder)
    if assignment.attempt == 1 and folder.exists():
        shutil.rmtree(folder)
    trials = trials_folder(folder)
    trials.mkdir(exist_ok=True)  # not the run's folder above it: when that is away, somebody has moved it
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _checked(step: Step, last: Step, until: Step) -> Step:
    try:
        number = operator.index(step)
    except TypeError:
        number = 0
    if not last < number <= until:
        raise JobError(f"report at step {step!r}: expected a whole number above {last} and up to {until}")
    return number
