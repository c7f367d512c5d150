"""`ogive check`: see that a job can run, and should, before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, JobFile, console, print_json, shown
from ogive.cli.cost_prompt import print_forecast
from ogive.cli.space import size_json, size_text

if TYPE_CHECKING:
    from ogive.hardware import Preflight
    from ogive.job import Job
    from ogive.job.launch_gate import Finding


def check(
    job: JobFile,
    samples: Annotated[int, typer.Option(min=1, help="Architectures to build and run in the preflight.")] = 200,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a job that lacks what a careful team would set.")
    ] = False,
    no_forecast: Annotated[bool, typer.Option("--no-forecast", help="Time no training.")] = False,
    as_json: AsJson = False,
) -> None:
    """Validate a job, count its space, call its functions, build and run sampled architectures and the baseline, forecast
    the cost, and name what is not set.

    Exit code 1 where the preflight finds an architecture that cannot be built or run, and with --strict where something is
    missing; 2 where the job is wrong, or a constraint, canonical form, graph or baseline fails.
    """
    from ogive.job import load_job
    from ogive.job.cost_forecast import forecast
    from ogive.job.launch_gate import MISSING, launch_gate
    from ogive.job.named_functions import check_baseline, check_space_functions

    loaded = load_job(job)
    if not as_json:
        print(f"{job}: the job is valid")
        _print_job(loaded)
    tried = check_space_functions(loaded, samples)
    preflight = _preflight(loaded, samples)
    check_baseline(loaded)
    expected = None if no_forecast or (preflight is not None and not preflight.ok) else forecast(loaded)
    gate = launch_gate(loaded, preflight, expected)
    missing = [finding for finding in gate if finding.verdict == MISSING]
    fine = (preflight is None or preflight.ok) and not (strict and missing)
    if as_json:
        costs = None if expected is None else expected.to_json()
        found = {**_json(preflight), "forecast": costs, "gate": [finding.to_json() for finding in gate]}
        size = size_json(loaded.space)
        print_json({"job": str(job), "size": size, "run": str(shown(loaded.run)), **found, "ok": fine})
    else:
        none = "none, since the space has no example_input; with one, architectures are built and run here"
        if tried:
            print(f"functions: constraint, canonical form and graph answer for {tried:,} architectures")
        print(f"preflight: {preflight or none}")
        if not no_forecast:
            print_forecast(expected)
        _print_gate(gate)
        if strict and missing:
            print(f"refused (--strict): {len(missing)} missing")
    if not fine:
        raise typer.Exit(1)


def _print_job(job: Job) -> None:
    print(f"space:     {size_text(job.space)} in {len(job.space.decisions)} decisions")
    print(f"objective: {', '.join(f'{o.goal} {o.metric}' for o in job.objectives)}")
    for constraint in job.constraints:
        print(f"subject to {constraint} ({'hard' if constraint.hard else 'soft'})")
    for constraint in job.criteria:
        print(f"success:   {constraint}")
    from ogive.formatting import plural

    for phase in job.phases:
        given = phase.finalize
        what = (
            _search(phase.job)
            if phase.job
            else f"full training of the best {given['top']}, {plural(len(given['seeds']), 'seed')}"
        )
        print(f"phase:     {phase.name}: {what}")
    if not job.phases:
        print(f"search:    {_search(job)}")
    print(f"run:       {shown(job.run)}")


def _search(job: Job) -> str:
    from ogive.formatting import plural

    (strategy, schedule) = (next(iter(spec)) for spec in (job.strategy, job.schedule))
    epochs = f", up to {plural(job.epochs, 'epoch')} each" if job.epochs else ""
    share = job.keys.proxy.data_fraction
    data = f" on {share:.3g} of the training part" if share < 1 else ""
    others = job.keys.proxy.model_dump(exclude={"data_fraction"})
    data += "".join(f", {name} {value:.3g}" for name, value in others.items() if value < 1)
    return f"{job.keys.max_trials} trials by {strategy} under {schedule}{epochs}{data}, {_at_a_time(job)}"


def _at_a_time(job: Job) -> str:
    return "as many at a time as a plan recommends" if job.planned else f"{job.parallel_trials} at a time"


def _print_gate(gate: Sequence[Finding]) -> None:
    """What is set in a line, and each missing thing with its reason and the line to add."""
    from ogive.job.launch_gate import MISSING, NOTE, SET

    there = [finding.name for finding in gate if finding.verdict == SET]
    print(f"\nlaunch gate: {', '.join(there)} set" if there else "\nlaunch gate:")
    out = console()
    for verdict, mark in ((MISSING, "missing"), (NOTE, "note")):
        for finding in gate:
            if finding.verdict == verdict:
                out.print(f"  {mark}: {finding.name}: {finding.reason}", markup=False, highlight=False)
                if finding.line:
                    out.print(f"      {finding.line}", markup=False, highlight=False)


def _preflight(job: Job, samples: int) -> Preflight | None:
    """What the preflight found; None where the space cannot tell how models are called."""
    from ogive import hardware

    if job.space.example_input is None:
        return None
    return hardware.preflight(job.space, samples=samples, seed=job.keys.seed)


def _json(preflight: Preflight | None) -> dict[str, Any]:
    if preflight is None:
        return {"preflight": None}
    spreads = {name: getattr(preflight, name) for name in ("parameters", "flops", "activation_memory")}
    found = {
        name: getattr(preflight, name) for name in ("samples", "draws", "infeasible", "duplicates", "failed", "notes")
    }
    failures = [
        {
            "architecture": failure.architecture.to_json(),
            **{name: getattr(failure, name) for name in ("phase", "layer", "layer_class", "error", "message", "count")},
        }
        for failure in preflight.failures
    ]
    costs = {name: asdict(spread) if spread else None for name, spread in spreads.items()}
    return {"preflight": {**found, **costs, "failures": failures}}
