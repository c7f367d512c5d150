"""The projected cost of a search, the cost of its improvement, and the ledger of time saved and wasted.

All functions are pure: they read the state that is computed from the journal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.formatting import duration
from ogive.run.prices import Price
from ogive.run.spending import HOUR, compute_spending
from ogive.trial import Report, Status, Trial, select_comparable

if TYPE_CHECKING:
    from ogive.run.state import State

LEVEL = 0.9
"""The probability that the interval of a projection contains the actual value, at least."""

ENOUGH = 10
"""The fewest measured trials for a projection."""

POINT = 0.01
"""A point of a metric, such as a percentage point of an accuracy."""

_NOMINAL = 0.95
"""The nominal level of Student's interval. Durations are skewed, so its actual level is lower: at least `LEVEL`."""


@dataclass(frozen=True)
class Interval:
    """An expected amount, and an interval that contains the actual amount with a probability of at least `LEVEL`."""

    low: float
    expected: float
    high: float

    def scaled_by(self, factor: float) -> Interval:
        """Return the interval of the amount multiplied by `factor`."""
        return Interval(self.low * factor, self.expected * factor, self.high * factor)

    def shifted_by(self, amount: float) -> Interval:
        """Return the interval of the amount plus a known one."""
        return Interval(self.low + amount, self.expected + amount, self.high + amount)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The total cost of a search when `max_trials` trials are done, including what is already spent.

    Attributes:
        done: the number of inactive trials now.
        trials: their number at the end.
        hours, compute_hours: see `ogive.run.spending`.
        money: None if there is no price.
        currency: of the money; empty if there is no price.
        method: how it was computed, for the report.
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


@dataclass(frozen=True)
class Saving:
    """A line of the ledger.

    Attributes:
        what: what saved or wasted the time.
        worker_hours: positive if they were saved, negative if they were wasted.
        money: their price, with the same sign; None if there is no price.
        basis: how the time was counted, for the report.
    """

    what: str
    worker_hours: float
    money: float | None
    basis: str


# -- projected cost --------------------------------------------------------------------------------------------------


def project_cost(state: State, now: float | None = None, price: Price | None = None) -> Projection | None:
    """Return the projected cost of the whole search; None before `ENOUGH` trials were measured.

    The compute time of the remaining trials is that of independent trials with the same distribution as the measured ones
    (see `_sum_interval`). Wall-clock time follows from the share of the reserved time in which workers have computed so far,
    plus the time at the end in which workers run out of trials. Promotions cost as much as those before.

    Args:
        state: of the run.
        now: the clock's time, to include the open session up to it; by default up to the last event.
        price: to use instead of the price that was paid.
    """
    measured = np.array([t.seconds for t in _inactive_trials(state) if not t.cached and t.seconds > 0])
    spent = compute_spending(state, now, price)
    if len(measured) < ENOUGH or spent.worker_hours <= 0 or spent.compute_hours <= 0:
        return None
    done, trials = len(_inactive_trials(state)), max(state.total_trials, len(state.trials))
    if state.end_reason:
        trials = done
    mean = float(measured.mean())
    # A pending trial saves at most the mean: one that takes longer does not make the others shorter.
    pending_seconds = sum(min(state.trials[number].seconds, mean) for number in state.pending)
    compute = _sum_interval(measured, trials - done, pending_seconds).scaled_by(1 / HOUR)
    busy = min(1.0, spent.compute_hours / spent.worker_hours)
    workers = state.session_intervals[-1].workers
    # When no trial is left to start, the workers finish one after another. On average a trial is half done at that time.
    tail = mean / HOUR * (workers - 1) / (2 * workers) if trials > done else 0.0
    wall = compute.scaled_by(1 / (workers * busy)).shifted_by(tail)
    price = price or state.price
    return Projection(
        done=done,
        trials=trials,
        hours=wall.shifted_by(spent.hours),
        compute_hours=compute.shifted_by(spent.compute_hours),
        money=wall.scaled_by(price.rate(state.session_intervals[-1].process_count)).shifted_by(spent.money or 0.0)
        if price
        else None,
        currency=price.currency if price else "",
        method=f"Student's prediction interval from {len(measured)} measured trials, for {trials - done} more like them; "
        f"workers computed {busy:.0%} of the time",
    )


def _sum_interval(measured: FloatArray, count: int, done_seconds: float) -> Interval:
    """Return the interval of the sum of `count` further durations, less `done_seconds` that were already computed.

    Student's prediction interval for the sum of m values, given n measured ones: m x_bar +- t s sqrt(m + m^2 / n) (Hahn and
    Meeker, "Statistical Intervals", 1991, section 4).
    """
    from scipy.special import stdtrit  # the quantile of Student's distribution

    n, mean = len(measured), float(measured.mean())
    spread = float(stdtrit(n - 1, (1 + _NOMINAL) / 2) * measured.std(ddof=1) * math.sqrt(count + count * count / n))
    bounds = [max(0.0, value - done_seconds) for value in (count * mean - spread, count * mean, count * mean + spread)]
    return Interval(*bounds)


@dataclass(frozen=True, kw_only=True)
class ForecastReview:
    """A journalled projection with the actual cost of the search.

    Attributes:
        done: the number of inactive trials at the time of the projection; 0 for a plan.
        trials: the number of trials that it was for.
        hours, money: as projected.
        actual_hours, actual_money: as spent.
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
    """Return the reviews of all projections for the number of trials that the search had; empty before its end."""
    total = len(_inactive_trials(state))
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


# -- cost of the improvement -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The improvement of the first objective, and its cost.

    Attributes:
        metric: the objective's metric.
        start: the median of the first trials, which a search without learning would have.
        best: the best value so far.
        points: their difference in hundredths of the metric's unit, which are percentage points for an accuracy.
        worker_hours, money: spent so far; money is None if there is no price.
        last_point: compute hours from the first trial within one point of the best up to the best; None if the gain is less
            than a point.
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
        """The worker-hours for each point."""
        return self.worker_hours / self.points

    @property
    def money_per_point(self) -> float | None:
        """The money for each point; None if there is no price."""
        return None if self.money is None else self.money / self.points


def compute_gain(state: State, price: Price | None = None, first: int = 10) -> Gain | None:
    """Return the improvement over the first trials, and its cost; None if there is no improvement yet.

    Trials are compared at the highest step that any trial has reached.

    Args:
        state: of the run.
        price: to use instead of the price that was paid.
        first: the number of first trials whose median is the starting value.
    """
    objective = state.objectives[0]
    _, trials = select_comparable(list(state.trials.values()), at_least=1)
    in_order = sorted(
        ((t.reports[-1].time, -objective.cost(t.metrics), t.seconds) for t in trials), key=lambda row: row[0]
    )
    rows = [(merit, seconds) for _, merit, seconds in in_order if math.isfinite(merit)]  # more is better
    if len(rows) <= first:
        return None
    merits = [merit for merit, _ in rows]
    start, best = median(merits[:first]), max(merits)
    points = 100 * (best - start)
    if points <= 0:
        return None
    near = next(i for i, merit in enumerate(merits) if merit >= best - POINT)
    last_point = sum(seconds for _, seconds in rows[near + 1 : merits.index(best) + 1]) / HOUR
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


# -- saved and wasted time -------------------------------------------------------------------------------------------


def compute_ledger(state: State, finals: Sequence[State] = (), price: Price | None = None) -> list[Saving]:
    """Return the worker-hours that were saved (positive) and wasted (negative), without lines that are zero.

    Args:
        state: of the search.
        finals: the runs of full training. With them, the cost of training all trials in full is known.
        price: to use instead of the price that was paid.
    """
    trials = list(state.trials.values())
    # After the end of the search a paused trial is not resumed.
    stopped_statuses = (Status.STOPPED, Status.PAUSED) if state.end_reason else (Status.STOPPED,)
    stopped = [trial for trial in trials if trial.status in stopped_statuses]
    epochs = [report.seconds / steps for trial in trials for report, steps in _epochs(trial) if report.seconds > 0]
    typical = median(epochs) if epochs else 0.0
    failed = [trial for trial in trials if trial.status.failed]
    spent = compute_spending(state, price=price)
    full = int(state.created.get("epochs") or 0)
    idle = sum(session.seconds * session.workers for session in state.session_intervals) - state.compute_seconds
    lines = [
        (
            "early stopping",
            sum(_remaining_seconds(trial, full, typical) for trial in stopped),
            f"{len(stopped)} trials not trained to the end, at their own pace",
        ),
        ("evaluation cache", state.saved_seconds, "what the cached reports took when they were computed"),
        *_saved_by_cheap_evaluation(state, trials, finals),
        ("failures", -sum(t.seconds for t in failed), f"computed in {len(failed)} failed trials"),
        (
            "lost attempts",
            -state.lost_seconds,
            "computed since the last report by attempts that ended without a result",
        ),
        ("repeats", -_repeated_seconds(trials), "computed for architectures that had been evaluated before"),
        ("idle workers", -max(0.0, idle), "reserved, but not computing: starting, waiting, the end of the search"),
    ]
    per_hour = spent.money / spent.worker_hours if spent.money is not None and spent.worker_hours else None
    return [
        Saving(what, seconds / HOUR, None if per_hour is None else seconds / HOUR * per_hour, basis)
        for what, seconds, basis in lines
        if abs(seconds) > 0
    ]


def _remaining_seconds(trial: Trial, full: int, typical: float) -> float:
    """Return the seconds that a trial would have taken up to its last epoch, at its own pace.

    The pace is the median of its epochs without the first, in which a worker may have loaded code and data. If there is only
    one epoch, the pace is at most `typical`.
    """
    epochs = [report.seconds / steps for report, steps in _epochs(trial)]
    if not epochs:
        return 0.0
    pace = median(epochs[1:]) if len(epochs) > 1 else min(epochs[0], typical)
    return max(0, max(full, trial.target_step) - trial.step) * pace


def _epochs(trial: Trial) -> Iterator[tuple[Report, int]]:
    """Yield the reports of a trial, each with the number of epochs since the one before."""
    step = 0
    for report in trial.reports:
        yield report, max(1, report.step - step)
        step = report.step


def _saved_by_cheap_evaluation(
    state: State, trials: Sequence[Trial], finals: Sequence[State]
) -> list[tuple[str, float, str]]:
    """Return what full training of all trials would have cost more than the search and the full training of some."""
    full = [t.seconds for final in finals for t in final.trials.values() if t.status is Status.FINISHED and t.seconds]
    evaluated = [trial for trial in trials if trial.status.ended or trial.status is Status.PAUSED]
    if not full or not evaluated:
        return []
    saved = len(evaluated) * median(full) - state.compute_seconds - sum(final.compute_seconds for final in finals)
    basis = f"{len(evaluated)} full trainings of {duration(median(full))} (median), less the search and full training"
    return [("cheap estimates", saved, basis)]


def _repeated_seconds(trials: Sequence[Trial]) -> float:
    """Return the compute time of trials whose architecture an earlier trial had."""
    ids: set[str] = set()
    seconds = 0.0
    for trial in trials:
        seconds += trial.seconds if trial.architecture.id in ids else 0.0
        ids.add(trial.architecture.id)
    return seconds


def _inactive_trials(state: State) -> list[Trial]:
    return [t for t in state.trials.values() if t.status.ended or t.status is Status.PAUSED]
