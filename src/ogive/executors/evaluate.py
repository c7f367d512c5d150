"""The evaluation of one assignment, for all executors that train."""

from __future__ import annotations

import operator
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ogive.errors import JobError, RunError
from ogive.run.estimator import SINGLE_PROCESS, Estimator, Evaluation, Team
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify, find_disk_fault
from ogive.run.trial_folder import get_trials_folder
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import BestEpoch, Status, Step

Deliver = Callable[[Step, Mapping[str, float], float], Action]
"""A function that delivers a report (step, metrics, seconds of compute time since the previous one); returns the answer."""


def evaluate(
    space: Space,
    estimator: Estimator,
    assignment: Assignment,
    deliver: Deliver,
    *,
    is_leaving: Callable[[], bool],
    team: Team = SINGLE_PROCESS,
) -> Outcome:
    """Carry out an assignment and return its outcome.

    All exceptions of the evaluation become outcomes, except KeyboardInterrupt, which is raised again.

    Args:
        space: the space of the architecture.
        estimator: the estimator, already prepared.
        assignment: the attempt.
        deliver: a function that delivers each report and returns its answer.
        is_leaving: a function that returns whether the evaluation should end at its present report and be continued by
            another attempt.
        team: the processes that carry out the assignment.

    Raises:
        RunError: the disk is full or read-only, or the folder of the run was moved, so the architecture is not the cause.
    """
    last_time = time.perf_counter()
    is_interrupted = False
    last_step = 0
    notes: list[str] = []

    def measure_lap() -> float:
        """Return the seconds since the last call."""
        nonlocal last_time
        now = time.perf_counter()
        seconds, last_time = now - last_time, now
        return seconds

    def send(step: Step, metrics: Mapping[str, float]) -> Action:
        """Check and deliver a report; return the answer, or PAUSE if the evaluation should end here."""
        nonlocal last_time, is_interrupted, last_step
        # Given no metrics, get_last_step returns the highest limit.
        last_step = _check_step(step, last_step, assignment.get_last_step({}))
        answer = deliver(last_step, metrics, measure_lap())
        last_time = time.perf_counter()  # waiting for the controller is not compute time
        is_interrupted = answer is Action.CONTINUE and is_leaving()
        return Action.PAUSE if is_interrupted else answer

    folder = Path(assignment.folder)
    try:
        evaluation = Evaluation(
            trial=assignment.trial,
            architecture=space.architecture(assignment.choices),
            fidelity=assignment.fidelity,
            seed=assignment.seed,
            folder=folder,
            send=send,
            settings=assignment.settings,
            inherit_from=(Path(assignment.inherit_from[0]), assignment.inherit_from[1])
            if assignment.inherit_from
            else None,
            last_reported_step=assignment.last_reported_step,
            step_offset=assignment.step_offset,
            team=team,
            attempt=assignment.attempt,
            add_note=notes.append,
            missing_metrics=tuple(assignment.missing_metrics),
            max_step=assignment.max_step,
            best_epoch_rule=_parse_best_epoch_rule(assignment),
        )
        estimator.evaluate(evaluation)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if fault := find_disk_fault(error):
            raise RunError(fault) from error
        if not get_trials_folder(folder).is_dir():
            raise RunError(f"the run's folder {get_trials_folder(folder).parent} was moved or deleted") from error
        return classify(error, measure_lap())
    if is_interrupted:
        return Outcome(Status.WAITING, "interrupted", seconds=measure_lap())
    return Outcome(Status.FINISHED, "; ".join(notes), seconds=measure_lap())


def _parse_best_epoch_rule(assignment: Assignment) -> BestEpoch | None:
    """Return the `BestEpoch` from its fields in the assignment."""
    if assignment.best_epoch_rule is None:
        return None
    metric, goal, required_metrics = assignment.best_epoch_rule
    return BestEpoch(metric, goal, tuple(required_metrics))


def create_trial_folder(assignment: Assignment) -> Path:
    """Create the folder of the trial and return it. Before the first attempt, delete all files in it.

    Such files are left by a trial with the same number that never reached the journal, perhaps of another architecture.
    """
    folder = Path(assignment.folder)
    if assignment.attempt == 1 and folder.exists():
        shutil.rmtree(folder)
    trials = get_trials_folder(folder)
    # The parent is the folder of the run. It is not created: if it is missing, it was moved, and an error follows.
    trials.mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _check_step(step: Step, previous: Step, last: Step) -> Step:
    """Return `step` as an integer.

    Raises:
        JobError: the step is not a whole number above `previous` and at most `last`.
    """
    try:
        number = operator.index(step)
    except TypeError:
        number = 0  # not a valid step, so the check below fails
    if not previous < number <= last:
        raise JobError(f"report at step {step!r}: expected a whole number above {previous} and up to {last}")
    return number
