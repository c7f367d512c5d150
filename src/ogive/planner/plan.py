"""A plan: the forecast of a search for every split of the workers, with intervals, and the recommended split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ogive.monitor.cost import Interval
from ogive.planner.simulated_split import WorkerSplit
from ogive.planner.timings import Timings
from ogive.run.prices import Price
from ogive.run.spending import SECONDS_PER_HOUR


@dataclass(frozen=True, kw_only=True)
class SplitForecast:
    """The forecast for one split. The intervals have a nominal coverage of `ogive.planner.machine.INTERVAL_LEVEL`.

    Attributes:
        split: the split of the workers.
        epoch: the mean seconds of an epoch.
        start_up: the seconds of a worker's start-up.
        seconds: the seconds from the start to the end of the search.
        regret_seconds: the seconds until the search has reached the plan's target regret; None if fewer than half of the
            simulations reached it.
        worker_hours: the hours of all workers of the split, busy or not.
        money: the price of the search; None without a price.
        value: the true value of the first objective, for the best architecture of the search.
        fastest: the probability that this split is the fastest.
        near: the probability that this split takes at most `ogive.planner.split_forecasts.MAX_NEAR_RATIO` times as long as
            the fastest.
        pace: tuples (reports, low, expected, high): a number of reports, and the seconds until this number is reached.
        beyond: whether the split has more workers per trial than were measured.
        computes: the expected compute time of all trials together, in seconds.
    """

    split: WorkerSplit
    epoch: Interval
    start_up: Interval
    seconds: Interval
    regret_seconds: Interval | None
    worker_hours: Interval
    money: Interval | None
    value: Interval
    fastest: float
    near: float
    pace: tuple[tuple[int, float, float, float], ...]
    beyond: bool
    computes: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The forecast of a search for each split of the workers, and the recommended split.

    Attributes:
        workers: the number of workers that are split.
        unit: the unit of the workers: "threads" or "devices".
        rows: the forecast for each split, most parallel trials first.
        chosen: the split that a search with this plan uses.
        recommended: the split that the plan recommends.
        why: the reason for the recommendation, as a clause.
        sure: the certainty of the recommendation, as a clause.
        metric: the metric of the first objective.
        regret: the target regret, in the metric's unit; `SplitForecast.regret_seconds` is the time until it is reached.
        trials: the number of trials of the search.
        epochs: the largest number of epochs of a trial; None without epochs.
        seeds: the number of simulated searches of each split.
        price: the price of a worker-hour; None without a price.
        assumptions: sentences on the measurements and the assumptions of the plan.
        timings: the durations that the plan was made from.
        fingerprint: the fingerprint of the search; see `ogive.session.planned_search.compute_plan_fingerprint`.
    """

    workers: int
    unit: str
    rows: tuple[SplitForecast, ...]
    chosen: WorkerSplit
    recommended: WorkerSplit
    why: str
    sure: str
    metric: str
    regret: float
    trials: int
    epochs: int | None
    seeds: int
    price: Price | None
    assumptions: tuple[str, ...]
    timings: Timings
    fingerprint: str = ""

    @property
    def chosen_forecast(self) -> SplitForecast:
        """The forecast for the chosen split."""
        return self.find_forecast(self.chosen)

    def find_forecast(self, split: WorkerSplit) -> SplitForecast:
        """Return the forecast for a split of the plan."""
        return next(row for row in self.rows if row.split == split)

    def choose_parallel_trials(self, parallel_trials: int) -> Plan | None:
        """Return the plan with the split of `parallel_trials` parallel trials chosen; None if the plan has no such split."""
        splits = [row.split for row in self.rows if row.split.parallel_trials == parallel_trials]
        return replace(self, chosen=splits[0]) if splits else None

    def to_event_data(self) -> dict[str, Any]:
        """Return the forecast for the chosen split as the data of an event `Kind.PROJECTED`.

        `ogive.monitor.plan_comparison` reads it.
        """
        row, money = self.chosen_forecast, self.chosen_forecast.money
        return {
            "done": 0,
            "trials": self.trials,
            "hours": _to_list(row.seconds.scaled_by(1 / SECONDS_PER_HOUR)),
            # An interval of width 0: the plan does not forecast the uncertainty of the compute time.
            "compute_hours": [row.computes / SECONDS_PER_HOUR] * 3,
            "money": None if money is None else _to_list(money),
            "currency": self.price.currency if self.price else "",
            "plan": {
                "parallel_trials": row.split.parallel_trials,
                "workers_per_trial": row.split.workers_per_trial,
                "unit": self.unit,
                "start_up": _to_list(row.start_up),
                "epoch": _to_list(row.epoch),
                "pace": [list(point) for point in row.pace],
                "why": self.why,
                "sure": self.sure,
            },
        }

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON; `from_json` is the inverse."""
        data = asdict(self)
        return {**data, "rows": [asdict(row) for row in self.rows], "timings": self.timings.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Plan:
        """Return the plan that `to_json` wrote."""
        fields = dict(data)
        fields["rows"] = tuple(_read_row(row) for row in data["rows"])
        fields["chosen"], fields["recommended"] = WorkerSplit(**data["chosen"]), WorkerSplit(**data["recommended"])
        fields["price"] = Price(**data["price"]) if data["price"] else None
        fields["assumptions"] = tuple(data["assumptions"])
        return Plan(**fields | {"timings": Timings.from_json(data["timings"])})


# The fields of `SplitForecast` that are intervals.
_INTERVALS = ("epoch", "start_up", "seconds", "regret_seconds", "worker_hours", "money", "value")


def _read_row(data: Mapping[str, Any]) -> SplitForecast:
    intervals = {name: None if data[name] is None else Interval(**data[name]) for name in _INTERVALS}
    pace = tuple((int(p[0]), float(p[1]), float(p[2]), float(p[3])) for p in data["pace"])
    return SplitForecast(**{**data, **intervals, "split": WorkerSplit(**data["split"]), "pace": pace})


def _to_list(interval: Interval) -> list[float]:
    """Return an interval in the form in which events store it."""
    return [interval.low, interval.expected, interval.high]
