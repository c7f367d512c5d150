"""The recommendation of a split of the workers, with the reason and the certainty in words.

The *contenders* are the splits for which no other split finds significantly better architectures in at most `MAX_TIME_RATIO`
times the time. The fastest contender is recommended.
"""

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
MIN_RIVAL_PROBABILITY, MAX_RIVALS = 0.5, 3
"""A contender "may be as fast" if it is near the fastest with at least this probability; at most `MAX_RIVALS` are named."""
MIN_PAIRS = 3
"""Splits are tested for better architectures only if at least this number of seeds was simulated."""


def recommend_split(
    forecasts: Sequence[SplitForecast], searches: Searches, fitted: MachineFit
) -> tuple[WorkerSplit, str, str]:
    """Return the recommended split, the reason for the recommendation, and its certainty.

    The recommended split is the fastest contender. Of several contenders that are equally fast, for example because a budget
    of hours ends all searches, it is the one that reaches the target regret first.

    Args:
        forecasts: the forecast for each split.
        searches: the simulated searches of each split.
        fitted: the machine and its uncertainty.
    """
    contenders = [forecast for forecast in forecasts if not _finds_worse_architectures(forecast, forecasts, searches)]
    best = min(contenders, key=lambda forecast: forecast.seconds.expected)
    # Splits without `regret_seconds` reach the target in fewer than half of the simulations, so they win no tie.
    ties = [
        forecast
        for forecast in contenders
        if forecast.seconds.expected <= MAX_TIE_RATIO * best.seconds.expected and forecast.regret_seconds
    ]
    if ties:
        best = min(ties, key=lambda forecast: forecast.regret_seconds.expected if forecast.regret_seconds else math.inf)
    if len(forecasts) == 1:
        reason = f"{duration(best.seconds.expected)}; it is the only split that can be forecast"
        certainty = (
            "how the time of an epoch depends on the number of workers of a trial was not measured"
            if fitted.has_one_size
            else "there is no other split"
        )
        return best.split, reason, certainty
    return best.split, _format_reason(best, forecasts, contenders), _format_certainty(best, contenders, fitted)


def _format_reason(best: SplitForecast, forecasts: Sequence[SplitForecast], contenders: Sequence[SplitForecast]) -> str:
    """Return the reason for the split `best`, as a clause.

    Args:
        best: the forecast for the recommended split.
        forecasts: the forecasts for all splits.
        contenders: the forecasts for the contenders, as defined at the top of this module.
    """
    slowest = max(forecast.seconds.expected for forecast in forecasts)
    factor = slowest / best.seconds.expected
    others = (
        f"compared with {duration(slowest)} for the slowest split ({factor:.2g} times as long)"
        if factor >= MAX_NEAR_RATIO
        else "about the same as every other split"
    )
    reason = f"{duration(best.seconds.expected)}, {others}"
    if any(forecast.seconds.expected < best.seconds.expected for forecast in contenders):
        reason += "; of the splits that take about as long, this split reaches the target regret first"
    worse = [forecast for forecast in forecasts if forecast not in contenders]
    if worse:
        reason += f"; {', '.join(str(forecast.split) for forecast in worse)} would find worse architectures"
    return reason


def _format_certainty(best: SplitForecast, contenders: Sequence[SplitForecast], fitted: MachineFit) -> str:
    """Return the certainty of the recommendation of `best`, as a clause.

    Args:
        best: the forecast for the recommended split.
        contenders: the forecasts for the contenders, as defined at the top of this module.
        fitted: the machine and its uncertainty.
    """
    near_probability, fastest_probability = format_probability(best.near), format_probability(best.fastest)
    nearness = f"within {MAX_NEAR_RATIO - 1:.0%} of the fastest with a probability of {near_probability}"
    if any(forecast.seconds.expected < best.seconds.expected for forecast in contenders):
        certainty = f"it is {nearness}"
    else:
        certainty = f"it is the fastest with a probability of {fastest_probability}, and {nearness}"
    if best.beyond:
        workers = best.split.workers_per_trial
        certainty += f"; its {workers} workers per trial are more than were measured ({fitted.measured[-1]})"
    rivals = [forecast for forecast in contenders if forecast is not best and forecast.near >= MIN_RIVAL_PROBABILITY]
    if rivals:
        certainty += f"; {', '.join(str(forecast.split) for forecast in rivals[:MAX_RIVALS])} may be as fast"
    return certainty


def format_probability(share: float) -> str:
    """Return a probability in per cent. It is never 0% or 100%, because it is computed from a limited number of draws."""
    return "over 99%" if share > 0.99 else "below 1%" if share < 0.01 else f"{share:.0%}"


def _finds_worse_architectures(forecast: SplitForecast, forecasts: Sequence[SplitForecast], searches: Searches) -> bool:
    """Return whether another split finds significantly better architectures in at most `MAX_TIME_RATIO` times the time."""
    from scipy.special import stdtr

    regrets = np.array([simulated.final_regret for simulated in searches[forecast.split]])
    for other in forecasts:
        if other.seconds.expected > MAX_TIME_RATIO * forecast.seconds.expected:
            continue
        # A one-sided t-test of the final regrets, paired by seed, with Bonferroni's correction for the number of
        # comparisons.
        differences = regrets - np.array([simulated.final_regret for simulated in searches[other.split]])
        n = len(regrets)
        # Without variance there is no test; this also leaves out the comparison of the split with itself.
        if n >= MIN_PAIRS and differences.mean() > 0 and np.ptp(differences) > 0:
            t = float(differences.mean() / differences.std(ddof=1) * math.sqrt(n))
            if stdtr(n - 1, -t) < SIGNIFICANCE / (len(forecasts) - 1):
                return True
    return False
