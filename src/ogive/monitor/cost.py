"""The projection of the time and money that a search takes, and its comparison with the actual spending at the end.

All functions are pure: they read the state that is computed from the journal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.run.prices import Price
from ogive.run.spending import SECONDS_PER_HOUR, compute_spending
from ogive.trial import Status, Trial

if TYPE_CHECKING:
    from ogive.run.state import State

INTERVAL_LEVEL = 0.9
"""The interval of a projection contains the actual value with at least this probability."""

MIN_MEASURED_TRIALS = 10
"""A projection needs at least this many measured trials."""

_NOMINAL_LEVEL = 0.95
"""The nominal level of Student's interval. Durations are skewed, so the actual level is lower than the nominal one, but at
least `INTERVAL_LEVEL`."""


@dataclass(frozen=True)
class Interval:
    """An expected amount, and bounds that contain the actual amount with a probability of at least `INTERVAL_LEVEL`."""

    low: float
    expected: float
    high: float

    def scaled_by(self, factor: float) -> Interval:
        """Return the interval of the amount multiplied by `factor`."""
        return Interval(self.low * factor, self.expected * factor, self.high * factor)

    def shifted_by(self, amount: float) -> Interval:
        """Return the interval of the sum of this uncertain amount and a known amount."""
        return Interval(self.low + amount, self.expected + amount, self.high + amount)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The projected total time and money of a search, from its start to the end of its last trial.

    Attributes:
        done: the number of inactive trials now.
        trials: the number of inactive trials at the end.
        hours: the wall-clock hours of all sessions.
        compute_hours: the hours in which trials are computed, summed over the workers.
        money: the price of the reserved workers; None if there is no price.
        currency: the currency of `money`; empty if there is no price.
        method: a phrase for the report on how the projection was computed.
    """

    done: int
    trials: int
    hours: Interval
    compute_hours: Interval
    money: Interval | None
    currency: str
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return the projection as it is journalled; an interval is [low, expected, high]."""
        data: dict[str, Any] = {"done": self.done, "trials": self.trials, "currency": self.currency}
        for name in ("hours", "compute_hours", "money"):
            value: Interval | None = getattr(self, name)
            data[name] = None if value is None else [value.low, value.expected, value.high]
        return data


def project_cost(state: State, now: float | None = None, price: Price | None = None) -> Projection | None:
    """Return the projected time and money of the whole search; None before `MIN_MEASURED_TRIALS` trials were measured.

    The compute times of the remaining trials are assumed to be independent, with the distribution of the measured compute
    times. So promotions are assumed to stay as frequent as they were.

    Args:
        state: the state of the run.
        now: the clock's time, to include the open session up to it; by default up to the last event.
        price: a price to use instead of the price that was paid.
    """
    measured_seconds = np.array([t.seconds for t in _list_inactive_trials(state) if not t.cached and t.seconds > 0])
    spent = compute_spending(state, now, price)
    if len(measured_seconds) < MIN_MEASURED_TRIALS or spent.worker_hours <= 0 or spent.compute_hours <= 0:
        return None
    done, trials = len(_list_inactive_trials(state)), max(state.total_trials, len(state.trials))
    if state.end_reason:
        trials = done  # no trial remains
    # Step 1: the compute time of the remaining trials, minus the seconds that pending trials have already computed. Of each
    # pending trial, at most the mean is subtracted: a pending trial that takes longer does not shorten the other trials.
    mean = float(measured_seconds.mean())
    pending_seconds = sum(min(state.trials[number].seconds, mean) for number in state.pending)
    compute = _predict_sum(measured_seconds, trials - done, pending_seconds).scaled_by(1 / SECONDS_PER_HOUR)
    # Step 2: the wall-clock time. Workers are assumed to be busy for the same share of the time as before.
    busy_share = min(1.0, spent.compute_hours / spent.worker_hours)
    workers = state.session_intervals[-1].workers
    # After the last trial has started, the other workers - 1 workers finish one after another. On average, each of them is
    # in the middle of its trial then. The mean of these waits over all workers is added.
    final_wait = mean / SECONDS_PER_HOUR * (workers - 1) / (2 * workers) if trials > done else 0.0
    wall = compute.scaled_by(1 / (workers * busy_share)).shifted_by(final_wait)
    # Step 3: the price of the reserved workers.
    price = price or state.price
    return Projection(
        done=done,
        trials=trials,
        hours=wall.shifted_by(spent.hours),
        compute_hours=compute.shifted_by(spent.compute_hours),
        money=wall.scaled_by(price.compute_hourly_cost(state.session_intervals[-1].process_count)).shifted_by(
            spent.money or 0.0
        )
        if price
        else None,
        currency=price.currency if price else "",
        method=f"Student's prediction interval from {len(measured_seconds)} measured trials, for {trials - done} trials "
        f"like them; workers computed {busy_share:.0%} of the time",
    )


def _predict_sum(measured: FloatArray, count: int, done_seconds: float) -> Interval:
    """Return the interval of the sum of `count` further durations, less `done_seconds` that were already computed.

    This is Student's prediction interval for the sum of m = `count` values after n measured values with mean x_bar and
    standard deviation s: m x_bar +- t s sqrt(m + m^2 / n), where t is the quantile of Student's distribution with n - 1
    degrees of freedom (Hahn and Meeker, "Statistical Intervals", 1991, section 4).
    """
    from scipy.special import stdtrit  # the quantile of Student's distribution

    n, mean = len(measured), float(measured.mean())
    quantile = stdtrit(n - 1, (1 + _NOMINAL_LEVEL) / 2)
    half_width = float(quantile * measured.std(ddof=1) * math.sqrt(count + count * count / n))
    sums = (count * mean - half_width, count * mean, count * mean + half_width)
    return Interval(*(max(0.0, value - done_seconds) for value in sums))


@dataclass(frozen=True, kw_only=True)
class ForecastReview:
    """A journalled projection compared with the actual spending of the search.

    Attributes:
        done: the number of inactive trials at the time of the projection; 0 for the forecast of a plan.
        trials: the number of trials for which the projection was made.
        hours: the projected hours.
        actual_hours: the hours that the search took.
        money: the projected money; None if there was no price.
        actual_money: the money that the search cost; None if there was no price.
    """

    done: int
    trials: int
    hours: Interval
    actual_hours: float
    money: Interval | None
    actual_money: float | None

    @property
    def is_within_interval(self) -> bool:
        """Whether the actual hours are in the projected interval."""
        return self.hours.low <= self.actual_hours <= self.hours.high


def review_projections(state: State) -> list[ForecastReview]:
    """Return a review of each projection. The result is empty before the end of the search.

    Projections for another number of trials than the search had are left out, because they cannot be compared with it.
    """
    total = len(_list_inactive_trials(state))
    if not state.end_reason:
        return []
    actual = compute_spending(state)
    return [
        ForecastReview(
            done=data["done"],
            trials=data["trials"],
            hours=Interval(*data["hours"]),
            actual_hours=actual.hours,
            money=Interval(*data["money"]) if data.get("money") else None,
            actual_money=actual.money,
        )
        for data in state.projections
        if data["trials"] == total
    ]


def _list_inactive_trials(state: State) -> list[Trial]:
    return [t for t in state.trials.values() if t.status.ended or t.status is Status.PAUSED]
