"""Proportions: their confidence interval, and Fisher's exact test."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, gammaln

from ogive.arrays import FloatArray, IntArray


def proportion_interval(count: IntArray, total: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of the 95% confidence interval of count / total, elementwise; 0 and 1 where `total` is 0.

    This is Jeffreys' interval (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science
    2001, section 4.3).
    """
    count, total = np.asarray(count), np.asarray(total)
    # Section 4.3: quantiles of Beta(count + 1/2, total - count + 1/2), except that the lower bound is 0 if count is 0, and
    # the upper bound is 1 if count equals total.
    low = np.where(count == 0, 0.0, betaincinv(count + 0.5, total - count + 0.5, 0.025))
    high = np.where(count == total, 1.0, betaincinv(count + 0.5, total - count + 0.5, 0.975))
    return low, high


def hypergeometric_at_most(k: int, draws: int, marked: int, population: int) -> float:
    """Return the probability that a sample without replacement has at most k marked items.

    This is the p-value of Fisher's one-sided exact test, the cumulative hypergeometric distribution.

    Args:
        k: the number of marked items in the sample.
        draws: the size of the sample.
        marked: the number of marked items in the population.
        population: the size of the population.
    """
    i = np.arange(max(0, draws - (population - marked)), k + 1)

    def log_choose(n: IntArray | int, r: IntArray | int) -> FloatArray:
        return np.asarray(gammaln(np.add(n, 1)) - gammaln(np.add(r, 1)) - gammaln(np.subtract(n, r) + 1))

    # Sum P(i) = C(marked, i) C(population - marked, draws - i) / C(population, draws), with logarithms to avoid overflow.
    logs = log_choose(marked, i) + log_choose(population - marked, draws - i) - log_choose(population, draws)
    return float(min(1.0, np.exp(logs).sum()))
