"""Failures that are one and the same, and whether the first trials of a session all ended with one."""

from __future__ import annotations

import re

from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.trial import Status, Trial, finite

FEWEST = 3
LENGTH = 160
_PARTICULARS = re.compile(
    r"(?P<address>0x[0-9a-fA-F]+)|(?P<path>(?:/[\w.+-]+){2,})|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
)
_INSTEAD = {"address": "0x...", "path": "/..."}
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)


def error_signature(trial: Trial) -> str:
    """The first line of a failed trial's reason; numbers, addresses and paths, which differ by trial, are replaced."""
    lines = trial.reason.strip().splitlines()
    text = _PARTICULARS.sub(lambda match: _INSTEAD.get(match.lastgroup or "", "#"), lines[0] if lines else "")
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 3]}..."


def repeated_failure(state: State) -> str | None:
    """Why the search should end where the first trials of this session all ended with the same failure, and no trial of the
    run has a value; None where it should go on.

    It takes three trials with one worker, and two more than there are workers with several, since as many may have been
    started before the first failed. An architecture that its estimator calls infeasible is no fault of the code.
    """
    workers = Settings.from_json(state.settings).workers
    needed = FEWEST if workers == 1 else max(FEWEST, workers + 2)
    trials = [state.trials[number] for number in state.failed_in_session]
    if len(trials) < needed or _any_value(state):
        return None
    kinds = {(trial.status, error_signature(trial)) for trial in trials}
    if len(kinds) > 1 or trials[0].status is Status.INFEASIBLE:
        return None
    return f"the first {len(trials)} trials all ended with the same failure: {_described(trials[0])}; {REMEDY}"


def _any_value(state: State) -> bool:
    """Whether a trial of the run has a value, be it a preliminary one of a trial that runs."""
    count = state.count
    if count[Status.FINISHED] or count[Status.STOPPED] or count[Status.PAUSED]:
        return True
    return any(finite(state.trials[number].metrics, state.metrics_needed) for number in state.in_flight)


def same_failure_text(state: State) -> str:
    """What to add to the reason of a search that ended by failures, where all of them are the same; else ""."""
    failed = [trial for trial in state.trials.values() if trial.status.failed]
    if len({(trial.status, error_signature(trial)) for trial in failed}) != 1:
        return ""
    return f", all with the same failure: {_described(failed[0])}; {REMEDY}"


REMEDY = (
    "repair the cause and make the same call again, which goes on; with retry_failed=True (--retry-failed) it also repeats "
    "what failed"
)


def _described(trial: Trial) -> str:
    """`error: ValueError: no (train.py:12)`."""
    frames = list(_FRAME.finditer(trial.traceback))
    where = f" ({frames[-1]['file']}:{frames[-1]['line']})" if frames else ""
    reason = trial.reason.strip().splitlines()
    return f"{trial.status.value.replace('_', ' ')}: {reason[0] if reason else 'no reason'}{where}"
