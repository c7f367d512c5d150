"""Tests of whether a series of rewards still rises: the statistics of the stop rules "converged" and "no_trend".

Rewards are numbers [n], one for each trial, in the order in which the trials became inactive. More is better.

**Convergence** has two conditions. They are tested as in Wagner, Trautmann and Naujoks, "OCD: Online Convergence Detection
for Evolutionary Multi-Objective Algorithms Based on Statistical Testing" (EMO 2009), with trials instead of generations.
Rewards have a long tail of poor architectures, so the tests do not assume a normal distribution.

- *The growth has fallen.* The null hypothesis is that rewards still rise at a third (`PACE_SHARE`) of their earlier pace. A
  line with this slope is subtracted from the recent rewards, and Mann's test (Mann, "Nonparametric Tests Against Trend",
  Econometrica 1945, with Kendall's tau) shows whether the differences fall. In addition, the recent rise of the running best
  must be small: at this pace, another n trials would add at most a tenth (`SMALL_GAIN`) of its total gain.
- *The spread has fallen.* The absolute deviations from the median are compared between the recent rewards and the first
  fifth by the Mann-Whitney test. This is Levene's test with the median (Brown and Forsythe), but with ranks.

Both null hypotheses must be rejected, each at its full level (an intersection-union test: Berger, Technometrics 1982).

A test of the running best alone would be too weak. If rewards have no trend, the n-th reward is a new best with probability
1/n (Renyi 1962), so the probability that there is no new best among the trials m + 1 ... n is m/n. A rejection at the level
of 5% would need m/n < 0.05, which means twenty times as many trials.

**No trend** is a statement about the size of a trend, and not only the failure to find one. It has two conditions: the upper
95% limit of Kendall's tau between reward and index is below `SMALL_TAU`, and the recent rewards are not better than the
first ones.

**Repeated tests.** A test after every trial would reject sooner or later by chance. Tests are therefore made only at a
geometric sequence of numbers of trials (`count_trials_at_latest_test`): 21 tests up to 300 trials, 40 up to 2,000, and 57 up
to 10,000. Each test shares most of its data with the previous one. The levels below are for a single test. The rate of
false stops of the whole sequence has no closed form; it was measured (`benchmarks/stopping.py`, docs/measured.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ogive.arrays import FloatArray
from ogive.stats.trend_tests import mann_kendall, mann_whitney

RunningBest = Callable[[int], float]
"""A function that returns the best value after k trials, k = 1 ... n; more is better."""

FIRST_TEST_TRIALS = 40
"""The first test is made at this number of inactive trials."""
TEST_RATIO = 1.1
"""Each further test is made at the previous number of trials multiplied by this ratio, rounded up."""
WINDOW_DIVISORS = (5, 4, 3, 2)
"""The recent rewards are the last fifth, fourth, third or half. Noisy rewards need a longer window."""
MIN_WINDOW = 20
"""Windows of fewer rewards are not tested."""
PACE_SHARE = 1 / 3
"""The growth has fallen if rewards rise at less than this share of their earlier pace."""
SMALL_GAIN = 0.1
"""The growth has fallen only if the running best would gain at most this share of its gain so far in n more trials."""
GROWTH_LEVEL = 0.005
"""The significance level of the test of the growth."""
SPREAD_LEVEL = 0.01
"""The significance level of the test of the spread."""

MIN_TREND_REWARDS = 500
"""With fewer rewards, the rule "no_trend" makes no statement."""
SMALL_TAU = 0.1
"""A trend is too small to matter if Kendall's tau is below this value."""
NORMAL_QUANTILE = 1.645
"""The 95% quantile of the normal distribution."""
BETTER_LEVEL = 0.05
"""The significance level of the test of whether the recent rewards are better than the first ones."""


def count_trials_at_latest_test(trials: int, first: int = FIRST_TEST_TRIALS) -> int:
    """Return the number of trials at the latest test that is due after `trials` trials; 0 before the first test.

    Args:
        trials: the present number of inactive trials.
        first: the number of trials at which the first test is made.
    """
    latest = 0
    following = first
    while following <= trials:
        latest, following = following, math.ceil(following * TEST_RATIO)
    return latest


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The result of the tests for convergence in the last `window` of n rewards.

    Attributes:
        window: the number of recent rewards.
        rise: the median of the window minus the median of the first fifth.
        growth_p: the p-value of Mann's test. If it is small, rewards rise at less than `PACE_SHARE` of their earlier pace.
        gain: the expected gain of the running best in n more trials at the pace of the window, as a share of its gain so
            far; NaN if it has not gained anything so far.
        spread_first: the median absolute deviation of the first fifth.
        spread: the median absolute deviation of the window.
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
    def has_growth_fallen(self) -> bool:
        """Whether the growth has fallen."""
        return self.growth_p < GROWTH_LEVEL and self.gain <= SMALL_GAIN

    @property
    def has_spread_fallen(self) -> bool:
        """Whether the spread has fallen."""
        return self.spread_p < SPREAD_LEVEL

    @property
    def has_converged(self) -> bool:
        """Whether both the growth and the spread have fallen."""
        return self.has_growth_fallen and self.has_spread_fallen


def assess_convergence(rewards: FloatArray, best_after: RunningBest, starting_best: float) -> Convergence:
    """Test a series of rewards for convergence.

    Args:
        rewards: the rewards [n] in the order of the trials, n at least 40.
        best_after: a function that returns the running best after k trials.
        starting_best: the value of the running best from which its gain is measured; see `ogive.monitor.rewards.Rewards`.

    Returns:
        The result for the shortest window that shows convergence. If no window does, the result for the window whose
        p-values are closest to their levels.
    """
    results = []
    # Test the shortest window first, because it depends least on rewards from before the convergence.
    for window in (len(rewards) // divisor for divisor in WINDOW_DIVISORS):
        if window < MIN_WINDOW:
            continue
        results.append(_test_window(rewards, window, best_after, starting_best))
        if results[-1].has_converged:
            return results[-1]
    return min(results, key=lambda r: max(r.growth_p / GROWTH_LEVEL, r.spread_p / SPREAD_LEVEL))


def _test_window(rewards: FloatArray, window: int, best_after: RunningBest, starting_best: float) -> Convergence:
    """Return the results of all tests for the last `window` of the rewards [n]."""
    n = len(rewards)
    first, recent = rewards[: max(2, n // WINDOW_DIVISORS[0])], rewards[n - window :]
    # Growth: the earlier pace is the rise of the median per trial, from the middle of the first fifth to the middle of the
    # window. A line with a third of this slope is subtracted from the recent rewards. If the differences fall, the rewards
    # rise more slowly than the line.
    rise = float(np.median(recent) - np.median(first))
    growth_p = 1.0
    if rise > 0:
        earlier_pace = rise / (n - window / 2 - len(first) / 2)
        _, growth_p = mann_kendall(recent - PACE_SHARE * earlier_pace * np.arange(window))
    # Spread: compare the absolute deviations from the medians.
    first_deviations, recent_deviations = (np.abs(part - np.median(part)) for part in (first, recent))
    # Gain: extrapolate the rise of the running best in the window to n more trials.
    total_gain = best_after(n) - starting_best
    gain = (best_after(n) - best_after(n - window)) / total_gain * n / window if total_gain > 0 else math.nan
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
        tau: Kendall's rank correlation between reward and index.
        upper: the one-sided upper 95% limit of `tau`.
        better_p: the p-value of the Mann-Whitney test. If it is small, the rewards in the last fifth are better than the
            first rewards.
    """

    tau: float
    upper: float
    better_p: float

    @property
    def is_absent(self) -> bool:
        """Whether there is no trend, or only a very small one."""
        return self.upper < SMALL_TAU and self.better_p > BETTER_LEVEL


def assess_trend(rewards: FloatArray) -> Trend:
    """Return the trend of `rewards` [n], n at least 10. If all rewards are equal, tau is 0."""
    n = len(rewards)
    tau, _ = mann_kendall(rewards)
    # The standard error of tau without a trend (Kendall 1938). It is a good approximation for a small tau.
    error = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    # A trend that has ended early would make tau small. So compare the last fifth with the first rewards too: the first
    # `FIRST_TEST_TRIALS` rewards, or the first fifth if that is shorter.
    fifth = n // WINDOW_DIVISORS[0]
    better_p = mann_whitney(rewards[n - fifth :], rewards[: min(FIRST_TEST_TRIALS, fifth)])
    return Trend(tau, tau + NORMAL_QUANTILE * error, better_p)
