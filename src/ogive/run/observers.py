"""The contracts of observers, subscribers and the monitor, which all watch a session.

- An observer is a function that is called with the state and each new event.
- A subscriber is an observer with a thread of its own, such as a sink.
- A monitor also receives the events of earlier sessions, and it can end the search.

An observer that prints the best trial whenever one has finished::

    def print_best(state: State, event: Event | None) -> None:
        if event is not None and event.kind is Kind.FINISHED:
            print(find_best_trials(state, 1))

    og.search(space, estimator, observer=print_best)

Guarantees of the controller:

- Observers are called in its thread, once for each event, after the state has applied it, in the order of the journal.
- The argument `observer` of the controller is also called with None, about every `tick` seconds while trials run, to update
  displays of time.
- The event is in the journal already, so an observer may read it there.

Guarantees of every observer: it changes neither the state nor the event, and it returns soon, since the search waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ogive.run.events import Event
from ogive.run.state import State
from ogive.trial import Trial

Observer = Callable[[State, Event | None], None]
"""A function that is called with the state and each event that the state has applied, and from time to time with None. If it
raises an exception, the session ends.
"""


class Subscriber(Protocol):
    """An observer that never blocks and never raises; the controller journals its failures as warnings."""

    def __call__(self, state: State, event: Event | None) -> None:
        """Put an event that `state` has applied into the queue of the subscriber's thread."""

    def collect_failures(self) -> list[str]:
        """Return the failures since the last call."""

    def close(self) -> list[str]:
        """End the thread within a limited time; return the failures that `collect_failures` has not returned yet."""


@dataclass(frozen=True)
class Advice:
    """The advice of the monitor about the trials.

    Attributes:
        warnings: messages to journal as warnings.
        alerts: events to journal in one transaction.
        stop_reason: the reason why the search should end now; None if it should continue.
        by_failures: whether the search should end because trials failed.
        projection: the event of a new projection; None if there is no new one.
    """

    warnings: Sequence[str] = ()
    alerts: Sequence[Event] = ()
    stop_reason: str | None = None
    by_failures: bool = False
    projection: Event | None = None


class Monitor(Protocol):
    """Stop rules and alerts. The controller journals the monitor's advice without knowing the rules.

    The controller calls `record_event` for every event, including those of earlier sessions, so a continued run receives
    the same advice as an uninterrupted one. It calls `begin`, `advise`, `find_timed_alerts` and `finish` for the present
    session only.
    """

    def record_event(self, event: Event, trial: Trial | None) -> None:
        """Process an event that the state has applied. `trial`: the trial that the event changed, if any."""

    def begin(self) -> None:
        """Prepare for a new session; called after `record_event` has received all earlier events."""

    def advise(self) -> Advice:
        """Return the advice that depends only on the trials; called after trials have become inactive."""

    def find_timed_alerts(self, now: float, is_last: bool = False) -> Sequence[Event]:
        """Return the alerts that depend on time.

        Args:
            now: the present time on the clock of the events, in seconds.
            is_last: whether this is the last call of the session.
        """

    def finish(self) -> Sequence[Event]:
        """Return the alerts about all trials together; called at the end of a search."""
