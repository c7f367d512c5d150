"""Detect that trials failed in the same way: all failed trials of a run, or the first trials of a session."""

from __future__ import annotations

import re

from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.trial import Status, Trial, are_finite

MIN_EQUAL_FAILURES = 3
"""At least this many equal failures are needed to end a search."""
MAX_SIGNATURE_LENGTH = 160
"""An error signature has at most this many characters."""
_VARYING_PARTS = re.compile(
    r"(?P<address>0x[0-9a-fA-F]+)|(?P<path>(?:/[\w.+-]+){2,})|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
)
_PLACEHOLDERS = {"address": "0x...", "path": "/..."}
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)

REMEDY = (
    "fix the cause and make the same call again to continue; with retry_failed=True (--retry-failed), failed trials are "
    "repeated, too"
)


def compute_error_signature(trial: Trial) -> str:
    """Return the first line of a failed trial's reason, with placeholders for numbers, addresses and paths."""
    lines = (trial.reason or "").strip().splitlines()
    text = _VARYING_PARTS.sub(lambda match: _PLACEHOLDERS.get(match.lastgroup or "", "#"), lines[0] if lines else "")
    return text if len(text) <= MAX_SIGNATURE_LENGTH else f"{text[: MAX_SIGNATURE_LENGTH - 3]}..."


def find_repeated_failure(state: State) -> str | None:
    """Return the reason to end a search if the first trials of the session all failed in the same way; else None.

    With one worker, three failed trials are needed. With several workers, the number of workers plus two is needed, since
    every worker may have started a trial before the first one failed. The search continues if a trial of the run has a
    value, or if the failure is an infeasible architecture, since the code is then not the cause.
    """
    workers = Settings.from_json(state.settings).workers
    count_needed = MIN_EQUAL_FAILURES if workers == 1 else max(MIN_EQUAL_FAILURES, workers + 2)
    trials = [state.trials[number] for number in state.failed_in_session]
    if len(trials) < count_needed or _has_value(state):
        return None
    if _count_kinds(trials) > 1 or trials[0].status is Status.INFEASIBLE:
        return None
    return f"the first {len(trials)} trials all ended with the same failure: {_describe(trials[0])}; {REMEDY}"


def find_common_failure(state: State) -> str | None:
    """Return a description of the failure and a remedy, if all failed trials of a run failed in the same way; else None."""
    failed = [trial for trial in state.trials.values() if trial.status.failed]
    return f"{_describe(failed[0])}; {REMEDY}" if _count_kinds(failed) == 1 else None


def _count_kinds(trials: list[Trial]) -> int:
    return len({(trial.status, compute_error_signature(trial)) for trial in trials})


def _has_value(state: State) -> bool:
    """Return whether a trial of the run has a value. The values that running trials have reported count."""
    counts = state.status_counts
    if counts[Status.FINISHED] or counts[Status.STOPPED] or counts[Status.PAUSED]:
        return True
    return any(are_finite(state.trials[number].metrics, state.compared_metrics) for number in state.pending)


def _describe(trial: Trial) -> str:
    """Return the status of a failure with its reason and source line: `error: ValueError: no (train.py:12)`."""
    frames = list(_FRAME.finditer(trial.traceback or ""))
    location = f" ({frames[-1]['file']}:{frames[-1]['line']})" if frames else ""
    reason = (trial.reason or "").strip().splitlines()
    return f"{trial.status.value.replace('_', ' ')}: {reason[0] if reason else 'no reason'}{location}"
