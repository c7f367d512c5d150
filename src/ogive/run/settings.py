"""The settings of a run, which may change when the run is continued."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ogive.errors import JobError
from ogive.objective import Constraint
from ogive.objective import parse_constraints as parse_constraints
from ogive.run.alert_route_specs import RouteSpec, check_routes
from ogive.run.executor import STARTUP_SECONDS

STOP_MODES = ("advise", "auto")
# The settings that are whole numbers, with their minima.
_MINIMUM_COUNTS = (
    ("max_trials", 1),
    ("workers", 1),
    ("workers_per_trial", 1),
    ("threads", 1),
    ("max_failed_trials", 1),
    ("retries", 0),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and resources of a run. When a run is continued with other settings, the changes are written to the journal.

    Attributes:
        max_trials: the number of trials after which the search ends, at least 1; it can only be raised.
        workers: the number of trials that are trained at a time, at least 1. The run has `workers` * `workers_per_trial`
            worker processes.
        workers_per_trial: the number of processes that train each trial together (data parallelism), at least 1.
        threads: the number of threads of each process; None for an equal share of the cores.
        max_failed_trials: the number of failed trials at which the search ends; None for a third of `max_trials`.
        retries: the number of further attempts of a trial whose worker was killed or whose host was lost.
        time_limit: the compute time of a trial, all attempts together, in seconds; None for no limit.
        memory_limit: the memory that a trial may use, in gigabytes, not counting the memory that its worker used before the
            trial started; None for no limit.
        startup_limit: the time that a worker may take to load code and data, in seconds; None for no limit.
        budget: the hours that the search may take, all sessions together, or {"hours": h, "money": m}; None for no limit.
        price: money for an hour of each worker process, or the name of a device or machine in the price file; None for no
            price.
        stop: "auto" lets stop rules end the search, "advise" lets them only give advice.
        criteria: constraints; a trial that satisfies them all is a success.
        patience: the hours without improvement after which an alert is raised; None for one hour plus a quarter of the
            elapsed time.
        alerts: the destinations of alerts; see `ogive.monitor.alert_routes`.
        sinks: the destinations of metrics; see `ogive.sinks`.

    Raises:
        JobError: a value is out of its range.
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
        for name, minimum in _MINIMUM_COUNTS:
            value: object = getattr(self, name)
            if value is None and name in ("max_failed_trials", "threads"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise JobError(f"{name}={value!r}: expected a whole number, at least {minimum}")
        for name in ("time_limit", "memory_limit", "startup_limit", "patience"):
            if getattr(self, name) is not None and not _is_positive(getattr(self, name)):
                none = "the default" if name == "patience" else "no limit"
                raise JobError(f"{name}={getattr(self, name)!r}: expected a number above 0, or None for {none}")
        if self.stop not in STOP_MODES:
            raise JobError(
                f'stop={self.stop!r}: expected "advise" (stop rules only give advice) or "auto" (they end the search)'
            )
        if self.price is not None and not (_is_positive(self.price) or (isinstance(self.price, str) and self.price)):
            raise JobError(
                f"price={self.price!r}: expected money per worker-hour, above 0, or a name in the price file"
            )
        self._set("budget", _parse_budget(self.budget))
        self._set("criteria", _parse_criteria(self.criteria))
        self._set("alerts", check_routes(self.alerts))
        self._set("sinks", _parse_sinks(self.sinks))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def failed_trials_limit(self) -> int:
        """The number of failed trials at which the search ends. By default a third of `max_trials`, rounded up."""
        return self.max_failed_trials or math.ceil(self.max_trials / 3)

    @property
    def hours(self) -> float | None:
        """The hours of the budget; None for no limit."""
        return self.budget.get("hours") if isinstance(self.budget, Mapping) else self.budget

    @property
    def money(self) -> float | None:
        """The money of the budget, in the currency of the price; None for no limit."""
        return self.budget.get("money") if isinstance(self.budget, Mapping) else None

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON. The names are those of the fields and of the arguments of `ogive.search`."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        budget = dict(self.budget) if isinstance(self.budget, Mapping) else self.budget
        criteria = [{f.name: getattr(item, f.name) for f in fields(item)} for item in self.criteria]
        return {**data, "budget": budget, "criteria": criteria, "alerts": list(self.alerts), "sinks": list(self.sinks)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Settings:
        """Return the settings that `to_json` wrote; other entries are ignored."""
        names = {field.name for field in fields(Settings)}
        return Settings(**{key: value for key, value in data.items() if key in names})

    def find_changes(self, new: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of `new` that differ from these settings, as JSON.

        Raises:
            JobError: `max_trials` would be lowered.
        """
        before, after = self.to_json(), Settings.from_json({**self.to_json(), **new}).to_json()
        changed = {name: after[name] for name in new if before[name] != after[name]}
        if changed.get("max_trials", self.max_trials) < self.max_trials:
            raise JobError(
                f"max_trials={changed['max_trials']}: the run has {self.max_trials}, which can be raised, not lowered"
            )
        return changed


def _is_positive(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]


def _parse_budget(value: object) -> float | dict[str, float] | None:
    """Return a budget in the form in which it is stored.

    If only hours are limited, this is a number, as in journals of earlier versions. If money is limited, it is a dict. None
    means no limit.

    Raises:
        JobError: the value is not a budget.
    """
    if value is None or _is_positive(value):
        return value  # type: ignore[return-value]
    if isinstance(value, Mapping) and value and set(value) <= {"hours", "money"}:
        parts = {name: value[name] for name in ("hours", "money") if value.get(name) is not None}
        if all(map(_is_positive, parts.values())):
            return parts.get("hours") if "money" not in parts else parts
    raise JobError(
        f'budget={value!r}: expected hours, above 0, or {{"hours": h, "money": m}} with one or both, or None for no limit'
    )


def _parse_criteria(value: object) -> tuple[Constraint, ...]:
    items = [value] if isinstance(value, (Constraint, Mapping)) else value
    if not isinstance(items, Iterable) or isinstance(items, str):
        raise JobError(f"criteria={value!r}: expected constraints, such as [Constraint('accuracy', at_least=0.9)]")
    try:
        return parse_constraints(Constraint(**item) if isinstance(item, Mapping) else item for item in items)
    except (JobError, TypeError) as error:
        raise JobError(f"criteria: {error}") from error


def _parse_sinks(value: object) -> tuple[Any, ...]:
    items = (value,) if isinstance(value, (str, Mapping)) else value
    try:
        return tuple(json.loads(json.dumps(list(items))))  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise JobError(
            f"sinks={value!r}: expected a list of names, or of {{name: {{option: value}}}}: {error}"
        ) from error
