"""Clocks. The clock is an argument of the controller, so a controller can also run in virtual time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The source of the controller's time."""

    def now(self) -> float:
        """Return the time for the journal: seconds since 1970, or since the start of a simulation."""

    def monotonic(self) -> float:
        """Return seconds that never decrease, for durations."""


class WallClock:
    """The time of the machine. It is read once, when the clock is created; a monotonic timer adds the time since then.

    So a change of the machine's clock during a session affects neither the spent budget nor the order of events.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic()
