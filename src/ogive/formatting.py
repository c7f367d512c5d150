"""Numbers, durations, counts and amounts of money as a reader wants them; all texts of a run are made of these."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


def number(value: float) -> str:
    """Four significant digits, whole numbers and what is ten thousand or more in full: 0.9571, 65,834, 12,346, 1.2e-07."""
    if math.isfinite(value) and (value == round(value) or abs(value) >= 9999.5) and abs(value) < 1e15:
        return f"{round(value):,}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """The two largest units: 0.004 s, 0.4 s, 45 s, 2 min 3 s, 1 h 5 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return f"{seconds} s"
    if seconds < 0.095:
        return f"{max(0.0, seconds):.1g} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, rest_size, rest_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // rest_size
            return f"{whole // size} {unit}" + (f" {rest} {rest_unit}" if rest else "")
    return f"{whole} s"


def plural(count: int, word: str) -> str:
    """`1 trial`, `2 trials`, `1,000 trials`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def trials(numbers: Sequence[int]) -> str:
    """ "trial 3", "trials 3, 4", "trials 3, 4, 5 and 9 more"."""
    more = f" and {len(numbers) - 3:,} more" if len(numbers) > 4 else ""
    first = ", ".join(map(str, numbers[:3] if more else numbers))
    return f"trial{'s' if len(numbers) > 1 else ''} {first}{more}"


def amount(money: float, currency: str = "") -> str:
    """`19.30 USD`; two significant digits where it is less than a cent."""
    shown = f"{money:,.2f}" if abs(money) >= 0.01 or money == 0 else f"{money:.2g}"
    return f"{shown} {currency}".rstrip()


def of_limit(money: float, limit: float, currency: str) -> str:
    """`6.43 of 50 USD`, `6.43 of 50 of money` where the currency is not known."""
    whole = f"{round(limit):,}" if limit == round(limit) else amount(limit)
    return f"{amount(money)} of {whole} {currency or 'of money'}"


def counts(count: Mapping[S, int]) -> str:
    """`3 error, 1 time limit`, the most frequent first; "" where there is none."""
    some = sorted(((n, status.value) for status, n in count.items() if n), key=lambda item: (-item[0], item[1]))
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for n, name in some)


def capitalized(text: str) -> str:
    """A clause as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
