"""What a run costs, what is to be expected, what the stop rules say and which alerts there were, in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ogive.formatting import amount, duration, number, of_limit
from ogive.monitor import cost, plan_comparison
from ogive.monitor.stop_rules import StopVerdict
from ogive.run import spending
from ogive.run.settings import Settings
from ogive.run.state import State

HOUR = 3600.0
Line = tuple[str, str]


def spent_line(state: State, now: float | None = None) -> str:
    """`1 h 5 min (36% of 3 h), 6.43 of 50 USD (13%)`."""
    settings, spent = Settings.from_json(state.settings), spending.spend(state, now)
    share = f" ({spent.hours / settings.hours:.0%} of {duration(settings.hours * HOUR)})" if settings.hours else ""
    text = f"{duration(spent.hours * HOUR)}{share}"
    if spent.money is not None:
        paid = amount(spent.money, spent.currency)
        if settings.money is not None:
            paid = f"{of_limit(spent.money, settings.money, spent.currency)} ({spent.money / settings.money:.0%})"
        text += f", {paid}"
    return text


def projected_line(found: cost.Projection | None) -> str:
    """`2 h 58 min (2 h 40 min to 3 h 20 min), 19.30 USD (17.10 to 22.40)`, or "" where nothing can be said."""
    if found is None:
        return ""
    text = f"{duration(found.hours.expected * HOUR)} {_between(found.hours, lambda x: duration(x * HOUR))}"
    if found.money is not None:
        text += f", {amount(found.money.expected, found.currency)} {_between(found.money, lambda x: amount(x))}"
    return text


def _between(interval: cost.Interval, say: Any) -> str:
    return f"({say(interval.low)} to {say(interval.high)})"


def cost_lines(found: dict[str, State], now: float | None = None) -> list[Line]:
    """Everything about cost that can be said of a run and its second stage, a label and a text each."""
    state = found["search"]
    settings = Settings.from_json(state.settings)
    told = state.price is not None or settings.budget is not None  # else there is nothing beside the time to be said
    lines = [("spent", spent_line(state, now))] if told else []
    by = spending.spend_by(found, now)
    if len(by) > 1:
        lines += [(f"  {line.stage}", _stage(line)) for line in by]
    if state.price is not None:
        lines.append(("price", str(state.price)))
    expected = cost.projection(state, now)
    if expected is not None and not state.ended and expected.done < expected.trials:
        lines.append(("projected", f"{projected_line(expected)}; {cost.LEVEL:.0%} interval"))
    foretold = plan_line(state, now)
    if foretold:
        lines.append(("plan", foretold))
    lines += [("projected" if review.done else "plan", _review(review)) for review in cost.reviews(state)]
    gained = cost.gain(state)
    if gained is not None:
        lines.append(("a point", _gain(gained)))
    ledger = cost.ledger(state, [final for stage, final in found.items() if stage != "search"])
    lines += _ledger("saved", [line for line in ledger if line.worker_hours > 0])
    return lines + _ledger("wasted", [line for line in ledger if line.worker_hours < 0])


def plan_line(state: State, now: float | None = None) -> str:
    """How a search that goes on stands against the plan it was begun with; "" where there is none."""
    found = None if state.ended else plan_comparison.compare_with_plan(state, now)
    if found is None:
        return ""
    foretold = found.forecast
    between = _between(foretold.seconds, duration)
    whole = f"{duration(foretold.seconds.expected)} {between} foretold with {foretold.split}"
    verdict = f"it does not hold, the search is {found.verdict}" if found.verdict else "it holds"
    return f"{whole}; {found.so_far}: {verdict}"


def _stage(line: spending.Spending) -> str:
    money = "" if line.money is None else f", {amount(line.money, line.currency)}"
    computing = f"{duration(line.compute_hours * HOUR)} of {duration(line.worker_hours * HOUR)} held computing"
    return f"{duration(line.hours * HOUR)} on {line.device}, {computing}{money}"


def _review(review: cost.ForecastReview) -> str:
    verdict = "held" if review.held else "did not hold"
    interval = _between(review.hours, lambda x: duration(x * HOUR))
    when = f"after {review.done} of {review.trials} trials" if review.done else f"of {review.trials} trials, foretold"
    return (
        f"{when} {duration(review.hours.expected * HOUR)} {interval}; "
        f"it took {duration(review.actual_hours * HOUR)}: the interval {verdict}"
    )


def _gain(gained: cost.Gain) -> str:
    money = f", {amount(gained.money_per_point)}" if gained.money_per_point is not None else ""
    last = f"; the last point took {duration(gained.last_point * HOUR)} of computing" if gained.last_point else ""
    return (
        f"of {gained.metric}, from {number(gained.start)} (median of the first trials) to {number(gained.best)}: "
        f"{duration(gained.hours_per_point * HOUR)} of worker time{money}{last}"
    )


def _ledger(word: str, lines: Sequence[cost.Saving]) -> list[Line]:
    shown = [line for line in lines if abs(line.worker_hours) * HOUR >= 0.1]
    return (
        [(word, "; ".join(f"{line.what} {duration(abs(line.worker_hours) * HOUR)}" for line in shown))] if shown else []
    )


def advice_lines(verdicts: Sequence[StopVerdict]) -> list[Line]:
    """What each stop rule says: first those that say stop."""
    ordered = sorted(verdicts, key=lambda verdict: not verdict.stop)
    return [("STOP" if v.stop else "go on", f"{v.rule.replace('_', ' ')}: {v.reason}") for v in ordered]


def alert_lines(state: State) -> list[Line]:
    """The alerts, the last ones first."""
    when = [time.strftime("%Y-%m-%d %H:%M", time.localtime(alert.time)) for alert in state.alerts]
    return [(a.severity, f"{at}: {a.message}") for a, at in reversed(list(zip(state.alerts, when, strict=True)))]


def cost_json(found: dict[str, State], now: float | None = None) -> dict[str, Any]:
    """The same numbers for scripts."""
    state = found["search"]
    expected, gained = cost.projection(state, now), cost.gain(state)
    finals = [final for stage, final in found.items() if stage != "search"]
    settings = Settings.from_json(state.settings)
    return {
        "budget": {"hours": settings.hours, "money": settings.money},
        "spent": asdict(spending.spend(state, now)),
        "by_stage_and_device": [asdict(line) for line in spending.spend_by(found, now)],
        "price": state.price.to_json() if state.price else None,
        "projected": {**expected.to_json(), "method": expected.method} if expected else None,
        "projected_against_actual": [{**asdict(review), "held": review.held} for review in cost.reviews(state)],
        "plan": plan_json(state, now),
        "gain": asdict(gained) if gained else None,
        "ledger": [asdict(line) for line in cost.ledger(state, finals)],
    }


def plan_json(state: State, now: float | None = None) -> dict[str, Any] | None:
    """Forecast against fact for scripts; None where the search was begun without a plan."""
    found = plan_comparison.compare_with_plan(state, now)
    if found is None:
        return None
    own = {name: getattr(found, name) for name in ("reports", "seconds", "epoch", "verdict", "total")}
    return {**own, "expected": asdict(found.expected), "foretold": asdict(found.forecast)}
