"""`plan`: the forecast of a search, and the recommended split of the workers, before the search is started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ogive.objective import Constraint, ObjectiveSpec
from ogive.run.estimator import Estimator
from ogive.run.settings import Settings
from ogive.session.planned_search import MessageFunction, PlanRequest, make_plan
from ogive.session.run_declaration import (
    AUTO,
    LEFT_OUT,
    RunSpec,
    ScheduleSpec,
    StrategySpec,
    choose_schedule,
    make_auto_strategy_spec,
)
from ogive.session.search_checks import convert_to_estimator
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
    say: MessageFunction = lambda message: None,
) -> Plan:
    """Forecast a search for every split of the workers into parallel trials and workers per trial, and recommend one.

    If no recorded durations are given, a few random architectures are trained briefly in fresh workers. The durations are
    fitted by a model of how the time of an epoch depends on the number of workers. Then the search is simulated, with its
    strategy and schedule, for each split. Use the plan with `ogive.search(..., workers=plan)`.

    Args:
        space: The search space.
        estimator: A train function `f(model, trial)`, or an estimator of `ogive.estimate`.
        objectives: As for `ogive.search`. Only the first objective is simulated. Default: "accuracy".
        constraints: As for `ogive.search`. They are not simulated, but architectures that violate a hard constraint are not
            measured. Default: none.
        strategy: A name, or {name: {option: value}}; an object is an error. Default: "auto".
        schedule: A name, or {name: {option: value}}; an object is an error. Default: the schedule that the strategy
            requires, or else "full".
        epochs: The largest number of epochs of a trial, at least 1, or None if the estimator has no epochs. Default: the
            estimator's own number.
        max_trials: The number of trials of the search, at least 1. Default: 100.
        seed: The seed of the search, of the measured architectures and of the simulations, at least 0. Default: 0.
        budget: The hours that the search may take, or {"hours": h, "money": m} with one or both. Default: no limit.
        price: As for `ogive.search`: money per worker-hour, or a name in the price file. Default: no price.
        workers: The number of workers to split, at least 1. If this machine has fewer, durations are extrapolated.
            Default: the cores of this machine, or its GPUs if the estimator trains on GPUs and there are several.
        source: Recorded durations: a run or its folder, a file (`ogive.planner.read_timings`), or `Timings`. Default:
            durations are measured now.
        measured_trials: The number of architectures to measure, at least 1. If the machine can train more architectures at a
            time, more are measured. Default: 6.
        measured_epochs: The number of epochs of each measured architecture, at least 1. Default: 3.
        seeds: The number of simulated searches of each split, at least 1. If these do not show which split is best, up to
            four times as many are simulated. If the strategy is slow, fewer are simulated. Default: 10.
        regret: The target regret, at least 0, in the unit of the first objective. The plan forecasts the time until the
            search has reached it. Default: the regret that three of four simulated searches reach.
        faults: Stragglers, failures and preemptions of the workers (`ogive.planner.FaultModel`). Default: none.
        say: A function that receives messages on the progress. Default: messages are dropped.

    Returns:
        The plan. Its `rows` hold the forecast for each split; `recommended` is the recommended split, `why` the reason for
        it, and `sure` its certainty.

    Raises:
        JobError: An argument has a wrong type or is out of its range, or no architecture can be trained.
        RunError: The workers cannot start.
    """
    estimator = convert_to_estimator(estimator)
    strategy = make_auto_strategy_spec(max_trials) if strategy in (AUTO, {AUTO: {}}) else strategy
    schedule = choose_schedule(strategy, schedule)
    settings = Settings(max_trials=max_trials, budget=budget, price=price)
    request = PlanRequest(
        workers=workers,
        source=source,
        measured_trials=measured_trials,
        measured_epochs=measured_epochs,
        seeds=seeds,
        regret=regret,
        faults=faults,
    )
    run_spec = RunSpec.of(
        space,
        estimator,
        objectives=objectives,
        constraints=constraints,
        strategy=strategy,
        schedule=schedule,
        epochs=estimator.epochs if epochs is LEFT_OUT else epochs,
        seed=seed,
    )
    return make_plan(run_spec, estimator, settings, request, say=say)
