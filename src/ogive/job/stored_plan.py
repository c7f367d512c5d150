"""The plan of a job: made, kept beside the run's folder, and taken up by the search that begins there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, RunError
from ogive.files import replace_text
from ogive.job.job import Job
from ogive.session.planned_search import PlanRequest, fingerprint, make_plan, worker_units
from ogive.session.run_declaration import RunSpec, auto

if TYPE_CHECKING:
    from ogive.planner import Plan


def plan_job(job: Job, wanted: PlanRequest, say: Callable[[str], object]) -> Plan:
    """The plan of a job's search; `wanted` has the arguments of `ogive.plan`.

    Raises:
        JobError, RunError: as `ogive.plan`; the job has phases.
    """
    if job.phases:
        names = ", ".join(phase.name for phase in job.phases if phase.job is not None)
        raise JobError(f"{job.path}: the job has phases, which are planned one by one: --phase with one of {names}")
    return make_plan(_declared(job), job.estimator, job.settings, wanted, say)


def plan_file(job: Job) -> Path:
    """Where a job's plan is kept: beside the run's folder, which is to be empty when the search begins."""
    return job.run.with_name(f"{job.run.name}.plan.json")


def keep_plan(job: Job, plan: Plan) -> Path:
    """Write the plan where the search will find it; returns where.

    Raises:
        RunError: it cannot be written.
    """
    path = plan_file(job)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(plan.to_json()))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error
    return path


def kept_plan(job: Job) -> Plan | None:
    """The plan that was kept for this job; None where there is none, or where it does not fit, which is told.

    It does not fit a job that has changed since, or a machine with fewer workers than it splits.

    Raises:
        JobError: the file is no plan.
    """
    path = plan_file(job)
    if not path.is_file():
        return None
    from ogive.planner import Plan

    try:
        plan = Plan.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{path} is no plan ({error}); delete it, or make it anew with `ogive plan {job.path}`"
        ) from error
    unit, there = worker_units(job.estimator)
    if plan.fingerprint != fingerprint(_declared(job), job.settings):
        amiss = "the job has changed since"
    elif plan.unit != unit or plan.workers > there:
        amiss = f"it splits {plan.workers} {plan.unit}, and this machine has {there} {unit}"
    else:
        return plan
    print(f"plan: the one in {path} is not used: {amiss}", file=sys.stderr, flush=True)
    return None


def begun_with(job: Job) -> dict[str, Any]:
    """The arguments of `search` that say how a new run uses its workers: by the plan that is kept, where it fits.

    With `parallel_trials: auto` a plan is made now where none is kept; with a number, the plan's forecast for that many
    trials at a time goes with the run.
    """
    plan = kept_plan(job) if job.keys.executor == "processes" and job.keys.workers_per_trial == 1 else None
    if job.planned:
        return {"workers": plan or "auto"}
    chosen = plan.using(job.parallel_trials) if plan else None
    return {"workers": chosen, "workers_per_trial": 1} if chosen else {}


def _declared(job: Job) -> RunSpec:
    """What the search will be declared to be."""
    strategy = auto(job.keys.max_trials) if job.strategy == {"auto": {}} else job.strategy
    return RunSpec.of(
        job.space,
        job.estimator,
        objectives=job.objectives,
        constraints=job.constraints,
        strategy=strategy,
        schedule=job.schedule,
        epochs=job.epochs,
        seed=job.keys.seed,
    )
