"""The plan of a job: made, saved beside the run's folder, and used by the search that starts there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, RunError
from ogive.files import replace_text
from ogive.job.job import Job
from ogive.session.planned_search import PlanRequest, compute_plan_fingerprint, detect_worker_units, make_plan
from ogive.session.run_declaration import RunSpec, make_auto_strategy_spec

if TYPE_CHECKING:
    from ogive.planner import Plan


def plan_job(job: Job, request: PlanRequest, say: Callable[[str], object]) -> Plan:
    """Return a plan of the job's search.

    Args:
        job: the job.
        request: the arguments of `ogive.plan`.
        say: receives messages about the progress.

    Raises:
        JobError, RunError: as for `ogive.plan`; or the job has phases.
    """
    if job.phases:
        names = ", ".join(phase.name for phase in job.phases if phase.job is not None)
        raise JobError(
            f"{job.path}: the job has phases, which are planned one by one; give --phase with one of {names}"
        )
    return make_plan(_run_spec(job), job.estimator, job.settings, request, say)


def plan_path(job: Job) -> Path:
    """Return the path of a job's plan: beside the run's folder, which must be empty when the search starts."""
    return job.run.with_name(f"{job.run.name}.plan.json")


def save_plan(job: Job, plan: Plan) -> Path:
    """Write a plan to where the search looks for it, and return the path.

    Raises:
        RunError: the file cannot be written.
    """
    path = plan_path(job)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(plan.to_json()))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error
    return path


def load_plan(job: Job) -> Plan | None:
    """Return the saved plan of a job; None if there is none, or if it does not fit, which is printed.

    It does not fit if the job has changed since, or if this machine has fewer workers than the plan splits.

    Raises:
        JobError: the file is not a plan.
    """
    path = plan_path(job)
    if not path.is_file():
        return None
    from ogive.planner import Plan

    try:
        plan = Plan.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{path} is not a plan ({error}); delete it, or make a new one with `ogive plan {job.path}`"
        ) from error
    unit, available = detect_worker_units(job.estimator)
    if plan.fingerprint != compute_plan_fingerprint(_run_spec(job), job.settings):
        reason = "the job has changed since"
    elif plan.unit != unit or plan.workers > available:
        reason = f"it splits {plan.workers} {plan.unit}, and this machine has {available} {unit}"
    else:
        return plan
    print(f"plan: the one in {path} is not used: {reason}", file=sys.stderr, flush=True)
    return None


def worker_arguments(job: Job) -> dict[str, Any]:
    """Return the arguments of `ogive.search` with which a new run divides its workers among trials.

    With `parallel_trials: auto` the saved plan decides, or the search makes a plan if there is none that fits. With a
    number, the run records the forecast of the saved plan for that many trials at a time, if there is one.
    """
    plan = load_plan(job) if job.keys.executor == "processes" and job.keys.workers_per_trial == 1 else None
    if job.is_planned:
        return {"workers": plan or "auto"}
    declared_split = plan.with_parallel_trials(job.parallel_trials) if plan else None
    return {"workers": declared_split, "workers_per_trial": 1} if declared_split else {}


def _run_spec(job: Job) -> RunSpec:
    """Return the declaration that the search of the job will have."""
    strategy = make_auto_strategy_spec(job.keys.max_trials) if job.strategy == {"auto": {}} else job.strategy
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
