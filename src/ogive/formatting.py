"""Texts for numbers, durations, counts and amounts of money, in the units that people read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


def number(value: float) -> str:
    """Return `value` with four significant digits: 0.9571, 1.2e-07.

    Whole numbers, and numbers that round to 10,000 or more, are written as whole numbers: 65,834 and 12,346. From 1e15 on,
    all numbers have four significant digits.
    """
    if math.isfinite(value) and (value == round(value) or abs(value) >= 9999.5) and abs(value) < 1e15:
        return f"{round(value):,}"
    return f"{value:.4g}"


def rounded_amount(value: float, unit: str = "") -> str:
    """Return `value` >= 0 with three significant digits and an SI prefix: 532, 12.3 k, 4.21 M; 1.2 GB with the unit B."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")):
        # 999.6 k rounds to 1 M, not to 1,000 k.
        if value >= 0.9995 * size:
            return f"{float(f'{value / size:.3g}'):g} {prefix}{unit}".rstrip()
    return f"{value:.3g} {unit}".rstrip()


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 0.004 s, 0.4 s, 45 s, 2 min 3 s, 1 h 5 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return f"{seconds} s"
    # Below 0.095 and 9.95 the shown digits do not round up to 0.1 and 10.
    if seconds < 0.095:
        return f"{max(0.0, seconds):.1g} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    for size, unit, small_size, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if rounded >= size:
            remainder = rounded % size // small_size
            return f"{rounded // size} {unit}" + (f" {remainder} {small_unit}" if remainder else "")
    return f"{rounded} s"


def duration_of_hours(hours: float) -> str:
    """Return a duration, given in hours, like `duration`."""
    return duration(3600.0 * hours)


def interval(expected: float, low: float, high: float, text_of: Callable[[float], str]) -> str:
    """Return an amount with its bounds: `45 s (40 s to 51 s)`; without them if both have the same text."""
    bounds = text_of(low), text_of(high)
    return text_of(expected) + (f" ({bounds[0]} to {bounds[1]})" if bounds[0] != bounds[1] else "")


def plural(count: int, word: str) -> str:
    """Return a count with its noun: `1 trial`, `2 trials`, `1,000 trials`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def trials(numbers: Sequence[int]) -> str:
    """Return a list of trials as text: "trial 3", "trials 3, 4" or, for more than four, "trials 3, 4, 5 and 9 more"."""
    more = f" and {len(numbers) - 3:,} more" if len(numbers) > 4 else ""
    listed = ", ".join(map(str, numbers[:3] if more else numbers))
    return f"trial{'s' if len(numbers) > 1 else ''} {listed}{more}"


def amount(money: float, currency: str = "") -> str:
    """Return an amount of money: `19.30 USD`. Amounts below 0.1 have three significant digits."""
    digits = f"{money:,.2f}" if abs(money) >= 0.1 or money == 0 else f"{money:.3g}"
    return f"{digits} {currency}".rstrip()


def amount_of_limit(money: float, limit: float, currency: str) -> str:
    """Return an amount with its limit: `6.43 of 50 USD`, or `6.43 of 50 of money` if the currency is unknown."""
    limit_digits = f"{round(limit):,}" if limit == round(limit) else amount(limit)
    return f"{amount(money)} of {limit_digits} {currency or 'of money'}"


def nonzero_counts(counts: Mapping[S, int]) -> str:
    """Return the counts above 0, the largest first: `3 error, 1 time limit`; an empty text if all counts are 0."""
    nonzero = sorted(((n, status.value) for status, n in counts.items() if n), key=lambda item: (-item[0], item[1]))
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for n, name in nonzero)


def as_sentence(text: str) -> str:
    """Return a clause as a sentence: capitalized, with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
