"""What goes along with a session and must never hurt it: routes of alerts, and sinks."""

from __future__ import annotations

from typing import Protocol

from ogive.run.events import Event
from ogive.run.state import State


class Companion(Protocol):
    """Is told of every event, never waits and never raises; what goes wrong with it becomes a warning in the journal."""

    def __call__(self, state: State, event: Event | None) -> None:
        """Take note of an event that `state` has applied."""

    def failures(self) -> list[str]:
        """What has gone wrong since this was last asked."""

    def close(self) -> list[str]:
        """End, within a limited time; what went wrong, as `failures` tells it."""
