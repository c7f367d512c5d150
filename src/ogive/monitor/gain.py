"""The improvement that a search has brought, and the time and money that it took."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from ogive.run.prices import Price
from ogive.run.spending import SECONDS_PER_HOUR, compute_spending
from ogive.trial import select_comparable

if TYPE_CHECKING:
    from ogive.run.state import State

POINT = 0.01
"""A point of a metric, such as a percentage point of an accuracy."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The improvement of the first objective, and the time and money that it took.

    Attributes:
        metric: the objective's metric.
        start: the median value of the first trials: a typical value before the strategy has learned from results.
        best: the best value so far.
        points: the improvement from `start` to `best` in units of `POINT`, which are percentage points for an accuracy.
        worker_hours: the worker-hours spent so far.
        money: the money spent so far; None if there is no price.
        last_point: the compute hours of the trials after the first trial that is within one point of the best, up to the
            best trial; None if the improvement is less than a point.
    """

    metric: str
    start: float
    best: float
    points: float
    worker_hours: float
    money: float | None
    last_point: float | None

    @property
    def hours_per_point(self) -> float:
        """The worker-hours per point of improvement."""
        return self.worker_hours / self.points

    @property
    def money_per_point(self) -> float | None:
        """The money per point of improvement; None if there is no price."""
        return None if self.money is None else self.money / self.points


def compute_gain(state: State, price: Price | None = None, first: int = 10) -> Gain | None:
    """Return the improvement over the first trials, and what it took; None if there is no improvement yet.

    Trials are compared at the highest step that any trial has reached.

    Args:
        state: the state of the run.
        price: a price to use instead of the price that was paid.
        first: the number of first trials whose median is the starting value.
    """
    objective = state.objectives[0]
    _, trials = select_comparable(list(state.trials.values()), at_least=1)
    by_time = sorted(trials, key=lambda trial: trial.reports[-1].time)
    # A merit is the objective's value with the sign for which more is better.
    merits_and_seconds = [(-objective.cost(trial.metrics), trial.seconds) for trial in by_time]
    merits_and_seconds = [(merit, seconds) for merit, seconds in merits_and_seconds if math.isfinite(merit)]
    if len(merits_and_seconds) <= first:
        return None
    merits = [merit for merit, _ in merits_and_seconds]
    start, best = median(merits[:first]), max(merits)
    points = 100 * (best - start)  # a point is 1/100, see `POINT`
    if points <= 0:
        return None
    first_near_best = next(i for i, merit in enumerate(merits) if merit >= best - POINT)
    last_point = (
        sum(seconds for _, seconds in merits_and_seconds[first_near_best + 1 : merits.index(best) + 1])
        / SECONDS_PER_HOUR
    )
    # Merits are turned back into values of the metric.
    sign = 1 if objective.goal == "maximize" else -1
    spent = compute_spending(state, price=price)
    return Gain(
        metric=objective.metric,
        start=sign * start,
        best=sign * best,
        points=points,
        worker_hours=spent.worker_hours,
        money=spent.money,
        last_point=last_point if best - start >= POINT else None,
    )
