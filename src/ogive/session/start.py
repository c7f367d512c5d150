"""`search`: start a run, or continue it where it stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.executors.simulated import VirtualClock
from ogive.objective import Constraint, ObjectiveSpec
from ogive.run.alert_route_specs import RouteSpec, check_routes, check_webhook_urls, select_stored_routes
from ogive.run.clock import WallClock
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL, Journal
from ogive.run.observers import Observer
from ogive.run.settings import Settings
from ogive.session.controller_session import make_subscribers, run_session
from ogive.session.earlier_run import WarmStartSpec, find_earlier_run, prepare_warm_start
from ogive.session.executor_config import ExecutorSpec, parse_executor_config
from ogive.session.new_run import create_run
from ogive.session.opening_events import find_end_reason, prepare_session_events, repeat_failed_trials
from ogive.session.payload import PAYLOAD, write_payload
from ogive.session.planned_search import is_planned
from ogive.session.run_declaration import (
    AUTO,
    LEFT_OUT,
    RunSpec,
    ScheduleSpec,
    StrategySpec,
    choose_schedule,
    make_auto_strategy_spec,
)
from ogive.session.search_checks import check_warm_start, convert_to_estimator
from ogive.session.stored_run import StoredRun
from ogive.sinks import check_specs as check_sinks
from ogive.space import Space

if TYPE_CHECKING:
    from ogive.planner import Plan

SYNCHRONOUS = ("NORMAL", "FULL")
"""The allowed values of the argument `synchronous`: two modes of SQLite."""


def search(
    space: Space,
    estimator: Estimator | Callable[..., Any],
    *,
    objectives: ObjectiveSpec = LEFT_OUT,
    constraints: Constraint | Iterable[Constraint] = LEFT_OUT,
    strategy: StrategySpec = LEFT_OUT,
    schedule: ScheduleSpec = LEFT_OUT,
    epochs: int | None = LEFT_OUT,
    max_trials: int = LEFT_OUT,
    workers: int | str | Plan = LEFT_OUT,
    workers_per_trial: int = LEFT_OUT,
    seed: int = LEFT_OUT,
    run: str | os.PathLike[str] | None = None,
    budget: float | Mapping[str, float] | None = LEFT_OUT,
    price: float | str | None = LEFT_OUT,
    stop: str = LEFT_OUT,
    criteria: Constraint | Iterable[Constraint] = LEFT_OUT,
    patience: float | None = LEFT_OUT,
    alerts: RouteSpec | Iterable[RouteSpec] = LEFT_OUT,
    sinks: Any = LEFT_OUT,
    initial: Iterable[Mapping[str, Any]] = LEFT_OUT,
    warm_start: WarmStartSpec = None,
    executor: ExecutorSpec = "processes",
    max_failed_trials: int | None = LEFT_OUT,
    retries: int = LEFT_OUT,
    retry_failed: bool = False,
    time_limit: float | None = LEFT_OUT,
    memory_limit: float | None = LEFT_OUT,
    startup_limit: float | None = LEFT_OUT,
    cache: bool = True,
    synchronous: str = "NORMAL",
    observer: Observer | None = None,
) -> StoredRun:
    """Search `space` for the architectures that `estimator` evaluates best.

    Every report of a trial is written to the run's journal at once. A run can be interrupted and continued any number of
    times: call `search` again with the same `run`. An argument that this call leaves out keeps its stored value. These
    arguments may change between calls: `max_trials` (it may only increase), `workers`, `workers_per_trial`, `budget`,
    `price`, `stop`, `criteria`, `patience`, `alerts`, `sinks`, `max_failed_trials`, `retries` and the limits. The arguments
    `executor`, `retry_failed`, `cache`, `synchronous` and `observer` are not stored: they apply to one call. The space, the
    estimator's data and recipe, and all other arguments that define the search must stay the same.

    Args:
        space: The search space.
        estimator: A train function `f(model, trial)`, or an estimator of `ogive.estimate`.
        objectives: The name of a metric, an `Objective`, or a list of these. Default: "accuracy".
        constraints: Bounds on metrics. Architectures that violate a hard constraint are not trained; its metric must be
            known before training. Default: none.
        strategy: Proposes architectures: a name, {name: {option: value}}, or a `Strategy`. Default: "auto", which selects
            a strategy by `max_trials`.
        schedule: Decides how far each trial is trained: a name, {name: {option: value}}, or a `Schedule`. Default: the
            schedule that the strategy requires (such as "bohb"), or else "full", which trains every trial for all `epochs`.
        epochs: The largest number of epochs of a trial, at least 1, or None if the estimator has no epochs. Default: the
            estimator's own number.
        max_trials: The number of architectures to try, at least 1. Default: 100.
        workers: The number of trials that are evaluated at a time, at least 1; or a plan of `og.plan` for the same search,
            whose split of this machine's cores or GPUs is used; or "auto", which makes such a plan before the run is
            created. The plan is stored with the run. Default: 1.
        workers_per_trial: The number of processes that train each trial together (data parallelism), at least 1. Each
            process takes its share of every batch and, when training on GPUs, has a GPU of its own. Default: 1.
        seed: The seed of all random choices, at least 0. Default: 0.
        run: The folder of the run. Default: a new folder in `runs/`, named after the date and time.
        budget: The hours that the search may take in all sessions together, or {"hours": h, "money": m} with one or both.
            Default: no limit.
        price: Money per worker-hour; or the name of a device or machine in the price file, which is the file named by the
            environment variable `OGIVE_PRICES`, or else the examples that come with Ogive; or "file.yaml:name". Workers are
            billed for the time they are reserved, busy or not. Default: None, money is not counted.
        stop: "advise": stop rules only advise to end the search. "auto": a stop rule ends the search. Default: "advise".
        criteria: Constraints that define a success: the stop rule "criteria" says stop when one trial satisfies all of them.
            Default: none.
        patience: The hours without an improvement after which an alert is sent. Default: one hour, or a quarter of the time
            so far if that is longer.
        alerts: The destinations of alerts in addition to the journal: "console", {"file": path}, {"webhook": url}, a
            function that takes the alert, or a list of these. A mapping may also hold the lowest "severity" to send:
            "info", "warning" or "critical". Functions and literal URLs are not stored, and apply to this call only.
            {"webhook": "env:NAME"} is stored, and the URL is read from the environment variable. Default: none.
        sinks: The destinations of metrics in addition to the journal; see `ogive.sinks`. Default: none.
        initial: Architectures to propose first, as mappings of names to labels. Default: none.
        warm_start: An earlier run, its folder, or {"run": folder, "trials": k}. Its best k architectures (10 by default)
            are proposed after `initial`. The earlier space may differ: decisions are matched by their names and labels.
            These architectures are stored with the run. Default: none.
        executor: "processes": worker processes that are reused for many trials. "inline": this process, one trial at a
            time, for debugging. "simulated": `workers` workers in virtual time; the estimator must be from a benchmark
            (`og.bench.estimator`), which knows how long each trial takes. {"simulated": {option: value}} sets options of
            `ogive.planner.FaultModel` and `seed`, the seed of the faults (the search's seed by default). Default:
            "processes".
        max_failed_trials: The search ends when this many trials have failed, at least 1. Default: a third of `max_trials`.
        retries: How often a trial is attempted again after its worker was killed, at least 0. Default: 2.
        retry_failed: Whether to propose the architectures of all failed trials once more, before any other architecture. Use
            it after you have fixed the cause. The repeated trials do not count towards `max_trials`. Infeasible
            architectures are not repeated. Default: False.
        time_limit: The longest compute time of a trial, in seconds, all attempts together. Default: no limit.
        memory_limit: The memory that one trial may allocate, in gigabytes (10^9 bytes). Default: no limit.
        startup_limit: The longest time in which a worker must have loaded code and data, in seconds, or None for no limit.
            Default: 600.
        cache: Whether to share results with other runs through the evaluation cache. It is used only if the estimator can
            describe everything that determines its results. Default: True.
        synchronous: "NORMAL": reports survive a crash of any process. "FULL": reports also survive a crash of the machine,
            and writing them takes longer. Default: "NORMAL".
        observer: A function that is called with (state, event) after every event, and with (state, None) about every half
            second. An exception that it raises ends the session. Default: a live view on standard error, or lines of
            progress and warnings if that is not a terminal.

    Returns:
        The run, with its trials and results.

    Raises:
        KeyboardInterrupt: The session was interrupted by Ctrl-C or SIGTERM. The running trials were put back; the same call
            continues the run.
        JobError: An argument has a wrong type or is out of its range.
        RunError: The run cannot be continued with these arguments, its folder cannot be written, or another controller
            holds the run.
    """
    if not isinstance(space, Space):
        raise JobError(
            f"space={space!r}: expected an ogive.Space, such as Space(layer(...), example_input=(1, 28, 28))"
        )
    config = parse_executor_config(executor)
    if synchronous not in SYNCHRONOUS:
        raise JobError(f"synchronous={synchronous!r}: expected one of {', '.join(map(repr, SYNCHRONOUS))}")
    estimator = convert_to_estimator(estimator)
    # "auto" is the default. In a continued run, an argument that is left out keeps the strategy that was selected when the
    # run was created.
    if strategy in (AUTO, {AUTO: {}}):
        strategy = LEFT_OUT
    fixed = _drop_left_out(
        objectives=objectives,
        constraints=constraints,
        strategy=strategy,
        schedule=schedule,
        epochs=epochs,
        seed=seed,
        initial=initial,
    )
    routes = check_routes(alerts) if alerts is not LEFT_OUT else None
    check_webhook_urls(routes or ())
    sink_specs = check_sinks(sinks) if sinks is not LEFT_OUT else None
    plan = workers if is_planned(workers) else None
    # Sinks that are objects, like alert routes that are functions, are not stored.
    changeable = _drop_left_out(
        max_trials=max_trials,
        workers=workers if plan is None else LEFT_OUT,
        workers_per_trial=workers_per_trial,
        budget=budget,
        price=price,
        stop=stop,
        criteria=criteria,
        patience=patience,
        alerts=LEFT_OUT if routes is None else select_stored_routes(routes),
        sinks=LEFT_OUT if sink_specs is None else [spec for spec in sink_specs if isinstance(spec, Mapping)],
        max_failed_trials=max_failed_trials,
        retries=retries,
        time_limit=time_limit,
        memory_limit=memory_limit,
        startup_limit=startup_limit,
    )
    settings = Settings(**changeable)
    # In a continued run, only the arguments in `fixed` are compared with the stored ones; the defaults have no effect.
    arguments = {**_DEFAULTS, "strategy": make_auto_strategy_spec(settings.max_trials), **fixed}
    if "epochs" not in fixed:
        arguments["epochs"] = estimator.epochs
    arguments["schedule"] = choose_schedule(arguments["strategy"], arguments["schedule"])
    folder = Path(run).absolute() if run is not None else None
    is_new = folder is None or not (folder / JOURNAL).exists()
    if is_new and warm_start is not None:
        arguments["warm_start"] = prepare_warm_start(
            warm_start, space, arguments["objectives"], arguments["constraints"]
        )
    run_spec = RunSpec.of(space, estimator, **arguments)
    if folder is None or is_new:
        folder = create_run(folder, run_spec, estimator, settings, config=config, plan=plan, arguments=arguments)
    clock = VirtualClock() if config.is_simulated else WallClock()
    journal = Journal(folder / JOURNAL, synchronous=synchronous, clock=clock)
    try:
        journal.acquire()
        events = prepare_session_events(
            journal,
            folder,
            run_spec,
            estimator,
            fixed=fixed,
            changeable=changeable,
            config=config,
        )
        if retry_failed:
            events += repeat_failed_trials(events)
        # A continued run starts at the virtual time of its last event.
        if isinstance(clock, VirtualClock):
            clock.start_time = events[0].time
            clock.seconds = max(event.time for event in events) - clock.start_time
        if warm_start is not None:
            check_warm_start(events[0].data.get("warm_start"), find_earlier_run(warm_start)[0], folder)
        write_payload(folder / PAYLOAD, space, estimator)
        end_reason = find_end_reason(events)
        if end_reason is not None:
            if observer is None:
                message = f"the search in {folder} has ended: {end_reason}; nothing is left to do"
                print(message, file=sys.stderr, flush=True)
            return StoredRun(folder, space, estimator, trust=True)
        interruption = run_session(
            journal,
            events,
            run_spec,
            estimator,
            folder=folder,
            fixed=fixed,
            config=config,
            use_cache=cache,
            observer=observer,
            subscribers=make_subscribers(folder, events, routes, sink_specs),
            clock=clock,
        )
    finally:
        journal.close()
    # An exception, so that a script does not continue with the results of an unfinished search.
    if interruption is not None:
        raise KeyboardInterrupt(f"the search in {folder} was {interruption}; the same call continues it")
    return StoredRun(folder, space, estimator, trust=True)


def _drop_left_out(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that are not `LEFT_OUT`."""
    return {name: value for name, value in arguments.items() if value is not LEFT_OUT}


_DEFAULTS: Mapping[str, Any] = {
    "objectives": "accuracy",
    "constraints": (),
    "schedule": None,
    "epochs": None,
    "seed": 0,
    "initial": (),
}
"""The defaults of arguments that are part of the declaration of a new run."""
