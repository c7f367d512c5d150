"""What a plan foretold of a search, against what happens: pure over the journal's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ogive.formatting import duration, plural
from ogive.monitor.cost import Interval
from ogive.run.spending import HOUR
from ogive.run.state import State

SLACK = 1.1
"""A search that takes so many times as long, or as short, as was expected is no news, however narrow the interval."""


@dataclass(frozen=True)
class PlannedDuration:
    """The forecast that a run was begun with.

    Attributes:
        seconds: of the whole search.
        trials: that it is about.
        split: parallel trials and workers of each, in words.
        start_up, epoch: seconds of a worker's start, and of an epoch on average.
        pace: (reports, when so many have come) in order of reports.
    """

    seconds: Interval
    trials: int
    split: str
    start_up: Interval
    epoch: Interval
    pace: tuple[tuple[int, Interval], ...]


@dataclass(frozen=True)
class PlanComparison:
    """Where a search is, against its forecast.

    Attributes:
        forecast: of the plan.
        reports: that have come; of the cache's none counts.
        seconds: that they took, all sessions together, start-up included.
        expected: what they were to take.
        bounds: seconds below which the search is faster than was foretold, and above which it is slower.
        epoch: seconds of an epoch so far, on average; None before the first.
    """

    forecast: PlannedDuration
    reports: int
    seconds: float
    expected: Interval
    bounds: tuple[float, float]
    epoch: float | None

    @property
    def verdict(self) -> str:
        """ "slower" or "faster" than the interval says; "" where the plan holds."""
        low, high = self.bounds
        return "slower" if self.seconds > high else "faster" if self.seconds < low else ""

    @property
    def total(self) -> float:
        """Seconds of the whole search, were it to go on as it has; before the first report only its start is late."""
        whole, due = self.forecast.seconds.expected, self.expected.expected
        return whole * self.seconds / due if self.reports and due > 0 else whole + self.seconds - due

    @property
    def so_far(self) -> str:
        """Where it is, in words."""
        came = f"{plural(self.reports, 'report')} took" if self.reports else "no report came in"
        what = "was foretold" if self.reports else "was foretold for the start"
        return f"{came} {duration(self.seconds)}, {duration(self.expected.expected)} {what}"


def forecast_of(state: State) -> PlannedDuration | None:
    """The forecast in a run's journal; None where it was begun without a plan, or with other trials or workers than now."""
    data = next((data for data in state.projected if "plan" in data), None)
    if data is None:
        return None
    plan = data["plan"]
    split = (plan["parallel_trials"], plan["workers_per_trial"])
    each = state.settings.get("threads") if plan["unit"] == "threads" else state.settings.get("workers_per_trial", 1)
    if state.settings["max_trials"] != data["trials"] or (state.settings["workers"], each or split[1]) != split:
        return None
    return PlannedDuration(
        Interval(*data["hours"]).times(HOUR),
        data["trials"],
        f"{split[0]} x {split[1]} {plan['unit']}",
        Interval(*plan["start_up"]),
        Interval(*plan["epoch"]),
        tuple((int(point[0]), Interval(*point[1:])) for point in plan["pace"]),
    )


def compare_with_plan(state: State, now: float | None = None) -> PlanComparison | None:
    """Forecast against fact, as far as the search has come; None where there is no forecast, or nothing to compare yet.

    Reports are what progress is counted in: under every schedule there are only more of them.

    Args:
        state: of the run.
        now: the clock's time, to count the open session up to it; by default up to the last event.
    """
    forecast = forecast_of(state)
    if forecast is None or not forecast.pace:
        return None
    reports = sum(len(trial.reports) for trial in state.trials.values() if not trial.cached)
    more = (
        max(0, len(state.stretches) - 1) * forecast.start_up.expected
    )  # every further session starts its workers again
    seconds = state.elapsed + (max(0.0, now - state.time) if now is not None and state.open else 0.0) - more
    if seconds <= 0:
        return None
    epoch = state.seconds / reports if reports else None
    due = forecast.seconds if state.ended else next((i for n, i in forecast.pace if n > reports), forecast.seconds)
    passed = [interval.low for number, interval in forecast.pace if number <= reports]
    low = forecast.seconds.low if state.ended else passed[-1] if passed else 0.0
    expected = _expected(forecast, reports)
    bounds = min(low, expected.expected / SLACK), max(due.high, due.expected * SLACK)
    return PlanComparison(forecast, reports, seconds, expected, bounds, epoch)


def _expected(forecast: PlannedDuration, reports: int) -> Interval:
    """When so many reports were to have come: between the points that were foretold, in proportion."""
    before, start = 0, forecast.start_up
    for number, interval in forecast.pace:
        if reports <= number:
            share = (reports - before) / (number - before)
            return _mix(start, interval, share)
        before, start = number, interval
    return start.times(reports / before)


def _mix(a: Interval, b: Interval, share: float) -> Interval:
    pairs: Any = zip((a.low, a.expected, a.high), (b.low, b.expected, b.high), strict=True)
    return Interval(*(x + share * (y - x) for x, y in pairs))
