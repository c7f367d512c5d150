"""`ogive status`: how far a run is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ogive.cli.common import (
    AsJson,
    RunPath,
    choices,
    failures,
    network_json,
    open_run,
    print_failures,
    print_json,
    print_notes,
    shown,
    unsaved,
)

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.monitor.stop_rules import StopVerdict
    from ogive.run.state import State


def status(run: RunPath, as_json: AsJson = False) -> None:
    """Show how far a run is: trials, best so far, failures, cost, what the stop rules advise, alerts."""
    from ogive.cli.funnel_view import show_where_there_is_one
    from ogive.formatting import duration, number, plural
    from ogive.monitor import cost_text
    from ogive.monitor.stop_rules import verdicts
    from ogive.monitor.utilisation import utilisation
    from ogive.run.results import nearest, top, why_none
    from ogive.run.trial_labels import trial_name
    from ogive.stages.stage_states import stage_states

    if show_where_there_is_one(run, as_json):
        return
    opened = open_run(run)
    state = opened.state
    best = top(state, 1) if len(state.objectives) == 1 else []
    summary = _summary(opened, state)
    now = time.time() if summary["state"] == "running" else None
    states, busy, advice = (
        stage_states(opened.folder, state),
        utilisation(state, bins=1, now=now),
        verdicts(state, now=now),
    )
    followed = opened.stages
    winners = followed.winners if followed.result is not None else []
    if as_json:
        more = {
            "best": network_json(followed.searched(best[0])) if best else None,
            "winners": [
                {**winner.to_json(), "architecture": winner.trial.architecture.to_json()} for winner in winners
            ],
            "notes": followed.notes,
            "no_weights": unsaved(opened),
            "cost": cost_text.cost_json(states, now),
            "utilisation": busy.mean,
            "advice": [{**asdict(verdict), "numbers": dict(verdict.numbers)} for verdict in advice],
            "alerts": [alert.to_json() for alert in state.alerts],
        }
        print_json(summary | more)
        return
    print(f"run       {shown(opened.folder)}")
    why = state.ended or state.error
    print(f"state     {summary['state']}{f': {why}' if why else ''}")
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in summary["trials"].items())
    repeats = f" ({len(state.repeats):,} of them repeat failed ones)" if state.repeats else ""
    print(f"trials    {len(state.trials):,} of {state.total:,}{repeats}{f': {counts}' if counts else ''}")
    print(f"time      {duration(state.elapsed)}; the workers computed {duration(state.seconds)}")
    if best:
        values = ", ".join(f"{o.metric} {number(best[0].metrics[o.metric])}" for o in state.objectives)
        of = " of the search" if winners else ""
        print(f"best      {values}: {trial_name(best[0])}{of}, {choices(best[0])}")
    elif nearest(state, 1) and not top(state, 1):
        print(f"best      none: {why_none(state)}")
    elif len(state.objectives) > 1:
        print(f"front     {plural(len(opened.front()), 'trial')}: ogive front {shown(opened.folder)}")
    for winner in winners:
        values = ", ".join(f"{o.metric} {number(winner.mean[o.metric])}" for o in state.objectives)
        print(f"winner    {values}: {winner.title}, {choices(winner.trial)}")
    print_notes(opened)
    together = state.settings.get("workers_per_trial", 1)
    each = f" of {together} processes each" if together > 1 else ""
    print(f"workers   {state.settings['workers']}{each}, with a trial for {busy.mean:.0%} of the time")
    for label, text in cost_text.cost_lines(states, now):
        print(f"{label:<9} {text}")
    print(f"advice    {_advice(state, advice)}")
    for label, text in cost_text.advice_lines(advice):
        print(f"  {label:<7} {text}")
    for label, text in cost_text.alert_lines(state):
        print(f"{label:<9} {text}")
    if state.warnings:
        print(f"warnings  {len(state.warnings)}, the last: {state.warnings[-1][0]}")
    print_failures(state, opened.folder)


def _advice(state: State, verdicts: Sequence[StopVerdict]) -> str:
    """What the rules come to; a search that has ended can follow none."""
    if state.ended:
        return "none, the search has ended; the rules said at its end:"
    if state.error is not None:
        return "correct the error, then go on with the same call; the rules say:"
    mode = "auto: a rule ends the search" if state.settings.get("stop") == "auto" else "advise: rules only tell"
    return f"{'stop' if any(verdict.stop for verdict in verdicts) else 'go on'} ({mode})"


def _summary(run: Run, state: State) -> dict[str, Any]:
    return {
        "run": str(shown(run.folder)),
        "state": _state(state),
        "why": state.ended,
        "error": state.error,
        "ended_by_failures": state.ended_by_failures,
        "max_trials": state.settings["max_trials"],
        "trials": {status.value: n for status, n in state.count.items() if n},
        "objectives": [{"metric": o.metric, "goal": o.goal} for o in state.objectives],
        "elapsed_seconds": state.elapsed,
        "trial_seconds": state.seconds,
        "failures": failures(state),
        "warnings": [message for message, _ in state.warnings],
        "test_reads": state.test_reads,
    }


def _state(state: State) -> str:
    """Whether the search has ended, goes on, was interrupted, ended by an error, or lost its controller."""
    import socket

    import psutil

    if state.ended:
        return "ended"
    if not state.open:
        return "interrupted" if state.error is None else "ended by an error"
    session = state.sessions[-1]
    if session["host"] != socket.gethostname():
        return f"running on {session['host']}, unless its controller was killed"
    return "running" if psutil.pid_exists(session["pid"]) else "interrupted"
