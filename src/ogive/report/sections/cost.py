"""What the search cost, what it will cost, for what, and what was saved and wasted."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.document.blocks import Block, Keys, Section, Table, Text
from ogive.formatting import amount, duration, number, plural
from ogive.monitor.cost import (
    Interval,
    Projection,
    Saving,
    gain,
    ledger,
    projection,
    reviews,
)
from ogive.monitor.cost_text import plan_line
from ogive.report.subject import Subject
from ogive.run.spending import HOUR, Spending, spend_by

TITLE = "Cost and savings"


def section(subject: Subject) -> Section:
    state = subject.state
    if not state.stretches:
        return Section("cost", TITLE, [Text("No session of a controller was recorded, so nothing was spent.")])
    lines = spend_by({"search": state, **subject.finals})
    blocks: list[Block] = [_spent(lines)]
    if state.price is None:
        blocks.append(
            Text(
                "There is no price, so hours are not told as money; `price` in the job, or in `ogive replay`, gives one.",
                soft=True,
            )
        )
    else:
        blocks.append(Text(f"Price: {state.price}.", soft=True))
    foretold = plan_line(state)
    if foretold:
        blocks.append(Text(f"Plan: {foretold}."))
    blocks += [*_projected(subject), *_reviewed(subject), *_gained(subject)]
    blocks += _ledger(ledger(state, list(subject.finals.values())), state.price.currency if state.price else "")
    return Section("cost", TITLE, blocks)


def money(value: float | None, currency: str) -> str:
    """`12.40 USD`; "" where there is no price."""
    return "" if value is None else amount(value, currency)


def _spent(lines: Sequence[Spending]) -> Table:
    priced = any(line.money is not None for line in lines)
    head = ["stage", "device", "workers", "on the clock", "held by workers", "computed", *(["money"] if priced else [])]
    rows = [
        (
            line.stage,
            line.device,
            f"{line.workers}",
            duration(HOUR * line.hours),
            duration(HOUR * line.worker_hours),
            duration(HOUR * line.compute_hours),
            *([money(line.money, line.currency)] if priced else []),
        )
        for line in lines
    ]
    return Table(head, rows, frozenset({1}))


def _hours(interval: Interval) -> str:
    return f"{duration(HOUR * interval.expected)} ({duration(HOUR * interval.low)} to {duration(HOUR * interval.high)})"


def _amount(interval: Interval, currency: str) -> str:
    return f"{money(interval.expected, currency)} ({amount(interval.low)} to {amount(interval.high)})"


def projected_text(found: Projection) -> str:
    """What the whole search will take, in a sentence."""
    paid = f", {_amount(found.money, found.currency)}" if found.money is not None else ""
    return f"All {plural(found.trials, 'trial')} will take {_hours(found.hours)}{paid}."


def _projected(subject: Subject) -> list[Block]:
    if subject.state.ended:
        return []
    found = projection(subject.state)
    if found is None:
        return [Text("Nothing is projected: too few trials were measured yet.", soft=True)]
    return [Text(f"{projected_text(found)} ({found.method}.)")]


def _reviewed(subject: Subject) -> list[Block]:
    found = reviews(subject.state)
    if not found:
        why = "no projection for as many trials as there came to be was journalled" if subject.state.ended else ""
        return [Text(f"Projected against actual: {why}.", soft=True)] if why else []
    rows = [
        (
            f"after {plural(review.done, 'trial')}" if review.done else "before the start, by the plan",
            _hours(review.hours),
            duration(HOUR * review.actual_hours),
            "yes" if review.held else "no",
        )
        for review in found
    ]
    return [
        Text("Projected against actual, hours on the clock:"),
        Table(["projected", "expected", "actual", "within"], rows),
    ]


def _gained(subject: Subject) -> list[Block]:
    found = gain(subject.state)
    if found is None:
        return [Text("Cost of a point: nothing was gained over the first trials yet.", soft=True)]
    rows: list[tuple[str, object]] = [
        (f"median {found.metric} of the first trials", number(found.start)),
        (f"best {found.metric}", number(found.best)),
        ("gain in hundredths", number(found.points)),
        ("worker time for each hundredth", duration(HOUR * found.hours_per_point)),
    ]
    if found.money_per_point is not None:
        rows.append(
            (
                "money for each hundredth",
                money(found.money_per_point, subject.state.price.currency if subject.state.price else ""),
            )
        )
    if found.last_point:
        rows.append(("compute for the last hundredth", duration(HOUR * found.last_point)))
    return [Keys(rows)]


def _ledger(lines: Sequence[Saving], currency: str) -> list[Block]:
    if not lines:
        return [
            Text("The ledger of savings is empty: nothing was stopped early, cached, repeated or failed.", soft=True)
        ]
    priced = any(line.money is not None for line in lines)
    head = ["saved or wasted", "worker time", *(["money"] if priced else []), "what is counted"]
    rows = [
        (
            line.what,
            f"{'saved' if line.worker_hours > 0 else 'wasted'} {duration(HOUR * abs(line.worker_hours))}",
            *([money(line.money, currency)] if priced else []),
            line.basis,
        )
        for line in lines
    ]
    return [Table(head, rows, frozenset({len(head) - 1}))]
