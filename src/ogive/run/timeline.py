"""The time intervals of sessions, in which workers are reserved, and of attempts, in which a worker trains a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.run.prices import Price
from ogive.trial import TrialId


@dataclass(slots=True)
class SessionInterval:
    """The time interval of one session. Its processes are reserved, and billed, for the whole interval, busy or not.

    Attributes:
        begin: the clock time at its start, in seconds.
        end: the clock time at its end, in seconds; while the session is open, the time of its last event.
        workers: the number of trials that are trained at a time, each by `workers_per_trial` processes.
        compute_seconds: compute time of trials in this session, all trials together.
        price: the price of the session; None if it had none.
        host: the name of the controller's host; "" if it is unknown.
        workers_per_trial: the number of processes that train a trial together.
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
        """Return the interval of a session that has just begun.

        Args:
            time: the time of the session's `opened` event, in seconds.
            session: the data of this event.
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
        """The number of processes. Each of them is billed if the price is per worker."""
        return self.workers * self.workers_per_trial

    @property
    def seconds(self) -> float:
        """The length of the interval, in seconds."""
        return self.end - self.begin

    @property
    def device(self) -> str:
        """The name of the device in the price file, or of the host."""
        return (self.price.name if self.price else "") or self.host or "this machine"


@dataclass(slots=True)
class AttemptInterval:
    """The time interval of one attempt of a trial on a worker, as clock times in seconds; `end` is None while it runs."""

    trial: TrialId
    worker: str
    begin: float
    end: float | None = None
