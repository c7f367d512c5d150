"""One session of a run: the controller with all that it works with, from the first event to the last."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.executors.inline import Inline
from ogive.executors.processes import Processes
from ogive.executors.simulated import VirtualClock
from ogive.monitor.advisor import Advisor
from ogive.monitor.alert_routes import AlertRoutes
from ogive.monitor.overtraining import overtraining
from ogive.objective import Constraint, Objective
from ogive.run.alert_route_specs import RouteSpec
from ogive.run.cache import Cache
from ogive.run.clock import Clock
from ogive.run.controller import Controller
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.executor import Executor
from ogive.run.journal import JOURNAL, Journal
from ogive.run.observers import Observer, Subscriber
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.run.stop_signals import signals
from ogive.schedule.base import Schedule
from ogive.session.executor_config import ExecutorConfig, simulated
from ogive.session.payload import PAYLOAD
from ogive.session.run_declaration import RunSpec, make_schedule, make_strategy
from ogive.session.search_code import SearchCode
from ogive.space import Space
from ogive.strategy.base import Strategy


def make_plugins(
    declared: RunSpec,
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


def run_session(
    folder: Path,
    journal: Journal,
    events: list[Event],
    declared: RunSpec,
    estimator: Estimator,
    fixed: Mapping[str, Any],
    where: ExecutorConfig,
    cache: bool,
    observer: Observer | None,
    subscribers: Sequence[Subscriber],
    clock: Clock,
) -> str:
    """One session of the controller, from its first event to its last. `events` ends with those not yet appended.

    Returns by what it was interrupted, "" where it went on to the end.
    """
    screen = _remembering(estimator)
    strategy, schedule = make_plugins(declared, fixed, events[0].data, screen)
    shared = cache and not (schedule.hands_on or where.simulated)
    results, unshared = _cache(declared.space, estimator, events) if shared else (None, None)
    known = [event for event in events if event.seq]
    known += journal.append(events[len(known) :])
    state = State.of(known[:1], declared.space)
    why, fault = "", None
    try:
        settings = Settings.from_json({**events[0].data["settings"], **changed_settings(known)})
        with (
            _view(observer) as view,
            closing(_executor(where, folder, declared, estimator, settings, clock)) as places,
        ):
            controller = Controller(
                journal,
                known[1:],
                state,
                strategy=strategy,
                schedule=schedule,
                executor=places,
                folder=folder,
                screen=screen,
                cache=results,
                clock=clock,
                observer=_watching(journal, view),
                subscribers=subscribers,
                monitor=Advisor(state, clock),
            )
            if unshared is not None:
                controller.warn_once(unshared)
            with signals(controller.stop, _say, lambda: journal.writing):
                why = controller.run()
    except BaseException as error:
        why = type(error).__name__
        fault = None if isinstance(error, KeyboardInterrupt) else f"{why}: {error}"
        problem = journal.place_problem() if isinstance(error, (OSError, RunError)) else None
        if problem is not None and str(error) != problem:  # that is why something else failed
            raise RunError(problem) from error
        raise
    finally:
        if results is not None:
            results.close()
        _close(journal, subscribers, why, fault)
    if observer is None:
        _say_hints(controller.state)
    return "" if controller.state.ended else why


def _cache(space: Space, estimator: Estimator, events: Sequence[Event]) -> tuple[Cache | None, str | None]:
    """The results that this run shares with others; None where nobody knows what determines them, and what to say of it.

    Where the number of processes that train a trial changes its result, and changed in this run, a trial may have begun with
    one number and gone on with another.
    """
    recipe, ranks = estimator.recipe(), trial_worker_counts(events)
    if estimator.rank_invariant:
        ranks = [1]
    if recipe is None or len(set(ranks)) > 1:
        return None, None
    code = SearchCode.of(space, estimator)
    if code.unidentified is not None:
        return None, code.unidentified
    return Cache(space, recipe, code.result, estimator.continuable, ranks=ranks[-1], edited=code.edited), None


def make_subscribers(
    folder: Path, events: Sequence[Event], routes: Sequence[RouteSpec] | None, sinks: Sequence[Any] | None
) -> list[Subscriber]:
    """The routes and sinks of this session: as given in this call, or as stored."""
    settings = Settings.from_json({**events[0].data["settings"], **changed_settings(events)})
    made: list[Subscriber] = []
    wanted = settings.sinks if sinks is None else sinks
    if wanted:
        from ogive.sinks import create
        from ogive.sinks.follower import Followers

        made.append(Followers(folder / JOURNAL, create(wanted, folder)))
    chosen = settings.alerts if routes is None else routes
    return [*made, AlertRoutes(chosen, folder)] if chosen else made


def _close(journal: Journal, subscribers: Sequence[Subscriber], why: str, fault: str | None) -> None:
    """End the session in the journal, with the error that ended it; routes and sinks are given a little time before."""
    troubles: list[str] = []
    try:
        for subscriber in subscribers:
            troubles += subscriber.close()
    finally:
        warnings = [Event(Kind.WARNING, data={"message": message}) for message in troubles]
        data = {"why": why, **({} if fault is None else {"error": fault})}
        journal.append([*warnings, Event(Kind.CLOSED, data=data)])


def changed_settings(events: Iterable[Event]) -> dict[str, Any]:
    """What the settings have become, of those that they were created with."""
    changed: dict[str, Any] = {}
    for event in events:
        changed |= event.data if event.kind is Kind.CHANGED else {}
    return changed


def trial_worker_counts(events: Sequence[Event]) -> list[int]:
    """How many processes trained each trial: as the run was created, and as often as it was said anew."""
    name = "workers_per_trial"
    changed = [event.data[name] for event in events if event.kind is Kind.CHANGED and name in event.data]
    return [events[0].data["settings"].get(name, 1), *changed]


def _watching(journal: Journal, observer: Observer) -> Observer:
    """`observer`, and a check that the run's folder is where it was: after every event and every look at the workers."""

    def observe(state: State, event: Event | None) -> None:
        journal.check_place()
        observer(state, event)

    return observe


@contextmanager
def _view(observer: Observer | None) -> Iterator[Observer]:
    """`observer`, or a live view, which prints lines where standard error is no terminal."""
    if observer is not None:
        yield observer
        return
    from ogive.monitor.live_view import live_view

    with live_view() as view:
        yield view


def _executor(
    where: ExecutorConfig, folder: Path, declared: RunSpec, estimator: Estimator, settings: Settings, clock: Clock
) -> Executor:
    if isinstance(clock, VirtualClock):
        return simulated(where, clock, declared.space, estimator, settings.workers, declared.seed)
    if where.name == "inline":
        return Inline(declared.space, estimator)
    return Processes(
        folder / PAYLOAD,
        folder,
        settings.workers,
        ranks=settings.workers_per_trial,
        threads=settings.threads,
        time_limit=settings.time_limit,
        memory_limit=settings.memory_limit,
        startup_limit=settings.startup_limit,
    )


def _remembering(estimator: Estimator) -> Callable[[Any], Mapping[str, float]]:
    """`estimator.screen`, asked once for each of the last architectures."""
    return functools.lru_cache(maxsize=4096)(estimator.screen)


def _say_hints(state: State) -> None:
    """What a user should know at the end of a search beside its result."""
    hint = overtraining(state) if state.ended else None
    if hint is not None:
        print(f"hint: {hint}", file=sys.stderr, flush=True)


def _say(message: str) -> None:
    print(f"\n{message}", file=sys.stderr, flush=True)
