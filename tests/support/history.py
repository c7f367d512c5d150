"""Journals written by hand: trials with given times and durations, and the state after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from memory import SPACE, declare

from ogive.run.events import Event, Kind, make_proposed_event
from ogive.run.state import State
from ogive.seeds import generator
from ogive.trial import Proposal, Trial

HOUR = 3600.0


class History:
    """The events of a run, in the order in which `tell` adds them; `time` is the time of the clock, in seconds."""

    def __init__(self, price: dict[str, Any] | None = None, **settings: Any) -> None:
        self.time = 0.0
        self.events = [declare(**settings)]
        self.workers = settings.get("workers", 1)
        self.opened: dict[str, Any] = {"host": "here", "workers": self.workers}
        if price is not None:
            self.opened["price"] = price
        self.trials = 0
        self.tell(Kind.OPENED, data=self.opened)

    def tell(self, kind: Kind, trial: int | None = None, step: int | None = None, data: Any = None) -> None:
        self.events.append(Event(kind, trial, step, data or {}, self.time, len(self.events) + 1))

    def start(self, epochs: int = 1) -> int:
        """Propose and start a trial now; return its number."""
        number = self.trials
        self.trials += 1
        trial = Trial(number, Proposal(SPACE.sample(generator(0, number))), {"epochs": epochs}, seed=number)
        self.events.append(make_proposed_event(trial))
        event = self.events.pop()
        self.tell(event.kind, number, data=event.data)
        self.tell(Kind.STARTED, number, data={"worker": "w", "attempt": 1})
        return number

    def report(self, trial: int, accuracy: float, seconds: float, step: int = 1, **data: Any) -> None:
        self.tell(Kind.REPORTED, trial, step, {"metrics": {"accuracy": accuracy}, "seconds": seconds, **data})

    def run(self, seconds: float, accuracy: float | None = 0.5) -> int:
        """Start a trial, train it for `seconds`, and finish it; let it fail if there is no accuracy. Return its number."""
        trial = self.start()
        self.time += seconds
        if accuracy is None:
            self.tell(Kind.FAILED, trial, data={"status": "error", "reason": "no", "seconds": seconds})
        else:
            self.report(trial, accuracy, seconds)
            self.tell(Kind.FINISHED, trial)
        return trial

    def runs(self, seconds: Iterable[float], accuracies: Sequence[float] | None = None) -> History:
        """Run one trial after the other."""
        for i, duration in enumerate(seconds):
            self.run(duration, accuracies[i] if accuracies else 0.5)
        return self

    @property
    def state(self) -> State:
        return State.from_events(self.events, SPACE)


def lognormal(rng: np.random.Generator, n: int, spread: float = 0.5) -> list[float]:
    return [float(x) for x in rng.lognormal(4.0, spread, n)]
