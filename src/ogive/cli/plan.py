"""`ogive plan`: forecast a job for each split of the workers."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, JobFile, print_json, print_table, relative_path

if TYPE_CHECKING:
    from ogive.job import Job
    from ogive.monitor.cost import Interval
    from ogive.planner import Plan
    from ogive.planner.plan import SplitForecast


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
        int | None, typer.Option(min=1, help="Fewest simulated searches of each split. Default: 10.")
    ] = None,
    regret: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Regret whose time is forecast, in units of the first objective. Default: one that 75 % of searches reach.",
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Fewest architectures to measure. Default: 6.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs to train each of them. Default: 3.")] = None,
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
    result = plan_job(loaded, request, say=lambda message: print(message, file=sys.stderr, flush=True))
    path = save_plan(loaded, result)
    if as_json:
        print_json(result.to_json() | {"kept": str(relative_path(path))})
        return
    _print(result, loaded)
    print(f"\nwritten to {relative_path(path)}; {_usage(loaded)}")


def _usage(job: Job) -> str:
    """Return how the plan is used by a search."""
    from ogive.run.journal import JOURNAL

    if (job.run / JOURNAL).is_file():
        return f"the run in {relative_path(job.run)} has started and keeps its split; only a new run uses the plan"
    if job.is_planned:
        return f"ogive search {job.path} uses it"
    return f"to use it: ogive search {job.path} --parallel-trials auto"


def _select_phase(job: Job, name: str | None) -> Job:
    from ogive.errors import JobError

    if name is None:
        return job
    for phase in job.phases:
        if phase.name == name and phase.job is not None:
            return phase.job
    names = ", ".join(phase.name for phase in job.phases if phase.job is not None) or "none"
    raise JobError(f"--phase: found {name!r}; allowed are the phases of {job.path} that search: {names}")


def _print(plan: Plan, job: Job) -> None:
    from rich.table import Table

    from ogive.formatting import number, plural
    from ogive.planner.recommendation import format_probability

    strategy, schedule = (next(iter(spec)) for spec in (job.strategy, job.schedule))
    print(
        f"{plan.trials} trials with strategy {strategy} and schedule {schedule} on {_format_workers(plan)}; "
        f"{plural(plan.seeds, 'simulation')} of each split\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    has_price = plan.price is not None
    headings = [
        "",
        "trials x workers",
        "start-up",
        "epoch",
        "search",
        f"to regret {number(plan.regret)}",
        "worker-hours",
        *([f"{plan.price.currency or 'money'}"] if plan.price else []),
        f"best {plan.metric}",
        "fastest",
    ]
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in plan.rows:
        mark = ">" if row.split == plan.recommended else ""
        table.add_row(
            mark, f"{row.split}{' *' if row.beyond else ''}", *_cells(row, has_price), format_probability(row.fastest)
        )
    print_table(table)
    if any(row.beyond for row in plan.rows):
        print("* more workers per trial than were measured")
    split, unit = plan.recommended, plan.unit.removesuffix("s")
    best = f"{plural(split.parallel_trials, 'trial')} at a time, {plural(split.workers_per_trial, unit)} each"
    print(f"\nrecommended: {best}: {plan.why}")
    print(f"how sure:    {plan.sure}")
    print("based on:")
    for assumption in plan.assumptions:
        print(f"  - {assumption}")
    print("  - times are means with 90 % intervals, on this machine in its present state")


def _format_workers(plan: Plan) -> str:
    from ogive.formatting import plural

    return plural(plan.workers, plan.unit.removesuffix("s"))


def _cells(row: SplitForecast, has_price: bool) -> list[str]:
    from ogive.formatting import duration, number

    cells = [_format_interval(interval, duration) for interval in (row.start_up, row.epoch, row.seconds)]
    cells.append("not reached" if row.regret_seconds is None else _format_interval(row.regret_seconds, duration))
    cells.append(_format_interval(row.worker_hours, number))
    if has_price and row.money is not None:
        cells.append(_format_interval(row.money, _format_money))
    return [*cells, _format_interval(row.value, number)]


def _format_money(money: float) -> str:
    """Return an amount with two decimals; below 0.1 with three digits, so that the ends of an interval differ."""
    return f"{money:,.2f}" if money >= 0.1 else f"{money:.3g}"


def _format_interval(interval: Interval, text_of: Callable[[float], str]) -> str:
    """Return `45 s (40 s to 51 s)`, or only the expected value if the ends are shown alike; "?" for infinity."""
    values = (interval.low, interval.expected, interval.high)
    low, expected, high = (text_of(value) if math.isfinite(value) else "?" for value in values)
    return f"{expected} ({low} to {high})" if low != high else expected
