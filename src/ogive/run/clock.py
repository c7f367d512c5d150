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
    """The computer's clock as it was when this was made, and what has passed since: a clock that somebody sets later
    neither spends a budget nor turns the order of a session's events round.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic()
