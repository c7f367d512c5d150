"""`search`: start a run, or continue it where it stopped."""

from __future__ import annotations

import functools
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ogive.api.declared import (
    AUTO,
    LEFT_OUT,
    Declared,
    ScheduleSpec,
    StrategySpec,
    auto,
    check_unchanged,
    make_schedule,
    make_strategy,
    with_its_schedule,
)
from ogive.api.payload import PAYLOAD, write_payload
from ogive.api.result import JOURNAL, Run
from ogive.api.warm import WarmStartSpec, earlier_run, taken_over
from ogive.errors import JobError, RunError
from ogive.objective import Constraint, Objective, ObjectiveSpec
from ogive.report.sinks import specs as check_sinks
from ogive.run.cache import Cache
from ogive.run.clock import Clock, WallClock
from ogive.run.companions import Companion
from ogive.run.controller import Controller, Observer
from ogive.run.database import is_draft
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.executors.base import Executor
from ogive.run.executors.inline import Inline
from ogive.run.executors.processes import Processes
from ogive.run.journal import Journal
from ogive.run.prices import Price, find_price
from ogive.run.routes import Routes, RouteSpec, check_addresses, check_routes, stored_routes
from ogive.run.session import manifest, signals
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.schedule.base import Schedule
from ogive.seeds import generator
from ogive.space import Space
from ogive.space.joint import training_decisions
from ogive.strategy.base import Strategy

EXECUTORS = ("processes", "inline")
SYNCHRONOUS = ("NORMAL", "FULL")


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
    workers: int = LEFT_OUT,
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
    executor: str = "processes",
    max_failed_trials: int | None = LEFT_OUT,
    retries: int = LEFT_OUT,
    time_limit: float | None = LEFT_OUT,
    memory_limit: float | None = LEFT_OUT,
    cache: bool = True,
    synchronous: str = "NORMAL",
    observer: Observer | None = None,
) -> Run:
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
        workers: how many trials at a time. Default: 1.
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
        sinks: where metrics go beside the journal; see `ogive.report.sinks`. Default: nowhere.
        initial: architectures that are proposed first. Default: none.
        warm_start: an earlier run, its folder, or {"run": folder, "trials": k}: its best k (10) are proposed next, also from
            another space where names and labels of decisions overlap. What is taken over is journalled. Default: none.
        executor: "processes" (warm workers), or "inline" (this process, one trial at a time, for debugging).
        max_failed_trials: stop when so many have failed. Default: a third of `max_trials`.
        retries: further attempts after a killed worker. Default: 2.
        time_limit: seconds of one trial. Default: no limit.
        memory_limit: gigabytes that one trial may allocate. Default: no limit.
        cache: use the evaluation cache, where the estimator can tell its whole recipe.
        synchronous: "NORMAL": what was reported survives a crash of any process; "FULL": of the machine too.
        observer: called with (state, event) after every event, and with (state, None) now and then. Default: a live view
            where standard error is a terminal.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the running trials have been put back, and the same call goes on.
        JobError: an argument is not what it should be.
        RunError: the run cannot be continued, written, or is held by another controller.
    """
    if not isinstance(space, Space):
        raise JobError(f"space={space!r}: an ogive.Space, such as Space(layer(...), example_input=(1, 28, 28))")
    if executor not in EXECUTORS or synchronous not in SYNCHRONOUS:
        raise JobError(f"executor={executor!r}, synchronous={synchronous!r}: {EXECUTORS} and {SYNCHRONOUS} are known")
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
    changing = _given(
        max_trials=max_trials,
        workers=workers,
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
    )
    asked = Settings(**changing)
    arguments = {**_DEFAULTS, "strategy": auto(asked.max_trials), **fixed}
    if "epochs" not in fixed:
        arguments["epochs"] = judge.epochs
    arguments["schedule"] = with_its_schedule(arguments["strategy"], arguments["schedule"])
    folder = Path(run).absolute() if run is not None else None
    is_new = folder is None or not (folder / JOURNAL).exists()
    if is_new and warm_start is not None:
        sought = arguments["objectives"], arguments["constraints"]
        arguments["warm_start"] = taken_over(warm_start, space, *sought)
    declared = Declared.of(space, judge, **arguments)
    if folder is None or is_new:
        _check_executor(executor, asked)
        _price(asked)
        check_hard(space, judge, declared.constraints, declared.seed)
        # made once before anything is written, so that what is wrong with them is told in time
        _, scheduled = _plugins(declared, arguments, declared.to_json(), judge.screen)
        _check_fidelities(scheduled, judge)
        folder = folder or fresh_folder(Path("runs").absolute())
        _make_folder(folder)
        created = Event(Kind.CREATED, data={**declared.to_json(), "settings": asked.to_json()})
        Journal.create(folder / JOURNAL, [created])
    clock = WallClock()
    journal = Journal(folder / JOURNAL, synchronous=synchronous, clock=clock)
    try:
        journal.acquire()
        events = _continued(journal, folder, declared, fixed, changing, executor, judge)
        if warm_start is not None:
            _check_warm_start(events[0].data.get("warm_start"), earlier_run(warm_start)[0], folder)
        write_payload(folder / PAYLOAD, space, judge)
        companions = _companions(folder, events, routes, shown)
        interrupted = _session(
            folder, journal, events, declared, judge, fixed, executor, cache, observer, companions, clock
        )
    finally:
        journal.close()
    if interrupted:  # what follows a search in a program must not happen to half a search
        raise KeyboardInterrupt(f"the search in {folder} was {interrupted}; the same call continues it")
    return Run(folder, space, judge)


def as_estimator(estimator: Estimator | Callable[..., Any]) -> Estimator:
    """An estimator as it is; a train function `f(model, trial)` wrapped."""
    if isinstance(estimator, Estimator):
        return estimator
    if callable(estimator):
        from ogive.estimate import train

        return train(estimator)
    raise JobError(f"estimator={estimator!r}: a train function f(model, trial), or an estimator of ogive.estimate")


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


def check_hard(space: Space, estimator: Estimator, constraints: Iterable[Constraint], seed: int) -> None:
    """See that what hard constraints are about is known before training.

    Raises:
        JobError: the estimator does not know it.
    """
    hard = [constraint.metric for constraint in constraints if constraint.hard]
    if not hard:
        return
    try:
        known = estimator.screen(space.sample(generator(seed, "screen")))
    except Exception:  # noqa: BLE001 - an architecture that cannot be screened becomes a failed trial
        return
    missing = [metric for metric in hard if metric not in known]
    if missing:
        name = missing[0]
        close = get_close_matches(name, {*known, "parameters"} - {name}, n=1)
        remedy = f"did you mean {close[0]!r}? Else " if close else ""
        remedy += "make it soft (leave `hard` out)"
        if name == "parameters":
            remedy += ", or let the estimator be og.estimate.train(f, count_parameters=True)"
        raise JobError(
            f"the constraint on {name!r} is hard, but the estimator does not know {name!r} before training (it knows "
            f"{', '.join(known) or 'nothing'}): {remedy}"
        )


def _price(settings: Settings) -> Price | None:
    """What an hour costs, looked up now: the price file may change before the run is read."""
    price = find_price(settings.price)
    if settings.money is not None and price is None:
        raise JobError(
            f"budget={settings.budget!r}: money, but no price; give price= as money per worker-hour, or a name in the price "
            "file"
        )
    return price


def _check_executor(executor: str, settings: Settings) -> None:
    if executor == "inline" and (settings.time_limit or settings.memory_limit or settings.workers > 1):
        raise JobError("executor='inline' has one worker and no time or memory limit; use 'processes'")


def _continued(
    journal: Journal,
    folder: Path,
    declared: Declared,
    fixed: Mapping[str, Any],
    changing: Mapping[str, Any],
    executor: str,
    estimator: Estimator,
) -> list[Event]:
    """The events so far, if this call may continue them, with those that open the new session."""
    first, *events = journal.read()
    data = declared.to_json()
    checked = {name: data[name] for name in (*fixed, "estimator", "fingerprints")}
    check_unchanged(State.of([first]).created, declared.space, checked, str(folder), data["recipe"])
    stored = {**first.data["settings"], **_changed(events)}
    changes = Settings.from_json(stored).changes(changing)
    settings = Settings.from_json({**stored, **changes})
    _check_executor(executor, settings)
    price = _price(settings)
    opening = [Event(Kind.CHANGED, data=changes)] if changes else []
    code = estimator.code()
    opened = {**manifest(settings.workers), "code": code}
    opening.append(Event(Kind.OPENED, data={**opened, "price": price.to_json()} if price else opened))
    again = any(event.kind is Kind.OPENED for event in events)
    doubts = _doubts(events, code) if again else _first_doubts(declared, estimator)
    if not again and "warm_start" in first.data:
        warm = first.data["warm_start"]
        doubts = [*doubts, f"warm start from {warm['run']}: {'; '.join(warm['said'])}"]
    opening += [Event(Kind.WARNING, data={"message": message}) for message in doubts]
    return [first, *events, *opening]


def _first_doubts(declared: Declared, estimator: Estimator) -> list[str]:
    """What a user who begins this run should know."""
    names = training_decisions(declared.space)
    joint = [
        f"the space holds decisions about training ({', '.join(names)}): architectures are found together with them, and "
        "are good with them only"
    ]
    return (joint if names else []) + list(estimator.warnings())


def _doubts(events: Sequence[Event], code: str) -> list[str]:
    """What a user who continues this run should know."""
    doubts = []
    earlier = [event.data.get("code", code) for event in events if event.kind is Kind.OPENED]
    if earlier and earlier[-1] != code:
        number = sum(event.kind is Kind.PROPOSED for event in events)
        doubts.append(f"the code of the train function has changed: trials before {number} were judged by the former")
    if any(event.kind is Kind.TEST_READ for event in events):
        doubts.append(
            "the test split of this run has been read: what the search chooses from now on is not tested by it"
        )
    return doubts


def _check_fidelities(schedule: Schedule, estimator: Estimator) -> None:
    """See that the estimator knows the fidelities that the schedule names."""
    unknown = [name for name in schedule.fidelities if name not in estimator.fidelities]
    if unknown:
        raise JobError(
            f"the schedule varies the fidelity {unknown[0]!r}, which the estimator does not know (it knows "
            f"{', '.join(('epochs', *estimator.fidelities))}); leave it out, or for a train function that obeys "
            f"trial.fidelity[{unknown[0]!r}] say og.estimate.train(f, fidelities=({unknown[0]!r},))"
        )


def _plugins(
    declared: Declared,
    given: Mapping[str, Any],
    stored: Mapping[str, Any],
    screen: Callable[[Any], Mapping[str, float]],
) -> tuple[Strategy, Schedule]:
    """The strategy and the schedule: as given in this call, or as stored."""
    named = {kind: {stored[kind]["name"]: stored[kind]["options"]} for kind in ("strategy", "schedule")}
    objectives = tuple(Objective(**item) for item in stored["objectives"])
    constraints = tuple(Constraint(**item) for item in stored["constraints"])
    strategy = make_strategy(
        given.get("strategy") or named["strategy"],
        declared.space,
        objectives,
        constraints,
        screen,
        stored.get("initial", ()),
        stored.get("warm_start"),
    )
    schedule = make_schedule(given.get("schedule") or named["schedule"], objectives, constraints, stored["epochs"])
    return strategy, schedule


def _check_warm_start(stored: Mapping[str, Any] | None, earlier: Path, folder: Path) -> None:
    """What was taken over stays as it was journalled; another run to take over from is refused."""
    if stored is None or Path(stored["run"]) != earlier:
        began = "without a warm start" if stored is None else f"from {stored['run']}"
        raise RunError(
            f"the run in {folder} was begun {began}, not from {earlier}; leave warm_start out, or start a new run"
        )


def _make_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(not is_draft(path) for path in folder.iterdir())):
        raise RunError(f"{folder} is there already and holds no run; choose another folder, or an empty one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"the run's folder {folder} cannot be made: {error}; choose another one") from error


def _session(
    folder: Path,
    journal: Journal,
    events: list[Event],
    declared: Declared,
    estimator: Estimator,
    fixed: Mapping[str, Any],
    executor: str,
    cache: bool,
    observer: Observer | None,
    companions: Sequence[Companion],
    clock: Clock,
) -> str:
    """One session of the controller, from its first event to its last. `events` ends with those not yet appended.

    Returns by what it was interrupted, "" where it went on to the end.
    """
    screen = _remembering(estimator)
    strategy, schedule = _plugins(declared, fixed, events[0].data, screen)
    recipe = estimator.recipe()
    results = Cache(declared.space, recipe, estimator.continuable) if cache and recipe is not None else None
    known = [event for event in events if event.seq]
    known += journal.append(events[len(known) :])
    state = State.of(known[:1], declared.space)
    why = ""
    try:
        settings = Settings.from_json({**events[0].data["settings"], **_changed(known)})
        with (
            _view(observer) as watch,
            closing(_executor(executor, folder, declared.space, estimator, settings)) as places,
        ):
            controller = Controller(
                journal,
                known[1:],
                state,
                strategy,
                schedule,
                places,
                folder,
                screen=screen,
                cache=results,
                clock=clock,
                observer=watch,
                companions=companions,
            )
            with signals(controller.stop, _say, lambda: journal.writing):
                why = controller.run()
    except BaseException as error:
        why = type(error).__name__
        raise
    finally:
        if results is not None:
            results.close()
        _close(journal, companions, why)
    return "" if controller.state.ended else why


def _companions(
    folder: Path, events: Sequence[Event], routes: Sequence[RouteSpec] | None, sinks: Sequence[Any] | None
) -> list[Companion]:
    """The routes and sinks of this session: as given in this call, or as stored."""
    settings = Settings.from_json({**events[0].data["settings"], **_changed(events)})
    made: list[Companion] = []
    wanted = settings.sinks if sinks is None else sinks
    if wanted:
        from ogive.report.sinks import create
        from ogive.report.sinks.follow import Followers

        made.append(Followers(folder / JOURNAL, create(wanted, folder)))
    chosen = settings.alerts if routes is None else routes
    return [*made, Routes(chosen, folder)] if chosen else made


def _close(journal: Journal, companions: Sequence[Companion], why: str) -> None:
    """End the session in the journal; routes and sinks are given a little time before."""
    troubles: list[str] = []
    try:
        for companion in companions:
            troubles += companion.close()
    finally:
        warnings = [Event(Kind.WARNING, data={"message": message}) for message in troubles]
        journal.append([*warnings, Event(Kind.CLOSED, data={"why": why})])


def _changed(events: Iterable[Event]) -> dict[str, Any]:
    """What the settings have become, of those that they were created with."""
    changed: dict[str, Any] = {}
    for event in events:
        changed |= event.data if event.kind is Kind.CHANGED else {}
    return changed


@contextmanager
def _view(observer: Observer | None) -> Iterator[Observer]:
    """`observer`, or a live view where somebody is looking."""
    if observer is not None:
        yield observer
    elif sys.stderr.isatty():
        from ogive.report.live import live_view

        with live_view() as view:
            yield view
    else:
        yield lambda state, event: None


def _executor(name: str, folder: Path, space: Space, estimator: Estimator, settings: Settings) -> Executor:
    if name == "inline":
        return Inline(space, estimator)
    return Processes(
        folder / PAYLOAD,
        folder,
        settings.workers,
        time_limit=settings.time_limit,
        memory_limit=settings.memory_limit,
    )


def _remembering(estimator: Estimator) -> Callable[[Any], Mapping[str, float]]:
    """`estimator.screen`, asked once for each of the last architectures."""
    return functools.lru_cache(maxsize=4096)(estimator.screen)


def _say(message: str) -> None:
    print(f"\n{message}", file=sys.stderr, flush=True)
