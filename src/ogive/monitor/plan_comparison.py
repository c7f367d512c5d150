"""The comparison of a running search with the forecast of its plan: pure functions of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ogive.formatting import duration, plural
from ogive.monitor.cost import Interval
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.run.state import State

TOLERANCE = 1.1
"""A deviation from the expected time by less than this factor is ignored, even if the forecast's interval is narrower."""


@dataclass(frozen=True, kw_only=True)
class PlanForecast:
    """The forecast in the plan that a run was started with.

    Attributes:
        seconds: the duration of the whole search.
        trials: the number of trials of the search.
        split: the parallel trials and the workers per trial, such as "4 x 2 GPUs".
        start_up: the seconds until a worker has started.
        epoch: the mean seconds of an epoch.
        pace: pairs of a number of reports and the seconds until that report, in ascending order.
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
        forecast: the forecast in the plan.
        reports: the number of reports so far, without reports from the evaluation cache.
        seconds: the seconds of all sessions so far. The start of workers is included once, as in the plan.
        forecast_seconds: the forecast of `seconds`, for the same number of reports.
        bounds: the seconds below which the search is faster than planned, and above which it is slower.
        epoch_seconds: the mean seconds of an epoch so far; None before the first report.
    """

    forecast: PlanForecast
    reports: int
    seconds: float
    forecast_seconds: Interval
    bounds: tuple[float, float]
    epoch_seconds: float | None

    @property
    def verdict(self) -> str | None:
        """Whether the search is "slower" or "faster" than planned; None if its time is within the bounds."""
        low, high = self.bounds
        return "slower" if self.seconds > high else "faster" if self.seconds < low else None

    @property
    def total(self) -> float:
        """The seconds of the whole search at the present pace."""
        planned_total, planned_so_far = self.forecast.seconds.expected, self.forecast_seconds.expected
        if self.reports and planned_so_far > 0:
            return planned_total * self.seconds / planned_so_far
        # Before the first report, a delay concerns only the start of the workers, and not the pace of the trials.
        return planned_total + self.seconds - planned_so_far

    @property
    def so_far(self) -> str:
        """The time so far and its forecast, in words."""
        expected = duration(self.forecast_seconds.expected)
        if not self.reports:
            return (
                f"no report came in {duration(self.seconds)}, the forecast for the start of the workers was {expected}"
            )
        return f"{plural(self.reports, 'report')} took {duration(self.seconds)}, the forecast was {expected}"


def read_plan_forecast(state: State) -> PlanForecast | None:
    """Return the forecast of the plan that a run was started with.

    Returns:
        The forecast; None if the run has no plan, or if its number of trials or workers was changed since.
    """
    data = next((data for data in state.projections if "plan" in data), None)
    if data is None:
        return None
    plan = data["plan"]
    split = (plan["parallel_trials"], plan["workers_per_trial"])
    settings = state.settings
    per_trial = settings.get("threads") if plan["unit"] == "threads" else settings.get("workers_per_trial", 1)
    # A missing number of threads counts as unchanged.
    if settings["max_trials"] != data["trials"] or (settings["workers"], per_trial or split[1]) != split:
        return None
    return PlanForecast(
        seconds=Interval(*data["hours"]).scaled_by(SECONDS_PER_HOUR),
        trials=data["trials"],
        split=f"{split[0]} x {split[1]} {plan['unit']}",
        start_up=Interval(*plan["start_up"]),
        epoch=Interval(*plan["epoch"]),
        pace=tuple((int(point[0]), Interval(*point[1:])) for point in plan["pace"]),
    )


def compare_with_plan(state: State, now: float | None = None) -> PlanComparison | None:
    """Return the comparison of a search with its plan; None without a forecast, or before any time has passed.

    The progress of a search is its number of reports, which grows steadily under every schedule. The number of ended trials
    does not, because schedules pause trials and resume them later.

    Args:
        state: the state of the run.
        now: the clock's time, to include the open session up to it; by default up to the last event.
    """
    forecast = read_plan_forecast(state)
    if forecast is None or not forecast.pace:
        return None
    reports = sum(len(trial.reports) for trial in state.trials.values() if not trial.cached)
    # The plan assumes one session. Each further session starts its workers again; this time is subtracted.
    restart_seconds = max(0, len(state.session_intervals) - 1) * forecast.start_up.expected
    open_seconds = max(0.0, now - state.time) if now is not None and state.is_open else 0.0
    seconds = state.elapsed_seconds + open_seconds - restart_seconds
    if seconds <= 0:
        return None
    # The search is late if it has not reached the next point of the forecast by the upper bound of that point. It is early
    # if it has reached the previous point before its lower bound.
    previous_point, next_point = _find_neighbours(forecast, reports)
    if state.end_reason:
        previous_point = next_point = forecast.seconds
    low = 0.0 if previous_point is None else previous_point.low
    forecast_seconds = _interpolate_seconds(forecast, reports)
    expected = forecast_seconds.expected
    return PlanComparison(
        forecast=forecast,
        reports=reports,
        seconds=seconds,
        forecast_seconds=forecast_seconds,
        bounds=(min(low, expected / TOLERANCE), max(next_point.high, expected * TOLERANCE)),
        epoch_seconds=state.compute_seconds / reports if reports else None,
    )


def _find_neighbours(forecast: PlanForecast, reports: int) -> tuple[Interval | None, Interval]:
    """Return the forecasts at the points of the forecast before and after a number of reports.

    Before the first point, the previous forecast is None. After the last point, the next point is the end of the search.
    """
    reached = [interval for number, interval in forecast.pace if number <= reports]
    ahead = [interval for number, interval in forecast.pace if number > reports]
    return (reached[-1] if reached else None), (ahead[0] if ahead else forecast.seconds)


def _interpolate_seconds(forecast: PlanForecast, reports: int) -> Interval:
    """Return the forecast of the seconds until a number of reports, interpolated between the points of the forecast.

    Beyond the last point, the seconds grow in proportion to the number of reports.
    """
    previous_number, previous = 0, forecast.start_up
    for number, interval in forecast.pace:
        if reports <= number:
            share = (reports - previous_number) / (number - previous_number)
            return _interpolate(previous, interval, share)
        previous_number, previous = number, interval
    return previous.scaled_by(reports / previous_number)


def _interpolate(a: Interval, b: Interval, share: float) -> Interval:
    """Return the interval between `a` (share 0) and `b` (share 1)."""
    pairs: Any = zip((a.low, a.expected, a.high), (b.low, b.expected, b.high), strict=True)
    return Interval(*(x + share * (y - x) for x, y in pairs))
