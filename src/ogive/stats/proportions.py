"""Proportions: their interval, and the exact test of one of two samples."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, gammaln

from ogive.arrays import FloatArray, IntArray


def proportion_interval(count: IntArray, of: IntArray) -> tuple[FloatArray, FloatArray]:
    """The 95 % interval of a proportion, count out of `of`, elementwise; 0 to 1 where there was nothing to count.

    Jeffreys' interval (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science
    2001, section 4.3): the quantiles of Beta(count + 1/2, of - count + 1/2), with 0 and 1 at the ends.
    """
    count, of = np.asarray(count), np.asarray(of)
    low = np.where(count == 0, 0.0, betaincinv(count + 0.5, of - count + 0.5, 0.025))
    high = np.where(count == of, 1.0, betaincinv(count + 0.5, of - count + 0.5, 0.975))
    return low, high


def fewer(k: int, draws: int, marked: int, population: int) -> float:
    """The chance that `draws` of a `population` without replacement hold at most k of the `marked` ones.

    The one-sided exact test of Fisher: the hypergeometric distribution's cumulative probability.
    """
    i = np.arange(max(0, draws - (population - marked)), k + 1)
    if not len(i):
        return 1.0

    def log_choose(n: IntArray | int, r: IntArray | int) -> FloatArray:
        return np.asarray(gammaln(np.add(n, 1)) - gammaln(np.add(r, 1)) - gammaln(np.subtract(n, r) + 1))

    logs = log_choose(marked, i) + log_choose(population - marked, draws - i) - log_choose(population, draws)
    return float(min(1.0, np.exp(logs).sum()))
