"""One session of a run: the controller with its strategy, schedule, executor, cache and subscribers."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.executors.inline import InlineExecutor
from ogive.executors.processes import ProcessExecutor
from ogive.executors.simulated import VirtualClock
from ogive.monitor.advisor import Advisor
from ogive.monitor.alert_routes import AlertRoutes
from ogive.monitor.overtraining import detect_overtraining
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
from ogive.run.stop_signals import handle_signals
from ogive.schedule.base import Schedule
from ogive.session.executor_config import ExecutorConfig, make_simulated_executor
from ogive.session.payload import PAYLOAD
from ogive.session.run_declaration import RunSpec, make_schedule, make_strategy
from ogive.session.search_code import SearchCode
from ogive.space import Space
from ogive.strategy.base import Strategy

SCREENED_ARCHITECTURES = 4096
"""The number of architectures whose screened metrics are kept in memory."""


def make_plugins(
    run_spec: RunSpec,
    arguments: Mapping[str, Any],
    stored: Mapping[str, Any],
    screen: Callable[[Any], Mapping[str, float]],
) -> tuple[Strategy, Schedule]:
    """Return the strategy and the schedule of a session.

    Args:
        run_spec: the declaration of the search.
        arguments: the arguments of this call. `strategy` and `schedule`, if present, may be the user's objects.
        stored: the data of the journal's first event. The objectives, constraints and epochs are from here, and so are the
            strategy and the schedule if `arguments` does not have them.
        screen: a function that returns the metrics of an architecture that are known before training.
    """
    stored_specs = {kind: {stored[kind]["name"]: stored[kind]["options"]} for kind in ("strategy", "schedule")}
    objectives = tuple(Objective(**item) for item in stored["objectives"])
    constraints = tuple(Constraint(**item) for item in stored["constraints"])
    strategy = make_strategy(
        arguments.get("strategy") or stored_specs["strategy"],
        run_spec.space,
        objectives,
        constraints,
        screen=screen,
        initial=stored.get("initial", ()),
        warm_start=stored.get("warm_start"),
    )
    schedule = make_schedule(
        arguments.get("schedule") or stored_specs["schedule"], objectives, constraints, stored["epochs"]
    )
    return strategy, schedule


def run_session(
    journal: Journal,
    events: list[Event],
    run_spec: RunSpec,
    estimator: Estimator,
    *,
    folder: Path,
    fixed: Mapping[str, Any],
    config: ExecutorConfig,
    use_cache: bool,
    observer: Observer | None,
    subscribers: Sequence[Subscriber],
    clock: Clock,
) -> str | None:
    """Run the controller until the search ends or is interrupted.

    Args:
        journal: the run's journal; this process holds its lease.
        events: the events of the journal, followed by the events that open the session, which are appended here.
        run_spec: the declaration of the search.
        estimator: the estimator of the search.
        folder: the run's folder.
        fixed: the arguments of this call that must be the same when a run is continued.
        config: the configuration of the executor.
        use_cache: whether results may be shared with other runs.
        observer: a function that receives every event; None for a live view.
        subscribers: the routes of alerts and the sinks of metrics.
        clock: the clock of the journal, in real or virtual time.

    Returns:
        "interrupted" (by Ctrl-C) or "terminated" (by SIGTERM); None if the search ended.
    """
    screen = _make_caching_screen(estimator)
    strategy, schedule = make_plugins(run_spec, fixed, events[0].data, screen)
    # Results that depend on other trials' weights, or on virtual time, are not shared with other runs.
    is_sharable = use_cache and not (schedule.inherits_weights or config.is_simulated)
    cache, cache_warning = _open_cache(run_spec.space, estimator, events) if is_sharable else (None, None)
    # Events that are in the journal have a sequence number.
    stored = [event for event in events if event.seq]
    stored += journal.append(events[len(stored) :])
    # The controller applies the other events.
    state = State.from_events(stored[:1], run_spec.space)
    reason, error_text = "", None
    try:
        settings = Settings.from_json({**events[0].data["settings"], **collect_setting_changes(stored)})
        with (
            _open_view(observer) as view,
            closing(_make_executor(config, folder, run_spec, estimator, settings=settings, clock=clock)) as executor,
        ):
            controller = Controller(
                journal,
                stored[1:],
                state,
                strategy=strategy,
                schedule=schedule,
                executor=executor,
                folder=folder,
                screen=screen,
                cache=cache,
                clock=clock,
                observer=_add_folder_check(journal, view),
                subscribers=subscribers,
                monitor=Advisor(state, clock),
            )
            if cache_warning is not None:
                controller.attempts.warn_once(cache_warning)
            with handle_signals(controller.stop, _print_message, lambda: journal.is_writing):
                reason = controller.run()
    except BaseException as error:
        reason = type(error).__name__
        error_text = None if isinstance(error, KeyboardInterrupt) else f"{reason}: {error}"
        problem = journal.find_file_problem() if isinstance(error, (OSError, RunError)) else None
        # If a file of the run is missing, the error is only a consequence of that.
        if problem is not None and str(error) != problem:
            raise RunError(problem) from error
        raise
    finally:
        if cache is not None:
            cache.close()
        _close_session(journal, subscribers, reason, error_text)
    if observer is None:
        _print_hints(controller.state)
    return None if controller.state.end_reason else reason


def _open_cache(space: Space, estimator: Estimator, events: Sequence[Event]) -> tuple[Cache | None, str | None]:
    """Return the evaluation cache and a warning.

    The cache is None if this run cannot share results. If the reason is code that cannot be identified, the warning gives
    the reason; otherwise the warning is None.
    """
    recipe, rank_counts = estimator.recipe(), list_trial_worker_counts(events)
    # If the number of ranks does not affect results, all results are stored as those of one rank.
    if estimator.rank_invariant:
        rank_counts = [1]
    # If the number of ranks affects results, and was changed during the run, a trial may have started with one number and
    # continued with another. Such results are not shared.
    if recipe is None or len(set(rank_counts)) > 1:
        return None, None
    code = SearchCode.of(space, estimator)
    if code.unidentified_reason is not None:
        return None, code.unidentified_reason
    cache = Cache(
        space,
        recipe,
        code.result_hash,
        estimator.continuable,
        ranks=rank_counts[-1],
        find_edit=code.describe_edited_file,
    )
    return cache, None


def make_subscribers(
    folder: Path, events: Sequence[Event], routes: Sequence[RouteSpec] | None, sinks: Sequence[Any] | None
) -> list[Subscriber]:
    """Return the sinks and the alert routes of this session.

    Args:
        folder: the run's folder.
        events: the events of the journal, followed by the events that open the session.
        routes: the alert routes of this call; None for the stored routes.
        sinks: the sinks of this call; None for the stored sinks.
    """
    settings = Settings.from_json({**events[0].data["settings"], **collect_setting_changes(events)})
    subscribers: list[Subscriber] = []
    sinks = settings.sinks if sinks is None else sinks
    if sinks:
        from ogive.sinks import create_sinks
        from ogive.sinks.follower import Followers

        subscribers.append(Followers(folder / JOURNAL, create_sinks(sinks, folder)))
    routes = settings.alerts if routes is None else routes
    return [*subscribers, AlertRoutes(routes, folder)] if routes else subscribers


def _close_session(journal: Journal, subscribers: Sequence[Subscriber], reason: str, error_text: str | None) -> None:
    """Close the subscribers, each within a limited time, and append the end of the session to the journal."""
    failures: list[str] = []
    try:
        for subscriber in subscribers:
            failures += subscriber.close()
    finally:
        warnings = [Event(Kind.WARNING, data={"message": message}) for message in failures]
        data = {"why": reason, **({} if error_text is None else {"error": error_text})}
        journal.append([*warnings, Event(Kind.CLOSED, data=data)])


def collect_setting_changes(events: Iterable[Event]) -> dict[str, Any]:
    """Return the latest values of the settings that were changed after the run was created."""
    changes: dict[str, Any] = {}
    for event in events:
        changes |= event.data if event.kind is Kind.CHANGED else {}
    return changes


def list_trial_worker_counts(events: Sequence[Event]) -> list[int]:
    """Return all values that the setting `workers_per_trial` has had since the run was created, the latest last."""
    name = "workers_per_trial"
    later_values = [event.data[name] for event in events if event.kind is Kind.CHANGED and name in event.data]
    return [events[0].data["settings"].get(name, 1), *later_values]


def _add_folder_check(journal: Journal, observer: Observer) -> Observer:
    """Return an observer that checks that the run's folder was not moved or deleted, and then calls `observer`."""

    def observe(state: State, event: Event | None) -> None:
        journal.check_files()
        observer(state, event)

    return observe


@contextmanager
def _open_view(observer: Observer | None) -> Iterator[Observer]:
    """Yield `observer`; if it is None, yield a live view, which prints lines if standard error is not a terminal."""
    if observer is not None:
        yield observer
        return
    from ogive.monitor.live_view import show_live_view

    with show_live_view() as view:
        yield view


def _make_executor(
    config: ExecutorConfig,
    folder: Path,
    run_spec: RunSpec,
    estimator: Estimator,
    *,
    settings: Settings,
    clock: Clock,
) -> Executor:
    """Return the executor that `config` names, with the limits and the number of workers of `settings`."""
    if isinstance(clock, VirtualClock):
        return make_simulated_executor(
            config, clock, run_spec.space, estimator, workers=settings.workers, seed=run_spec.seed
        )
    if config.name == "inline":
        return InlineExecutor(run_spec.space, estimator)
    return ProcessExecutor(
        folder / PAYLOAD,
        folder,
        settings.workers,
        ranks=settings.workers_per_trial,
        threads=settings.threads,
        time_limit=settings.time_limit,
        memory_limit=settings.memory_limit,
        startup_limit=settings.startup_limit,
    )


def _make_caching_screen(estimator: Estimator) -> Callable[[Any], Mapping[str, float]]:
    """Return `estimator.screen` with a cache of its latest results."""
    return functools.lru_cache(maxsize=SCREENED_ARCHITECTURES)(estimator.screen)


def _print_hints(state: State) -> None:
    """Print a hint for the next search if the trials of this search were trained for too many epochs."""
    hint = detect_overtraining(state) if state.end_reason else None
    if hint is not None:
        print(f"hint: {hint}", file=sys.stderr, flush=True)


def _print_message(message: str) -> None:
    """Print a message on a line of its own, below a live view or "^C"."""
    print(f"\n{message}", file=sys.stderr, flush=True)
