"""The recommendation of a split of the workers, with the reason and the certainty in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ogive.formatting import duration
from ogive.planner.machine import MachineFit
from ogive.planner.plan import SplitForecast
from ogive.planner.simulated_split import WorkerSplit
from ogive.planner.split_forecasts import MAX_NEAR_RATIO, Searches

MAX_TIME_RATIO = 1.5
"""A slower split with better architectures is preferred if it takes at most this multiple of the time."""
SIGNIFICANCE = 0.01
"""The significance level of the test for better architectures."""
MAX_TIE_RATIO = 1.01
"""Splits whose expected times differ by at most this factor are equally fast; then the time to the target regret decides."""


def recommend_split(
    rows: Sequence[SplitForecast], searches: Searches, fitted: MachineFit
) -> tuple[WorkerSplit, str, str]:
    """Return the recommended split, the reason for the recommendation, and its certainty.

    The recommended split is the fastest of those splits for which no other split finds significantly better architectures.
    Of several such splits that are equally fast, the one that reaches the target regret first is recommended.

    Args:
        rows: the forecast for each split.
        searches: the simulated searches of each split.
        fitted: the machine and its uncertainty.
    """
    contenders = [row for row in rows if not _finds_worse_architectures(row, rows, searches)]
    best = min(contenders, key=lambda row: row.seconds.expected)
    ties = [
        row
        for row in contenders
        if row.seconds.expected <= MAX_TIE_RATIO * best.seconds.expected and row.regret_seconds
    ]
    # Splits are equally fast, for example, if a budget of hours ends all searches.
    if best.regret_seconds is None or len(ties) > 1:
        best = min(ties or [best], key=lambda row: row.regret_seconds.expected if row.regret_seconds else math.inf)
    if len(rows) == 1:
        reason = f"{duration(best.seconds.expected)}; it is the only split that can be forecast"
        certainty = (
            "how the time of an epoch depends on the number of workers of a trial was not measured"
            if fitted.has_one_size
            else "there is no other split"
        )
        return best.split, reason, certainty
    return best.split, _format_reason(best, rows, contenders), _format_certainty(best, contenders, fitted)


def _format_reason(best: SplitForecast, rows: Sequence[SplitForecast], contenders: Sequence[SplitForecast]) -> str:
    """Return the reason for the split `best`, as a clause.

    Args:
        best: the forecast for the recommended split.
        rows: the forecasts for all splits.
        contenders: the forecasts for the splits for which no other split finds significantly better architectures.
    """
    slowest = max(row.seconds.expected for row in rows)
    factor = slowest / best.seconds.expected
    others = (
        f"compared with {duration(slowest)} for the slowest split ({factor:.2g} times as long)"
        if factor >= MAX_NEAR_RATIO
        else "about the same as every other split"
    )
    reason = f"{duration(best.seconds.expected)}, {others}"
    if any(row.seconds.expected < best.seconds.expected for row in contenders):
        reason += "; of the splits that take about as long, this split reaches the target regret first"
    worse = [row for row in rows if row not in contenders]
    if worse:
        reason += f"; {', '.join(str(row.split) for row in worse)} would find worse architectures"
    return reason


def _format_certainty(best: SplitForecast, contenders: Sequence[SplitForecast], fitted: MachineFit) -> str:
    """Return the certainty of the recommendation of `best`, as a clause.

    Args:
        best: the forecast for the recommended split.
        contenders: the forecasts for the splits for which no other split finds significantly better architectures.
        fitted: the machine and its uncertainty.
    """
    nearness = f"within {MAX_NEAR_RATIO - 1:.0%} of the fastest with a probability of {format_probability(best.near)}"
    if any(row.seconds.expected < best.seconds.expected for row in contenders):
        certainty = f"it is {nearness}"
    else:
        certainty = f"it is the fastest with a probability of {format_probability(best.fastest)}, and {nearness}"
    if best.beyond:
        workers = best.split.workers_per_trial
        certainty += f"; its {workers} workers per trial are more than were measured ({fitted.measured[-1]})"
    rivals = [row for row in contenders if row is not best and row.near >= 0.5]
    if rivals:
        certainty += f"; {', '.join(str(row.split) for row in rivals[:3])} may be as fast"
    return certainty


def format_probability(share: float) -> str:
    """Return a probability in per cent. It is never 0% or 100%, because it is computed from a limited number of draws."""
    return "over 99%" if share > 0.99 else "below 1%" if share < 0.01 else f"{share:.0%}"


def _finds_worse_architectures(row: SplitForecast, rows: Sequence[SplitForecast], searches: Searches) -> bool:
    """Return whether another split finds significantly better architectures in at most `MAX_TIME_RATIO` times the time."""
    from scipy.special import stdtr

    regrets = np.array([simulated.final_regret for simulated in searches[row.split]])
    for other in rows:
        if other.seconds.expected > MAX_TIME_RATIO * row.seconds.expected:
            continue
        # A one-sided t-test of the final regrets, paired by seed, with Bonferroni's correction for the number of
        # comparisons.
        differences = regrets - np.array([simulated.final_regret for simulated in searches[other.split]])
        n = len(regrets)
        if n >= 3 and differences.mean() > 0 and np.ptp(differences) > 0:
            t = float(differences.mean() / differences.std(ddof=1) * math.sqrt(n))
            if stdtr(n - 1, -t) < SIGNIFICANCE / (len(rows) - 1):
                return True
    return False
