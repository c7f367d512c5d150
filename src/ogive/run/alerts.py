"""Alerts: what a user should hear of while a search runs, decided from the state and the time alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.run.events import Event, Kind
from ogive.trial import EMPTY, TrialId

SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True)
class Alert:
    """Something that a user should hear of.

    Attributes:
        severity: "info", "warning" or "critical".
        cause: what it is about, in a form that tells it from every other: of each cause there is one alert in a run.
        numbers: what was measured and the threshold that it has crossed.
        time: of the clock; 0 before it is journalled.
    """

    severity: str
    cause: str
    message: str
    numbers: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    time: float = 0.0
    trial: TrialId | None = None

    def event(self) -> Event:
        """The event that journals it."""
        data = {"severity": self.severity, "cause": self.cause, "message": self.message, "numbers": dict(self.numbers)}
        return Event(Kind.ALERT, self.trial, data=data)

    @staticmethod
    def of(event: Event) -> Alert:
        """The alert that an event of `Kind.ALERT` journals."""
        data = event.data
        return Alert(data["severity"], data["cause"], data["message"], data.get("numbers", {}), event.time, event.trial)

    def to_json(self) -> dict[str, Any]:
        """For routes, and for scripts."""
        return {
            "severity": self.severity,
            "cause": self.cause,
            "message": self.message,
            "numbers": dict(self.numbers),
            "time": self.time,
            "trial": self.trial,
        }
