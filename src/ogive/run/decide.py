"""What becomes of a proposal and of a report: pure functions that the controller asks before it writes anything down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.run.checkpoint_retention import inherited_folder
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment, Outcome
from ogive.run.state import State
from ogive.run.trial_folder import trial_path
from ogive.schedule.base import Action
from ogive.space.fingerprints import is_same
from ogive.trial import Proposal, Status, Step, Trial, TrialId

_KINDS = {Action.CONTINUE: Kind.FINISHED, Action.PAUSE: Kind.PAUSED, Action.STOP: Kind.STOPPED}
_ANSWERS = {Kind.FINISHED: Action.CONTINUE, Kind.PAUSED: Action.PAUSE}
_encode = json.JSONEncoder(allow_nan=False).encode


def checked(proposal: Proposal, note: Mapping[str, Any], state: State, strategy: str) -> Proposal:
    """`proposal` as it will be read back from the journal; what the journal cannot hold is refused before it is in.

    Raises:
        RunError: it is not of this run; `strategy` is named.
    """
    space = proposal.architecture.space
    if space is not state.space and not is_same(space, state.space):
        raise RunError(
            f"strategy {strategy} proposes {proposal.architecture!r}, which is of another space than the run's"
        )
    if proposal.inherit is not None and proposal.inherit[0] not in state.trials:
        raise RunError(
            f"strategy {strategy} lets a proposal inherit from trial {proposal.inherit[0]}, which there is not"
        )
    return _as_read_back(proposal, note, strategy)


def _as_read_back(proposal: Proposal, note: Mapping[str, Any], strategy: str) -> Proposal:
    """`proposal` with the schedule's `note`, as it will be read back from the journal.

    Raises:
        RunError: the journal cannot hold its settings or its note; `strategy` is named.
    """
    kept = {**proposal.note, "schedule": dict(note)} if note else proposal.note
    if not kept and not proposal.settings:
        return proposal
    try:
        settings, kept = json.loads(_encode([dict(proposal.settings), dict(kept)]))
    except (TypeError, ValueError) as error:
        raise RunError(f"strategy {strategy}: settings and note of a proposal must be JSON: {error}") from error
    return Proposal(proposal.architecture, proposal.inherit, settings, kept)


def assignment(trial: Trial, state: State, folder: Path) -> Assignment:
    """What a worker is given to carry out the next attempt at `trial`, in the run's `folder`."""
    inherit = None
    if trial.proposal.inherit is not None:
        parent = state.trials[trial.proposal.inherit[0]]
        own = inherited_folder(folder, trial.id)
        source = str(own) if own.is_dir() else trial_path(folder, parent)
        inherit = source, trial.proposal.inherit[1] - parent.began  # as the parent counted
    return Assignment(
        trial.id,
        trial.attempts + 1,
        trial.architecture.to_json(),
        trial.architecture.id,
        dict(trial.fidelity),
        trial.seed,
        trial_path(folder, trial),
        dict(trial.proposal.settings),
        inherit,
        max(0, trial.step - trial.began),
        trial.seconds,
        trial.began,
        awaits=missing_metrics(trial, state.metrics_needed),
        limit=last_step(trial, state.created["epochs"]) - trial.began,
        best_epoch_of=trial.best_epoch_of and trial.best_epoch_of.beside(trial.screened),
    )


def decided(trial: Trial, action: Action, needed: Sequence[str], epochs: int | None) -> Event | None:
    """What becomes of a trial after its last report: the event that ends or pauses it, or None to go on.

    Args:
        trial: with the report.
        action: what the schedule says to it.
        needed: the metrics of objectives and constraints.
        epochs: of a trial at most; None where nobody counts them.
    """
    lack = valueless(trial, needed)
    if lack is not None:
        return failed(trial.id, lack) if trial.step >= _patience(trial, lack, epochs) else None
    if action is Action.CONTINUE and trial.step < trial.until:
        return None
    return Event(_KINDS[action], trial.id)


def _patience(trial: Trial, lack: Outcome, epochs: int | None) -> Step:
    """The step up to which a trial without a value goes on: to the very last while something is not reported yet. Values
    that are not finite end it at once; where the best epoch counts, at the end of its job.
    """
    if lack.status is Status.MISSING_METRIC:
        return last_step(trial, epochs)
    return trial.step if trial.best_epoch_of is None else trial.until


def last_step(trial: Trial, epochs: int | None) -> Step:
    """The step up to which a trial may be trained until it has a value: `epochs` where its job limits the epochs alone, else
    the end of its job.
    """
    return max(trial.until, epochs) if epochs is not None and set(trial.fidelity) == {"epochs"} else trial.until


def answer(event: Event | None) -> Action:
    """What a worker is told of what was decided; a trial that is finished ends by itself."""
    return Action.CONTINUE if event is None else _ANSWERS.get(event.kind, Action.STOP)


def valueless(trial: Trial, needed: Sequence[str]) -> Outcome | None:
    """The failure of a trial that has no value: in its `value_report` not all metrics `needed` are there and finite. None
    where they are.
    """
    missing = missing_metrics(trial, needed)
    not_finite_metric = _not_finite(trial, needed)
    if not_finite_metric and (not missing or trial.best_epoch_of is None):
        none = "" if trial.best_epoch_of is None else f"no epoch had finite values of {', '.join(needed)}: "
        return Outcome(
            Status.NOT_FINITE, f"{none}{not_finite_metric} is {trial.metrics[not_finite_metric]} at step {trial.step}"
        )
    return _unreported(trial, missing) if missing else None


def _not_finite(trial: Trial, needed: Sequence[str]) -> str:
    """The first of the metrics `needed` that is there and not finite; "" where there is none."""
    metrics = trial.metrics
    return next((name for name in needed if not math.isfinite(metrics.get(name, 0.0))), "")


def _unreported(trial: Trial, missing: Sequence[str]) -> Outcome:
    """The failure of a trial that did not report the metrics `missing`."""
    reported = ", ".join(trial.reports[-1].metrics if trial.reports else ()) or "nothing"
    call = f"trial.report({', '.join(f'{name}=...' for name in missing)})"
    remedy = f"a train function calls {call} in each of its epochs"
    if "epochs" in trial.fidelity:
        remedy += f" (here: up to epoch {max(trial.step, trial.until) - trial.began})"
    reason = f"{', '.join(missing)} was never reported; what was: {reported}; {remedy}"
    return Outcome(Status.MISSING_METRIC, reason)


def missing_metrics(trial: Trial, needed: Sequence[str]) -> tuple[str, ...]:
    """Those of `needed` that are not known of the trial at its present fidelity."""
    report = trial.value_report
    known = report.metrics if report is not None and report.began == trial.began else {}
    return tuple(name for name in needed if name not in trial.screened and name not in known)


def taken_over(trial: Trial, state: State, step: Step) -> Mapping[str, float]:
    """What a trial that ends at `step` without a value, and goes on from another one's weights, takes over from there: the
    metrics that it has not reported itself, as if one training had come so far. Empty where it has a value, may still get
    one, or where a metric is missing there too.
    """
    missing = missing_metrics(trial, state.metrics_needed)
    if not missing or not trial.goes_on or step < last_step(trial, state.created["epochs"]):
        return {}
    donor, at = trial.proposal.inherit or (0, 0)
    known = next((report.metrics for report in reversed(state.trials[donor].reports) if report.step <= at), {})
    return {name: known[name] for name in missing} if all(name in known for name in missing) else {}


def failed(trial: TrialId, outcome: Outcome) -> Event:
    """The event of a trial's failure."""
    data = {"status": outcome.status.value, "reason": outcome.reason, "seconds": round(outcome.seconds, 6)}
    return Event(Kind.FAILED, trial, data={**data, "traceback": outcome.traceback} if outcome.traceback else data)
