"""Numbers, durations and counts as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ogive.trial import Status, Trial


def number(value: float) -> str:
    """Four significant digits; whole numbers in full: 0.9571, 65,834, 1.2e-07."""
    if math.isfinite(value) and value == round(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """The two largest units: 0.004 s, 0.4 s, 45 s, 2 min 3 s, 1 h 5 min, 3 d 4 h."""
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


def counts(count: Mapping[Status, int]) -> str:
    """`3 error, 1 time limit`, the most frequent first; "" where there is none."""
    some = sorted(((n, status.value) for status, n in count.items() if n), key=lambda item: (-item[0], item[1]))
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for n, name in some)


def shown_metrics(trial: Trial, first: Sequence[str]) -> dict[str, float]:
    """The metrics `first`, then the number of parameters where it is known."""
    metrics = trial.metrics
    return {name: metrics[name] for name in dict.fromkeys([*first, "parameters"]) if name in metrics}
