"""Texts for `ogive status`: the spending of a run, its projection, the verdicts of the stop rules, and the alerts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ogive.formatting import amount, amount_of_limit, duration, duration_of_hours, interval, number, plural
from ogive.monitor import cost, plan_comparison
from ogive.monitor.gain import Gain, compute_gain
from ogive.monitor.ledger import LedgerLine, compute_ledger
from ogive.monitor.stop_rules import StopVerdict
from ogive.run import spending
from ogive.run.settings import Settings
from ogive.run.state import State

Line = tuple[str, str]
"""A label and the text beside it."""


def format_spending(state: State, now: float | None = None) -> str:
    """Return the time and money that were spent, such as `1 h 5 min (36% of 3 h), 6.43 of 50 USD (13%)`."""
    settings, spent = Settings.from_json(state.settings), spending.compute_spending(state, now)
    share = f" ({spent.hours / settings.hours:.0%} of {duration_of_hours(settings.hours)})" if settings.hours else ""
    text = f"{duration_of_hours(spent.hours)}{share}"
    return text if spent.money is None else f"{text}, {format_money_spent(spent, settings)}"


def format_money_spent(spent: spending.Spending, settings: Settings) -> str:
    """Return the money that was spent: `6.43 of 50 USD (13%)`, or `6.43 USD` without a limit. It must not be None."""
    assert spent.money is not None
    if settings.money is None:
        return amount(spent.money, spent.currency)
    return f"{amount_of_limit(spent.money, settings.money, spent.currency)} ({spent.money / settings.money:.0%})"


def format_projection(projection: cost.Projection) -> str:
    """Return a projection with its intervals.

    For example: `2 h 58 min (2 h 40 min to 3 h 20 min), 19.30 (17.10 to 22.40) USD`.
    """
    hours, money = projection.hours, projection.money
    text = interval(hours.expected, hours.low, hours.high, duration_of_hours)
    if money is None:
        return text
    return f"{text}, {interval(money.expected, money.low, money.high, amount)} {projection.currency}".rstrip()


def list_cost_lines(states: dict[str, State], now: float | None = None) -> list[Line]:
    """Return all lines about the spending of a run and of its full training.

    Args:
        states: the state of each stage; the stage "search" is required.
        now: the clock's time, to include the open session up to it; by default up to the last event.
    """
    state = states["search"]
    settings = Settings.from_json(state.settings)
    # Without a price and a budget, the line "spent" would only repeat the line "time" of `ogive status`.
    has_spending_line = state.price is not None or settings.budget is not None
    lines = [("spent", format_spending(state, now))] if has_spending_line else []
    by_stage = spending.compute_spending_by_device(states, now)
    if len(by_stage) > 1:
        lines += [(f"  {line.stage}", _format_stage(line)) for line in by_stage]
    if state.price is not None:
        lines.append(("price", str(state.price)))
    projection = cost.project_cost(state, now)
    if projection is not None and not state.end_reason and projection.done < projection.trials:
        lines.append(("projected", f"{format_projection(projection)}; {cost.INTERVAL_LEVEL:.0%} interval"))
    plan = format_plan_comparison(state, now)
    if plan is not None:
        lines.append(("plan", plan))
    lines += [
        ("projected" if review.done else "plan", _format_review(review)) for review in cost.review_projections(state)
    ]
    gain = compute_gain(state)
    if gain is not None:
        lines.append(("gain", _format_gain(gain, spending.compute_spending(state).currency)))
    ledger = compute_ledger(state, [final for stage, final in states.items() if stage != "search"])
    lines += _format_ledger("saved", [line for line in ledger if line.worker_hours > 0])
    return lines + _format_ledger("wasted", [line for line in ledger if line.worker_hours < 0])


def format_plan_comparison(state: State, now: float | None = None) -> str | None:
    """Return how a running search compares with the plan that it was started with; None if there is no plan."""
    comparison = None if state.end_reason else plan_comparison.compare_with_plan(state, now)
    if comparison is None:
        return None
    seconds = comparison.forecast.seconds
    forecast = (
        f"forecast {interval(seconds.expected, seconds.low, seconds.high, duration)} with {comparison.forecast.split}"
    )
    verdict = f"the search is {comparison.verdict} than planned" if comparison.verdict else "the plan holds"
    return f"{forecast}; {comparison.so_far}: {verdict}"


def _format_stage(line: spending.Spending) -> str:
    """Return the spending of one stage on one device."""
    money = "" if line.money is None else f", {amount(line.money, line.currency)}"
    reserved = duration_of_hours(line.worker_hours)
    computing = (
        f"workers computed for {duration_of_hours(line.compute_hours)} of the {reserved} that they were reserved"
    )
    return f"{duration_of_hours(line.hours)} on {line.device}, {computing}{money}"


def _format_review(review: cost.ForecastReview) -> str:
    """Return a projection and the hours that the search took instead."""
    hours = interval(review.hours.expected, review.hours.low, review.hours.high, duration_of_hours)
    # Without inactive trials, the projection is the forecast of the plan, from before the search.
    forecast = f"forecast {hours} for {plural(review.trials, 'trial')}"
    if review.done:
        forecast = f"{hours} after {review.done} of {plural(review.trials, 'trial')}"
    verdict = "within" if review.is_within_interval else "outside"
    return f"{forecast}; it took {duration_of_hours(review.actual_hours)}, {verdict} the interval"


def _format_gain(gain: Gain, currency: str) -> str:
    money = f" and {amount(gain.money_per_point, currency)}" if gain.money_per_point is not None else ""
    last_point_text = (
        f"; the last point took {duration_of_hours(gain.last_point)} of computing" if gain.last_point else ""
    )
    return (
        f"{gain.metric} from {number(gain.start)} (median of the first trials) to {number(gain.best)}: a point took "
        f"{duration_of_hours(gain.hours_per_point)} of worker time{money}{last_point_text}"
    )


def _format_ledger(label: str, lines: Sequence[LedgerLine]) -> list[Line]:
    """Return one line with all entries of at least 0.1 s; an empty list if there are no such entries."""
    texts = [f"{s.label} {duration_of_hours(abs(s.worker_hours))}" for s in lines if 3600 * abs(s.worker_hours) >= 0.1]
    return [(label, "; ".join(texts))] if texts else []


def list_verdict_lines(verdicts: Sequence[StopVerdict]) -> list[Line]:
    """Return the verdict of each stop rule; rules that say stop come first."""
    # False sorts before True.
    ordered = sorted(verdicts, key=lambda verdict: not verdict.stop)
    return [("STOP" if v.stop else "continue", f"{v.rule.replace('_', ' ')}: {v.reason}") for v in ordered]


def list_alert_lines(state: State) -> list[Line]:
    """Return the alerts with their times, the latest first."""
    lines = []
    for alert in reversed(state.alerts):
        moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(alert.time))
        lines.append((alert.severity, f"{moment}: {alert.message}"))
    return lines


def make_cost_json(states: dict[str, State], now: float | None = None) -> dict[str, Any]:
    """Return the numbers of `list_cost_lines` for `ogive status --json`."""
    state = states["search"]
    projection, gain = cost.project_cost(state, now), compute_gain(state)
    finals = [final for stage, final in states.items() if stage != "search"]
    settings = Settings.from_json(state.settings)
    return {
        "budget": {"hours": settings.hours, "money": settings.money},
        "spent": asdict(spending.compute_spending(state, now)),
        "by_stage_and_device": [asdict(line) for line in spending.compute_spending_by_device(states, now)],
        "price": state.price.to_json() if state.price else None,
        "projected": {**projection.to_json(), "method": projection.method} if projection else None,
        "projected_against_actual": [
            {**asdict(review), "is_within_interval": review.is_within_interval}
            for review in cost.review_projections(state)
        ],
        "plan": make_plan_json(state, now),
        "gain": asdict(gain) if gain else None,
        "ledger": [asdict(line) for line in compute_ledger(state, finals)],
    }


def make_plan_json(state: State, now: float | None = None) -> dict[str, Any] | None:
    """Return the comparison with the plan for `ogive status --json`; None if the search was started without a plan."""
    comparison = plan_comparison.compare_with_plan(state, now)
    if comparison is None:
        return None
    return {
        "reports": comparison.reports,
        "seconds": comparison.seconds,
        "epoch": comparison.epoch_seconds,
        "verdict": comparison.verdict or "",
        "total": comparison.total,
        "expected": asdict(comparison.forecast_seconds),
        "forecast": asdict(comparison.forecast),
    }
