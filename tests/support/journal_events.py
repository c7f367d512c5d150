"""Journals written by hand: the events of a search with known values, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ogive.run.events import Event, Kind, make_proposed_event
from ogive.run.settings import Settings
from ogive.space import Space, layer, one_of
from ogive.trial import Proposal, Trial

SPACE = Space(layer(dict, x=one_of(*range(50), name="x")))
Values = float | Mapping[str, float] | Sequence[Mapping[str, float]] | None


def events_of(
    values: Iterable[Values],
    objectives: Sequence[Mapping[str, str]] = ({"metric": "accuracy", "goal": "maximize"},),
    constraints: Sequence[Mapping[str, Any]] = (),
    strategy: str = "regularized_evolution",
    seconds: float = 60.0,
    price: Mapping[str, Any] | None = None,
    ended: str = "all trials are done",
    **settings: Any,
) -> list[Event]:
    """Return the events of a search with one worker.

    Args:
        values: for each trial its accuracy, its metrics, its metrics at steps 1, 2, ..., or None for a failure. A trial with
            fewer steps than others is paused after its last one.
        objectives: as JSON.
        constraints: as JSON.
        strategy: the name of the strategy.
        seconds: the duration of each trial.
        price: the price of the session, as JSON.
        ended: why the search is over; "" if it is not.
        **settings: settings of the run.
    """
    rows = [_steps(value) for value in values]
    longest = max((len(row) for row in rows), default=1)
    stored = Settings(**{"max_trials": len(rows), **settings}).to_json()
    created = {
        "space": SPACE.to_json(),
        "objectives": list(objectives),
        "constraints": list(constraints),
        "strategy": {"name": strategy},
        "settings": stored,
        "seed": 0,
    }
    opened = {"host": "here", "pid": 1, "workers": stored["workers"]}
    events = [
        Event(Kind.CREATED, data=created),
        Event(Kind.OPENED, data={**opened, "price": price} if price else opened),
    ]
    time = 0.0
    for number, steps in enumerate(rows):
        trial = Trial(number, Proposal(SPACE.architecture({"x": number % 50})), {"epochs": max(1, len(steps))}, number)
        events += [_at(time, make_proposed_event(trial)), Event(Kind.STARTED, number, data={"worker": "0"}, time=time)]
        for step, metrics in enumerate(steps, 1):
            time += seconds / len(steps)
            data = {"metrics": dict(metrics), "seconds": seconds / len(steps)}
            events.append(Event(Kind.REPORTED, number, step, data, time))
        if not steps:
            time += seconds
            events.append(
                Event(Kind.FAILED, number, data={"status": "error", "reason": "no", "seconds": seconds}, time=time)
            )
        else:
            events.append(Event(Kind.FINISHED if len(steps) == longest else Kind.PAUSED, number, time=time))
    if ended:
        events.append(Event(Kind.ENDED, data={"why": ended}, time=time))
    return [Event(e.kind, e.trial, e.step, e.data, e.time, seq) for seq, e in enumerate(events, 1)]


def _steps(value: Values) -> list[Mapping[str, float]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [value]
    return [{"accuracy": value}] if isinstance(value, (int, float)) else list(value)


def _at(time: float, event: Event) -> Event:
    return Event(event.kind, event.trial, event.step, event.data, time)
