"""Alerts: messages that a user should receive while a search runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.run.events import Event, Kind
from ogive.trial import EMPTY, TrialId

SEVERITIES = ("info", "warning", "critical")
"""The severities of alerts, from the least to the most severe."""


@dataclass(frozen=True)
class Alert:
    """A message that a user should receive at once.

    Attributes:
        severity: "info", "warning" or "critical".
        cause: an identifier of the cause, such as "budget:hours:3:80%"; a run has at most one alert for each cause.
        message: the message for the user.
        numbers: the measured values, and the thresholds that they have crossed, by name.
        time: the time of the clock, in seconds; 0 before the alert is journalled.
        trial: the trial that the alert is about; None if it is about the run.
    """

    severity: str
    cause: str
    message: str
    numbers: Mapping[str, float] = EMPTY
    time: float = 0.0
    trial: TrialId | None = None

    def to_event(self) -> Event:
        """Return the event that journals this alert."""
        data = {"severity": self.severity, "cause": self.cause, "message": self.message, "numbers": dict(self.numbers)}
        return Event(Kind.ALERT, self.trial, data=data)

    @staticmethod
    def from_event(event: Event) -> Alert:
        """Return the alert of an event of `Kind.ALERT`."""
        data = event.data
        return Alert(
            severity=data["severity"],
            cause=data["cause"],
            message=data["message"],
            numbers=data.get("numbers", {}),
            time=event.time,
            trial=event.trial,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the alert as JSON, for routes and scripts."""
        return {
            "severity": self.severity,
            "cause": self.cause,
            "message": self.message,
            "numbers": dict(self.numbers),
            "time": self.time,
            "trial": self.trial,
        }
