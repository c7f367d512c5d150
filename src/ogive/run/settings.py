"""What may change while a run is continued."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ogive.errors import JobError
from ogive.objective import Constraint
from ogive.objective import constraints as parse_constraints
from ogive.run.alert_route_specs import RouteSpec, check_routes
from ogive.run.executor import STARTUP_SECONDS

STOPS = ("advise", "auto")
_COUNTS = (
    ("max_trials", 1),
    ("workers", 1),
    ("workers_per_trial", 1),
    ("threads", 1),
    ("max_failed_trials", 1),
    ("retries", 0),
)


@dataclass(frozen=True)
class Settings:
    """How much is spent and how carefully; journalled when it changes.

    Attributes:
        max_trials: the search ends when so many trials have been proposed and ended; may only grow.
        workers: evaluations at a time.
        workers_per_trial: processes that train each of them together, data-parallel.
        threads: of each process; its share of the cores where None.
        max_failed_trials: the search stops when so many trials have failed; by default a third of `max_trials`.
        retries: further attempts after a killed worker or a lost host.
        time_limit: compute seconds of one trial, all attempts together; None for no limit.
        memory_limit: gigabytes that one trial may take beyond what its worker had before; None for no limit.
        startup_limit: seconds that a worker may take to load code and data; None for no limit.
        budget: hours that the search may take, all sessions together, or {"hours": h, "money": m}; None for no limit.
        price: money per worker-hour, or the name of a device or machine in the price file; None where nothing is paid.
        stop: "auto" ends the search when a stop rule says so, "advise" only tells.
        criteria: constraints; a trial that satisfies them all is a success.
        patience: hours without improvement that are worth an alert; None for an hour and a quarter of the time so far.
        alerts: where alerts go; see `ogive.monitor.alert_routes`.
        sinks: where metrics go; see `ogive.sinks`.

    Raises:
        JobError: a value out of its range.
    """

    max_trials: int = 100
    workers: int = 1
    workers_per_trial: int = 1
    threads: int | None = None
    max_failed_trials: int | None = None
    retries: int = 2
    time_limit: float | None = None
    memory_limit: float | None = None
    startup_limit: float | None = STARTUP_SECONDS
    budget: float | Mapping[str, float] | None = None
    price: float | str | None = None
    stop: str = "advise"
    criteria: tuple[Constraint, ...] = ()
    patience: float | None = None
    alerts: tuple[RouteSpec, ...] = ()
    sinks: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        for name, low in _COUNTS:
            value: object = getattr(self, name)
            if value is None and name in ("max_failed_trials", "threads"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise JobError(f"{name}={value!r}: a whole number, at least {low}")
        for name in ("time_limit", "memory_limit", "startup_limit", "patience"):
            if getattr(self, name) is not None and not _positive(getattr(self, name)):
                raise JobError(f"{name}={getattr(self, name)!r}: a number above 0, or None for no limit")
        if self.stop not in STOPS:
            raise JobError(f'stop={self.stop!r}: "advise" (a stop rule only tells) or "auto" (it ends the search)')
        if self.price is not None and not (_positive(self.price) or (isinstance(self.price, str) and self.price)):
            raise JobError(f"price={self.price!r}: money per worker-hour, above 0, or a name in the price file")
        self._set("budget", _budget(self.budget))
        self._set("criteria", _criteria(self.criteria))
        self._set("alerts", check_routes(self.alerts))
        self._set("sinks", _sinks(self.sinks))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def failures_allowed(self) -> int:
        """`max_failed_trials`, or a third of `max_trials`, rounded up."""
        return self.max_failed_trials or math.ceil(self.max_trials / 3)

    @property
    def hours(self) -> float | None:
        """The budget's hours; None for no limit."""
        return self.budget.get("hours") if isinstance(self.budget, Mapping) else self.budget

    @property
    def money(self) -> float | None:
        """The budget's money, in the currency of the price; None for no limit."""
        return self.budget.get("money") if isinstance(self.budget, Mapping) else None

    def to_json(self) -> dict[str, Any]:
        """By the names of the fields, which are those of the arguments of `ogive.search`."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        budget = dict(self.budget) if isinstance(self.budget, Mapping) else self.budget
        criteria = [{f.name: getattr(item, f.name) for f in fields(item)} for item in self.criteria]
        return {**data, "budget": budget, "criteria": criteria, "alerts": list(self.alerts), "sinks": list(self.sinks)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Settings:
        known = {field.name for field in fields(Settings)}
        return Settings(**{key: value for key, value in data.items() if key in known})

    def changes(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Which of `wanted` differ from what is stored, as JSON.

        Raises:
            JobError: fewer trials than before.
        """
        now, then = self.to_json(), Settings.from_json({**self.to_json(), **wanted}).to_json()
        changed = {name: then[name] for name in wanted if now[name] != then[name]}
        if changed.get("max_trials", self.max_trials) < self.max_trials:
            raise JobError(
                f"max_trials={changed['max_trials']}: the run was given {self.max_trials}; it can be raised, not lowered"
            )
        return changed


def _positive(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]


def _budget(value: object) -> float | dict[str, float] | None:
    """Hours alone as a number, as older runs have them."""
    if value is None or _positive(value):
        return value  # type: ignore[return-value]
    if isinstance(value, Mapping) and value and set(value) <= {"hours", "money"}:
        given = {name: value[name] for name in ("hours", "money") if value.get(name) is not None}
        if all(map(_positive, given.values())):
            return given.get("hours") if "money" not in given else given
    raise JobError(
        f'budget={value!r}: hours, above 0, or {{"hours": h, "money": m}} with one or both, or None for no limit'
    )


def _criteria(value: object) -> tuple[Constraint, ...]:
    given = [value] if isinstance(value, (Constraint, Mapping)) else value
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise JobError(f"criteria={value!r}: constraints, such as [Constraint('accuracy', at_least=0.9)]")
    try:
        return parse_constraints(Constraint(**item) if isinstance(item, Mapping) else item for item in given)
    except (JobError, TypeError) as error:
        raise JobError(f"criteria: {error}") from error


def _sinks(value: object) -> tuple[Any, ...]:
    given = (value,) if isinstance(value, (str, Mapping)) else value
    try:
        return tuple(json.loads(json.dumps(list(given))))  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise JobError(f"sinks={value!r}: a list of names, or of {{name: {{option: value}}}}: {error}") from error
