"""The comparison of a running search with the forecast of its plan: pure functions of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ogive.formatting import duration, plural
from ogive.monitor.cost import Interval
from ogive.run.spending import HOUR
from ogive.run.state import State

SLACK = 1.1
"""A deviation from the expected time by less than this factor is ignored, however narrow the interval is."""


@dataclass(frozen=True, kw_only=True)
class PlannedDuration:
    """The forecast of the plan that a run was started with.

    Attributes:
        seconds: of the whole search.
        trials: the number of trials.
        split: the parallel trials and the workers of each, in words.
        start_up: seconds of the start of a worker.
        epoch: seconds of an epoch, on average.
        pace: (number of reports, seconds until then), in ascending order.
    """

    seconds: Interval
    trials: int
    split: str
    start_up: Interval
    epoch: Interval
    pace: tuple[tuple[int, Interval], ...]


@dataclass(frozen=True, kw_only=True)
class PlanComparison:
    """The progress of a search compared with its forecast.

    Attributes:
        forecast: of the plan.
        reports: the number of reports so far, without those of the cache.
        seconds: the time so far, of all sessions, including their start.
        expected: the forecast of that time.
        bounds: seconds below which the search is faster than planned, and above which it is slower.
        epoch: seconds of an epoch so far, on average; None before the first report.
    """

    forecast: PlannedDuration
    reports: int
    seconds: float
    expected: Interval
    bounds: tuple[float, float]
    epoch: float | None

    @property
    def verdict(self) -> str | None:
        """ "slower" or "faster" than planned; None if the time is within the bounds."""
        low, high = self.bounds
        return "slower" if self.seconds > high else "faster" if self.seconds < low else None

    @property
    def total(self) -> float:
        """Seconds of the whole search at the present pace. Before the first report only the start is late."""
        whole, expected = self.forecast.seconds.expected, self.expected.expected
        return whole * self.seconds / expected if self.reports and expected > 0 else whole + self.seconds - expected

    @property
    def so_far(self) -> str:
        """The time so far and its forecast, in words."""
        expected = duration(self.expected.expected)
        if not self.reports:
            return f"no report came in {duration(self.seconds)}, the forecast for the start was {expected}"
        return f"{plural(self.reports, 'report')} took {duration(self.seconds)}, the forecast was {expected}"


def planned_duration(state: State) -> PlannedDuration | None:
    """Return the forecast in a run's journal.

    Returns:
        None if the run was started without a plan, or if its number of trials or workers has changed since then.
    """
    data = next((data for data in state.projections if "plan" in data), None)
    if data is None:
        return None
    plan = data["plan"]
    split = (plan["parallel_trials"], plan["workers_per_trial"])
    each = state.settings.get("threads") if plan["unit"] == "threads" else state.settings.get("workers_per_trial", 1)
    if state.settings["max_trials"] != data["trials"] or (state.settings["workers"], each or split[1]) != split:
        return None
    return PlannedDuration(
        seconds=Interval(*data["hours"]).scaled_by(HOUR),
        trials=data["trials"],
        split=f"{split[0]} x {split[1]} {plan['unit']}",
        start_up=Interval(*plan["start_up"]),
        epoch=Interval(*plan["epoch"]),
        pace=tuple((int(point[0]), Interval(*point[1:])) for point in plan["pace"]),
    )


def compare_with_plan(state: State, now: float | None = None) -> PlanComparison | None:
    """Return the comparison of a search with its plan so far; None without a forecast, or before any time has passed.

    Progress is measured in reports, because their number only increases under every schedule.

    Args:
        state: of the run.
        now: the clock's time, to include the open session up to it; by default up to the last event.
    """
    forecast = planned_duration(state)
    if forecast is None or not forecast.pace:
        return None
    reports = sum(len(trial.reports) for trial in state.trials.values() if not trial.cached)
    # The plan has one session. Each further one starts its workers again.
    restarts = max(0, len(state.session_intervals) - 1) * forecast.start_up.expected
    seconds = (
        state.elapsed_seconds + (max(0.0, now - state.time) if now is not None and state.is_open else 0.0) - restarts
    )
    if seconds <= 0:
        return None
    epoch = state.compute_seconds / reports if reports else None
    # The search is late if the next point of the forecast is overdue, and early if the last one it has passed was not due.
    next_point = (
        forecast.seconds if state.end_reason else next((i for n, i in forecast.pace if n > reports), forecast.seconds)
    )
    passed = [interval.low for number, interval in forecast.pace if number <= reports]
    low = forecast.seconds.low if state.end_reason else passed[-1] if passed else 0.0
    expected = _expected_seconds(forecast, reports)
    bounds = min(low, expected.expected / SLACK), max(next_point.high, expected.expected * SLACK)
    return PlanComparison(
        forecast=forecast, reports=reports, seconds=seconds, expected=expected, bounds=bounds, epoch=epoch
    )


def _expected_seconds(forecast: PlannedDuration, reports: int) -> Interval:
    """Return the forecast of the time until this many reports, interpolated between the points of the forecast."""
    previous_number, previous = 0, forecast.start_up
    for number, interval in forecast.pace:
        if reports <= number:
            share = (reports - previous_number) / (number - previous_number)
            return _interpolate(previous, interval, share)
        previous_number, previous = number, interval
    return previous.scaled_by(reports / previous_number)


def _interpolate(a: Interval, b: Interval, share: float) -> Interval:
    pairs: Any = zip((a.low, a.expected, a.high), (b.low, b.expected, b.high), strict=True)
    return Interval(*(x + share * (y - x) for x, y in pairs))
