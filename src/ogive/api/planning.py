"""`plan`: how to use a number of workers, before a search is paid for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ogive.objective import Constraint, ObjectiveSpec
from ogive.run.estimator import Estimator
from ogive.run.settings import Settings
from ogive.session.planned_search import PlanRequest, Say, make_plan
from ogive.session.run_declaration import AUTO, LEFT_OUT, RunSpec, ScheduleSpec, StrategySpec, auto, schedule_for
from ogive.session.search_checks import as_estimator
from ogive.session.stored_run import StoredRun
from ogive.space import Space

if TYPE_CHECKING:
    from ogive.executors.simulated import FaultModel
    from ogive.planner import Plan, Timings


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
    source: str | os.PathLike[str] | StoredRun | Timings | None = None,
    measured_trials: int | None = None,
    measured_epochs: int | None = None,
    seeds: int | None = None,
    regret: float | None = None,
    faults: FaultModel | None = None,
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
        faults: stragglers, failures and preemptions. Default: none.
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
        "schedule": schedule_for(strategy, schedule),
        "epochs": judge.epochs if epochs is LEFT_OUT else epochs,
        "seed": seed,
    }
    settings = Settings(max_trials=max_trials, budget=budget, price=price)
    wanted = PlanRequest(workers, source, measured_trials, measured_epochs, seeds, regret, faults)
    return make_plan(RunSpec.of(space, judge, **arguments), judge, settings, wanted, say)
