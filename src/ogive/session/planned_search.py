"""The plan of a search: made for a declaration, checked against a search, and used by the search that begins with it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.formatting import duration, plural
from ogive.hashing import hash_json
from ogive.objective import violation
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.journal import JOURNAL
from ogive.run.manifest import cores
from ogive.run.settings import Settings
from ogive.session.controller_session import make_plugins
from ogive.session.payload import PAYLOAD, write_payload
from ogive.session.run_declaration import AUTO, RunSpec
from ogive.session.search_checks import check_fidelities, current_price
from ogive.session.stored_run import StoredRun
from ogive.space import Architecture, Space
from ogive.space.fingerprints import is_same

if TYPE_CHECKING:
    from ogive.bench.problem import Problem
    from ogive.executors.simulated import FaultModel
    from ogive.planner import Plan, Timings
    from ogive.schedule.base import Schedule

Say = Callable[[str], object]


@dataclass(frozen=True)
class PlanRequest:
    """What `plan` is asked, beside what the search is; see there.

    Raises:
        JobError: a value out of its range.
    """

    workers: int | None = None
    source: str | os.PathLike[str] | StoredRun | Timings | None = None
    measured_trials: int | None = None
    measured_epochs: int | None = None
    seeds: int | None = None
    regret: float | None = None
    faults: FaultModel | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "measured_trials", "measured_epochs", "seeds"):
            value: object = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise JobError(f"{name}={value!r}: a whole number, at least 1")
        if self.regret is not None and not (isinstance(self.regret, (int, float)) and self.regret >= 0):
            raise JobError(f"regret={self.regret!r}: a number, at least 0, in the unit of the first objective")


def make_plan(declared: RunSpec, judge: Estimator, settings: Settings, wanted: PlanRequest, say: Say) -> Plan:
    """The same of what a search was declared to be."""
    from ogive import planner
    from ogive.bench.simulated_search import PluginSpec

    for name, spec in (("strategy", declared.strategy), ("schedule", declared.schedule)):
        if ":" in spec.name:
            raise JobError(
                f"{name}: found an object of class {spec.name}; a plan makes it anew many times: give its name"
            )
    _, scheduled = make_plugins(declared, {}, declared.to_json(), judge.screen)
    check_fidelities(scheduled, judge, declared.space)
    if wanted.source is None:
        timings = _measured(declared, judge, settings, wanted, say)
    else:
        timings = _recorded(wanted.source, declared)
    search = planner.PlannedSearch(
        PluginSpec(declared.strategy.name, declared.strategy.options),
        PluginSpec(declared.schedule.name, declared.schedule.options),
        settings.max_trials,
        Settings(budget=settings.budget, price=settings.price),
        current_price(settings),
        timings.unit == "devices",
    )
    problems, told = _problems(declared, judge, timings)
    told = [*told, *_left_out(declared, scheduled)]
    return planner.build_plan(
        timings,
        search,
        problems,
        wanted.workers or worker_units(judge)[1],
        seeds=wanted.seeds or planner.SEEDS,
        seed=declared.seed,
        regret=wanted.regret,
        faults=wanted.faults,
        assumptions=told,
        fingerprint=fingerprint(declared, settings),
        say=say,
    )


def worker_units(judge: Estimator) -> tuple[str, int]:
    """What this machine has for a search to split, and how many: threads of its cores, or GPUs where there are several."""
    device = str(getattr(judge, "device", "cpu"))
    if judge.parallel and (device == "auto" or device.startswith("cuda")):
        import torch

        if torch.cuda.device_count() > 1:
            return "devices", torch.cuda.device_count()
    return "threads", cores()


def fingerprint(declared: RunSpec, settings: Settings) -> str:
    """A hash of what a plan is about; a plan of another is no forecast of this search."""
    data = declared.to_json()
    kept = ("objectives", "constraints", "strategy", "schedule", "epochs", "fingerprints")
    own = {"space": declared.space.fingerprint, **{name: data[name] for name in kept}}
    limits = {"max_trials": settings.max_trials, "budget": settings.budget, "price": settings.price}
    return hash_json({**own, **limits})


def _measured(declared: RunSpec, judge: Estimator, settings: Settings, wanted: PlanRequest, say: Say) -> Timings:
    from ogive import planner

    unit, there = worker_units(judge)
    workers = wanted.workers or there
    with tempfile.TemporaryDirectory(prefix="ogive-plan-") as name:
        folder = Path(name)
        write_payload(folder / PAYLOAD, declared.space, judge)
        found = planner.measure_durations(
            declared.space,
            folder / PAYLOAD,
            folder,
            workers=min(workers, there),
            unit=unit,
            epochs=declared.epochs,
            trials=wanted.measured_trials or planner.TRIALS,
            each=wanted.measured_epochs or planner.EPOCHS,
            seed=declared.seed,
            allowed=_allowed(declared, judge),
            time_limit=settings.time_limit,
            startup_limit=settings.startup_limit,
            say=say,
        )
    if workers <= there:
        return found
    note = f"this machine has {there} {unit}; what more than {there} do is extrapolated"
    return replace(found, notes=(*found.notes, note))


def _allowed(declared: RunSpec, judge: Estimator) -> Callable[[Architecture], bool]:
    """Whether a search would train an architecture: what violates a hard constraint it does not."""
    hard = [constraint for constraint in declared.constraints if constraint.hard]
    return lambda architecture: not hard or violation(judge.screen(architecture), hard) == 0


def _recorded(source: str | os.PathLike[str] | StoredRun | Timings, declared: RunSpec) -> Timings:
    from ogive import planner

    if isinstance(source, planner.Timings):
        return source
    if not isinstance(source, StoredRun):
        path = Path(source)
        if (path / JOURNAL).is_file():
            return _recorded(StoredRun.open(path), declared)
        if path.is_dir() or not path.exists():
            raise JobError(f"{path} holds no run and is no file; give a run's folder, or durations as CSV or JSON")
        return planner.read_timings(path)
    created = source.state.created
    found = planner.timings_of_run(source.state, f"the run in {source.folder}")
    now, then = declared.fingerprints, created["fingerprints"]
    other = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
    if not is_same(Space.from_json(created["space"]), declared.space):
        other.append("space")
    if not other:
        return found
    note = f"that run was of another job (not the same: {', '.join(other)}); its durations are taken as they are"
    return replace(found, notes=(*found.notes, note))


def _problems(declared: RunSpec, judge: Estimator, timings: Timings) -> tuple[Callable[[int], Problem], list[str]]:
    """What the schedule sees in a simulation, by seed, and how far that can be trusted."""
    from ogive import planner
    from ogive.bench.benchmark_estimator import BenchmarkEstimator

    objective = declared.objectives[0]
    if isinstance(judge, BenchmarkEstimator) and judge.problem.objectives == (objective,):
        return planner.limited(judge.problem, declared.epochs), [
            f"metrics: those of the benchmark {judge.problem.name} itself, so they are exact"
        ]
    table = planner.bundled(declared.space, objective)
    if table is not None and declared.epochs is not None and declared.epochs <= (table.epochs or 0):
        return planner.limited(table, declared.epochs), [
            f"metrics: learning curves of the bundled benchmark {table.name}: of this space, but on its own data by its own "
            "recipe"
        ]
    shape = planner.learn(timings.epochs, objective, declared.epochs or 1)
    space, epochs = declared.space, declared.epochs

    def landscape(seed: int) -> Problem:
        return planner.Landscape(space, objective, epochs, shape, seed)

    told = [
        f"metrics: a random landscape for each seed, with curves as {shape.basis}",
        "so values and regrets say how splits compare; what your data will give only the search can tell",
    ]
    return landscape, told


def _left_out(declared: RunSpec, scheduled: Schedule) -> list[str]:
    told = []
    if scheduled.fidelities:
        names = ", ".join(scheduled.fidelities)
        told.append(f"the schedule varies {names}: less of it is taken to be cheaper, and to tell as much as all of it")
    if len(declared.objectives) > 1:
        told.append(f"of several objectives the first, {declared.objectives[0].metric}, is simulated")
    if declared.constraints:
        told.append("constraints take no part in the simulation; what hard ones forbid is not measured")
    return told


# -- the plan that a search begins with ------------------------------------------------------------------------------


def is_planned(workers: Any) -> bool:
    """Whether `workers` of a search is not a number but a plan, or the wish for one.

    Raises:
        JobError: it is another text.
    """
    if isinstance(workers, str):
        if workers != AUTO:
            raise JobError(f'workers={workers!r}: a whole number, at least 1, "auto", or a plan of og.plan')
        return True
    return type(workers).__name__ == "Plan" and type(workers).__module__.startswith("ogive.planner")


def check_plan(workers: Any, declared: RunSpec, settings: Settings, executor: str) -> None:
    """See that a plan, or the wish for one, is for this search.

    Raises:
        JobError: the plan is of another search, or there is nothing to split.
    """
    if executor != "processes" or settings.workers_per_trial > 1 or settings.threads:
        raise JobError(
            "a plan decides how many trials run at a time and what each is given: leave workers_per_trial out, and use "
            "executor='processes'"
        )
    if workers != AUTO and workers.fingerprint not in ("", fingerprint(declared, settings)):
        raise JobError(
            "workers=plan: the plan is of another search (its space, objectives, constraints, strategy, schedule, "
            "epochs, data, max_trials, budget or price differ); make it with the same arguments, or give workers='auto'"
        )


def apply_plan(workers: Any, declared: RunSpec, judge: Estimator, settings: Settings) -> tuple[Settings, list[Event]]:
    """The settings of a new run with the split of a plan, and the forecast as an event; a plan is made for "auto".

    Raises:
        JobError: what was measured cannot be planned with.
    """
    made = make_plan(declared, judge, settings, PlanRequest(), _say) if workers == AUTO else workers
    split = made.chosen
    each_has = f"{split.workers_per_trial} of {made.workers} {made.unit} each"
    about = made.why if split == made.recommended else f"{duration(made.row.seconds.expected)}, as was asked for"
    _say(f"plan: {plural(split.parallel_trials, 'trial')} at a time, {each_has}: {about}")
    _say(f"plan: {made.sure}" if split == made.recommended else f"plan: {made.recommended} is recommended: {made.why}")
    each: dict[str, Any] = {"threads" if made.unit == "threads" else "workers_per_trial": split.workers_per_trial}
    return replace(settings, workers=split.parallel_trials, **each), [Event(Kind.PROJECTED, data=made.journalled())]


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
