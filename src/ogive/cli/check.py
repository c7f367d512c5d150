"""`ogive check`: see that a job can run before anything trains."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, JobFile, print_json, shown
from ogive.cli.space import size_json, size_text

if TYPE_CHECKING:
    from ogive.hardware import Preflight
    from ogive.job import Job


def check(
    job: JobFile,
    samples: Annotated[int, typer.Option(min=1, help="Architectures to build and run in the preflight.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Validate a job, count its space, and build and run sampled architectures on shapes alone.

    Exit code 1 where the preflight finds an architecture that cannot be built or run.
    """
    from ogive.job import load_job

    loaded = load_job(job)
    if not as_json:
        print(f"{job}: the job is valid")
        _print_job(loaded)
    preflight = _preflight(loaded, samples)
    if as_json:
        print_json(
            {"job": str(job), "size": size_json(loaded.space), "run": str(shown(loaded.run)), **_json(preflight)}
        )
    else:
        none = "none, since the space has no example_input; with one, architectures are built and run here"
        print(f"preflight: {preflight or none}")
    if preflight is not None and not preflight.ok:
        raise typer.Exit(1)


def _print_job(job: Job) -> None:
    (strategy, schedule) = (next(iter(spec)) for spec in (job.strategy, job.schedule))
    epochs = f", up to {job.epochs} epochs each" if job.epochs else ""
    print(f"space:     {size_text(job.space)} in {len(job.space.decisions)} decisions")
    print(f"objective: {', '.join(f'{o.goal} {o.metric}' for o in job.objectives)}")
    for constraint in job.constraints:
        print(f"subject to {constraint} ({'hard' if constraint.hard else 'soft'})")
    print(
        f"search:    {job.keys.max_trials} trials by {strategy} under {schedule}{epochs}, {job.keys.workers} at a time"
    )
    print(f"run:       {shown(job.run)}")


def _preflight(job: Job, samples: int) -> Preflight | None:
    """What the preflight found; None where the space cannot tell how models are called."""
    from ogive import hardware

    if job.space.example_input is None:
        return None
    return hardware.preflight(job.space, samples=samples, seed=job.keys.seed)


def _json(preflight: Preflight | None) -> dict[str, Any]:
    if preflight is None:
        return {"ok": True, "preflight": None}
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
    return {"ok": preflight.ok, "preflight": {**found, **costs, "failures": failures}}
