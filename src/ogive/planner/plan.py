"""The plan: what every split of the workers comes to, with intervals, and the one to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ogive.monitor.cost import Interval
from ogive.planner.simulated_split import WorkerSplit
from ogive.planner.timings import Timings
from ogive.run.prices import Price
from ogive.run.spending import HOUR


@dataclass(frozen=True)
class Row:
    """What one split comes to. Intervals hold `LEVEL`, as far as the model is right.

    Attributes:
        split: of the workers.
        epoch, start_up: seconds of an epoch on average, and of a worker's start.
        seconds: to the end of the search.
        regret_seconds: until the regret of the plan is reached; None where most simulations did not reach it.
        worker_hours: of all workers of the split, busy or not.
        money: None where there is no price.
        value: truth of the best that a search finds, of the first objective.
        fastest: the probability that no split is faster.
        near: the probability that it takes at most `NEAR` times as long as the fastest.
        pace: [reports, low, expected, high] seconds when so many reports have come.
        beyond: whether more workers are given to a trial than was measured.
        computes: seconds of all trials together, expected.
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


@dataclass(frozen=True)
class Plan:
    """How to use a number of workers, and what that will take.

    Attributes:
        workers: to be split.
        unit: what a worker is: "threads" or "devices".
        rows: a row a split, most parallel trials first.
        chosen: the split that is to be used.
        recommended: the one that the plan advises.
        why, sure: the reason, and how sure it is, in a sentence each.
        metric: the first objective.
        regret: the regret whose time is told, in the metric's unit.
        trials, epochs: of the search.
        seeds: how many searches of each split were simulated.
        price: None where nothing is paid.
        assumptions: what was measured and what was assumed, a sentence each.
        timings: what the plan was made from.
        fingerprint: of the job: what the plan is for.
    """

    workers: int
    unit: str
    rows: tuple[Row, ...]
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
    def row(self) -> Row:
        """Of the chosen split."""
        return self.of(self.chosen)

    def of(self, split: WorkerSplit) -> Row:
        """The row of a split."""
        return next(row for row in self.rows if row.split == split)

    def using(self, parallel_trials: int) -> Plan | None:
        """The plan with the split of so many parallel trials chosen; None where it has none."""
        found = [row.split for row in self.rows if row.split.parallel_trials == parallel_trials]
        return replace(self, chosen=found[0]) if found else None

    def journalled(self) -> dict[str, Any]:
        """The forecast of the chosen split, as an event of `Kind.PROJECTED` holds it (`ogive.monitor.plan_comparison`)."""
        row, money = self.row, self.row.money
        return {
            "done": 0,
            "trials": self.trials,
            "hours": _triple(row.seconds.times(1 / HOUR)),
            "compute_hours": [row.computes / HOUR] * 3,
            "money": None if money is None else _triple(money),
            "currency": self.price.currency if self.price else "",
            "plan": {
                "parallel_trials": row.split.parallel_trials,
                "workers_per_trial": row.split.workers_per_trial,
                "unit": self.unit,
                "start_up": _triple(row.start_up),
                "epoch": _triple(row.epoch),
                "pace": [list(point) for point in row.pace],
                "why": self.why,
                "sure": self.sure,
            },
        }

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        return {**data, "rows": [asdict(row) for row in self.rows], "timings": self.timings.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Plan:
        own = dict(data)
        own["rows"] = tuple(_row_of(row) for row in data["rows"])
        own["chosen"], own["recommended"] = WorkerSplit(**data["chosen"]), WorkerSplit(**data["recommended"])
        own["price"] = Price(**data["price"]) if data["price"] else None
        own["assumptions"] = tuple(data["assumptions"])
        return Plan(**own | {"timings": Timings.from_json(data["timings"])})


_INTERVALS = ("epoch", "start_up", "seconds", "regret_seconds", "worker_hours", "money", "value")


def _row_of(data: Mapping[str, Any]) -> Row:
    intervals = {name: None if data[name] is None else Interval(**data[name]) for name in _INTERVALS}
    pace = tuple((int(p[0]), float(p[1]), float(p[2]), float(p[3])) for p in data["pace"])
    return Row(**{**data, **intervals, "split": WorkerSplit(**data["split"]), "pace": pace})


def _triple(interval: Interval) -> list[float]:
    return [interval.low, interval.expected, interval.high]
