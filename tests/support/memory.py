"""A run in memory: a list as the journal, a clock that stands still, and the controller in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ogive import schedule as schedules
from ogive.executors.inline import InlineExecutor
from ogive.monitor.advisor import Advisor
from ogive.run.controller import Controller
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.events import Event, Kind
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.schedule.base import Action
from ogive.session.run_declaration import RunSpec, make_strategy
from ogive.space import Space, integer, layer, one_of


class ListLog:
    """A journal in memory."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.events = list(events)

    def append(self, events: Sequence[Event]) -> list[Event]:
        numbered = [e.with_time(float(len(self.events)), len(self.events) + 1 + i) for i, e in enumerate(events)]
        self.events += numbered
        return numbered


@dataclass
class StoppedClock:
    """A clock that is moved by hand."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Curve(Estimator):
    """Reports an accuracy that grows from epoch to epoch.

    Attributes:
        change: called with (trial, step); it may raise an exception, or return other metrics. No metrics mean no report.
        attempts: (trial, last reported step) of each attempt.
    """

    change: Callable[[int, int], dict[str, float] | None] = lambda trial, step: None
    attempts: list[tuple[int, int]] = field(default_factory=list)

    def evaluate(self, evaluation: Evaluation) -> None:
        self.attempts.append((evaluation.trial, evaluation.last_reported_step))
        for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
            metrics = self.change(evaluation.trial, step)
            if metrics is None:
                metrics = {"accuracy": value(evaluation.architecture) - 1 / step}
            if metrics and evaluation.report(step, metrics) is not Action.CONTINUE:
                return

    def screen(self, architecture: Any) -> dict[str, float]:
        return {"parameters": float(architecture["width"])}


def value(architecture: Any) -> float:
    """Return the accuracy of an architecture after infinitely many epochs."""
    return 1.0 - abs(architecture["width"] - 11) / 20 - abs(architecture["depth"] - 3) / 10


SPACE = Space(layer(dict, width=one_of(*range(20), name="width"), depth=integer(1, 5, name="depth")))


def declare(space: Space = SPACE, **settings: Any) -> Event:
    """Return the first event of a run."""
    defaults = {
        "objectives": "accuracy",
        "constraints": (),
        "strategy": {"regularized_evolution": {"population": 8, "sample": 3}},
        "schedule": None,
        "epochs": 9,
        "seed": 5,
    }
    arguments = {name: settings.pop(name, default) for name, default in defaults.items()}
    spec = RunSpec.of(space, Curve(), **arguments)
    return Event(Kind.CREATED, data={**spec.to_json(), "settings": Settings(**settings).to_json()}, seq=1)


def session(
    log: ListLog,
    estimator: Estimator,
    folder: Path,
    clock: StoppedClock | None = None,
    space: Space = SPACE,
    **options: Any,
) -> Controller:
    """Return a controller that continues `log`, with a strategy and a schedule as its first event names them."""
    created, *events = log.events
    state = State.from_events([created], space)
    plugins = {kind: created.data[kind] for kind in ("strategy", "schedule")}
    strategy = make_strategy(
        {plugins["strategy"]["name"]: plugins["strategy"]["options"]},
        space,
        state.objectives,
        state.constraints,
        estimator.screen,
    )
    schedule = schedules.create(
        plugins["schedule"]["name"],
        objectives=state.objectives,
        constraints=state.constraints,
        epochs=created.data["epochs"],
        **plugins["schedule"]["options"],
    )
    events += log.append([Event(Kind.OPENED, data={"host": "here"})])
    clock = clock or StoppedClock()
    return Controller(
        log,
        events,
        state,
        strategy=strategy,
        schedule=schedule,
        executor=InlineExecutor(space, estimator),
        folder=folder,
        screen=estimator.screen,
        clock=clock,
        monitor=Advisor(state, clock),
        **options,
    )
