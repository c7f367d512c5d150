"""The section about cost: the spending so far, the projection, the cost of the gain, and the hours saved and wasted."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.document.blocks import Block, NamedValues, Section, Table, Text
from ogive.formatting import amount, as_sentence, duration_of_hours, interval, number, plural
from ogive.monitor.cost import Projection, project_cost, review_projections
from ogive.monitor.cost_text import format_plan_comparison, format_projection
from ogive.monitor.gain import compute_gain
from ogive.monitor.ledger import LedgerLine, compute_ledger
from ogive.report.subject import Subject
from ogive.run.spending import Spending, compute_spending_by_device

TITLE = "Cost and savings"


def build_section(subject: Subject) -> Section:
    state = subject.state
    if not state.session_intervals:
        return Section("cost", TITLE, [Text("No session was recorded, so nothing was spent.")])
    lines = compute_spending_by_device({"search": state, **subject.later_states})
    blocks: list[Block] = [_spending_table(lines)]
    if state.price is None:
        blocks.append(Text("No price is known; set `price` in the job, or pass it to `ogive replay`.", soft=True))
    else:
        blocks.append(Text(f"Price: {state.price}.", soft=True))
    plan = format_plan_comparison(state)
    if plan:
        blocks.append(Text(f"Plan: {plan}."))
    blocks += [*_projection(subject), *_projection_reviews(subject), *_cost_of_gain(subject)]
    savings = compute_ledger(state, list(subject.later_states.values()))
    blocks += _savings_table(savings, state.price.currency if state.price else "")
    return Section("cost", TITLE, blocks)


def format_money(value: float | None, currency: str) -> str:
    """Return an amount of money such as `12.40 USD`; "" for None, if there is no price."""
    return "" if value is None else amount(value, currency)


def _spending_table(lines: Sequence[Spending]) -> Table:
    """Return the table of the time and the money that each stage spent on each device."""
    has_price = any(line.money is not None for line in lines)
    head = ["stage", "device", "workers", "time", "worker time", "compute", *(["money"] if has_price else [])]
    rows = [
        (
            line.stage,
            line.device,
            f"{line.workers}",
            duration_of_hours(line.hours),
            duration_of_hours(line.worker_hours),
            duration_of_hours(line.compute_hours),
            *([format_money(line.money, line.currency)] if has_price else []),
        )
        for line in lines
    ]
    note = (
        "Worker time is the time for which workers were reserved, busy or not. Compute is the time in which they computed "
        "trials."
    )
    return Table(head, rows, frozenset({1}), note=note)


def describe_projection(projected: Projection) -> str:
    """Return a clause about the time and the money that the whole search is expected to take."""
    return f"all {plural(projected.trials, 'trial')} are expected to take {format_projection(projected)}"


def _projection(subject: Subject) -> list[Block]:
    if subject.state.end_reason:
        return []
    projected = project_cost(subject.state)
    if projected is None:
        return [Text("There is no projection yet: too few trials were measured.", soft=True)]
    return [Text(f"{as_sentence(describe_projection(projected))} ({projected.method}.)")]


def _projection_reviews(subject: Subject) -> list[Block]:
    """Return the table that compares the projections made during the search with the actual time."""
    projections = review_projections(subject.state)
    if not projections:
        if not subject.state.end_reason:
            return []
        return [Text("No projection during the search was for the actual number of trials.", soft=True)]
    rows = [
        (
            f"after {plural(review.done, 'trial')}" if review.done else "by the plan, before the start",
            interval(review.hours.expected, review.hours.low, review.hours.high, duration_of_hours),
            duration_of_hours(review.actual_hours),
            "yes" if review.is_within_interval else "no",
        )
        for review in projections
    ]
    return [
        Text("Projected and actual time of the search:"),
        Table(["projected", "expected", "actual", "within the interval"], rows),
    ]


def _cost_of_gain(subject: Subject) -> list[Block]:
    """Return how much better the best trial is than the first trials, and the time and money for each 0.01 of it."""
    gained = compute_gain(subject.state)
    if gained is None:
        reason = (
            "The cost of a gain is unknown: too few trials have reached the highest step, or the best of them is not better "
            "than the median of the first ten."
        )
        return [Text(reason, soft=True)]
    rows: list[tuple[str, object]] = [
        (f"median {gained.metric} of the first trials", number(gained.start)),
        (f"best {gained.metric}", number(gained.best)),
        ("gain, in units of 0.01", number(gained.points)),
        ("worker time for each 0.01", duration_of_hours(gained.hours_per_point)),
    ]
    if gained.money_per_point is not None:
        currency = subject.state.price.currency if subject.state.price else ""
        rows.append(("money for each 0.01", format_money(gained.money_per_point, currency)))
    if gained.last_point:
        rows.append(("compute time for the last 0.01", duration_of_hours(gained.last_point)))
    return [NamedValues(rows)]


def _savings_table(lines: Sequence[LedgerLine], currency: str) -> list[Block]:
    """Return the table of savings; worker-hours above 0 were saved, below 0 wasted."""
    if not lines:
        text = "Nothing was saved or wasted: no trial was stopped early, cached, repeated or failed."
        return [Text(text, soft=True)]
    has_price = any(line.money is not None for line in lines)
    head = ["saved or wasted", "worker time", *(["money"] if has_price else []), "what is counted"]
    rows = [
        (
            line.label,
            f"{'saved' if line.worker_hours > 0 else 'wasted'} {duration_of_hours(abs(line.worker_hours))}",
            *([format_money(line.money, currency)] if has_price else []),
            line.basis,
        )
        for line in lines
    ]
    return [Table(head, rows, frozenset({len(head) - 1}))]
