"""Time is an argument: the controller asks a clock, so that the same controller also runs in simulated time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the controller knows of time."""

    def now(self) -> float:
        """The time to be recorded, in seconds since 1970 (or since the start of a simulation)."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""


class WallClock:
    """The computer's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
