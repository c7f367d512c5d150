"""The contracts of what watches a session: observers, subscribers, and the monitor.

An observer is a function that is called with the state and each event. A subscriber is an observer with a thread of its own,
such as a sink. The monitor also reads the events of earlier sessions, and it may end the search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ogive.run.events import Event
from ogive.run.state import State
from ogive.trial import Trial

Observer = Callable[[State, Event | None], None]
"""Called with the state and each event that it has applied, and sometimes with None. An exception ends the session."""


class Subscriber(Protocol):
    """An observer that never waits and never raises; its failures become warnings in the journal."""

    def __call__(self, state: State, event: Event | None) -> None:
        """Take note of an event that `state` has applied."""

    def failures(self) -> list[str]:
        """Return the failures since the last call."""

    def close(self) -> list[str]:
        """End within a limited time; return the failures that `failures` has not returned yet."""


@dataclass(frozen=True)
class Advice:
    """The result of one look at the trials.

    Attributes:
        warnings: messages to journal as warnings.
        alerts: events to journal in one transaction.
        stop: why the search ends now; None where it continues.
        failures: the search ends because trials failed.
        projection: the event of a forecast that is due; None where none is.
    """

    warnings: Sequence[str] = ()
    alerts: Sequence[Event] = ()
    stop: str | None = None
    failures: bool = False
    projection: Event | None = None


class Monitor(Protocol):
    """Stop rules and alerts. The controller journals the monitor's advice; it knows nothing of the rules.

    Guarantees: `note` is called for every event, journalled or new, so a continued session gives the advice of an
    uninterrupted one. `begin`, `advise`, `look` and `finish` are called in a running session only.
    """

    def note(self, event: Event, trial: Trial | None) -> None:
        """Take note of an event that the state has applied; `trial` is the trial that it changed."""

    def begin(self) -> None:
        """The session begins."""

    def advise(self) -> Advice:
        """Return the advice that depends on the trials alone; called after trials have come to rest."""

    def look(self, now: float, last: bool = False) -> Sequence[Event]:
        """Return the alerts that depend on time. `now`: the journal's time, seconds; `last`: the session ends."""

    def finish(self) -> Sequence[Event]:
        """Return the alerts about all trials of a search that ends."""
