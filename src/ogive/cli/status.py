"""`ogive status`: show the progress, cost and best trial of a run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ogive.cli.common import (
    AsJson,
    RunPath,
    format_decisions,
    list_missing_weights_reasons,
    network_json,
    open_run,
    print_failures,
    print_line,
    print_summary,
    relative_path,
    summarize_failures,
)
from ogive.cli.terminal import print_json

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.monitor.stop_rules import StopVerdict
    from ogive.run.state import State


def status(run: RunPath, as_json: AsJson = False) -> None:
    """Show the progress, cost and best trial of a run.

    Also shows failures, the advice of the stop rules, alerts and warnings. The
    run may be running, interrupted or ended.

    Example: ogive status runs/digits
    """
    from ogive.cli.funnel_view import show_if_funnel
    from ogive.formatting import duration, number, plural
    from ogive.monitor import cost_text
    from ogive.monitor.stop_rules import evaluate_rules
    from ogive.monitor.utilisation import compute_utilisation
    from ogive.run.results import find_best_trials
    from ogive.run.trial_labels import format_trial_name
    from ogive.stages.stage_states import read_stage_states

    if show_if_funnel(run, as_json):
        return
    opened = open_run(run)
    state = opened.state
    best = find_best_trials(state, 1) if len(state.objectives) == 1 else []
    summary = _summary_json(opened, state)
    now = time.time() if summary["state"] == "running" else None
    states = read_stage_states(opened.folder, state)
    utilisation = compute_utilisation(state, bins=1, now=now).mean
    advice = evaluate_rules(state, now=now)
    stages = opened.stages
    winners = stages.winners if stages.full_training_result is not None else []
    if as_json:
        more = {
            "best": network_json(stages.make_search_delivery(best[0])) if best else None,
            "winners": [
                {**winner.to_json(), "architecture": winner.trial.architecture.to_json()} for winner in winners
            ],
            "notes": stages.warnings,
            "no_weights": list_missing_weights_reasons(opened),
            "cost": cost_text.make_cost_json(states, now),
            "utilisation": utilisation,
            "advice": [{**asdict(verdict), "numbers": dict(verdict.numbers)} for verdict in advice],
            "alerts": [alert.to_json() for alert in state.alerts],
        }
        print_json(summary | more)
        return
    print_line("run", relative_path(opened.folder))
    reason = state.end_reason or state.error
    print_line("state", f"{summary['state']}{f': {reason}' if reason else ''}")
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in summary["trials"].items())
    repeats = f" ({len(state.repeated_by):,} of them repeat failed trials)" if state.repeated_by else ""
    print_line("trials", f"{len(state.trials):,} of {state.total_trials:,}{repeats}{f': {counts}' if counts else ''}")
    print_summary(opened)
    for winner in winners:
        values = ", ".join(f"{o.metric} {number(winner.mean_metrics[o.metric])}" for o in state.objectives)
        print_line("winner", f"{values}: {winner.title}, {format_decisions(winner.trial)}")
    if best:
        values = ", ".join(f"{o.metric} {number(best[0].metrics[o.metric])}" for o in state.objectives)
        stage = " of the search" if winners else ""
        print_line("best", f"{values}: {format_trial_name(best[0])}{stage}, {format_decisions(best[0])}")
    elif len(state.objectives) > 1 and (front := opened.front()):
        print_line("front", f"{plural(len(front), 'trial')}: ogive front {relative_path(opened.folder)}")
    print_line(
        "time", f"{duration(state.elapsed_seconds)}; compute time of all trials {duration(state.compute_seconds)}"
    )
    per_trial = state.settings.get("workers_per_trial", 1)
    processes = f" of {per_trial} processes each" if per_trial > 1 else ""
    print_line("workers", f"{state.settings['workers']}{processes}, busy for {utilisation:.0%} of the time")
    for label, text in cost_text.list_cost_lines(states, now):
        print_line(label, text)
    print_line("advice", _format_advice(state, advice))
    for label, text in cost_text.list_verdict_lines(advice):
        print_line(f"  {label}", text, width=10)
    for label, text in cost_text.list_alert_lines(state):
        print_line(label, text)
    if state.warnings:
        print_line("warnings", f"{len(state.warnings)}, the last one: {state.warnings[-1][0]}")
    print_failures(state, opened.folder)


def _format_advice(state: State, verdicts: Sequence[StopVerdict]) -> str:
    """Return the advice of all stop rules together, with the effect that it has."""
    if state.end_reason:
        return "none, because the search has ended; the stop rules advised at its end:"
    if state.error is not None:
        return "fix the error, then continue with the same call; the stop rules advise:"
    is_automatic = state.settings.get("stop") == "auto"
    effect = "with `stop: auto` the search ends by itself" if is_automatic else "with `stop: advise` you decide"
    return f"{'stop' if any(verdict.stop for verdict in verdicts) else 'continue'} ({effect})"


def _summary_json(run: Run, state: State) -> dict[str, Any]:
    """Return the state of a run as JSON, for scripts."""
    return {
        "run": str(relative_path(run.folder)),
        "state": _run_state(state),
        "why": state.end_reason,
        "error": state.error,
        "ended_by_failures": state.ended_by_failures,
        "max_trials": state.settings["max_trials"],
        "trials": {status.value: n for status, n in state.status_counts.items() if n},
        "objectives": [{"metric": o.metric, "goal": o.goal} for o in state.objectives],
        "elapsed_seconds": state.elapsed_seconds,
        "trial_seconds": state.compute_seconds,
        "failures": summarize_failures(state),
        "warnings": [message for message, _ in state.warnings],
        "test_reads": state.test_reads,
    }


def _run_state(state: State) -> str:
    """Return whether the search is running, was interrupted, or has ended, by itself or by an error."""
    import socket

    import psutil

    if state.end_reason:
        return "ended"
    if not state.is_open:
        return "interrupted" if state.error is None else "ended by an error"
    session = state.sessions[-1]
    if session["host"] != socket.gethostname():
        return f"running on {session['host']}, unless its controller was killed"
    return "running" if psutil.pid_exists(session["pid"]) else "interrupted"
