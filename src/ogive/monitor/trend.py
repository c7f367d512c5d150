"""Whether a series of rewards still rises: the statistics behind the stop rules "converged" and "no_trend".

Rewards are numbers [n], one a trial in the order in which trials came to rest; more is better.

Two things have to have happened for a search to be called converged, each tested as Wagner, Trautmann and Naujoks, "OCD:
Online Convergence Detection for Evolutionary Multi-Objective Algorithms Based on Statistical Testing" (EMO 2009), test
generations, but without normality (a reward has a long tail of poor architectures):

- *growth has fallen*. A search's best is drawn from its rewards, so the rewards are tested for growth: Mann's test for trend
  (Mann, "Nonparametric Tests Against Trend", Econometrica 1945, by Kendall's tau) of the recent rewards less a line. The
  hypothesis to be rejected is that they go on rising at a third (`PACE`) of their former pace. Beside that the running best
  itself may have risen in the window by no more than would, at that pace, make a tenth (`GAIN`) of all its gain in as many
  trials again.
- *variance has fallen*. The absolute deviations from the median are compared by the Mann-Whitney test, recent ones against
  those of the first fifth (Levene's idea, Brown and Forsythe's median, ranks in place of the t distribution).

Both hypotheses must be rejected, at their full level each (an intersection-union test: Berger, Technometrics 1982). The
running best alone would be too weak a witness: of exchangeable rewards the n-th is a new best with probability 1/n, so the
chance that none of the trials m + 1 ... n is one is m/n exactly (Renyi 1962), and to reject that at 5 % takes twenty times
the trials.

"No trend" is a statement about size, not a failure to find one: the upper 95 % limit of Kendall's tau between reward and
place is below `SMALL_TAU`, and the recent rewards are not better than the first ones.

Testing after every trial would find what it looks for sooner or later. So tests are made at a geometric sequence of numbers
of trials only (`last_look`): 21 tests up to 300 trials, 40 up to 2,000, 57 up to 10,000, each sharing most of its data with
the one before. The levels below are levels of one test. The rate of false stops of the whole sequence has no closed form;
it was measured: `benchmarks/stopping.py`, docs/measured.md.
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
"""The recent rewards are the last fifth, fourth, third or half: the quieter, the sooner an end shows."""
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
    """The largest number of trials, at most `trials`, at which a test is made; 0 before the first."""
    look = 0
    following = first
    while following <= trials:
        look, following = following, math.ceil(following * LOOK_RATIO)
    return look


@dataclass(frozen=True)
class Convergence:
    """What the tests for convergence say about the last `window` of n rewards.

    Attributes:
        rise: of the median, from the first fifth to the window.
        growth_p: of Mann's test; small means that rewards rise at less than `PACE` of their former pace.
        gain: what the running best gains in n more trials at the pace of the window, as a share of its gain so far;
            NaN while it has not gained anything.
        spread_first, spread: median absolute deviations of the first fifth and of the window.
        spread_p: of the Mann-Whitney test; small means that the spread has fallen.
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
        return self.growth_p < GROWTH_LEVEL and self.gain <= GAIN

    @property
    def spread_fell(self) -> bool:
        return self.spread_p < SPREAD_LEVEL

    @property
    def converged(self) -> bool:
        return self.growth_fell and self.spread_fell


def convergence(rewards: FloatArray, best: Best, start: float) -> Convergence:
    """The tests for convergence on `rewards` [n], n at least 40, in the first window of `WINDOWS` that shows it, or else in
    that which comes closest; windows of fewer than `SMALLEST_WINDOW` rewards are passed over.

    `best(n)` - `start` is the gain so far.
    """
    tested = []
    for window in (len(rewards) // share for share in WINDOWS):
        if window < SMALLEST_WINDOW:
            continue
        tested.append(_settled(rewards, window, best, start))
        if tested[-1].converged:
            return tested[-1]
    return min(tested, key=lambda s: max(s.growth_p / GROWTH_LEVEL, s.spread_p / SPREAD_LEVEL))


def _settled(rewards: FloatArray, window: int, best: Best, start: float) -> Convergence:
    n = len(rewards)
    first, recent = rewards[: max(2, n // WINDOWS[0])], rewards[n - window :]
    rise = float(np.median(recent) - np.median(first))
    growth_p = 1.0
    if rise > 0:
        former_pace = rise / (n - window / 2 - len(first) / 2)
        places = np.arange(window)
        _, growth_p = mann_kendall(recent - PACE * former_pace * places)
    before, now = (np.abs(part - np.median(part)) for part in (first, recent))
    gained = best(n) - start
    gain = (best(n) - best(n - window)) / gained * n / window if gained > 0 else math.nan
    return Convergence(
        window,
        rise,
        growth_p,
        gain,
        float(np.median(before)),
        float(np.median(now)),
        mann_whitney(before, now),
    )


@dataclass(frozen=True)
class Trend:
    """Kendall's correlation of reward and place with its upper 95 % limit, and whether the last fifth is better than the
    first rewards (as many, at most `FIRST_LOOK`): the p value of the Mann-Whitney test."""

    tau: float
    upper: float
    better_p: float

    @property
    def absent(self) -> bool:
        return self.upper < SMALL_TAU and self.better_p > 0.05


def trend(rewards: FloatArray) -> Trend:
    """The trend over all of `rewards` [n], n at least 10.

    The limit uses the variance of tau without a trend, 2 (2n + 5) / (9 n (n - 1)) (Kendall 1938), close for a small tau.
    Rewards that are all equal have tau 0.
    """
    n = len(rewards)
    tau, _ = mann_kendall(rewards)
    error = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    recent = rewards[n - n // WINDOWS[0] :]
    better = mann_whitney(recent, rewards[: min(FIRST_LOOK, n // WINDOWS[0])])
    return Trend(tau, tau + CONFIDENT * error, better)
