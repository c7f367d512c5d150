"""Tests of whether a series of rewards still rises: the statistics of the stop rules "converged" and "no_trend".

Rewards are numbers [n], one for each trial, in the order in which the trials became inactive. More is better.

**Convergence** has two conditions. Each is tested like the generations in Wagner, Trautmann and Naujoks, "OCD: Online
Convergence Detection for Evolutionary Multi-Objective Algorithms Based on Statistical Testing" (EMO 2009), but without the
assumption of normality, because rewards have a long tail of poor architectures.

- *The growth has fallen.* The best of a search is one of its rewards, so the growth of the rewards is tested: by Mann's test
  for trend (Mann, "Nonparametric Tests Against Trend", Econometrica 1945, with Kendall's tau) of the recent rewards minus a
  line. The rejected hypothesis is that rewards still rise at a third (`PACE`) of their earlier pace. In addition, the recent
  rise of the running best must be so small that at this pace another n trials would add at most a tenth (`GAIN`)
  of its total gain.
- *The spread has fallen.* The absolute deviations from the median of the recent rewards and of the first fifth are compared
  by the Mann-Whitney test (Levene's test with the median of Brown and Forsythe, and ranks instead of the t distribution).

Both hypotheses must be rejected, each at its full level (an intersection-union test: Berger, Technometrics 1982). The
running best alone would be too weak: of exchangeable rewards, the n-th is a new best with probability 1/n, so none of the
trials m + 1 ... n is one with probability m/n (Renyi 1962), and a rejection at 5 % would take twenty times the trials.

**No trend** is a statement about the size of a trend, and not only the failure to find one: the upper 95 % limit of
Kendall's tau between reward and index is below `SMALL_TAU`, and the recent rewards are not better than the first ones.

**Repeated tests.** A test after every trial would reject sooner or later by chance. Tests are therefore made at a geometric
sequence of numbers of trials only (`last_look`): 21 tests up to 300 trials, 40 up to 2,000, and 57 up to 10,000, each of
which shares most of its data with the one before. The levels below are those of one test. The rate of false stops of the
whole sequence has no closed form; it was measured (`benchmarks/stopping.py`, docs/measured.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ogive.arrays import FloatArray
from ogive.stats.trend_tests import mann_kendall, mann_whitney

Best = Callable[[int], float]
"""The running best after k trials, k = 1 ... n; more is better."""

FIRST_LOOK = 40
LOOK_RATIO = 1.1
WINDOWS = (5, 4, 3, 2)
"""The recent rewards are the last fifth, fourth, third or half. Noisy rewards need a longer window."""
SMALLEST_WINDOW = 20
PACE = 1 / 3
GAIN = 0.1
GROWTH_LEVEL = 0.005
SPREAD_LEVEL = 0.01

ENOUGH_FOR_TREND = 500
SMALL_TAU = 0.1
CONFIDENT = 1.645
"""The 95 % quantile of the normal distribution."""


def last_look(trials: int, first: int = FIRST_LOOK) -> int:
    """Return the largest number of trials, up to `trials`, at which a test is made; 0 before the first."""
    look = 0
    next_look = first
    while next_look <= trials:
        look, next_look = next_look, math.ceil(next_look * LOOK_RATIO)
    return look


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The result of the tests for convergence in the last `window` of n rewards.

    Attributes:
        window: the number of recent rewards.
        rise: of the median, from the first fifth to the window.
        growth_p: the p-value of Mann's test. If it is small, rewards rise at less than `PACE` of their earlier pace.
        gain: what the running best gains in n more trials at the pace of the window, as a share of its gain so far; NaN
            if it has not gained anything.
        spread_first, spread: the median absolute deviations of the first fifth and of the window.
        spread_p: the p-value of the Mann-Whitney test. If it is small, the spread has fallen.
    """

    window: int
    rise: float
    growth_p: float
    gain: float
    spread_first: float
    spread: float
    spread_p: float

    @property
    def growth_fell(self) -> bool:
        """Whether the growth has fallen."""
        return self.growth_p < GROWTH_LEVEL and self.gain <= GAIN

    @property
    def spread_fell(self) -> bool:
        """Whether the spread has fallen."""
        return self.spread_p < SPREAD_LEVEL

    @property
    def converged(self) -> bool:
        """Whether both have fallen."""
        return self.growth_fell and self.spread_fell


def convergence(rewards: FloatArray, best: Best, start: float) -> Convergence:
    """Test `rewards` [n], n at least 40, for convergence.

    Args:
        rewards: in the order of the trials.
        best: the running best.
        start: the value from which the running best rises.

    Returns:
        The result for the first of `WINDOWS` that shows convergence, or for the one that is closest to it. Windows of fewer
        than `SMALLEST_WINDOW` rewards are not tested.
    """
    results = []
    for window in (len(rewards) // share for share in WINDOWS):
        if window < SMALLEST_WINDOW:
            continue
        results.append(_test_window(rewards, window, best, start))
        if results[-1].converged:
            return results[-1]
    return min(results, key=lambda r: max(r.growth_p / GROWTH_LEVEL, r.spread_p / SPREAD_LEVEL))


def _test_window(rewards: FloatArray, window: int, best: Best, start: float) -> Convergence:
    n = len(rewards)
    first, recent = rewards[: max(2, n // WINDOWS[0])], rewards[n - window :]
    # Growth: the earlier pace is the rise of the median per trial, between the middles of the first fifth and the window.
    # A line that rises at a third of it is subtracted from the recent rewards: if the difference falls, they rise more
    # slowly.
    rise = float(np.median(recent) - np.median(first))
    growth_p = 1.0
    if rise > 0:
        earlier_pace = rise / (n - window / 2 - len(first) / 2)
        _, growth_p = mann_kendall(recent - PACE * earlier_pace * np.arange(window))
    # Spread: compare the absolute deviations from the medians.
    first_deviations, recent_deviations = (np.abs(part - np.median(part)) for part in (first, recent))
    # Gain: extrapolate the rise of the running best in the window to n more trials.
    total_gain = best(n) - start
    gain = (best(n) - best(n - window)) / total_gain * n / window if total_gain > 0 else math.nan
    return Convergence(
        window=window,
        rise=rise,
        growth_p=growth_p,
        gain=gain,
        spread_first=float(np.median(first_deviations)),
        spread=float(np.median(recent_deviations)),
        spread_p=mann_whitney(first_deviations, recent_deviations),
    )


@dataclass(frozen=True)
class Trend:
    """The trend of a series of rewards.

    Attributes:
        tau: Kendall's correlation of reward and index.
        upper: its upper 95 % limit.
        better_p: the p-value of the Mann-Whitney test that the last fifth is better than the first rewards (as many, at most
            `FIRST_LOOK`).
    """

    tau: float
    upper: float
    better_p: float

    @property
    def absent(self) -> bool:
        """Whether there is no trend, or only a very small one."""
        return self.upper < SMALL_TAU and self.better_p > 0.05


def trend(rewards: FloatArray) -> Trend:
    """Return the trend of `rewards` [n], n at least 10. If all are equal, tau is 0."""
    n = len(rewards)
    tau, _ = mann_kendall(rewards)
    # The variance of tau without a trend, which is a good approximation for a small tau (Kendall 1938).
    error = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    recent = rewards[n - n // WINDOWS[0] :]
    better = mann_whitney(recent, rewards[: min(FIRST_LOOK, n // WINDOWS[0])])
    return Trend(tau, tau + CONFIDENT * error, better)
