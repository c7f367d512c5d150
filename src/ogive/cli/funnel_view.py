"""Run the phases of a funnel for `ogive search`, and show them for `ogive status`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from ogive.cli.common import list_missing_weights_reasons, live_observer, print_warnings, relative_path
from ogive.cli.terminal import console, print_json, print_table, print_text

if TYPE_CHECKING:
    from ogive.api import Funnel
    from ogive.api.funnel import PhaseVerdict
    from ogive.job import Job
    from ogive.run.spending import Spending
    from ogive.run.state import State


def search_phases(
    job: Job, quiet: bool, as_json: bool, interrupted: Callable[[], NoReturn], retry_failed: bool = False
) -> None:
    """Run the phases of a job; print each verdict as soon as it is known.

    Args:
        job: a job with phases.
        quiet: whether to hide the live view.
        as_json: whether to print JSON at the end.
        interrupted: a function that is called after Ctrl-C and exits.
        retry_failed: whether to repeat failed trials.

    Raises:
        typer.Exit: a phase has not passed its test; the exit code is 1.
    """
    from ogive.job import run_funnel

    def say(message: str) -> None:
        print_text(message, file=sys.stderr)

    def report_phase(name: str, verdict: PhaseVerdict | None) -> None:
        number = [phase.name for phase in job.phases].index(name) + 1
        title = f"phase {number} of {len(job.phases)}: {name}"
        if verdict is None:
            say(title)
        else:
            say(f"{title}: {'go' if verdict.go else 'NO GO'}: {'; '.join(verdict.reasons)}")

    try:
        funnel = run_funnel(job, lambda: live_observer(quiet or as_json), report_phase, say, retry_failed)
    except KeyboardInterrupt:
        interrupted()
    show_funnel(funnel, as_json)
    if funnel.failed_verdict is not None:
        if not as_json:
            name = funnel.failed_verdict.phase
            job_file, phase_folder = relative_path(job.path), relative_path(funnel.folder / name)
            print_text(
                f"\nthe funnel stops after phase {name!r}. Give the phase more trials or loosen its `go` in {job_file}, "
                f"then the same command tests the phase again; after other changes delete {phase_folder} first"
            )
        raise typer.Exit(1)
    if not as_json:
        _print_next(funnel)


def funnel_of(run_or_job: Path) -> Funnel | None:
    """Return the funnel in a folder, or of a job; None if there is none."""
    from ogive.api import open_funnel
    from ogive.job import find_run_or_funnel_folder

    return open_funnel(find_run_or_funnel_folder(run_or_job))


def show_funnel(funnel: Funnel, as_json: bool) -> None:
    """Print for every phase its state, trials, best value, verdict and reasons."""
    from rich.table import Table

    rows = [_phase_json(funnel, name) for name in funnel.phases]
    spent = _spending(funnel)
    if as_json:
        summary = {"ended": funnel.ended, "phases": rows, "spent": [asdict(line) for line in spent]}
        print_json({"run": str(relative_path(funnel.folder)), **summary})
        return
    from ogive.formatting import duration, number

    print_text(f"funnel    {relative_path(funnel.folder)}")
    if spent:
        print_text(f"spent     {_format_spending(spent)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("phase", "state"):
        table.add_column(name)
    for name in ("trials", "failed", "best", "per trial", "in total"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in rows:
        best = ", ".join(f"{metric} {number(value)}" for metric, value in row["best"].items()) or "-"
        best += f" (trial {row['winner']})" if "winner" in row else ""
        succeeded = max(1, row["trials"] - row["failed"])
        times = (duration(row["seconds"] / succeeded), duration(row["seconds"])) if row["trials"] else ("-", "-")
        trials = f"{row['trials']} of {row['max_trials']}" if row["max_trials"] else str(row["trials"] or "-")
        verdict = {True: "go", False: "NO GO", None: ""}[row["go"]]
        table.add_row(row["phase"], row["state"], trials, str(row["failed"]), best, *times, verdict)
    print_table(table)
    for row in rows:
        for reason in row["reasons"]:
            console().print(f"{row['phase']}: {reason}", markup=False, highlight=False)


def _phase_json(funnel: Funnel, name: str) -> dict[str, Any]:
    """Return a phase as JSON, for scripts."""
    from ogive.api import open_run

    verdict = funnel.verdicts.get(name)
    row: dict[str, Any] = {
        "phase": name,
        "state": "not started",
        "trials": 0,
        "max_trials": None,
        "failed": 0,
        "best": {},
        "seconds": 0.0,
        "go": None if verdict is None else verdict.go,
        "reasons": [] if verdict is None else list(verdict.reasons),
    }
    if verdict is not None:
        row |= {"state": "tested", "trials": int(verdict.numbers["trials"]), "failed": int(verdict.numbers["failed"])}
        row["seconds"] = verdict.numbers["seconds"]
    folder = funnel.runs.get(name)
    if name == funnel.full_training_phase:
        return row | _full_training_json(funnel, verdict)
    if folder is None:
        return row
    run = open_run(folder)
    state = run.state
    best = run.top(1)
    return row | {
        "run": str(relative_path(folder)),
        "state": _search_state(state, verdict),
        "trials": len(state.trials),
        "max_trials": state.settings["max_trials"],
        "failed": state.failed_count,
        "seconds": state.compute_seconds,
        "best": {o.metric: best[0].metrics[o.metric] for o in state.objectives} if best else {},
    }


def _spending(funnel: Funnel) -> list[Spending]:
    """Return what was spent so far, by phase and device."""
    from ogive.api import open_run
    from ogive.run.spending import compute_spending_by_device
    from ogive.stages.stage_states import read_stage_states

    states: dict[str, State] = {}
    for name, folder in funnel.runs.items():
        by_stage = read_stage_states(folder, open_run(folder).state)
        states[name] = by_stage["search"]
        if "final" in by_stage:
            # If no phase is full training, the user may have called `ogive finalize` for any phase.
            states[funnel.full_training_phase or f"{name}/final"] = by_stage["final"]
    return compute_spending_by_device(states)


def _format_spending(spent: Sequence[Spending]) -> str:
    """Return `1 h 5 min, 6.43 USD: smoke 2 min, 0.20 USD; ...`, with an amount for each currency."""
    from ogive.formatting import amount, duration_of_hours

    def format_total(lines: Sequence[Spending]) -> str:
        hours = sum(line.hours for line in lines)
        sums: dict[str, float] = {}
        for line in lines:
            if line.money is not None:
                sums[line.currency] = sums.get(line.currency, 0.0) + line.money
        return ", ".join([duration_of_hours(hours), *(amount(money, currency) for currency, money in sums.items())])

    by_phase = "; ".join(f"{line.stage} {format_total([line])}" for line in spent)
    return f"{format_total(spent)}: {by_phase}"


def _search_state(state: State, verdict: PhaseVerdict | None) -> str:
    if verdict is not None or state.end_reason:
        return "ended"
    if state.error is not None:
        return "ended by an error"
    return "running" if state.is_open else "interrupted"


def _full_training_json(funnel: Funnel, verdict: PhaseVerdict | None) -> dict[str, Any]:
    """Return the state and the result of the phase of full training; {} before it has started."""
    from ogive.api import open_run
    from ogive.run.journal import JOURNAL
    from ogive.stages.full_training_result import FULL_TRAINING_FOLDER

    if not funnel.runs:
        return {}
    last_search = list(funnel.runs.values())[-1]
    if verdict is None:
        has_started = (last_search / FULL_TRAINING_FOLDER / JOURNAL).is_file()
        return {"state": "started"} if has_started else {}
    stages = open_run(last_search).stages
    if stages.full_training_result is None:
        return {"state": "started"}
    winner = stages.winners[0]  # with several objectives, the first of several winners
    best = {o.metric: winner.mean_metrics[o.metric] for o in stages.state.objectives if o.metric in winner.mean_metrics}
    return {
        "state": "trained",
        "best": best,
        "winner": winner.trial.id,
        "run": str(relative_path(last_search / FULL_TRAINING_FOLDER)),
    }


def _print_next(funnel: Funnel) -> None:
    """Print the commands that may follow a funnel that has ended, and its warnings."""
    import shlex

    folder = shlex.quote(str(relative_path(funnel.run.folder)))
    print(f"\nreport:   ogive report {folder}")
    if not funnel.full_training_phase:
        print(f"finalize: ogive finalize {folder}")
    elif not list_missing_weights_reasons(funnel.run):
        print(f"export:   ogive export {folder} --to torch")
    print_warnings(funnel.run)


def show_if_funnel(run_or_job: Path, as_json: bool) -> bool:
    """Show the funnel of a folder or a job if it has one, and return whether it has one."""
    funnel = funnel_of(run_or_job)
    if funnel is not None:
        show_funnel(funnel, as_json)
    return funnel is not None
