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
    list_missing_weights_reasons,
    live_observer,
    network_json,
    print_failures,
    print_networks,
    print_summary,
    relative_path,
    summarize_failures,
)
from ogive.cli.cost_prompt import confirm
from ogive.cli.funnel_view import search_phases
from ogive.cli.terminal import console, print_json, print_text

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.run.state import State

EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""
MAX_SHOWN = 5
"""At most this many networks are shown at the end."""


def search(
    job: JobFile,
    max_trials: Annotated[
        int | None,
        typer.Option(help="Number of trials. It can only grow when a run is continued. Default: as in the job."),
    ] = None,
    parallel_trials: Annotated[
        str | None,
        typer.Option(
            "--parallel-trials",
            "--workers",
            metavar="N|auto",
            help="Number of trials at a time (each with --workers-per-trial processes); auto: as many as the plan "
            "recommends. Default: as in the job.",
        ),
    ] = None,
    workers_per_trial: Annotated[
        int | None, typer.Option(help="Number of processes that train a trial together. Default: as in the job.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Hours that the search may take. Default: as in the job.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run. Default: as in the job.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers. Default: as in the job.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start without asking, whatever the cost. Default: ask above `confirm_above`.")
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Do not use results of earlier runs. Default: as in the job.")
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Repeat failed trials, after you have fixed the error. Default: off."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not show the live view. Default: off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the search of a job, or continue it.

    The search is continued if the run's folder exists. If the job has phases,
    they run one after the other. Options replace keys of the job.

    Example: ogive search job.yaml --max-trials 100

    Exit codes:
    0 - the search has ended with a result.
    1 - the search has ended without a result or because of failures, or a phase
        has not passed its test.
    2 - an error that you can correct.
    130 - the search was interrupted; the same command continues it.
    """
    from ogive.job import load_job, run_job

    values = {
        "max_trials": max_trials,
        "parallel_trials": _parse_integer(parallel_trials),
        "workers_per_trial": workers_per_trial,
        "budget": budget,
        "run": run and str(run),
        "seed": seed,
    }
    options: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if no_cache:
        options["cache"] = False
    loaded = load_job(job, options)
    confirm(loaded, yes)
    if loaded.phases:
        search_phases(loaded, quiet, as_json, lambda: _exit_interrupted(_command(job, options)), retry_failed)
        return
    try:
        with live_observer(quiet or as_json) as observer:
            result = run_job(loaded, observer, retry_failed=retry_failed)
    except KeyboardInterrupt:
        _exit_interrupted(_command(job, options))
    if as_json:
        print_json(_summary_json(result))
    else:
        _print(result, _how_to_continue(job, options, result.state))
    if _has_ended_without_success(result):
        raise typer.Exit(1)


def _parse_integer(value: str | None) -> int | str | None:
    """Return the value as an integer. `auto` and invalid values stay texts; the check of the job's keys rejects the latter.

    None stands for a missing option.
    """
    try:
        return value if value is None else int(value)
    except ValueError:
        return value


def _exit_interrupted(command: str) -> NoReturn:
    """Exit after Ctrl-C with a message that gives the command to continue the search."""
    print(f"interrupted; no reported result is lost. Continue with: {command}", file=sys.stderr)
    raise typer.Exit(EXIT_INTERRUPTED)


def _command(job: Path, options: Mapping[str, Any]) -> str:
    """Return the command that continues the search of `job` with the same options."""
    import shlex

    words = ["ogive", "search", str(job)]
    for name, value in options.items():
        words += ["--no-cache"] if name == "cache" else [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _how_to_continue(job: Path, options: Mapping[str, Any], state: State) -> str:
    """Return the command that continues a search that has ended, or the reason why it cannot be continued."""
    from ogive.run.settings import Settings
    from ogive.run.spending import compute_spending

    if state.is_exhausted:
        return (
            "not possible: there are no architectures left to propose; start a new search with a wider space or another "
            "strategy (see `warm_start`)"
        )
    settings, spent = Settings.from_json(state.settings), compute_spending(state)
    if len(state.architecture_counts) == state.space.size():
        return "not possible: every architecture was tried; start a new search with a wider space (see `warm_start`)"
    is_time_spent = settings.hours is not None and spent.hours >= settings.hours
    is_money_spent = settings.money is not None and spent.money is not None and spent.money >= settings.money
    # Double the budget if it has ended the search, otherwise the number of trials. (`total_trials` is `max_trials` plus the
    # number of repeated failed trials.)
    if len(state.trials) >= state.total_trials or not (is_time_spent or is_money_spent):
        return _command(job, {**options, "max_trials": 2 * settings.max_trials})
    if settings.money is None and settings.hours is not None:
        return _command(job, {**options, "budget": f"{2 * settings.hours:.6g}"})
    # The option --budget can give hours only, so an amount of money has to be changed in the job.
    return f"raise `budget` in {job}, then {_command(job, options)}"


def _has_ended_without_success(run: Run) -> bool:
    """Return whether the search has no result, or ended because of failed trials."""
    return not run.top(1) or run.failed


def _summary_json(run: Run) -> dict[str, Any]:
    """Return the result of a search as JSON, for scripts."""
    state = run.state
    return {
        "run": str(relative_path(run.folder)),
        "why": state.end_reason,
        "ended_by_failures": state.ended_by_failures,
        "no_weights": list_missing_weights_reasons(run),
        "trials": len(state.trials),
        "elapsed_seconds": state.elapsed_seconds,
        "trial_seconds": state.compute_seconds,
        "top": [network_json(network) for network in run.stages.rank_networks(MAX_SHOWN)],
        "failures": summarize_failures(state),
    }


def _print(run: Run, how_to_continue: str) -> None:
    """Print the result of a search, and the commands that may follow."""
    import shlex

    from ogive.formatting import duration, plural
    from ogive.monitor.overtraining import detect_overtraining
    from ogive.report import draw_text

    state = run.state
    because = " because of failures" if run.failed else ""
    trials = plural(len(state.trials), "trial")
    print_text(f"{trials} in {duration(state.elapsed_seconds)}; the search ended{because}: {state.end_reason}")
    best = run.stages.rank_networks(MAX_SHOWN)
    if best:
        print_networks(state, best)
        print_text(f"\ntrial {best[0].trial.id}:")
        console().print(draw_text(best[0].trial.architecture))
    print_failures(state, run.folder)
    hint = detect_overtraining(state)
    if hint is not None:
        print_text(f"hint: {hint}")
    print_summary(run)
    if not best:
        return
    folder = shlex.quote(str(relative_path(run.folder)))
    print(f"report:   ogive report {folder}")
    # With several winners, because of several objectives, `ogive export` needs the number of one.
    trial = f" --trial {best[0].trial.id}" if len(run.stages.winners) > 1 else ""
    to_torch = " --to torch" if best[0].weights is not None else ""
    print(f"export:   ogive export {folder}{trial}{to_torch}")
    print(f"continue: {how_to_continue}")
