"""`ogive plan`: how to use a number of workers, before they are paid for."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, JobFile, print_json, print_table, shown

if TYPE_CHECKING:
    from ogive.job import Job
    from ogive.monitor.cost import Interval
    from ogive.planner import Plan
    from ogive.planner.plan import Row


def plan(
    job: JobFile,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers to split: threads, or GPUs where the job trains on several.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN|FILE",
            help="Recorded durations: a run's folder, CSV or JSON with trial, workers, epoch (0: start-up), seconds, or a "
            "plan's JSON. Default: train some architectures now.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Simulated searches of each split, at least; 10 by default.")
    ] = None,
    regret: Annotated[
        float | None, typer.Option(min=0, help="Tell the time to this regret, in the first objective's unit.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Architectures to train for a moment, at least; 6 by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each; 3 by default.")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase to plan, of a job that has some.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast a job's time, money and result for every split of the workers into parallel trials and workers per trial.

    Trains a few random architectures briefly in fresh workers, fits how an epoch's time depends on the workers that a trial
    is given, and simulates the search under its own strategy and schedule. The plan is kept beside the run's folder:
    `ogive search` journals its forecast and says when it no longer holds, and `parallel_trials: auto` uses its split.
    """
    from ogive.job import load_job
    from ogive.job.stored_plan import plan_job, save_plan
    from ogive.session.planned_search import PlanRequest

    loaded = _phase(load_job(job), phase)
    wanted = PlanRequest(workers, source, trials, epochs, seeds, regret)
    made = plan_job(loaded, wanted, say=lambda message: print(message, file=sys.stderr, flush=True))
    kept = save_plan(loaded, made)
    if as_json:
        print_json(made.to_json() | {"kept": str(shown(kept))})
        return
    _print(made, loaded)
    print(f"\nkept in {shown(kept)}; {_use(loaded)}")


def _use(job: Job) -> str:
    """How the plan comes to be used."""
    from ogive.run.journal import JOURNAL

    if (job.run / JOURNAL).is_file():
        return f"the run in {shown(job.run)} has begun and keeps its split; a new one takes it up"
    if job.planned:
        return f"ogive search {job.path} takes it up"
    return f"use it: ogive search {job.path} --parallel-trials auto"


def _phase(job: Job, name: str | None) -> Job:
    from ogive.errors import JobError

    if name is None:
        return job
    for phase in job.phases:
        if phase.name == name and phase.job is not None:
            return phase.job
    names = ", ".join(phase.name for phase in job.phases if phase.job is not None) or "none"
    raise JobError(f"--phase: found {name!r}; the phases of {job.path} that search: {names}")


def _print(plan: Plan, job: Job) -> None:
    from rich.table import Table

    from ogive.formatting import number, plural
    from ogive.planner.recommendation import probability

    strategy, schedule = (next(iter(spec)) for spec in (job.strategy, job.schedule))
    print(
        f"{plan.trials} trials by {strategy} under {schedule} on {_units(plan)}; {plural(plan.seeds, 'simulation')} each\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    priced = plan.price is not None
    heads = [
        "",
        "trials x each",
        "start-up",
        "an epoch",
        "the search",
        f"to regret {number(plan.regret)}",
        "worker-hours",
    ]
    for head in [
        *heads,
        *([f"{plan.price.currency or 'money'}"] if plan.price else []),
        f"{plan.metric} of the best",
        "fastest",
    ]:
        table.add_column(head, overflow="fold")
    for row in plan.rows:
        mark = ">" if row.split == plan.recommended else ""
        table.add_row(mark, f"{row.split}{' *' if row.beyond else ''}", *_cells(row, priced), probability(row.fastest))
    print_table(table)
    if any(row.beyond for row in plan.rows):
        print("* more workers a trial than were measured")
    split, unit = plan.recommended, plan.unit.removesuffix("s")
    best = f"{plural(split.parallel_trials, 'trial')} at a time, {plural(split.workers_per_trial, unit)} each"
    print(f"\nrecommended: {best}: {plan.why}")
    print(f"how sure:    {plan.sure}")
    print("made from:")
    for assumption in plan.assumptions:
        print(f"  - {assumption}")
    print("  - times are means with 90 % intervals, on this machine as it is now")


def _units(plan: Plan) -> str:
    from ogive.formatting import plural

    return plural(plan.workers, plan.unit.removesuffix("s"))


def _cells(row: Row, priced: bool) -> list[str]:
    from ogive.formatting import duration, number

    cells = [_interval(interval, duration) for interval in (row.start_up, row.epoch, row.seconds)]
    cells.append("not reached" if row.regret_seconds is None else _interval(row.regret_seconds, duration))
    cells.append(_interval(row.worker_hours, number))
    if priced and row.money is not None:
        cells.append(_interval(row.money, _money))
    return [*cells, _interval(row.value, number)]


def _money(money: float) -> str:
    """In cents; of less than ten of them three digits, else an interval would not show."""
    return f"{money:,.2f}" if money >= 0.1 else f"{money:.3g}"


def _interval(interval: Interval, say: object) -> str:
    assert callable(say)
    low, middle, high = (say(x) if math.isfinite(x) else "?" for x in (interval.low, interval.expected, interval.high))
    return f"{middle} ({low} to {high})" if low != high else f"{middle}"
