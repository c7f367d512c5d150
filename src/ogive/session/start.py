"""`search`: start a run, or continue it where it stopped."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive import formatting
from ogive.errors import JobError, RunError
from ogive.executors.simulated import VirtualClock
from ogive.objective import Constraint, ObjectiveSpec
from ogive.run.alert_route_specs import RouteSpec, check_addresses, check_routes, stored_routes
from ogive.run.clock import WallClock
from ogive.run.database import is_draft
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.journal import JOURNAL, Journal
from ogive.run.manifest import manifest
from ogive.run.observers import Observer
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.session.controller_session import changed_settings, make_plugins, make_subscribers, run_session
from ogive.session.earlier_run import WarmStartSpec, earlier_run, transferred
from ogive.session.executor_config import (
    ExecutorConfig,
    ExecutorSpec,
    check_same_time,
    executor_config,
    executor_warnings,
)
from ogive.session.payload import PAYLOAD, write_payload
from ogive.session.planned_search import apply_plan, check_plan, is_planned
from ogive.session.run_declaration import (
    AUTO,
    LEFT_OUT,
    RunSpec,
    ScheduleSpec,
    StrategySpec,
    auto,
    check_unchanged,
    schedule_for,
)
from ogive.session.search_checks import (
    TEST_WAS_READ,
    added_example_warnings,
    as_estimator,
    check_executor,
    check_fidelities,
    check_hard_constraints,
    check_warm_start,
    continued_run_warnings,
    current_price,
    new_run_warnings,
)
from ogive.session.search_code import SOURCES, SearchCode
from ogive.session.stored_run import StoredRun
from ogive.sinks import check_specs as check_sinks
from ogive.space import Space
from ogive.trial import Status

if TYPE_CHECKING:
    from ogive.planner import Plan

SYNCHRONOUS = ("NORMAL", "FULL")
LOST = (
    "not repeated, since what failed went on from other trials' weights, which are not kept for it; a schedule that hands "
    "on weights gives such a place to another trial (more max_trials let it start more)"
)


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
    """Search `space` for the architectures that `estimator` finds best.

    Whatever is reported is journalled at once, and a run can be continued any number of times: call `search` again with
    the same `run`. An argument left out is then as stored. `max_trials` (upwards), `workers`, the limits, and `budget` to
    `sinks` may change; nothing else may.

    Args:
        space: what can be built.
        estimator: a train function `f(model, trial)`, or one from `ogive.estimate`.
        objectives: a metric's name, an `Objective`, or several. Default: "accuracy".
        constraints: of the metrics. Hard ones on metrics that the estimator knows before training cost no training.
        strategy: a name, {name: {option: value}}, or an object. Default: "auto", chosen by `max_trials`.
        schedule: likewise. Default: "full", every trial is trained for all `epochs`.
        epochs: how far a trial is trained at most. Default: as far as the estimator goes; None where it has no epochs.
        max_trials: how many architectures to try. Default: 100.
        workers: how many trials at a time; "auto", or a plan that `og.plan` made of the same search: the split of this
            machine's cores or GPUs that a plan recommends, found before the run is created and kept with it. Default: 1.
        workers_per_trial: how many processes train each of them together, data-parallel, each with its share of every batch
            (and with a GPU of its own where it trains on GPUs). Default: 1.
        seed: of all random choices. Default: 0.
        run: the run's folder. Default: a fresh one under `runs/`.
        budget: hours that the search may take, or {"hours": h, "money": m} with one or both. Default: no limit.
        price: money per worker-hour, or the name of a device or machine in the price file (`OGIVE_PRICES`, else examples
            that come with Ogive), or "file.yaml:name". What is held is paid for, busy or not. Default: nothing is paid.
        stop: "advise": a stop rule only tells; "auto": it ends the search. Default: "advise".
        criteria: constraints; a trial that satisfies them all is a success. Default: none.
        patience: hours without improvement that are worth an alert. Default: an hour and a quarter of the time so far.
        alerts: where alerts go beside the journal: "console", {"file": path}, {"webhook": url}, or a function of the
            alert, or several. A mapping may name the least "severity". Functions and literal URLs are for this call and
            not stored; {"webhook": "env:NAME"} is stored and read from the environment. Default: nowhere.
        sinks: where metrics go beside the journal; see `ogive.sinks`. Default: nowhere.
        initial: architectures that are proposed first. Default: none.
        warm_start: an earlier run, its folder, or {"run": folder, "trials": k}: its best k (10) are proposed next, also from
            another space where names and labels of decisions overlap. What is taken over is journalled. Default: none.
        executor: "processes" (warm workers), "inline" (this process, one trial at a time, for debugging), or "simulated":
            `workers` in virtual time, where the estimator is a benchmark's and so knows what each trial takes. Its
            options, {"simulated": {option: value}}, are those of `ogive.planner.FaultModel`, and `seed` (the search's).
        max_failed_trials: stop when so many have failed. Default: a third of `max_trials`.
        retries: further attempts after a killed worker. Default: 2.
        retry_failed: propose the architectures of failed trials again, once, before any other: after the cause was repaired.
            `max_trials` does not count those that they replace. Architectures that are infeasible are not repeated.
        time_limit: seconds of one trial. Default: no limit.
        memory_limit: gigabytes that one trial may allocate. Default: no limit.
        startup_limit: seconds that a worker may take to load code and data. Default: 600; None for no limit.
        cache: use the evaluation cache, where the estimator can tell its whole recipe.
        synchronous: "NORMAL": what was reported survives a crash of any process; "FULL": of the machine too.
        observer: called with (state, event) after every event, and with (state, None) now and then; what it raises ends the
            session. Default: a live view on standard error, lines of progress and warnings where that is no terminal.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the running trials have been put back, and the same call goes on.
        JobError: an argument is not what it should be.
        RunError: the run cannot be continued, written, or is held by another controller.
    """
    if not isinstance(space, Space):
        raise JobError(f"space={space!r}: an ogive.Space, such as Space(layer(...), example_input=(1, 28, 28))")
    where = executor_config(executor)
    if synchronous not in SYNCHRONOUS:
        raise JobError(f"synchronous={synchronous!r}: {SYNCHRONOUS} are known")
    judge = as_estimator(estimator)
    if strategy in (AUTO, {AUTO: {}}):  # as stored, or chosen when the run is created
        strategy = LEFT_OUT
    fixed = _given(
        objectives=objectives,
        constraints=constraints,
        strategy=strategy,
        schedule=schedule,
        epochs=epochs,
        seed=seed,
        initial=initial,
    )
    routes = check_routes(alerts) if alerts is not LEFT_OUT else None
    check_addresses(routes or ())
    shown = check_sinks(sinks) if sinks is not LEFT_OUT else None
    planned = workers if is_planned(workers) else None
    changing = _given(
        max_trials=max_trials,
        workers=workers if planned is None else LEFT_OUT,
        workers_per_trial=workers_per_trial,
        budget=budget,
        price=price,
        stop=stop,
        criteria=criteria,
        patience=patience,
        alerts=LEFT_OUT if routes is None else stored_routes(routes),
        sinks=LEFT_OUT if shown is None else [spec for spec in shown if isinstance(spec, Mapping)],
        max_failed_trials=max_failed_trials,
        retries=retries,
        time_limit=time_limit,
        memory_limit=memory_limit,
        startup_limit=startup_limit,
    )
    asked = Settings(**changing)
    arguments = {**_DEFAULTS, "strategy": auto(asked.max_trials), **fixed}
    if "epochs" not in fixed:
        arguments["epochs"] = judge.epochs
    arguments["schedule"] = schedule_for(arguments["strategy"], arguments["schedule"])
    folder = Path(run).absolute() if run is not None else None
    is_new = folder is None or not (folder / JOURNAL).exists()
    if is_new and warm_start is not None:
        sought = arguments["objectives"], arguments["constraints"]
        arguments["warm_start"] = transferred(warm_start, space, *sought)
    declared = RunSpec.of(space, judge, **arguments)
    if folder is None or is_new:
        check_executor(where, asked, judge)
        if planned is not None:
            check_plan(planned, declared, asked, where.name)
        current_price(asked)
        check_hard_constraints(space, judge, declared.constraints, declared.seed)
        # made once before anything is written, so that what is wrong with them is told in time
        _, scheduled = make_plugins(declared, arguments, declared.to_json(), judge.screen)
        check_fidelities(scheduled, judge, space)
        folder = folder or fresh_folder(Path("runs").absolute())
        _make_folder(folder)
        foretold: list[Event] = []
        if planned is not None:
            asked, foretold = apply_plan(planned, declared, judge, asked)
        created = Event(Kind.CREATED, data={**declared.to_json(), "settings": asked.to_json()})
        Journal.create(folder / JOURNAL, [created, *foretold])
    clock = VirtualClock() if where.simulated else WallClock()
    journal = Journal(folder / JOURNAL, synchronous=synchronous, clock=clock)
    try:
        journal.acquire()
        events = _continued(journal, folder, declared, fixed, changing, where, judge)
        if retry_failed:
            events += _repeating(events)
        if isinstance(clock, VirtualClock):  # goes on where it stood
            clock.began = events[0].time
            clock.seconds = max(event.time for event in events) - clock.began
        if warm_start is not None:
            check_warm_start(events[0].data.get("warm_start"), earlier_run(warm_start)[0], folder)
        write_payload(folder / PAYLOAD, space, judge)
        over = _nothing_to_do(events)
        if over is not None:
            if observer is None:
                print(f"the search in {folder} has ended: {over}; nothing is left to do", file=sys.stderr, flush=True)
            return StoredRun(folder, space, judge, trust=True)
        subscribers = make_subscribers(folder, events, routes, shown)
        interrupted = run_session(
            folder, journal, events, declared, judge, fixed, where, cache, observer, subscribers, clock
        )
    finally:
        journal.close()
    if interrupted:  # what follows a search in a program must not happen to half a search
        raise KeyboardInterrupt(f"the search in {folder} was {interrupted}; the same call continues it")
    return StoredRun(folder, space, judge, trust=True)


def fresh_folder(parent: Path) -> Path:
    """A folder of its own for a new run, named after the time and made now, so that nobody else takes it."""
    name = time.strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"the run's folder {folder} cannot be made: {error}; name another one: run=...") from error
        return folder
    raise AssertionError("unreachable")


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not LEFT_OUT}


_DEFAULTS: Mapping[str, Any] = {
    "objectives": "accuracy",
    "constraints": (),
    "schedule": None,
    "epochs": None,
    "seed": 0,
    "initial": (),
}


def _continued(
    journal: Journal,
    folder: Path,
    declared: RunSpec,
    fixed: Mapping[str, Any],
    changing: Mapping[str, Any],
    where: ExecutorConfig,
    estimator: Estimator,
) -> list[Event]:
    """The events so far, if this call may continue them, with those that open the new session."""
    first, *events = journal.read()
    data = declared.to_json()
    checked = {name: data[name] for name in (*fixed, "estimator", "fingerprints")}
    check_unchanged(State.of([first]).created, declared.space, checked, str(folder), data["recipe"])
    stored = {**first.data["settings"], **changed_settings(events)}
    former = Settings.from_json(stored)
    if changing.get("workers", former.workers) != former.workers:
        changing = {**changing, "threads": None}  # those of a plan were for as many trials at a time as it says
    changes = former.changes(changing)
    settings = Settings.from_json({**stored, **changes})
    check_executor(where, settings, estimator)
    check_same_time(where, events, folder)
    price = current_price(settings)
    opening = [Event(Kind.CHANGED, data=changes)] if changes else []
    code = SearchCode.of(declared.space, estimator)
    opened = {
        **manifest(settings.workers, settings.workers_per_trial, settings.threads),
        "code": estimator.code(),
        SOURCES: code.to_json(),
        "trains_models": estimator.trains_models,
        **where.journalled(),
    }
    opening.append(Event(Kind.OPENED, data={**opened, "price": price.to_json()} if price else opened))
    again = any(event.kind is Kind.OPENED for event in events)
    told = (
        continued_run_warnings(events, estimator, code, former, settings)
        if again
        else new_run_warnings(declared, estimator)
    )
    told += [] if again else executor_warnings(where, settings.workers)
    told += added_example_warnings(first.data["space"], declared.space, events)
    if not again and "warm_start" in first.data:
        warm = first.data["warm_start"]
        told = [*told, f"warm start from {warm['run']}: {'; '.join(warm['said'])}"]
    opening += [Event(Kind.WARNING, data={"message": message}) for message in told]
    return [first, *events, *opening]


def _nothing_to_do(events: Sequence[Event]) -> str | None:
    """Why a search ended that this call neither extends nor repeats, and of which it has nothing to say; else None."""
    former = [event for event in events if event.seq]
    last = next((event for event in reversed(former) if event.kind in (Kind.OPENED, Kind.ENDED)), None)
    if last is None or last.kind is not Kind.ENDED or last.data.get("failures"):
        return None
    new = [event for event in events[len(former) :] if event.kind is not Kind.OPENED]
    if all(event.kind is Kind.WARNING and event.data["message"] == TEST_WAS_READ for event in new):
        return str(last.data["why"])
    return None


def _repeating(events: Sequence[Event]) -> list[Event]:
    """The events that let failed architectures be proposed again; none where no trial has failed. What went on from the
    weights of others cannot be repeated: those are kept no longer.
    """
    state = State.of(events)
    causes = [t for t in state.trials.values() if t.status.failed and t.status is not Status.INFEASIBLE]
    failed = [trial.id for trial in causes if trial.id not in state.repeats and not trial.goes_on]
    lost = f"{formatting.trials([trial.id for trial in causes if trial.goes_on])}: {LOST}"
    told = any(trial.goes_on for trial in causes) and all(message != lost for message, _ in state.warnings)
    return [
        *([Event(Kind.REPEATING, data={"trials": failed})] if failed else []),
        *([Event(Kind.WARNING, data={"message": lost})] if told else []),
    ]


def _make_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(not is_draft(path) for path in folder.iterdir())):
        raise RunError(f"{folder} is there already and holds no run; choose another folder, or an empty one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"the run's folder {folder} cannot be made: {error}; choose another one") from error
