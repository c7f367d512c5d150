"""`plan`: how to use a number of workers, before a search is paid for; and the plan that a search begins with."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.api.checks import as_estimator, check_fidelities, price_of
from ogive.api.declared import AUTO, LEFT_OUT, Declared, ScheduleSpec, StrategySpec, auto, with_its_schedule
from ogive.api.payload import PAYLOAD, write_payload
from ogive.api.result import JOURNAL, Run, open_run
from ogive.api.session import plugins
from ogive.errors import JobError
from ogive.objective import Constraint, ObjectiveSpec, violation
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.executors.processes import cores
from ogive.run.settings import Settings
from ogive.run.words import duration, plural
from ogive.space import Architecture, Space
from ogive.space.fingerprints import is_same

if TYPE_CHECKING:
    from ogive.bench.problem import Problem
    from ogive.planner import Plan, Timings
    from ogive.run.executors.simulated import Weather
    from ogive.schedule.base import Schedule

Say = Callable[[str], object]


@dataclass(frozen=True)
class Wanted:
    """What `plan` is asked, beside what the search is; see there.

    Raises:
        JobError: a value out of its range.
    """

    workers: int | None = None
    source: str | os.PathLike[str] | Run | Timings | None = None
    measured_trials: int | None = None
    measured_epochs: int | None = None
    seeds: int | None = None
    regret: float | None = None
    weather: Weather | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "measured_trials", "measured_epochs", "seeds"):
            value: object = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise JobError(f"{name}={value!r}: a whole number, at least 1")
        if self.regret is not None and not (isinstance(self.regret, (int, float)) and self.regret >= 0):
            raise JobError(f"regret={self.regret!r}: a number, at least 0, in the unit of the first objective")


def plan(
    space: Space,
    estimator: Estimator | Callable[..., Any],
    *,
    objectives: ObjectiveSpec = "accuracy",
    constraints: Constraint | Iterable[Constraint] = (),
    strategy: StrategySpec = AUTO,
    schedule: ScheduleSpec = None,
    epochs: int | None = LEFT_OUT,
    max_trials: int = 100,
    seed: int = 0,
    budget: float | Mapping[str, float] | None = None,
    price: float | str | None = None,
    workers: int | None = None,
    source: str | os.PathLike[str] | Run | Timings | None = None,
    measured_trials: int | None = None,
    measured_epochs: int | None = None,
    seeds: int | None = None,
    regret: float | None = None,
    weather: Weather | None = None,
    say: Say = lambda message: None,
) -> Plan:
    """Forecast a search for every split of `workers` into parallel trials and workers per trial, and recommend one.

    A few random architectures are trained briefly in fresh workers, or durations that were recorded are taken; how an epoch
    scales is fitted to them, and the search is simulated under its own strategy and schedule (`ogive.planner`). Use the
    plan with `ogive.search(..., workers=plan)`.

    Args:
        space: as for `ogive.search`.
        estimator: likewise.
        objectives: likewise; of several only the first takes part in the simulation.
        constraints: likewise; they take no part in it, but what hard ones forbid is not measured.
        strategy: by name.
        schedule: by name.
        epochs: as for `ogive.search`.
        max_trials: likewise.
        seed: likewise; also of what is measured and simulated.
        budget: likewise.
        price: likewise.
        workers: to be split. Default: the cores of this machine, or its GPUs where the estimator trains on several.
        source: a run or its folder, a file of recorded durations (`ogive.planner.read`), or `Timings`. Default: measure.
        measured_trials: how many architectures to train, at least: as many as train at a time, where those are more.
            Default: 6.
        measured_epochs: for how long. Default: 3.
        seeds: simulations of each split; up to four times as many where they do not decide. Default: 10.
        regret: whose time is forecast, in the unit of the first objective. Default: what three of four simulated searches
            reach.
        weather: stragglers, failures and preemptions. Default: none.
        say: told what is being done.

    Raises:
        JobError: an argument is not what it should be, or no architecture can be trained.
        RunError: the workers cannot start.
    """
    judge = as_estimator(estimator)
    strategy = auto(max_trials) if strategy in (AUTO, {AUTO: {}}) else strategy
    arguments: dict[str, Any] = {
        "objectives": objectives,
        "constraints": constraints,
        "strategy": strategy,
        "schedule": with_its_schedule(strategy, schedule),
        "epochs": judge.epochs if epochs is LEFT_OUT else epochs,
        "seed": seed,
    }
    settings = Settings(max_trials=max_trials, budget=budget, price=price)
    wanted = Wanted(workers, source, measured_trials, measured_epochs, seeds, regret, weather)
    return plan_of(Declared.of(space, judge, **arguments), judge, settings, wanted, say)


def plan_of(declared: Declared, judge: Estimator, settings: Settings, wanted: Wanted, say: Say) -> Plan:
    """The same of what a search was declared to be."""
    from ogive import planner
    from ogive.bench.simulation import Named

    for name, spec in (("strategy", declared.strategy), ("schedule", declared.schedule)):
        if ":" in spec.name:
            raise JobError(
                f"{name}: found an object of class {spec.name}; a plan makes it anew many times: give its name"
            )
    _, scheduled = plugins(declared, {}, declared.to_json(), judge.screen)
    check_fidelities(scheduled, judge, declared.space)
    if wanted.source is None:
        timings = _measured(declared, judge, settings, wanted, say)
    else:
        timings = _recorded(wanted.source, declared)
    search = planner.Search(
        Named(declared.strategy.name, declared.strategy.options),
        Named(declared.schedule.name, declared.schedule.options),
        settings.max_trials,
        Settings(budget=settings.budget, price=settings.price),
        price_of(settings),
        timings.unit == "devices",
    )
    problems, told = _problems(declared, judge, timings)
    told = [*told, *_left_out(declared, scheduled)]
    return planner.make(
        timings,
        search,
        problems,
        wanted.workers or units(judge)[1],
        seeds=wanted.seeds or planner.SEEDS,
        seed=declared.seed,
        regret=wanted.regret,
        weather=wanted.weather,
        assumptions=told,
        fingerprint=fingerprint(declared, settings),
        say=say,
    )


def units(judge: Estimator) -> tuple[str, int]:
    """What this machine has for a search to split, and how many: threads of its cores, or GPUs where there are several."""
    device = str(getattr(judge, "device", "cpu"))
    if judge.parallel and (device == "auto" or device.startswith("cuda")):
        import torch

        if torch.cuda.device_count() > 1:
            return "devices", torch.cuda.device_count()
    return "threads", cores()


def fingerprint(declared: Declared, settings: Settings) -> str:
    """A hash of what a plan is about; a plan of another is no forecast of this search."""
    data = declared.to_json()
    kept = ("objectives", "constraints", "strategy", "schedule", "epochs", "fingerprints")
    own = {"space": declared.space.fingerprint, **{name: data[name] for name in kept}}
    limits = {"max_trials": settings.max_trials, "budget": settings.budget, "price": settings.price}
    text = json.dumps({**own, **limits}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _measured(declared: Declared, judge: Estimator, settings: Settings, wanted: Wanted, say: Say) -> Timings:
    from ogive import planner

    unit, there = units(judge)
    workers = wanted.workers or there
    with tempfile.TemporaryDirectory(prefix="ogive-plan-") as name:
        folder = Path(name)
        write_payload(folder / PAYLOAD, declared.space, judge)
        found = planner.measure(
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


def _allowed(declared: Declared, judge: Estimator) -> Callable[[Architecture], bool]:
    """Whether a search would train an architecture: what violates a hard constraint it does not."""
    hard = [constraint for constraint in declared.constraints if constraint.hard]
    return lambda architecture: not hard or violation(judge.screen(architecture), hard) == 0


def _recorded(source: str | os.PathLike[str] | Run | Timings, declared: Declared) -> Timings:
    from ogive import planner

    if isinstance(source, planner.Timings):
        return source
    if not isinstance(source, Run):
        path = Path(source)
        if (path / JOURNAL).is_file():
            return _recorded(open_run(path), declared)
        if path.is_dir() or not path.exists():
            raise JobError(f"{path} holds no run and is no file; give a run's folder, or durations as CSV or JSON")
        return planner.read(path)
    created = source.state.created
    found = planner.of_run(source.state, f"the run in {source.folder}")
    now, then = declared.fingerprints, created["fingerprints"]
    other = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
    if not is_same(Space.from_json(created["space"]), declared.space):
        other.append("space")
    if not other:
        return found
    note = f"that run was of another job (not the same: {', '.join(other)}); its durations are taken as they are"
    return replace(found, notes=(*found.notes, note))


def _problems(declared: Declared, judge: Estimator, timings: Timings) -> tuple[Callable[[int], Problem], list[str]]:
    """What the schedule sees in a simulation, by seed, and how far that can be trusted."""
    from ogive import planner
    from ogive.bench.estimate import BenchmarkEstimator

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


def _left_out(declared: Declared, scheduled: Schedule) -> list[str]:
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


def check_planned(workers: Any, declared: Declared, settings: Settings, executor: str) -> None:
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


def begin_with(workers: Any, declared: Declared, judge: Estimator, settings: Settings) -> tuple[Settings, list[Event]]:
    """The settings of a new run with the split of a plan, and the forecast as an event; a plan is made for "auto".

    Raises:
        JobError: what was measured cannot be planned with.
    """
    made = plan_of(declared, judge, settings, Wanted(), _say) if workers == AUTO else workers
    split = made.chosen
    each_has = f"{split.workers_per_trial} of {made.workers} {made.unit} each"
    about = made.why if split == made.recommended else f"{duration(made.row.seconds.expected)}, as was asked for"
    _say(f"plan: {plural(split.parallel_trials, 'trial')} at a time, {each_has}: {about}")
    _say(f"plan: {made.sure}" if split == made.recommended else f"plan: {made.recommended} is recommended: {made.why}")
    each: dict[str, Any] = {"threads" if made.unit == "threads" else "workers_per_trial": split.workers_per_trial}
    return replace(settings, workers=split.parallel_trials, **each), [Event(Kind.PROJECTED, data=made.journalled())]


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
