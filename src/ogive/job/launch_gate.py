"""The launch gate: what a careful team would have set before an expensive search, and this job has not."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ogive.job.cost_forecast import CostForecast
from ogive.job.job import Job
from ogive.run.estimator import Estimator
from ogive.session.executor_config import executor_config
from ogive.space.training_decisions import training_decisions

if TYPE_CHECKING:
    from ogive.hardware import Preflight

SET, MISSING, NOTE = "set", "missing", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: of the thing.
        verdict: "set", "missing" (`ogive check --strict` refuses), or "note" (worth knowing, nothing to refuse).
        why: what it is about.
        line: what to add to the job; "" where a line cannot mend it.
    """

    name: str
    verdict: str
    why: str
    line: str = ""


def launch_gate(job: Job, preflight: Preflight | None, forecast: CostForecast | None) -> list[Finding]:
    """Everything that was looked at, in the order in which it matters."""
    checks = (
        _space(job, preflight),
        _split(job),
        _limits(job, forecast),
        _checkpoints(job),
        _cost(job),
        _criteria(job),
    )
    return [finding for check in (*checks, _joint(job), _phases(job), _data(job)) for finding in check]


def _found(name: str, there: bool, why: str, line: str) -> Finding:
    return Finding(name, SET, "") if there else Finding(name, MISSING, why, line)


def _space(job: Job, preflight: Preflight | None) -> Iterator[Finding]:
    if preflight is None:
        why = "without an example input no architecture can be built before it is trained, and a wrong shape costs a trial"
        yield Finding("validated space", MISSING, why, "Space(..., example_input=(1, 28, 28)) in the space's file")
    elif not preflight.ok:
        yield Finding(
            "validated space", MISSING, "the preflight found architectures that fail: each would cost a trial"
        )
    else:
        yield Finding("validated space", SET, "")


def _split(job: Job) -> Iterator[Finding]:
    if job.keys.task is None:
        why = (
            "the train function splits its data itself: see that it selects on examples that it does not train on, "
            "stratified and shuffled, and keeps a test set that no search sees"
        )
        yield Finding("split", NOTE, why)
        return
    said = job.keys.task.model_fields_set & {"split", "test", "validation"}
    assert job.task is not None
    sizes = job.task.describe()["sizes"]
    why = (
        f"nobody has chosen it; by default {sizes['train']} examples train, {sizes['validation']} select and "
        f"{sizes['test']} test, stratified and shuffled"
    )
    yield _found("split", bool(said), why, "task: {..., split: 70/15/15}")


def _limits(job: Job, forecast: CostForecast | None) -> Iterator[Finding]:
    k = job.keys
    if executor_config(k.executor).simulated:
        return  # what trains nothing needs none
    searches = [phase.job.keys for phase in job.phases if phase.job is not None] or [k]
    slowest = max((part.seconds.high for part in forecast.parts if not part.full), default=0.0) if forecast else 0.0
    seconds = max(60, round(3 * slowest + 30, -1)) if forecast else 600
    why = "a trial that hangs holds its place for ever"
    hint = "three times the slowest in the forecast" if forecast and seconds > 60 else "seconds of one trial"
    timed = all(keys.time_limit is not None for keys in searches)
    yield _found("time limit", timed, why, f"time_limit: {seconds:.0f}   # {hint}")
    why = "one architecture that takes all memory can end the whole machine"
    limited = all(keys.memory_limit is not None for keys in searches)
    yield _found("memory limit", limited, why, "memory_limit: 4   # gigabytes of one trial")


def _checkpoints(job: Job) -> Iterator[Finding]:
    text = _source(job.estimator)
    if text is None:
        yield Finding("checkpoints", SET, "")
        return
    missing = [name for name in ("checkpoint", "restore") if f".{name}(" not in text]
    why = (
        f"the train function's file has no trial.{'() and no trial.'.join(missing)}(): a trial that is killed or paused "
        "begins again"
    )
    line = "trial.checkpoint(model=model.state_dict(), ...) before trial.report, and trial.restore() first"
    yield _found("checkpoints", not missing, why, line)


def _source(estimator: Estimator) -> str | None:
    """The text of the file of a train function; None for what checkpoints itself, or has nothing to checkpoint."""
    from ogive.estimate.user_functions import Train

    if not isinstance(estimator, Train):
        return None
    module = sys.modules.get(estimator.function.__module__)
    try:
        return inspect.getsource(module) if module is not None else None
    except (OSError, TypeError):
        return None


def _cost(job: Job) -> Iterator[Finding]:
    searches = [phase.job.keys for phase in job.phases if phase.job is not None] or [job.keys]
    capped = all(keys.budget is not None for keys in searches)
    priced = "{hours: 8, money: 50}" if job.price is not None else "8   # hours; with `price`, {hours: 8, money: 50}"
    where = " in each phase" if job.phases else ""
    why = f"nothing ends the search but its number of trials{where and ': a budget' + where}"
    yield _found("cost cap", capped, why, f"budget: {priced}")


def _criteria(job: Job) -> Iterator[Finding]:
    metric = job.objectives[0].metric
    bound = "at_least: 0.95" if job.objectives[0].goal == "maximize" else "at_most: 0.1"
    why = "nobody has said what would be good enough, so nothing can tell when to stop"
    yield _found("criteria", bool(job.criteria), why, f"criteria: [{{metric: {metric}, {bound}}}]")


def _joint(job: Job) -> Iterator[Finding]:
    names = training_decisions(job.space)
    if names:
        why = (
            f"{', '.join(names)}: searched together with the architecture, as `joint: true` says; what is found is good "
            "with its own recipe, and full training keeps it"
        )
        yield Finding("joint search", NOTE, why)


def _phases(job: Job) -> Iterator[Finding]:
    for phase in job.phases[:-1]:
        go = phase.go
        if not go.best and go.failed is None and go.learns is None:
            why = f"phase {phase.name!r} lets the next one begin whatever it shows, as long as one trial has a value"
            yield Finding(
                "go rule", MISSING, why, "go: {learns: true, failed: 0.1}" if job.task else "go: {failed: 0.1}"
            )


def _data(job: Job) -> Iterator[Finding]:
    for warning in job.task.warnings() if job.task is not None else ():
        yield Finding("data", NOTE, warning)
