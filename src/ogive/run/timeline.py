"""Stretches of time: in which a controller held workers, and in which a worker had a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.run.prices import Price
from ogive.trial import TrialId


@dataclass(slots=True)
class SessionInterval:
    """The time of one session, in which its workers were held and paid for, busy or not.

    Attributes:
        begin, end: of the clock, in seconds; the end moves on with every event.
        workers: how many were held, each of `per_trial` processes.
        compute: seconds that trials were computed in it, all workers together.
        price: None where none was given.
        host: where the controller ran.
    """

    begin: float
    end: float
    workers: int
    compute: float = 0.0
    price: Price | None = None
    host: str = ""
    per_trial: int = 1

    @staticmethod
    def opened(time: float, session: Mapping[str, Any], settings: Mapping[str, Any]) -> SessionInterval:
        """Of the session that a journal's `opened` event began."""
        price = session.get("price")
        workers = session.get("workers", settings.get("workers", 1))
        host, per_trial = session.get("host", ""), session.get("workers_per_trial", 1)
        return SessionInterval(time, time, workers, price=price and Price(**price), host=host, per_trial=per_trial)

    @property
    def paid(self) -> int:
        """Processes that are paid for, where each has a device."""
        return self.workers * self.per_trial

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    @property
    def device(self) -> str:
        """What is paid for: the name in the price file, or the host."""
        return (self.price.name if self.price else "") or self.host or "this machine"


@dataclass(slots=True)
class AttemptInterval:
    """One attempt of a trial on a worker; `end` is None while it goes on."""

    trial: TrialId
    worker: str
    begin: float
    end: float | None = None
