"""Intervals of time: of sessions, in which workers are reserved, and of attempts, in which a worker trains a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.run.prices import Price
from ogive.trial import TrialId


@dataclass(slots=True)
class SessionInterval:
    """The time of one session. Its workers are reserved and billed all the time, busy or not.

    Attributes:
        begin, end: times of the clock, in seconds; the end moves with every event.
        workers: the number of trials that are trained at a time, each by `workers_per_trial` processes.
        compute_seconds: compute time of trials in it, all workers together.
        price: the price of the session; None if it had none.
        host: the name of the controller's host; "" if it is unknown.
    """

    begin: float
    end: float
    workers: int
    compute_seconds: float = 0.0
    price: Price | None = None
    host: str = ""
    workers_per_trial: int = 1

    @staticmethod
    def from_event(time: float, session: Mapping[str, Any], settings: Mapping[str, Any]) -> SessionInterval:
        """Return the interval of a session that begins.

        Args:
            time: the time of its `opened` event, in seconds.
            session: the data of that event.
            settings: the settings of the run.
        """
        price = session.get("price")
        return SessionInterval(
            begin=time,
            end=time,
            workers=session.get("workers", settings.get("workers", 1)),
            price=price and Price(**price),
            host=session.get("host", ""),
            workers_per_trial=session.get("workers_per_trial", 1),
        )

    @property
    def process_count(self) -> int:
        """The number of processes, which are paid for one by one if each has a device of its own."""
        return self.workers * self.workers_per_trial

    @property
    def seconds(self) -> float:
        """The length of the interval."""
        return self.end - self.begin

    @property
    def device(self) -> str:
        """The name of the device in the price file, or of the host."""
        return (self.price.name if self.price else "") or self.host or "this machine"


@dataclass(slots=True)
class AttemptInterval:
    """The time of one attempt of a trial on a worker, in seconds of the clock; `end` is None while it is running."""

    trial: TrialId
    worker: str
    begin: float
    end: float | None = None
