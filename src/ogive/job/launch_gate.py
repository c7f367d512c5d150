"""The launch gate: checks that a job sets everything that should be set before an expensive search."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ogive.job.cost_forecast import CostForecast
from ogive.job.job import Job
from ogive.job.keys import JobKeys
from ogive.run.estimator import Estimator
from ogive.session.executor_config import parse_executor_config
from ogive.space.training_decisions import training_decisions

if TYPE_CHECKING:
    from ogive.hardware import Preflight

SET, MISSING, NOTE = "set", "missing", "note"


@dataclass(frozen=True)
class Finding:
    """The result of one check of the launch gate.

    Attributes:
        name: the name of the check.
        verdict: "set"; "missing", which `ogive check --strict` refuses; or "note", which is never refused.
        reason: why the setting matters; None if it is set.
        line: the line to add to the job file; None if no line can fix the problem.
    """

    name: str
    verdict: str
    reason: str | None = None
    line: str | None = None

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "verdict": self.verdict, "why": self.reason or "", "line": self.line or ""}


def run_launch_gate(job: Job, preflight: Preflight | None, forecast: CostForecast | None) -> list[Finding]:
    """Return the results of all checks, in decreasing order of importance.

    Args:
        job: the job.
        preflight: the result of the preflight; None if the space has no example input.
        forecast: the forecast cost; None if it is unknown.
    """
    checks = (
        _check_space(preflight),
        _check_split(job),
        _check_limits(job, forecast),
        _check_checkpoints(job),
        _check_cost_cap(job),
        _check_criteria(job),
        _check_joint_search(job),
        _check_go_rules(job),
        _check_data(job),
    )
    return [finding for findings in checks for finding in findings]


def _make_finding(name: str, is_set: bool, reason: str, line: str) -> Finding:
    return Finding(name, SET) if is_set else Finding(name, MISSING, reason, line)


def _check_space(preflight: Preflight | None) -> Iterator[Finding]:
    """Check that the preflight has built architectures of the space, and that none of them failed."""
    name = "validated space"
    if preflight is None:
        reason = "without an example input no model is built before its trial, so each wrong shape costs a trial"
        yield Finding(name, MISSING, reason, "Space(..., example_input=(1, 28, 28)) in the file of the space")
    elif not preflight.ok:
        yield Finding(name, MISSING, "the preflight found architectures that fail; each of them would cost a trial")
    else:
        yield Finding(name, SET)


def _check_split(job: Job) -> Iterator[Finding]:
    """Check that the job chooses the sizes of the splits. A train function splits its data itself."""
    if job.keys.task is None:
        reason = (
            "the train function splits its data itself: it should select on examples that it does not train on, "
            "stratified and shuffled, and keep a test set that no search uses"
        )
        yield Finding("split", NOTE, reason)
        return
    declared_keys = job.keys.task.model_fields_set & {"split", "test", "validation"}
    assert job.task is not None
    sizes = job.task.describe()["sizes"]
    reason = (
        f"the job does not choose the split; by default {sizes['train']} examples train, {sizes['validation']} select and "
        f"{sizes['test']} test, stratified and shuffled"
    )
    yield _make_finding("split", bool(declared_keys), reason, "task: {..., split: 70/15/15}")


def _list_searches(job: Job) -> list[JobKeys]:
    """Return the keys of each search: those of each phase with a search, or those of the job if it has no phases."""
    return [phase.job.keys for phase in job.phases if phase.job is not None] or [job.keys]


def _check_limits(job: Job, forecast: CostForecast | None) -> Iterator[Finding]:
    """Check that each search limits the time and the memory of a trial."""
    if parse_executor_config(job.keys.executor).is_simulated:
        return  # simulated trials use neither time nor memory
    # Suggest three times the slowest training of the forecast, plus 30 s, in steps of 10 s, and at least 60 s; without a
    # forecast, 600 s.
    slowest = max((part.seconds.high for part in forecast.parts if not part.full), default=0.0) if forecast else 0.0
    seconds = max(60, round(3 * slowest + 30, -1)) if forecast else 600
    hint = "three times the slowest in the forecast" if forecast and seconds > 60 else "seconds for one trial"
    yield _make_finding(
        "time limit",
        all(keys.time_limit is not None for keys in _list_searches(job)),
        "a trial that hangs occupies its worker forever",
        f"time_limit: {seconds:.0f}   # {hint}",
    )
    yield _make_finding(
        "memory limit",
        all(keys.memory_limit is not None for keys in _list_searches(job)),
        "one architecture that takes all memory can crash the whole machine",
        "memory_limit: 4   # gigabytes for one trial",
    )


def _check_checkpoints(job: Job) -> Iterator[Finding]:
    """Check that the file of the train function calls `trial.checkpoint` and `trial.restore`."""
    text = _read_train_function_source(job.estimator)
    if text is None:
        yield Finding("checkpoints", SET)
        return
    missing = [name for name in ("checkpoint", "restore") if f".{name}(" not in text]
    reason = (
        f"the train function's file has no trial.{'() and no trial.'.join(missing)}(): a trial that is killed or paused "
        "starts again from the beginning"
    )
    line = "trial.checkpoint(model=model.state_dict(), ...) before trial.report, and trial.restore() first"
    yield _make_finding("checkpoints", not missing, reason, line)


def _read_train_function_source(estimator: Estimator) -> str | None:
    """Return the text of the file that defines the train function; None if the file cannot be read.

    Also None for other estimators: they save checkpoints themselves, or need none.
    """
    from ogive.estimate.user_functions import TrainFunctionEstimator

    if not isinstance(estimator, TrainFunctionEstimator):
        return None
    module = sys.modules.get(estimator.function.__module__)
    try:
        return inspect.getsource(module) if module is not None else None
    except (OSError, TypeError):
        return None


def _check_cost_cap(job: Job) -> Iterator[Finding]:
    """Check that each search has a budget."""
    is_capped = all(keys.budget is not None for keys in _list_searches(job))
    limits = "{hours: 8, money: 50}" if job.price is not None else "8   # hours; with `price`, {hours: 8, money: 50}"
    reason = "only the number of trials ends the search"
    if job.phases:
        reason += "; each phase should have a budget"
    yield _make_finding("cost limit", is_capped, reason, f"budget: {limits}")


def _check_criteria(job: Job) -> Iterator[Finding]:
    """Check that the job has success criteria."""
    metric = job.objectives[0].metric
    bound = "at_least: 0.95" if job.objectives[0].goal == "maximize" else "at_most: 0.1"
    reason = "the job does not say what result is good enough, so the search cannot stop when it has succeeded"
    yield _make_finding("criteria", bool(job.criteria), reason, f"criteria: [{{metric: {metric}, {bound}}}]")


def _check_joint_search(job: Job) -> Iterator[Finding]:
    """Note which decisions of the space are about training."""
    names = training_decisions(job.space)
    if names:
        reason = (
            f"{', '.join(names)}: searched together with the architecture, as `joint: true` declares; each architecture is "
            "good with its own training settings, and full training keeps them"
        )
        yield Finding("joint search", NOTE, reason)


def _check_go_rules(job: Job) -> Iterator[Finding]:
    """Yield a finding for each phase but the last that has no condition of its own for the next phase."""
    for phase in job.phases[:-1]:
        conditions = phase.go
        if not conditions.best and conditions.failed is None and conditions.learns is None:
            reason = f"after phase {phase.name!r} the next phase starts if one trial has a value, however bad it is"
            line = "go: {learns: true, failed: 0.1}" if job.task else "go: {failed: 0.1}"
            yield Finding("go rule", MISSING, reason, line)


def _check_data(job: Job) -> Iterator[Finding]:
    for warning in job.task.warnings() if job.task is not None else ():
        yield Finding("data", NOTE, warning)
