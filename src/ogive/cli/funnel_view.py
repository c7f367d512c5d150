"""A funnel of phases, as `ogive search` carries it out and `ogive status` shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from ogive.cli.common import console, print_json, print_notes, print_table, shown, unsaved, watching

if TYPE_CHECKING:
    from ogive.api import Funnel
    from ogive.api.funnel import PhaseVerdict
    from ogive.job import Job
    from ogive.run.spending import Spending
    from ogive.run.state import State


def search_phases(
    job: Job, quiet: bool, as_json: bool, interrupted: Callable[[], NoReturn], retry_failed: bool = False
) -> None:
    """Go through a job's phases; each verdict is told when it is given."""
    from ogive.job import run_funnel

    def say(message: str) -> None:
        print(message, file=sys.stderr)

    def watch(name: str, verdict: PhaseVerdict | None) -> None:
        number = [phase.name for phase in job.phases].index(name) + 1
        if verdict is None:
            say(f"phase {number} of {len(job.phases)}: {name}")
        else:
            reasons = "; ".join(verdict.reasons)
            say(f"phase {number} of {len(job.phases)}: {name}: {'go' if verdict.go else 'NO GO'}: {reasons}")

    try:
        done = run_funnel(job, lambda: watching(quiet or as_json), watch, say, retry_failed)
    except KeyboardInterrupt:
        interrupted()
    show_funnel(done, as_json)
    if done.stopped is not None:
        if not as_json:
            name = done.stopped.phase
            print(
                f"\nthe funnel stops after {name!r}. Give it more trials or loosen its `go` in {shown(job.path)}, and the "
                f"same command judges it anew; after other changes remove {shown(done.folder / name)} first"
            )
        raise typer.Exit(1)
    if not as_json:
        _print_next(done)


def funnel_of(run_or_job: Path) -> Funnel | None:
    """The funnel in a folder, or of a job; None where there is none."""
    from ogive.api import open_funnel
    from ogive.job import find_folder

    return open_funnel(find_folder(run_or_job))


def show_funnel(funnel: Funnel, as_json: bool) -> None:
    """Every phase: where it stands, its trials, its best, what was decided and why."""
    from rich.table import Table

    rows = [_row(funnel, name) for name in funnel.phases]
    spent = _spent(funnel)
    if as_json:
        told = {"ended": funnel.ended, "phases": rows, "spent": [asdict(line) for line in spent]}
        print_json({"run": str(shown(funnel.folder)), **told})
        return
    from ogive.formatting import duration, number

    print(f"funnel    {shown(funnel.folder)}")
    if spent:
        print(f"spent     {_spent_line(spent)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("phase", "state"):
        table.add_column(name)
    for name in ("trials", "failed", "best", "a trial", "in all"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in rows:
        best = ", ".join(f"{metric} {number(value)}" for metric, value in row["best"].items()) or "-"
        best += f" (trial {row['winner']})" if "winner" in row else ""
        done = max(1, row["trials"] - row["failed"])
        times = (duration(row["seconds"] / done), duration(row["seconds"])) if row["trials"] else ("-", "-")
        trials = f"{row['trials']} of {row['max_trials']}" if row["max_trials"] else str(row["trials"] or "-")
        go = {True: "go", False: "NO GO", None: ""}[row["go"]]
        table.add_row(row["phase"], row["state"], trials, str(row["failed"]), best, *times, go)
    print_table(table)
    for row in rows:
        for reason in row["reasons"]:
            console().print(f"{row['phase']}: {reason}", markup=False, highlight=False)


def _row(funnel: Funnel, name: str) -> dict[str, Any]:
    """A phase, for scripts."""
    from ogive.api import open_run

    verdict = funnel.verdicts.get(name)
    row: dict[str, Any] = {
        "phase": name,
        "state": "not begun",
        "trials": 0,
        "max_trials": None,
        "failed": 0,
        "best": {},
        "seconds": 0.0,
        "go": None if verdict is None else verdict.go,
        "reasons": [] if verdict is None else list(verdict.reasons),
    }
    if verdict is not None:
        row |= {"state": "judged", "trials": int(verdict.numbers["trials"]), "failed": int(verdict.numbers["failed"])}
        row["seconds"] = verdict.numbers["seconds"]
    folder = funnel.runs.get(name)
    if name == funnel.last:
        return row | _last(funnel, verdict)
    if folder is None:
        return row
    run = open_run(folder)
    state = run.state
    best = run.top(1)
    return row | {
        "run": str(shown(folder)),
        "state": _state(state, verdict),
        "trials": len(state.trials),
        "max_trials": state.settings["max_trials"],
        "failed": state.failed,
        "seconds": state.seconds,
        "best": {o.metric: best[0].metrics[o.metric] for o in state.objectives} if best else {},
    }


def _spent(funnel: Funnel) -> list[Spending]:
    """What was spent so far, by phase and device."""
    from ogive.api import open_run
    from ogive.run.spending import spend_by
    from ogive.stages.stage_states import stage_states

    found: dict[str, State] = {}
    for name, folder in funnel.runs.items():
        of_run = stage_states(folder, open_run(folder).state)
        found[name] = of_run["search"]
        if "final" in of_run:
            found[funnel.last or f"{name}/final"] = of_run["final"]
    return spend_by(found)


def _spent_line(spent: Sequence[Spending]) -> str:
    """`1 h 5 min, 6.43 USD: smoke 2 min, 0.20 USD; ...`, money for each currency that was paid in."""
    from ogive.formatting import amount, duration

    def text(hours: float, lines: Sequence[Spending]) -> str:
        sums: dict[str, float] = {}
        for line in lines:
            if line.money is not None:
                sums[line.currency] = sums.get(line.currency, 0.0) + line.money
        return ", ".join([duration(3600 * hours), *(amount(money, currency) for currency, money in sums.items())])

    each = "; ".join(f"{line.stage} {text(line.hours, [line])}" for line in spent)
    return f"{text(sum(line.hours for line in spent), spent)}: {each}"


def _state(state: State, verdict: PhaseVerdict | None) -> str:
    if verdict is not None or state.ended:
        return "ended"
    if state.error is not None:
        return "ended by an error"
    return "running" if state.open else "interrupted"


def _last(funnel: Funnel, verdict: PhaseVerdict | None) -> dict[str, Any]:
    """What is known of full training."""
    from ogive.api import open_run
    from ogive.run.journal import JOURNAL
    from ogive.stages.full_training_result import FOLDER

    if not funnel.runs:
        return {}
    searched = list(funnel.runs.values())[-1]
    begun = (searched / FOLDER / JOURNAL).is_file()
    if verdict is None:
        return {"state": "begun"} if begun else {}
    stages = open_run(searched).stages
    if stages.result is None:
        return {"state": "begun"}
    winner = stages.winners[0]
    best = {o.metric: winner.mean[o.metric] for o in stages.state.objectives if o.metric in winner.mean}
    return {"state": "trained", "best": best, "winner": winner.trial.id, "run": str(shown(searched / FOLDER))}


def _print_next(funnel: Funnel) -> None:
    import shlex

    folder = shlex.quote(str(shown(funnel.run.folder)))
    print(f"\nreport:   ogive report {folder}")
    if not funnel.last:
        print(f"finalize: ogive finalize {folder}")
    elif not unsaved(funnel.run):
        print(f"export:   ogive export {folder} --to torch")
    print_notes(funnel.run)


def show_where_there_is_one(run_or_job: Path, as_json: bool) -> bool:
    """Show the funnel that a folder or a job has; False where it has none."""
    funnel = funnel_of(run_or_job)
    if funnel is not None:
        show_funnel(funnel, as_json)
    return funnel is not None
