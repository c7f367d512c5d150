"""What may change while a run is continued."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ogive.errors import JobError


@dataclass(frozen=True)
class Settings:
    """How much is spent and how carefully; journalled when it changes.

    Attributes:
        max_trials: the search ends when so many trials have been proposed and ended; may only grow.
        workers: evaluations at a time.
        max_failed_trials: the search stops when so many trials have failed; by default a third of `max_trials`.
        retries: further attempts after a killed worker or a lost host.
        time_limit: compute seconds of one trial, all attempts together; None for no limit.
        memory_limit: gigabytes that one trial may take beyond what its worker had before; None for no limit.
        budget: hours that the search may take, all sessions together; None for no limit.

    Raises:
        JobError: a value out of its range.
    """

    max_trials: int = 100
    workers: int = 1
    max_failed_trials: int | None = None
    retries: int = 2
    time_limit: float | None = None
    memory_limit: float | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        for name, low in (("max_trials", 1), ("workers", 1), ("max_failed_trials", 1), ("retries", 0)):
            value: object = getattr(self, name)
            if value is None and name == "max_failed_trials":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise JobError(f"{name}={value!r}: a whole number, at least {low}")
        for name in ("time_limit", "memory_limit", "budget"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if value is not None and not (number and value > 0):  # type: ignore[operator]
                raise JobError(f"{name}={value!r}: a number above 0, or None for no limit")

    @property
    def failures_allowed(self) -> int:
        """`max_failed_trials`, or a third of `max_trials`, rounded up."""
        return self.max_failed_trials or math.ceil(self.max_trials / 3)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Settings:
        known = {field.name for field in fields(Settings)}
        return Settings(**{key: value for key, value in data.items() if key in known})

    def changes(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Which of `wanted` differ from what is stored.

        Raises:
            JobError: fewer trials than before.
        """
        now = asdict(self)
        changed = {name: value for name, value in wanted.items() if now[name] != value}
        if changed.get("max_trials", self.max_trials) < self.max_trials:
            raise JobError(
                f"max_trials={changed['max_trials']}: the run was given {self.max_trials}; it can be raised, not lowered"
            )
        return changed
