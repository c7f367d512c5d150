"""`ogive search`: start a search, or continue it where it stopped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ogive.cli.common import (
    AsJson,
    JobFile,
    console,
    failures,
    network_json,
    print_failures,
    print_json,
    print_networks,
    print_notes,
    shown,
    unsaved,
    watching,
)
from ogive.cli.cost_prompt import confirm
from ogive.cli.funnel_view import search_phases

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.run.state import State

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""
SHOWN = 5


def search(
    job: JobFile,
    max_trials: Annotated[int | None, typer.Option(help="Architectures to try; upwards in a run that goes on.")] = None,
    parallel_trials: Annotated[
        str | None,
        typer.Option(
            "--parallel-trials", "--workers", metavar="N|auto", help="Trials at a time; auto: as a plan recommends."
        ),
    ] = None,
    workers_per_trial: Annotated[int | None, typer.Option(help="Processes that train each trial together.")] = None,
    budget: Annotated[float | None, typer.Option(help="Hours that the search may take.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run's folder.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all random choices.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Start whatever it may cost; see `confirm_above`.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Train what an earlier run has trained, too.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Repeat the architectures that failed, after a repair.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No live view.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a job's search, or its phases, or continue them where they stopped. Options override the job's keys.

    Exit code 0 when the search has ended with a result, 1 when it ended without one, by too many failures or with a phase
    that said no, 2 for an error that you can mend, 130 when it was interrupted; the same command then continues it.
    """
    from ogive.job import load_job, run_job

    given = {
        "max_trials": max_trials,
        "parallel_trials": _number_or_text(parallel_trials),
        "workers_per_trial": workers_per_trial,
        "budget": budget,
        "run": run and str(run),
        "seed": seed,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if no_cache:
        options["cache"] = False
    loaded = load_job(job, options)
    confirm(loaded, yes)
    if loaded.phases:
        search_phases(loaded, quiet, as_json, lambda: _interrupted(_command(job, options)), retry_failed)
        return
    try:
        with watching(quiet or as_json) as view:
            done = run_job(loaded, view, retry_failed=retry_failed)
    except KeyboardInterrupt:
        _interrupted(_command(job, options))
    if as_json:
        print_json(_summary(done))
    else:
        _print(done, _more(job, options, done.state))
    if _failed(done):
        raise typer.Exit(1)


def _number_or_text(value: str | None) -> int | str | None:
    """As the job's file would have it, whose check tells what is wrong with it."""
    try:
        return value if value is None else int(value)
    except ValueError:
        return value


def _interrupted(again: str) -> NoReturn:
    print(f"interrupted; nothing that was reported is lost. Continue with: {again}", file=sys.stderr)
    raise typer.Exit(INTERRUPTED)


def _command(job: Path, options: Mapping[str, Any]) -> str:
    """The command that goes on with this search."""
    import shlex

    words = ["ogive", "search", str(job)]
    for name, value in options.items():
        words += ["--no-cache"] if name == "cache" else [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _more(job: Path, options: Mapping[str, Any], state: State) -> str:
    """How a search that has ended is given more of what it has used up."""
    from ogive.run.settings import Settings
    from ogive.run.spending import spend

    if state.exhausted:
        return "nothing is left to propose; a wider space, or another strategy, is another search (see `warm_start`)"
    settings, spent = Settings.from_json(state.settings), spend(state)
    if len(state.seen) == state.space.size():  # every architecture was tried
        return "nothing is left to propose; a wider space is another search (see `warm_start`)"
    late = settings.hours is not None and spent.hours >= settings.hours
    dear = settings.money is not None and spent.money is not None and spent.money >= settings.money
    if len(state.trials) >= state.total or not (late or dear):
        return _command(job, {**options, "max_trials": 2 * settings.max_trials})
    if settings.money is None and settings.hours is not None:
        return _command(job, {**options, "budget": f"{2 * settings.hours:.6g}"})
    return f"raise `budget` in {job}, then {_command(job, options)}"


def _failed(run: Run) -> bool:
    return not run.top(1) or run.failed


def _summary(run: Run) -> dict[str, Any]:
    state = run.state
    return {
        "run": str(shown(run.folder)),
        "why": state.ended,
        "ended_by_failures": state.ended_by_failures,
        "no_weights": unsaved(run),
        "trials": len(state.trials),
        "elapsed_seconds": state.elapsed,
        "trial_seconds": state.seconds,
        "top": [network_json(network) for network in run.stages.ranked(SHOWN)],
        "failures": failures(state),
    }


def _print(run: Run, more: str) -> None:
    import shlex

    from ogive.formatting import duration
    from ogive.monitor.overtraining import overtraining
    from ogive.report import draw_text
    from ogive.run.results import why_none

    state = run.state
    by = " by failures" if run.failed else ""
    print(f"{len(state.trials)} trials in {duration(state.elapsed)}; the search ended{by}: {state.ended}")
    best = run.stages.ranked(SHOWN)
    if best:
        print_networks(state, best)
    for network in best:
        print(f"\ntrial {network.trial.id}:")
        console().print(draw_text(network.trial.architecture))
    print_failures(state, run.folder)
    hint = overtraining(state)
    if hint is not None:
        print(f"hint: {hint}")
    if not best:
        print(why_none(state))
        return
    folder = shlex.quote(str(shown(run.folder)))
    print(f"\nreport:   ogive report {folder}")
    to = " --to torch" if best[0].weights is not None else ""
    which = f" --trial {best[0].trial.id}" if len(run.stages.winners) > 1 else ""
    print(f"export:   ogive export {folder}{which}{to}")
    print_notes(run)
    print(f"go on:    {more}")
