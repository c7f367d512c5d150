"""`ogive check`: find errors in a job, and forecast its cost, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, JobFile, relative_path
from ogive.cli.cost_prompt import print_forecast
from ogive.cli.space import size_json, size_text
from ogive.cli.terminal import print_json, print_text

if TYPE_CHECKING:
    from ogive.hardware import Preflight
    from ogive.job import Job
    from ogive.job.launch_gate import Finding


def check(
    job: JobFile,
    samples: Annotated[int, typer.Option(min=1, help="Number of architectures to build and run once.")] = 200,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a recommended key is missing. Default: off.")
    ] = False,
    no_forecast: Annotated[
        bool,
        typer.Option("--no-forecast", help="Do not train three architectures for the forecast. Default: off."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a job before it runs, and forecast its cost.

    Validates the file, counts the space, calls the job's functions, builds and
    runs sampled architectures and the baseline, trains three of them briefly to
    forecast time and money, and names recommended keys that are missing.

    Example: ogive check job.yaml --strict

    Exit codes:
    0 - the job can run.
    1 - an architecture cannot be built or run; with --strict, a key is missing.
    2 - an error in the job, or in its constraint, canonical form, graph or
        baseline.
    """
    from ogive.job import load_job
    from ogive.job.cost_forecast import forecast_cost
    from ogive.job.launch_gate import MISSING, run_launch_gate
    from ogive.job.named_functions import check_baseline, check_space_functions

    loaded = load_job(job)
    if not as_json:
        print_text(f"{job}: the job is valid")
        _print_job(loaded)
    checked = check_space_functions(loaded, samples)
    preflight = _run_preflight(loaded, samples)
    check_baseline(loaded)
    expected = None if no_forecast or (preflight is not None and not preflight.ok) else forecast_cost(loaded)
    gate = run_launch_gate(loaded, preflight, expected)
    missing = [finding for finding in gate if finding.verdict == MISSING]
    ok = (preflight is None or preflight.ok) and not (strict and missing)
    if as_json:
        costs = None if expected is None else expected.to_json()
        results = {**_preflight_json(preflight), "forecast": costs, "gate": [finding.to_json() for finding in gate]}
        size = size_json(loaded.space)
        print_json({"job": str(job), "size": size, "run": str(relative_path(loaded.run_folder)), **results, "ok": ok})
    else:
        if checked:
            print_text(f"functions: constraint, canonical form and graph work for {checked:,} architectures")
        _print_preflight(loaded, preflight)
        if not no_forecast:
            print_forecast(expected)
        _print_gate(gate)
        if strict and missing:
            print_text(f"refused (--strict): {len(missing)} missing")
    if not ok:
        raise typer.Exit(1)


def _print_job(job: Job) -> None:
    print_text(f"space:     {size_text(job.space)} in {len(job.space.decisions)} decisions")
    print_text(f"objective: {', '.join(f'{o.goal} {o.metric}' for o in job.objectives)}")
    for constraint in job.constraints:
        print_text(f"subject to {constraint} ({'hard' if constraint.hard else 'soft'})")
    for constraint in job.criteria:
        print_text(f"success:   {constraint}")
    from ogive.formatting import plural

    for phase in job.phases:
        if phase.job:
            text = _format_search(phase.job)
        else:
            options = phase.finalize
            text = f"full training of the best {options['top']}, {plural(len(options['seeds']), 'seed')}"
        print_text(f"phase:     {phase.name}: {text}")
    if not job.phases:
        print_text(f"search:    {_format_search(job)}")
    print_text(f"run:       {relative_path(job.run_folder)}")


def _format_search(job: Job) -> str:
    """Return `20 trials with random and full, up to 6 epochs each, on 0.1 of the training examples, 2 at a time`."""
    from ogive.formatting import plural

    (strategy, schedule) = (next(iter(spec)) for spec in (job.strategy, job.schedule))
    epochs = f", up to {plural(job.epochs, 'epoch')} each" if job.epochs else ""
    share = job.keys.proxy.data_fraction
    data = f", on {share:.3g} of the training examples" if share < 1 else ""
    other_proxies = job.keys.proxy.model_dump(exclude={"data_fraction"})
    data += "".join(f", {name} {value:.3g}" for name, value in other_proxies.items() if value < 1)
    parallel = "as many at a time as a plan recommends" if job.is_planned else f"{job.parallel_trials} at a time"
    return f"{job.keys.max_trials} trials with strategy {strategy} and schedule {schedule}{epochs}{data}, {parallel}"


def _print_gate(gate: Sequence[Finding]) -> None:
    """Print the recommended keys that are set on one line, then each missing one with its reason and a line to add."""
    from ogive.job.launch_gate import MISSING, NOTE, SET

    names = [finding.name for finding in gate if finding.verdict == SET]
    print_text(f"\nlaunch gate: {', '.join(names)} set" if names else "\nlaunch gate:")
    for verdict, label in ((MISSING, "missing"), (NOTE, "note")):
        for finding in gate:
            if finding.verdict == verdict:
                print_text(f"  {label}: {finding.name}: {finding.reason}")
                if finding.line:
                    print(f"      {finding.line}")


def _run_preflight(job: Job, samples: int) -> Preflight | None:
    """Build and run sampled architectures; return None for a space without an example input."""
    from ogive import hardware

    if job.space.example_input is None:
        return None
    return hardware.preflight(job.space, samples=samples, seed=job.keys.seed)


def _print_preflight(job: Job, preflight: Preflight | None) -> None:
    """Print the preflight, and the share of its samples that satisfies each constraint on parameters."""
    if preflight is None:
        print_text("preflight: skipped: set example_input in the space, then architectures are built and run")
        return
    print_text(f"preflight: {preflight}")
    for constraint in job.constraints:
        if constraint.metric == "parameters" and preflight.costs:
            satisfied = sum(not constraint.violation({"parameters": cost.parameters}) for cost in preflight.costs)
            print_text(f"  {satisfied / len(preflight.costs):6.1%} of the samples satisfy {constraint}")


def _preflight_json(preflight: Preflight | None) -> dict[str, Any]:
    if preflight is None:
        return {"preflight": None}
    spreads = {name: getattr(preflight, name) for name in ("parameters", "flops", "activation_memory")}
    counts = {
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
    return {"preflight": {**counts, **costs, "failures": failures}}
