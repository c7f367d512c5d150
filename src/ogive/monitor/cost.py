"""What a search is expected to cost, the cost per point gained, and the ledger of hours saved and wasted.

All functions are pure: they read the state that is folded from the journal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.formatting import duration
from ogive.run.prices import Price
from ogive.run.spending import HOUR, spend
from ogive.trial import Report, Status, Trial, comparable

if TYPE_CHECKING:
    from ogive.run.state import State

LEVEL = 0.9
"""What the interval of a projection holds at least, where `Projection.method` applies."""

ENOUGH = 10
"""Measured trials before anything is projected."""

POINT = 0.01
"""A point of a metric: a percentage point of an accuracy."""

_NOMINAL = 0.95
"""The level at which Student's interval is taken: durations are skewed, and it holds less than it says."""


@dataclass(frozen=True)
class Interval:
    """An expected amount, and what it lies in with a probability of at least `LEVEL`."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> Interval:
        return Interval(self.low * factor, self.expected * factor, self.high * factor)

    def plus(self, amount: float) -> Interval:
        return Interval(self.low + amount, self.expected + amount, self.high + amount)


@dataclass(frozen=True)
class Projection:
    """What the whole search will have taken when `max_trials` are done, what is spent already included.

    Attributes:
        done, trials: at rest now, and in the end.
        money: None where there is no price.
        method: how it was computed, and when it holds.
    """

    done: int
    trials: int
    hours: Interval
    compute_hours: Interval
    money: Interval | None
    currency: str
    method: str

    def to_json(self) -> dict[str, Any]:
        """As it is journalled; an interval as [low, expected, high]."""
        data: dict[str, Any] = {"done": self.done, "trials": self.trials, "currency": self.currency}
        for name in ("hours", "compute_hours", "money"):
            value: Interval | None = getattr(self, name)
            data[name] = None if value is None else [value.low, value.expected, value.high]
        return data


@dataclass(frozen=True)
class Saving:
    """A line of the ledger. `worker_hours` is positive where they were saved and negative where they were wasted."""

    what: str
    worker_hours: float
    money: float | None
    basis: str


# -- projected -------------------------------------------------------------------------------------------------------


def projection(state: State, now: float | None = None, price: Price | None = None) -> Projection | None:
    """What the whole search will take; None before `ENOUGH` trials were measured.

    The trials that are left are taken to be like those that were measured, independent and as long: for their sum,
    Student's prediction interval, m x_bar +- t s sqrt(m + m^2 / n) of n measured and m left (Hahn and Meeker,
    "Statistical Intervals", 1991, section 4). The hours follow from the share of the held time in which workers
    computed so far, and the last trials leave workers idle. What a later promotion costs is known from those before.
    """
    measured = np.array([t.seconds for t in _at_rest(state) if not t.cached and t.seconds > 0])
    spent = spend(state, now, price)
    if len(measured) < ENOUGH or spent.worker_hours <= 0 or spent.compute_hours <= 0:
        return None
    done, trials = len(_at_rest(state)), max(state.total, len(state.trials))
    if state.ended:
        trials = done
    mean = float(measured.mean())
    begun = sum(min(state.trials[number].seconds, mean) for number in state.in_flight)  # one that is late saves no time
    left = _sum_of(measured, trials - done, begun).times(1 / HOUR)
    busy = min(1.0, spent.compute_hours / spent.worker_hours)
    workers = state.stretches[-1].workers
    tail = mean / HOUR * (workers - 1) / (2 * workers) if trials > done else 0.0
    wall = left.times(1 / (workers * busy)).plus(tail)
    paid = price or state.price
    return Projection(
        done,
        trials,
        wall.plus(spent.hours),
        left.plus(spent.compute_hours),
        wall.times(paid.rate(state.stretches[-1].paid)).plus(spent.money or 0.0) if paid else None,
        paid.currency if paid else "",
        f"Student's prediction interval from {len(measured)} measured trials, for {trials - done} more like them; "
        f"workers computed {busy:.0%} of the time",
    )


def _sum_of(measured: Any, more: int, begun: float) -> Interval:
    """The sum of `more` further durations, less what of them was computed already."""
    from scipy.special import stdtrit  # the quantile of Student's distribution

    n, mean = len(measured), float(measured.mean())
    spread = float(stdtrit(n - 1, (1 + _NOMINAL) / 2) * measured.std(ddof=1) * math.sqrt(more + more * more / n))
    bounds = [max(0.0, value - begun) for value in (more * mean - spread, more * mean, more * mean + spread)]
    return Interval(*bounds)


@dataclass(frozen=True)
class ForecastReview:
    """A journalled projection against what it came to."""

    done: int
    trials: int
    hours: Interval
    actual_hours: float
    money: Interval | None
    actual_money: float | None

    @property
    def held(self) -> bool:
        """Whether the hours came to lie in the interval."""
        return self.hours.low <= self.actual_hours <= self.hours.high


def reviews(state: State) -> list[ForecastReview]:
    """Projected against actual, after the run: of the projections for as many trials as there came to be."""
    total = len(_at_rest(state))
    if not state.ended:
        return []
    actual = spend(state)
    return [
        ForecastReview(
            data["done"],
            data["trials"],
            Interval(*data["hours"]),
            actual.hours,
            Interval(*data["money"]) if data.get("money") else None,
            actual.money,
        )
        for data in state.projected
        if data["trials"] == total
    ]


# -- for what --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gain:
    """What was gained for what was spent, of the first objective.

    Attributes:
        start: the median of the first values: what an architecture has that nobody searched for.
        best: the best so far.
        points: the difference in hundredths of the metric's unit: percentage points of an accuracy.
        worker_hours, money: spent on the way there; money is None where there is no price.
        last_point: compute hours between the first trial within one point of the best and the best; None where the gain
            is less than a point.
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
        return self.worker_hours / self.points

    @property
    def money_per_point(self) -> float | None:
        return None if self.money is None else self.money / self.points


def gain(state: State, price: Price | None = None, first: int = 10) -> Gain | None:
    """What a point of the first objective cost; None where nothing was gained over the first trials yet.

    Trials are compared at the highest step that any has reached.
    """
    objective = state.objectives[0]
    _, trials = comparable(list(state.trials.values()), at_least=1)
    found = sorted(
        ((t.reports[-1].time, -objective.cost(t.metrics), t.seconds) for t in trials), key=lambda row: row[0]
    )
    rows = [(merit, seconds) for _, merit, seconds in found if math.isfinite(merit)]  # more is better
    if len(rows) <= first:
        return None
    merits = [merit for merit, _ in rows]
    start, best = median(merits[:first]), max(merits)
    points = 100 * (best - start)
    if points <= 0:
        return None
    near = next(i for i, merit in enumerate(merits) if merit >= best - POINT)
    last = sum(seconds for _, seconds in rows[near + 1 : merits.index(best) + 1]) / HOUR
    sign = 1 if objective.goal == "maximize" else -1
    spent = spend(state, price=price)
    return Gain(
        objective.metric,
        sign * start,
        sign * best,
        points,
        spent.worker_hours,
        spent.money,
        last if best - start >= POINT else None,
    )


# -- saved and wasted ------------------------------------------------------------------------------------------------


def ledger(state: State, finals: Sequence[State] = (), price: Price | None = None) -> list[Saving]:
    """What was saved (positive) and wasted (negative), in worker-hours; lines without anything are left out.

    Args:
        state: of the search.
        finals: the runs that trained the best from scratch; with them it is known what full training of all would cost.
        price: instead of the one that was paid.
    """
    trials = list(state.trials.values())
    over = (Status.STOPPED, Status.PAUSED) if state.ended else (Status.STOPPED,)  # a paused trial may go on
    stopped = [trial for trial in trials if trial.status in over]
    epochs = [report.seconds / steps for trial in trials for report, steps in _epochs(trial) if report.seconds > 0]
    typical = median(epochs) if epochs else 0.0
    failed = [trial for trial in trials if trial.status.failed]
    spent = spend(state, price=price)
    full = int(state.created.get("epochs") or 0)
    idle = sum(stretch.seconds * stretch.workers for stretch in state.stretches) - state.seconds
    lines = [
        (
            "early stopping",
            sum(_left(trial, full, typical) for trial in stopped),
            f"{len(stopped)} trials not trained to the end, at their own pace",
        ),
        ("evaluation cache", state.saved, "what the cached reports took when they were computed"),
        *_proxy(state, trials, finals),
        ("failures", -sum(t.seconds for t in failed), f"computed in {len(failed)} failed trials"),
        ("lost attempts", -state.retried, "computed since the last report by attempts that ended without a result"),
        ("repeats", -_repeated(trials), "computed for architectures that had been evaluated before"),
        ("idle workers", -max(0.0, idle), "held, but not computing: starting, waiting, the end of the search"),
    ]
    per_hour = spent.money / spent.worker_hours if spent.money is not None and spent.worker_hours else None
    return [
        Saving(what, seconds / HOUR, None if per_hour is None else seconds / HOUR * per_hour, basis)
        for what, seconds, basis in lines
        if abs(seconds) > 0
    ]


def _left(trial: Trial, full: int, typical: float) -> float:
    """Seconds that the rest of a trial would have taken, at the pace of its own epochs: of the median one without the first,
    in which a worker may have loaded code and data. Of a single epoch no more than a `typical` one of the search counts.
    """
    epochs = [report.seconds / steps for report, steps in _epochs(trial)]
    if not epochs:
        return 0.0
    pace = median(epochs[1:]) if len(epochs) > 1 else min(epochs[0], typical)
    return max(0, max(full, trial.until) - trial.step) * pace


def _epochs(trial: Trial) -> Iterator[tuple[Report, int]]:
    """The reports of a trial, each with the epochs since the one before."""
    step = 0
    for report in trial.reports:
        yield report, max(1, report.step - step)
        step = report.step


def _proxy(state: State, trials: Sequence[Trial], finals: Sequence[State]) -> list[tuple[str, float, str]]:
    full = [t.seconds for final in finals for t in final.trials.values() if t.status is Status.FINISHED and t.seconds]
    tried = [trial for trial in trials if trial.status.ended or trial.status is Status.PAUSED]
    if not full or not tried:
        return []
    saved = len(tried) * median(full) - state.seconds - sum(final.seconds for final in finals)
    basis = f"{len(tried)} full trainings of {duration(median(full))} (median), less the search and the final stage"
    return [("cheap estimates", saved, basis)]


def _repeated(trials: Sequence[Trial]) -> float:
    seen: set[str] = set()
    seconds = 0.0
    for trial in trials:
        seconds += trial.seconds if trial.architecture.id in seen else 0.0
        seen.add(trial.architecture.id)
    return seconds


def _at_rest(state: State) -> list[Trial]:
    return [t for t in state.trials.values() if t.status.ended or t.status is Status.PAUSED]
