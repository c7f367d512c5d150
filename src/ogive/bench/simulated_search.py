"""A search of a benchmark problem in memory: the product's own controller, a virtual clock, and nothing on disk.

Simulated time is the table's: an evaluation takes the seconds that its training took, on one of `workers` places. What
strategies and schedules think is not part of it; the processor time of a whole search is told beside it.
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
from ogive.executors.simulated import FaultModel, Judge, Simulated, VirtualClock
from ogive.run.controller import Controller
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.observers import Observer
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.schedule.base import Schedule
from ogive.strategy.base import Strategy
from ogive.trial import EMPTY, Step

NOWHERE = Path(os.devnull)
"""The run's folder; nothing is ever written there."""


@dataclass(frozen=True)
class PluginSpec:
    """A strategy or a schedule by name and options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ",".join(f"{key}={_text(value)}" for key, value in sorted(self.options.items()))
        return f"{self.name}:{options}" if options else self.name


def _text(value: Any) -> str:
    """`value` as YAML reads it back."""
    return value if isinstance(value, str) and yaml.safe_load(value) == value else json.dumps(value)


FULL = PluginSpec("full")
AUTO = "auto"
"""The default strategy, which is told how many trials a search has."""


class MemoryLog:
    """A journal that numbers events and forgets them: the state in memory is all that a simulation needs."""

    def __init__(self) -> None:
        self._last = 1

    def append(self, events: Sequence[Event]) -> list[Event]:
        first = self._last + 1
        self._last += len(events)
        return [event.at(event.time, first + number) for number, event in enumerate(events)]


def evaluate(problem: Problem) -> Judge:
    """How jobs go on when `problem` answers: with its metrics after its seconds."""

    def course(assignment: Assignment) -> Iterator[tuple[Step, Mapping[str, float], float]]:
        architecture = problem.space.architecture(assignment.choices)
        architecture.__dict__["id"] = assignment.id  # the cached value, which the controller has just computed
        for seen in problem.evaluate(architecture, assignment.fidelity, assignment.seed):
            if seen.step > assignment.reported:
                yield seen.step, seen.metrics, seen.seconds

    return course


def make_strategy(spec: PluginSpec, problem: Problem, trials: int) -> Strategy:
    """The strategy, without duplicates and within the hard constraints, as a search of so many trials has it.

    Raises:
        JobError: there is no such strategy, or no such option; the nearest name is suggested.
    """
    known = {"trials": trials} if spec.name == AUTO else {}
    options = {**known, **spec.options}
    bare = strategies.create(spec.name, problem.space, problem.objectives, problem.constraints, **options)
    strategy: Strategy = strategies.Deduplicated(bare)
    if any(constraint.hard for constraint in problem.constraints):
        strategy = strategies.Constrained(strategy, _remembering(problem))
    return strategy


def make_schedule(spec: PluginSpec, problem: Problem) -> Schedule:
    """The schedule for trials up to the problem's full fidelity.

    Raises:
        JobError: there is no such schedule, or no such option, or it does not fit the problem.
    """
    return schedules.create(
        spec.name,
        objectives=problem.objectives,
        constraints=problem.constraints,
        epochs=problem.epochs,
        **spec.options,
    )


def _remembering(problem: Problem) -> Any:
    return lru_cache(maxsize=4096)(problem.screen)


def simulate(
    problem: Problem,
    strategy: PluginSpec,
    schedule: PluginSpec = FULL,
    *,
    trials: int = 100,
    workers: int = 1,
    seed: int = 0,
    cost: float | None = None,
    observer: Observer = lambda state, event: None,
    course: Judge | None = None,
    faults: FaultModel | None = None,
    hours: float | None = None,
) -> State:
    """Search `problem` in memory; returns the run's last state, whose `ended` says why it ended.

    Args:
        problem: what is searched.
        strategy: by name.
        schedule: likewise.
        trials: at most so many are begun.
        workers: evaluations at a time.
        seed: of the search.
        cost: ends the search when so many seconds of training are spent on all trials together; None for no limit.
        observer: called as by `og.search`.
        course: how jobs go on, where not as the problem says.
        faults: what befalls workers.
        hours: ends the search at the first report after so many; None for no limit.

    Raises:
        JobError: the strategy or the schedule is not what it should be.
    """
    settings = Settings(max_trials=trials, workers=workers, max_failed_trials=trials + 1)
    clock = VirtualClock()
    state = State.of(
        [Event(Kind.CREATED, data=_created(problem, strategy, schedule, seed, settings), seq=1)], problem.space
    )
    places = Simulated(clock, course or evaluate(problem), workers, faults=faults, seed=seed)
    controller = Controller(
        MemoryLog(),
        [Event(Kind.OPENED, data={"workers": workers}, seq=1)],
        state,
        strategy=make_strategy(strategy, problem, trials),
        schedule=make_schedule(schedule, problem),
        executor=places,
        folder=NOWHERE,
        screen=_remembering(problem),
        clock=clock,
        observer=lambda state, event: _watch(controller, observer, cost, hours, event),
    )
    why = controller.run()
    state.ended = state.ended or why
    return state


def _watch(
    controller: Controller, observer: Observer, cost: float | None, hours: float | None, event: Event | None
) -> None:
    observer(controller.state, event)
    if cost is not None and controller.state.seconds >= cost:
        controller.stop(f"{cost:g} s of training are spent")
    if hours is not None and controller.clock.monotonic() >= hours * 3600:
        controller.stop(f"the budget of {hours:g} hours is used up")


def _created(
    problem: Problem, strategy: PluginSpec, schedule: PluginSpec, seed: int, settings: Settings
) -> dict[str, Any]:
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
