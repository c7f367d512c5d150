"""Decisions about proposals and reports, as pure functions. The controller calls them before it writes an event."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.run.checkpoint_retention import get_inherited_folder
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment, Outcome
from ogive.run.state import REPEATS_NOTE, State
from ogive.run.trial_folder import get_trial_path
from ogive.schedule.base import Action, Start
from ogive.seeds import derive
from ogive.space.fingerprints import describes_same_space
from ogive.trial import Proposal, Status, Step, Trial, TrialId

# For each action of the schedule, the event that ends the job of a trial. The action CONTINUE ends it at its last step only.
_EVENT_KINDS = {Action.CONTINUE: Kind.FINISHED, Action.PAUSE: Kind.PAUSED, Action.STOP: Kind.STOPPED}
# The answers to the worker after these events. After any other event, the answer is STOP.
_ANSWERS = {Kind.FINISHED: Action.CONTINUE, Kind.PAUSED: Action.PAUSE}
_encode = json.JSONEncoder(allow_nan=False).encode


def check_proposal(proposal: Proposal, note: Mapping[str, Any], state: State, strategy: str) -> Proposal:
    """Return `proposal`, with the schedule's `note`, as it will be read back from the journal.

    Raises:
        RunError: the proposal does not fit the run, or the journal cannot store it; the message names `strategy`.
    """
    space = proposal.architecture.space
    if space is not state.space and not describes_same_space(space, state.space):
        raise RunError(
            f"strategy {strategy} proposes {proposal.architecture!r}, an architecture of another space than the run's"
        )
    if proposal.inherit is not None:
        donor_id, _ = proposal.inherit
        if donor_id not in state.trials:
            raise RunError(
                f"strategy {strategy} proposes an architecture that inherits the weights of trial {donor_id}, but the run "
                "has no such trial"
            )
    return _read_back(proposal, note, strategy)


def _read_back(proposal: Proposal, note: Mapping[str, Any], strategy: str) -> Proposal:
    """Return `proposal`, with the schedule's `note`, after its settings and note were converted to JSON and back.

    Raises:
        RunError: the settings or the note are not JSON.
    """
    full_note = {**proposal.note, "schedule": dict(note)} if note else proposal.note
    if not full_note and not proposal.settings:
        return proposal
    try:
        settings, full_note = json.loads(_encode([dict(proposal.settings), dict(full_note)]))
    except (TypeError, ValueError) as error:
        raise RunError(f"strategy {strategy}: settings and note of a proposal must be JSON: {error}") from error
    return Proposal(proposal.architecture, proposal.inherit, settings, full_note)


def make_repetition(state: State) -> Proposal | None:
    """Return the proposal of the next failed trial that should be repeated; None if there is none."""
    failed = state.next_repeat
    if failed is None:
        return None
    proposal = state.trials[failed].proposal
    note = {name: value for name, value in proposal.note.items() if name != "schedule"}
    return replace(proposal, note={**note, REPEATS_NOTE: failed})


def make_trial(number: TrialId, proposal: Proposal, job: Start, state: State) -> Trial:
    """Return the new trial of a proposal.

    The seed of the trial depends on the seed of the run, the architecture, and the number of earlier trials of the same
    architecture, but not on the number of the trial. So runs with the same seed can share results. A repetition has the seed
    of the failed trial.
    """
    architecture_id = proposal.architecture.id
    repeated = proposal.note.get(REPEATS_NOTE)
    if repeated is None:
        seed = derive(
            int(state.declaration["seed"]), "trial", architecture_id, state.architecture_counts[architecture_id]
        )
    else:
        seed = state.trials[repeated].seed
    return Trial(
        number, proposal, job.fidelity, seed, step_offset=job.step_offset, best_epoch_rule=state.best_epoch_rule
    )


def make_assignment(trial: Trial, state: State, folder: Path) -> Assignment:
    """Return the assignment for the next attempt of `trial`. `folder`: the folder of the run."""
    inherit = None
    if trial.proposal.inherit is not None:
        donor_id, donor_step = trial.proposal.inherit
        donor = state.trials[donor_id]
        # Use the checkpoint that `inherit_checkpoint` has linked for this trial: the donor may delete its own at any time.
        linked = get_inherited_folder(folder, trial.id)
        source = str(linked) if linked.is_dir() else get_trial_path(folder, donor)
        # Checkpoint files are numbered by the steps of the donor's last job, which begin after `step_offset`.
        inherit = source, donor_step - donor.step_offset
    return Assignment(
        trial=trial.id,
        attempt=trial.attempts + 1,
        choices=trial.architecture.to_json(),
        id=trial.architecture.id,
        fidelity=dict(trial.fidelity),
        seed=trial.seed,
        folder=get_trial_path(folder, trial),
        settings=dict(trial.proposal.settings),
        inherit_from=inherit,
        last_reported_step=max(0, trial.step - trial.step_offset),
        spent_seconds=trial.seconds,
        step_offset=trial.step_offset,
        missing_metrics=find_missing_metrics(trial, state.compared_metrics),
        max_step=compute_last_allowed_step(trial, state.declaration["epochs"]) - trial.step_offset,
        best_epoch_rule=trial.best_epoch_rule and trial.best_epoch_rule.without_screened(trial.screened),
    )


def decide_end(trial: Trial, action: Action, compared_metrics: Sequence[str], epochs: int | None) -> Event | None:
    """Return the event that ends or pauses a trial after its last report; None if it continues.

    Args:
        trial: the trial, with the report.
        action: the answer of the schedule to the report.
        compared_metrics: the metrics of objectives and constraints.
        epochs: the largest number of epochs of a trial; None if it is unknown.
    """
    failure = find_value_failure(trial, compared_metrics)
    if failure is not None:
        is_at_end = trial.step >= _find_last_step_without_value(trial, failure, epochs)
        return make_failed_event(trial.id, failure) if is_at_end else None
    if action is Action.CONTINUE and trial.step < trial.target_step:
        return None
    return Event(_EVENT_KINDS[action], trial.id)


def _find_last_step_without_value(trial: Trial, failure: Outcome, epochs: int | None) -> Step:
    """Return the step up to which a trial without a value continues.

    A missing metric may still be reported, up to the last allowed step. A value that is not finite ends the trial at once.
    But if the best epoch counts, the trial continues to the end of its job, since a later epoch may have a finite value.
    """
    if failure.status is Status.MISSING_METRIC:
        return compute_last_allowed_step(trial, epochs)
    return trial.step if trial.best_epoch_rule is None else trial.target_step


def compute_last_allowed_step(trial: Trial, epochs: int | None) -> Step:
    """Return the last step to which a trial without a value may be trained.

    It is `epochs` if the fidelity of the job has no other entry, else the end of the job.
    """
    if epochs is None or set(trial.fidelity) != {"epochs"}:
        return trial.target_step
    return max(trial.target_step, epochs)


def get_answer(event: Event | None) -> Action:
    """Return the answer to a worker after `decide_end` returned `event`.

    It is CONTINUE for a finished trial as well: its evaluation has reached its last step, and returns without being asked.
    """
    return Action.CONTINUE if event is None else _ANSWERS.get(event.kind, Action.STOP)


def find_value_failure(trial: Trial, compared_metrics: Sequence[str]) -> Outcome | None:
    """Return the failure of a trial without a value: a compared metric is missing or not finite. None if it has a value."""
    missing = find_missing_metrics(trial, compared_metrics)
    not_finite = _find_not_finite(trial, compared_metrics)
    # Without a best-epoch rule, a value that is not finite ends the trial at once, even if another metric is missing. With
    # the rule, a missing metric takes precedence: the trial may continue until all metrics are reported, and a later epoch
    # may have finite values of all of them.
    if not_finite is not None and (not missing or trial.best_epoch_rule is None):
        reason = f"{not_finite} is {trial.metrics[not_finite]} at step {trial.step}"
        if trial.best_epoch_rule is not None:
            reason = f"no epoch had finite values of {', '.join(compared_metrics)}: {reason}"
        return Outcome(Status.NOT_FINITE, reason)
    return _make_missing_metric_failure(trial, missing) if missing else None


def _find_not_finite(trial: Trial, compared_metrics: Sequence[str]) -> str | None:
    """Return the first compared metric whose value is not finite; None if there is none."""
    metrics = trial.metrics
    # A missing metric counts as finite here, because `find_missing_metrics` finds it.
    return next((name for name in compared_metrics if not math.isfinite(metrics.get(name, 0.0))), None)


def _make_missing_metric_failure(trial: Trial, missing: Sequence[str]) -> Outcome:
    """Return the failure of a trial that did not report the metrics `missing`; its reason says how to report them."""
    reported = ", ".join(trial.reports[-1].metrics if trial.reports else ())
    other_metrics = f"only {reported} was" if reported else "nor was any other metric"
    call = f"trial.report({', '.join(f'{name}=...' for name in missing)})"
    remedy = f"call {call} in each epoch of the train function"
    if "epochs" in trial.fidelity:
        last_epoch = max(trial.step, trial.target_step) - trial.step_offset
        remedy += f" (in this trial: up to epoch {last_epoch})"
    reason = f"{', '.join(missing)} was never reported, {other_metrics}; {remedy}"
    return Outcome(Status.MISSING_METRIC, reason)


def find_missing_metrics(trial: Trial, compared_metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the compared metrics that the trial has not reported at its present fidelity, and that are not screened."""
    report = trial.value_report
    reported = report.metrics if report is not None and report.step_offset == trial.step_offset else {}
    return tuple(name for name in compared_metrics if name not in trial.screened and name not in reported)


def get_inherited_metrics(trial: Trial, state: State, step: Step) -> Mapping[str, float]:
    """Return the compared metrics that a trial has not reported at `step`, its last step, with the values of its donor.

    If a trial continues the training of a donor, the last values that the donor reported before are still valid. The result
    is empty for other trials, and if no metric is missing. It is also empty if `step` is not the last step, so that the
    trial may still report the metrics itself, or if the donor has not reported all of them either.
    """
    missing = find_missing_metrics(trial, state.compared_metrics)
    if (
        not missing
        or not trial.continues_training
        or step < compute_last_allowed_step(trial, state.declaration["epochs"])
    ):
        return {}
    assert trial.proposal.inherit is not None  # since it continues the training of another trial
    donor_id, donor_step = trial.proposal.inherit
    reports = reversed(state.trials[donor_id].reports)
    metrics = next((report.metrics for report in reports if report.step <= donor_step), {})
    return {name: metrics[name] for name in missing} if all(name in metrics for name in missing) else {}


def make_failed_event(trial: TrialId, outcome: Outcome) -> Event:
    """Return the event that records the failure of a trial."""
    data = {"status": outcome.status.value, "reason": outcome.reason, "seconds": round(outcome.seconds, 6)}
    return Event(Kind.FAILED, trial, data={**data, "traceback": outcome.traceback} if outcome.traceback else data)
