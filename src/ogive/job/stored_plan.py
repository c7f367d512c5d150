"""The plan of a job: it is made, saved next to the run's folder, and loaded when the search starts."""

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
        say: a function that is called with messages about the progress.

    Raises:
        JobError: the job has phases, or no plan can be made; see `ogive.plan`.
        RunError: the measurement fails; see `ogive.plan`.
    """
    if job.phases:
        names = ", ".join(phase.name for phase in job.phases if phase.job is not None)
        raise JobError(
            f"{job.path}: the job has phases, which are planned one by one; give --phase with one of {names}"
        )
    return make_plan(_make_run_spec(job), job.estimator, job.settings, request, say)


def get_plan_path(job: Job) -> Path:
    """Return the path of a job's plan. It is next to the run's folder, since this folder must be empty at the start."""
    return job.run_folder.with_name(f"{job.run_folder.name}.plan.json")


def save_plan(job: Job, plan: Plan) -> Path:
    """Write a plan to the path from which the search loads it; return the path.

    Raises:
        RunError: the file cannot be written.
    """
    path = get_plan_path(job)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(plan.to_json()))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error
    return path


def load_plan(job: Job) -> Plan | None:
    """Return the saved plan of a job; None if there is none that fits. The reason why a plan does not fit is printed.

    A plan does not fit if the job has changed since, or if this machine has fewer workers than the plan needs.

    Raises:
        JobError: the file is not a plan.
    """
    path = get_plan_path(job)
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
    if plan.fingerprint != compute_plan_fingerprint(_make_run_spec(job), job.settings):
        reason = "the job has changed since"
    elif plan.unit != unit or plan.workers > available:
        reason = f"it splits {plan.workers} {plan.unit}, and this machine has {available} {unit}"
    else:
        return plan
    print(f"plan: the one in {path} is not used: {reason}", file=sys.stderr, flush=True)
    return None


def make_worker_arguments(job: Job) -> dict[str, Any]:
    """Return the arguments of `ogive.search` that determine how a new run divides its workers among trials.

    With `parallel_trials: auto`, the saved plan decides; if there is none that fits, the search makes a plan. If
    `parallel_trials` is a number, the run records the forecast of the saved plan for this number, if there is one.
    """
    plan = load_plan(job) if job.keys.executor == "processes" and job.keys.workers_per_trial == 1 else None
    if job.is_planned:
        return {"workers": plan or "auto"}
    # This is the plan with the declared number of trials at a time. It decides the workers of each trial too, which
    # `ogive.search` allows only if `workers_per_trial` is 1.
    declared_plan = plan.choose_parallel_trials(job.parallel_trials) if plan else None
    return {"workers": declared_plan, "workers_per_trial": 1} if declared_plan else {}


def _make_run_spec(job: Job) -> RunSpec:
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
