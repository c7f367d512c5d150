"""`ogive plan`: forecast a job for each split of the workers."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, JobFile, relative_path
from ogive.cli.terminal import print_json, print_rows, print_text

if TYPE_CHECKING:
    from ogive.job import Job
    from ogive.monitor.cost import Interval
    from ogive.planner import Plan


def plan(
    job: JobFile,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of workers: GPUs if a job trains on several, else threads. Default: all of this machine.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN|FILE",
            help="Durations to use: the folder of a run, a CSV or JSON file with trial, workers, epoch (0 for the start-up) "
            "and seconds, or a plan's JSON. Default: measure now.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Minimum number of simulated searches of each split. Default: 10.")
    ] = None,
    regret: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Regret whose time is forecast, in units of the first objective. Default: one that 75% of searches reach.",
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Minimum number of architectures to measure. Default: 6.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each measured architecture. Default: 3.")] = None,
    phase: Annotated[str | None, typer.Option(help="Name of the phase to plan. Default: the job itself.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast time and cost of a job for each split of the workers.

    A split is a number of parallel trials and of workers per trial. Trains a few
    random architectures briefly, fits how the time of an epoch depends on the
    workers of a trial, and simulates the search with its own strategy and
    schedule. The plan is written beside the run's folder: `ogive search`
    compares the search with its forecast, and `parallel_trials: auto` uses its
    recommended split.

    Example: ogive plan job.yaml --workers 8
    """
    from ogive.job import load_job
    from ogive.job.stored_plan import plan_job, save_plan
    from ogive.session.planned_search import PlanRequest

    loaded = _select_phase(load_job(job), phase)
    request = PlanRequest(
        workers=workers, source=source, measured_trials=trials, measured_epochs=epochs, seeds=seeds, regret=regret
    )
    result = plan_job(loaded, request, say=lambda message: print_text(message, file=sys.stderr))
    path = save_plan(loaded, result)
    if as_json:
        print_json(result.to_json() | {"kept": str(relative_path(path))})
        return
    _print(result, loaded)
    print_text(f"\nwritten to {relative_path(path)}")
    _print_usage(loaded)


def _print_usage(job: Job) -> None:
    """Print how a search uses the plan."""
    from ogive.run.journal import JOURNAL

    if (job.run_folder / JOURNAL).is_file():
        print_text(
            f"the run in {relative_path(job.run_folder)} has started and keeps its split; only a new run uses the plan"
        )
        return
    option = "" if job.is_planned else " --parallel-trials auto"
    print(f"to use it:  ogive search {job.path}{option}")


def _select_phase(job: Job, name: str | None) -> Job:
    """Return the job of the phase with this name; the job itself if `name` is None."""
    from ogive.errors import JobError

    if name is None:
        return job
    for phase in job.phases:
        if phase.name == name and phase.job is not None:
            return phase.job
    names = ", ".join(phase.name for phase in job.phases if phase.job is not None) or "none"
    raise JobError(f"--phase: found {name!r}; allowed are the phases of {job.path} that search: {names}")


def _print(plan: Plan, job: Job) -> None:
    """Print the table of a plan, the recommended split, and the assumptions."""
    from ogive.formatting import plural

    strategy, schedule = (next(iter(spec)) for spec in (job.strategy, job.schedule))
    print_text(
        f"{plan.trials} trials with strategy {strategy} and schedule {schedule} on {_format_workers(plan)}; "
        f"{plural(plan.seeds, 'simulation')} of each split\n"
    )
    print_rows(*_make_cells(plan))
    if any(row.beyond for row in plan.rows):
        print_text("* more workers per trial than were measured")
    split, unit = plan.recommended, plan.unit.removesuffix("s")
    best = f"{plural(split.parallel_trials, 'trial')} at a time, {plural(split.workers_per_trial, unit)} each"
    print_text(f"\nrecommended: {best}: {plan.why}")
    print_text(f"how sure:    {plan.sure}")
    print_text("based on:")
    for assumption in plan.assumptions:
        print_text(f"  - {assumption}")
    print_text("  - times are means with 90% intervals, on this machine in its present state")
    if any(row.regret_seconds is not None and math.isinf(row.regret_seconds.high) for row in plan.rows):
        print_text("  - ? is an end of an interval at which the regret is not reached in the search")


def _format_workers(plan: Plan) -> str:
    from ogive.formatting import plural

    return plural(plan.workers, plan.unit.removesuffix("s"))


def _make_cells(plan: Plan) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the table of splits."""
    from ogive.formatting import amount, duration, duration_of_hours, number
    from ogive.planner.recommendation import format_probability

    headings = ["", "trials x workers", "start-up", "epoch", "search"]
    headings += [f"time to regret {number(plan.regret)}", "worker time"]
    headings += [plan.price.currency or "money"] if plan.price else []
    headings += [f"best {plan.metric}", "fastest"]
    rows = []
    for row in plan.rows:
        cells = [_format_interval(times, duration) for times in (row.start_up, row.epoch, row.seconds)]
        regret = row.regret_seconds
        cells.append("not reached" if regret is None else _format_interval(regret, duration))
        cells.append(_format_interval(row.worker_hours, duration_of_hours))
        if plan.price is not None and row.money is not None:
            cells.append(_format_interval(row.money, amount))
        cells.append(_format_interval(row.value, number))
        mark, split = (">" if row.split == plan.recommended else ""), f"{row.split}{' *' if row.beyond else ''}"
        rows.append([mark, split, *cells, format_probability(row.fastest)])
    return headings, rows


def _format_interval(bounds: Interval, text_of: Callable[[float], str]) -> str:
    """Return `45 s (40 s to 51 s)`, with "?" for infinity; only the expected value if both ends have the same text."""
    from ogive.formatting import interval

    return interval(bounds.expected, bounds.low, bounds.high, lambda v: text_of(v) if math.isfinite(v) else "?")
