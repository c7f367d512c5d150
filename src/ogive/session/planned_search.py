"""The plan of a search: functions that make a plan, check that it is for a search, and apply it to a new run."""

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
from ogive.objective import total_violation
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.journal import JOURNAL
from ogive.run.manifest import count_cores
from ogive.run.settings import Settings
from ogive.session.controller_session import make_plugins
from ogive.session.payload import PAYLOAD, write_payload
from ogive.session.run_declaration import AUTO, RunSpec
from ogive.session.search_checks import check_fidelities, find_current_price
from ogive.session.stored_run import StoredRun
from ogive.space import Architecture, Space
from ogive.space.fingerprints import describes_same_space

if TYPE_CHECKING:
    from ogive.bench.problem import Problem
    from ogive.executors.simulated import FaultModel
    from ogive.planner import Plan, Timings
    from ogive.schedule.base import Schedule

MessageFunction = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """The arguments of `ogive.plan` that are not arguments of `ogive.search`; None means the default.

    Attributes:
        workers: the number of workers to split.
        source: recorded durations; None to measure durations.
        measured_trials: the number of architectures to measure.
        measured_epochs: the number of epochs of each measured architecture.
        seeds: the number of simulated searches of each split.
        regret: the target regret; the plan forecasts the time until the incumbent's regret is at most this value.
        faults: the stragglers, failures and preemptions of the workers that are simulated.

    Raises:
        JobError: a value is out of its range.
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
                raise JobError(f"{name}={value!r}: expected a whole number, at least 1")
        if self.regret is not None and not (isinstance(self.regret, (int, float)) and self.regret >= 0):
            raise JobError(f"regret={self.regret!r}: expected a number, at least 0, in the unit of the first objective")


def make_plan(
    run_spec: RunSpec, estimator: Estimator, settings: Settings, request: PlanRequest, say: MessageFunction
) -> Plan:
    """Return the plan of a declared search.

    Args:
        run_spec: the declaration of the search, with strategy and schedule by name.
        estimator: the estimator of the search.
        settings: the settings of the search: `max_trials`, budget, price and limits.
        request: the arguments of the plan.
        say: a function that receives messages on the progress.

    Raises:
        JobError: strategy or schedule is an object, or no architecture can be trained.
        RunError: the workers cannot start.
    """
    from ogive import planner
    from ogive.bench.simulated_search import PluginSpec

    for name, spec in (("strategy", run_spec.strategy), ("schedule", run_spec.schedule)):
        if ":" in spec.name:
            raise JobError(
                f"{name}: found an object of class {spec.name}; a plan creates it many times, so give it by name"
            )
    # The strategy is not needed here: each simulation creates its own.
    _, schedule = make_plugins(run_spec, {}, run_spec.to_json(), estimator.screen)
    check_fidelities(schedule, estimator, run_spec.space)
    if request.source is None:
        timings = _measure_durations(run_spec, estimator, settings, request, say=say)
    else:
        timings = _read_source(request.source, run_spec)
    search = planner.PlannedSearch(
        strategy=PluginSpec(run_spec.strategy.name, run_spec.strategy.options),
        schedule=PluginSpec(run_spec.schedule.name, run_spec.schedule.options),
        trials=settings.max_trials,
        settings=Settings(budget=settings.budget, price=settings.price),
        price=find_current_price(settings),
        uses_devices=timings.unit == "devices",
    )
    problems, assumptions = _make_problems(run_spec, estimator, timings)
    return planner.build_plan(
        timings,
        search,
        problems,
        request.workers or detect_worker_units(estimator)[1],
        seeds=request.seeds or planner.SIMULATED_SEEDS,
        seed=run_spec.seed,
        regret=request.regret,
        faults=request.faults,
        assumptions=[*assumptions, *_list_simplifications(run_spec, schedule)],
        fingerprint=compute_plan_fingerprint(run_spec, settings),
        say=say,
    )


def detect_worker_units(estimator: Estimator) -> tuple[str, int]:
    """Return the unit of this machine's workers, "threads" or "devices", and their number.

    The unit is "devices" (GPUs) if the estimator trains on GPUs and the machine has several. Otherwise it is "threads", and
    the number is the number of cores.
    """
    device = str(getattr(estimator, "device", "cpu"))
    if estimator.parallel and (device == "auto" or device.startswith("cuda")):
        import torch

        if torch.cuda.device_count() > 1:
            return "devices", torch.cuda.device_count()
    return "threads", count_cores()


def compute_plan_fingerprint(run_spec: RunSpec, settings: Settings) -> str:
    """Return a hash of a search. A plan with another fingerprint is not a forecast of this search."""
    data = run_spec.to_json()
    names = ("objectives", "constraints", "strategy", "schedule", "epochs", "fingerprints")
    limits = {"max_trials": settings.max_trials, "budget": settings.budget, "price": settings.price}
    return hash_json({"space": run_spec.space.fingerprint, **{name: data[name] for name in names}, **limits})


def _measure_durations(
    run_spec: RunSpec, estimator: Estimator, settings: Settings, request: PlanRequest, *, say: MessageFunction
) -> Timings:
    """Train trials on this machine, and return their durations."""
    from ogive import planner

    unit, available = detect_worker_units(estimator)
    workers = request.workers or available
    with tempfile.TemporaryDirectory(prefix="ogive-plan-") as name:
        folder = Path(name)
        write_payload(folder / PAYLOAD, run_spec.space, estimator)
        timings = planner.measure_durations(
            run_spec.space,
            folder / PAYLOAD,
            folder,
            workers=min(workers, available),
            unit=unit,
            epochs=run_spec.epochs,
            trials=request.measured_trials or planner.MEASURED_TRIALS,
            epochs_each=request.measured_epochs or planner.MEASURED_EPOCHS,
            seed=run_spec.seed,
            is_allowed=_make_hard_constraint_check(run_spec, estimator),
            time_limit=settings.time_limit,
            startup_limit=settings.startup_limit,
            say=say,
        )
    if workers <= available:
        return timings
    note = f"this machine has {available} {unit}; durations with more than {available} are extrapolated"
    return replace(timings, notes=(*timings.notes, note))


def _make_hard_constraint_check(run_spec: RunSpec, estimator: Estimator) -> Callable[[Architecture], bool]:
    """Return a function that checks whether an architecture satisfies the hard constraints."""
    hard = [constraint for constraint in run_spec.constraints if constraint.hard]
    return lambda architecture: not hard or total_violation(estimator.screen(architecture), hard) == 0


def _read_source(source: str | os.PathLike[str] | StoredRun | Timings, run_spec: RunSpec) -> Timings:
    """Return the durations that a run or a file contains.

    If the run was another search, a note says so.

    Raises:
        JobError: there is no run and no file.
    """
    from ogive import planner

    if isinstance(source, planner.Timings):
        return source
    if not isinstance(source, StoredRun):
        path = Path(source)
        if (path / JOURNAL).is_file():
            return _read_source(StoredRun.open(path), run_spec)
        if path.is_dir() or not path.exists():
            raise JobError(
                f"{path} is neither the folder of a run nor a file; give one of them (durations as CSV or JSON)"
            )
        return planner.read_timings(path)
    created = source.state.declaration
    timings = planner.read_run_timings(source.state, f"the run in {source.folder}")
    now, before = run_spec.fingerprints, created["fingerprints"]
    differences = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if not describes_same_space(Space.from_json(created["space"]), run_spec.space):
        differences.append("space")
    if not differences:
        return timings
    note = (
        f"that run was another search (different: {', '.join(differences)}); its durations are used without adjustment"
    )
    return replace(timings, notes=(*timings.notes, note))


def _make_problems(
    run_spec: RunSpec, estimator: Estimator, timings: Timings
) -> tuple[Callable[[int], Problem], list[str]]:
    """Return a function that makes the problem to simulate for a seed, and sentences on the origin of the metrics.

    If the estimator is of a benchmark with the same single objective, the problem is this benchmark. Otherwise it is a
    bundled benchmark with the same space, the same first objective and at least as many epochs or, if there is none, a
    random landscape with the shape of the measured learning curves.
    """
    from ogive import planner
    from ogive.bench.benchmark_estimator import BenchmarkEstimator

    objective = run_spec.objectives[0]
    if isinstance(estimator, BenchmarkEstimator) and estimator.problem.objectives == (objective,):
        return planner.limit_epochs(estimator.problem, run_spec.epochs), [
            f"metrics: exact, because they are from the benchmark {estimator.problem.name} itself"
        ]
    table = planner.find_bundled_table(run_spec.space, objective)
    if table is not None and run_spec.epochs is not None and run_spec.epochs <= (table.epochs or 0):
        return planner.limit_epochs(table, run_spec.epochs), [
            f"metrics: learning curves of the bundled benchmark {table.name}, which has the same space but its own data and "
            "recipe"
        ]
    shape = planner.fit_shape(timings.epochs, objective, run_spec.epochs or 1)
    space, epochs = run_spec.space, run_spec.epochs

    def make_landscape(seed: int) -> Problem:
        return planner.Landscape(space, objective, epochs, shape, seed=seed)

    assumptions = [
        f"metrics: a random landscape for each seed, whose learning curves are {shape.basis}",
        "values and regrets are for comparing splits; only the search can tell what your data will give",
    ]
    return make_landscape, assumptions


def _list_simplifications(run_spec: RunSpec, schedule: Schedule) -> list[str]:
    """Return a sentence for each part of the search that the simulation leaves out or simplifies."""
    sentences = []
    if schedule.fidelities:
        names = ", ".join(schedule.fidelities)
        sentences.append(
            f"the schedule varies {names}: training at a lower fidelity is assumed to be cheaper and as informative as "
            "training at the full fidelity"
        )
    if len(run_spec.objectives) > 1:
        sentences.append(f"of several objectives only the first, {run_spec.objectives[0].metric}, is simulated")
    if run_spec.constraints:
        sentences.append("constraints are not simulated; architectures that violate hard constraints were not measured")
    return sentences


# -- the plan of a new run -------------------------------------------------------------------------------------------


def is_planned(workers: Any) -> bool:
    """Return whether the argument `workers` of a search is a plan or "auto" instead of a number.

    Raises:
        JobError: `workers` is another string.
    """
    if isinstance(workers, str):
        if workers != AUTO:
            raise JobError(f'workers={workers!r}: expected a whole number, at least 1, "auto", or a plan of og.plan')
        return True
    # The class is compared by name, so that a search without a plan need not import the planner.
    return type(workers).__name__ == "Plan" and type(workers).__module__.startswith("ogive.planner")


def check_plan(plan: Any, run_spec: RunSpec, settings: Settings, executor: str) -> None:
    """Raise an error if a search cannot use a plan.

    Args:
        plan: a `Plan`, or "auto" for a plan that will be made later.
        run_spec: the declaration of the search.
        settings: the settings of the search.
        executor: the name of the executor.

    Raises:
        JobError: the plan is for another search, or the arguments of the search already fix the split of the workers.
    """
    if executor != "processes" or settings.workers_per_trial > 1 or settings.threads:
        raise JobError(
            "a plan decides how many trials run at a time and how many workers each of them has: leave workers_per_trial "
            "out, and use executor='processes'"
        )
    # A plan with the fingerprint "" may be used for any search.
    if plan != AUTO and plan.fingerprint not in ("", compute_plan_fingerprint(run_spec, settings)):
        raise JobError(
            "workers=plan: the plan is for another search (its space, objectives, constraints, strategy, schedule, "
            "epochs, data, max_trials, budget or price differ); make a plan with the same arguments, or give workers='auto'"
        )


def apply_plan(plan: Any, run_spec: RunSpec, estimator: Estimator, settings: Settings) -> tuple[Settings, list[Event]]:
    """Return the settings of a new run, with the plan's split of the workers, and an event with the plan's forecast.

    Args:
        plan: a `Plan`, or "auto" to make one now.
        run_spec: the declaration of the search.
        estimator: the estimator of the search.
        settings: the settings of the search.

    Raises:
        JobError: no plan can be made.
    """
    if plan == AUTO:
        plan = make_plan(run_spec, estimator, settings, PlanRequest(), say=_print_message)
    split = plan.chosen
    # The user may have chosen another split of the plan, with `Plan.choose_parallel_trials`.
    is_recommended = split == plan.recommended
    workers = f"{split.workers_per_trial} of {plan.workers} {plan.unit} each"
    reason = (
        plan.why if is_recommended else f"{duration(plan.chosen_forecast.seconds.expected)}, the split that you chose"
    )
    _print_message(f"plan: {plural(split.parallel_trials, 'trial')} at a time, {workers}: {reason}")
    _print_message(f"plan: {plan.sure if is_recommended else f'{plan.recommended} is recommended: {plan.why}'}")
    per_trial_setting = "threads" if plan.unit == "threads" else "workers_per_trial"
    changes: dict[str, Any] = {"workers": split.parallel_trials, per_trial_setting: split.workers_per_trial}
    forecast = Event(Kind.PROJECTED, data=plan.to_event_data())
    return replace(settings, **changes), [forecast]


def _print_message(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
