"""A search of a benchmark problem in memory: the controller of a real search with a virtual clock, and nothing on disk.

In virtual time, an evaluation takes as long as the training in the table, on one of `workers` simulated workers. The time
that strategies and schedules need to compute is not part of virtual time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.bench.problem import Problem
from ogive.executors.simulated import FaultModel, SimulatedExecutor, SimulateTrial, VirtualClock
from ogive.formatting import duration
from ogive.run.controller import Controller
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.observers import Observer
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.schedule.base import Schedule
from ogive.strategy.base import Strategy
from ogive.trial import EMPTY, Step

NO_FOLDER = Path(os.devnull)
"""The folder that the controller of a simulated run receives; nothing is written into it."""


@dataclass(frozen=True)
class PluginSpec:
    """The name of a strategy, a schedule or a benchmark, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ",".join(f"{key}={_to_yaml(value)}" for key, value in sorted(self.options.items()))
        return f"{self.name}:{options}" if options else self.name


def _to_yaml(value: Any) -> str:
    """Return a value as YAML on one line."""
    return value if isinstance(value, str) and yaml.safe_load(value) == value else json.dumps(value)


FULL_SCHEDULE = PluginSpec("full")
"""The schedule that trains each trial at full fidelity."""
AUTO = "auto"
"""The name of the default strategy; it has the option `trials`, the maximum number of trials of the search."""


class MemoryLog:
    """A journal that numbers events but does not store them, because a simulation needs only the state in memory."""

    def __init__(self) -> None:
        # The controller receives the event `opened`, number 1, as an event that is in the journal already. (The event
        # `created` also has the number 1; a simulation does not use the numbers.)
        self._last_seq = 1

    def append(self, events: Sequence[Event]) -> list[Event]:
        first_seq = self._last_seq + 1
        self._last_seq += len(events)
        return [event.with_time(event.time, first_seq + index) for index, event in enumerate(events)]


def make_trajectory(problem: Problem) -> SimulateTrial:
    """Return a function that simulates a job: it yields (step, metrics, seconds) for each step of `problem.evaluate`."""

    def trajectory(assignment: Assignment) -> Iterator[tuple[Step, Mapping[str, float], float]]:
        architecture = problem.space.architecture(assignment.choices)
        # `id` is a cached property, and expensive. The controller has computed it already, so its value is copied.
        architecture.__dict__["id"] = assignment.id
        for result in problem.evaluate(architecture, assignment.fidelity, assignment.seed):
            if result.step > assignment.last_reported_step:
                yield result.step, result.metrics, result.seconds

    return trajectory


def make_strategy(spec: PluginSpec, problem: Problem, trials: int) -> Strategy:
    """Return the strategy of a search: it proposes no duplicates, and only architectures that satisfy hard constraints.

    Args:
        spec: the strategy.
        problem: the problem to search.
        trials: the maximum number of trials of the search.

    Raises:
        JobError: there is no such strategy or option (the nearest name is suggested).
    """
    defaults = {"trials": trials} if spec.name == AUTO else {}
    options = {**defaults, **spec.options}
    inner_strategy = strategies.create(spec.name, problem.space, problem.objectives, problem.constraints, **options)
    strategy: Strategy = strategies.Deduplicated(inner_strategy)
    if any(constraint.hard for constraint in problem.constraints):
        strategy = strategies.Constrained(strategy, _make_cached_screen(problem))
    return strategy


def make_schedule(spec: PluginSpec, problem: Problem) -> Schedule:
    """Return the schedule, for trials up to the full fidelity of the problem.

    Raises:
        JobError: there is no such schedule or option, or the schedule does not fit the problem.
    """
    return schedules.create(
        spec.name,
        objectives=problem.objectives,
        constraints=problem.constraints,
        epochs=problem.epochs,
        **spec.options,
    )


def _make_cached_screen(problem: Problem) -> Any:
    """Return `problem.screen` with a cache of its results."""
    return lru_cache(maxsize=4096)(problem.screen)


def simulate(
    problem: Problem,
    strategy: PluginSpec,
    schedule: PluginSpec = FULL_SCHEDULE,
    *,
    trials: int = 100,
    workers: int = 1,
    seed: int = 0,
    cost: float | None = None,
    observer: Observer = lambda state, event: None,
    trajectory: SimulateTrial | None = None,
    faults: FaultModel | None = None,
    hours: float | None = None,
) -> State:
    """Search `problem` in memory, and return the final state of the run; `state.end_reason` says why the search ended.

    Args:
        problem: the problem to search.
        strategy: the strategy.
        schedule: the schedule; by default each trial is trained at full fidelity.
        trials: the maximum number of trials.
        workers: the number of simulated workers.
        seed: the seed of the search.
        cost: the limit of the training time of all trials together, in seconds; None for no limit.
        observer: a function that is called with the state and every event, as in `og.search`.
        trajectory: a function that simulates a job; None to use `problem.evaluate`.
        faults: failures and delays of workers; None for none.
        hours: the limit of virtual time; None for no limit. The search ends at the first event after this time.

    Raises:
        JobError: the strategy, the schedule or one of their options is not valid.
    """
    # Every trial may fail: a simulated search never stops because of failed trials.
    settings = Settings(max_trials=trials, workers=workers, max_failed_trials=trials + 1)
    clock = VirtualClock()
    state = State.from_events(
        [Event(Kind.CREATED, data=_make_created_data(problem, strategy, schedule, seed, settings), seq=1)],
        problem.space,
    )
    executor = SimulatedExecutor(clock, trajectory or make_trajectory(problem), workers, faults=faults, seed=seed)
    controller = Controller(
        MemoryLog(),
        [Event(Kind.OPENED, data={"workers": workers}, seq=1)],
        state,
        strategy=make_strategy(strategy, problem, trials),
        schedule=make_schedule(schedule, problem),
        executor=executor,
        folder=NO_FOLDER,
        screen=_make_cached_screen(problem),
        clock=clock,
        observer=lambda state, event: _observe_and_limit(controller, observer, cost, hours, event),
    )
    reason = controller.run()
    state.end_reason = state.end_reason or reason
    return state


def _observe_and_limit(
    controller: Controller, observer: Observer, cost: float | None, hours: float | None, event: Event | None
) -> None:
    """Pass an event to the observer. Then stop the search if it has reached its limit of training time or virtual time."""
    observer(controller.state, event)
    if cost is not None and controller.state.compute_seconds >= cost:
        controller.stop(f"the budget of {duration(cost)} of training is used up")
    if hours is not None and controller.clock.monotonic() >= hours * 3600:
        controller.stop(f"the budget of {duration(hours * 3600)} is used up")


def _make_created_data(
    problem: Problem, strategy: PluginSpec, schedule: PluginSpec, seed: int, settings: Settings
) -> dict[str, Any]:
    """Return the data of the event `created`."""
    return {
        "space": {},
        "objectives": [objective.to_json() for objective in problem.objectives],
        "constraints": [asdict(constraint) for constraint in problem.constraints],
        "strategy": asdict(strategy),
        "schedule": asdict(schedule),
        "epochs": problem.epochs,
        "seed": seed,
        "estimator": "benchmark",
        "fingerprints": EMPTY,
        "recipe": None,
        "initial": [],
        "settings": settings.to_json(),
    }
