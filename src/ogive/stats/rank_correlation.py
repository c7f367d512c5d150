"""How far one ranking predicts another: Kendall's tau and Spearman's rho with bootstrap intervals.

The interval is a parametric bootstrap by test inversion (Carpenter, "Test inversion bootstrap confidence intervals",
JRSS B 1999). Both statistics depend on ranks alone, so the simulated pairs need no marginal distributions, only a copula:
the t copula with correlation r and `FREEDOM` degrees of freedom, whose tails are heavier than the Gaussian one's. Under it
tau = 2/pi asin(r) (Lindskog et al. 2003, for all elliptical distributions), and rho is within 0.02 of 6/pi asin(r/2), which
is exact for the Gaussian one (Pearson 1907). The interval holds every r for which the observed statistic lies in neither
outer tail of `SIMULATED` simulations.

Why not the usual ones: resampling the pairs themselves (percentile, BCa) and Fisher's z (Fieller et al. 1957; Bonett and
Wright 2000) cover as little as 62 % for n = 5, and give the interval [1, 1] for two equal rankings however short they are;
with the Gaussian copula instead, Spearman's rho is covered in 90 % where tails are heavy. `benchmarks/rank_statistics.py`
measures this; `docs/measured.md` has the table.

Symbols: n pairs, B simulations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ogive.arrays import FloatArray

SIMULATED = 4000
FREEDOM = 3.0
"""Of the t copula that is simulated from."""
FEWEST = 3
"""Pairs below which no interval says anything."""
MANY = 20
"""Pairs beyond which the simulations are fewer, down to 1,000: the interval is then short."""
CONFIDENCE = 0.95
_ALIKE = 1e-9


@dataclass(frozen=True)
class Correlation:
    """A rank correlation in [-1, 1] with its confidence interval [low, high].

    Attributes:
        statistic: "kendall" or "spearman".
        value: None where one side has no order: fewer than 2 pairs, or all values equal.
        low, high: None where there are fewer than 3 pairs.
        pairs: n.
    """

    statistic: str
    value: float | None
    low: float | None
    high: float | None
    pairs: int
    confidence: float = CONFIDENCE


def correlation(statistic: str, a: ArrayLike, b: ArrayLike, confidence: float = CONFIDENCE) -> Correlation:
    """The rank correlation of `a` [n] and `b` [n] with its interval.

    Ties are corrected for: Kendall's tau-b, Spearman's rho on mid-ranks, as SciPy has them.

    Raises:
        ValueError: unequal lengths, values that are not finite, or an unknown statistic.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if statistic not in STATISTICS:
        raise ValueError(f"statistic={statistic!r}: {' or '.join(STATISTICS)}")
    if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"expected two equally long lists of finite numbers, but got shapes {x.shape} and {y.shape}")
    n = len(x)
    if n < 2 or (x == x[0]).all() or (y == y[0]).all():
        return Correlation(statistic, None, None, None, n, confidence)
    value = float(STATISTICS[statistic](x[None], y[None])[0])
    if n < FEWEST:
        return Correlation(statistic, value, None, None, n, confidence)
    return Correlation(statistic, value, *interval(statistic, n, value, confidence), n, confidence)


def interval(statistic: str, n: int, value: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The bounds for a statistic that was found to be `value` with n pairs; a function of these alone."""
    return _interval(statistic, n, round(value, 9), confidence)


def kendall(a: FloatArray, b: FloatArray) -> FloatArray:
    """Kendall's tau-b [B] of the rows of `a` and `b` [B, n]."""
    agree, left, right = np.zeros((3, len(a)))
    for shift in range(1, a.shape[1]):  # the pairs (i, i + shift): n - 1 steps over arrays
        x, y = (_signs(values[:, shift:], values[:, :-shift]) for values in (a, b))
        agree += (x * y).sum(axis=1)
        left += np.abs(x).sum(axis=1)
        right += np.abs(y).sum(axis=1)
    return np.asarray(agree / np.sqrt(left * right))


def _signs(a: FloatArray, b: FloatArray) -> NDArray[np.int8]:
    """The signs of a - b."""
    return (a > b).view(np.int8) - (a < b).view(np.int8)


def spearman(a: FloatArray, b: FloatArray) -> FloatArray:
    """Spearman's rho [B] of the rows of `a` and `b` [B, n]: Pearson's correlation of their mid-ranks."""
    from scipy.stats import rankdata  # takes as long to import as the rest of a short command

    x, y = (rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (a, b))
    return np.asarray((x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1)))


STATISTICS: Mapping[str, Callable[[FloatArray, FloatArray], FloatArray]] = {"kendall": kendall, "spearman": spearman}


def population(statistic: str, r: float) -> float:
    """The statistic of infinitely many pairs with correlation r."""
    return 2 / math.pi * math.asin(r) if statistic == "kendall" else 6 / math.pi * math.asin(r / 2)


@functools.lru_cache(maxsize=4096)
def _interval(statistic: str, n: int, value: float, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    above = _bisect(lambda r: bool((_simulated(statistic, n, r) >= value - _ALIKE).mean() > tail))
    below = _bisect(lambda r: bool((_simulated(statistic, n, r) <= value + _ALIKE).mean() <= tail))
    low = -1.0 if value <= -1 + _ALIKE else population(statistic, above)
    high = 1.0 if value >= 1 - _ALIKE else population(statistic, below)
    return min(low, value), max(high, value)


def _bisect(over: Callable[[float], bool], steps: int = 11) -> float:
    """The r at which `over` becomes true, on the scale of Fisher's z, where the statistics spread evenly."""
    low, high = -6.0, 6.0
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if over(math.tanh(middle)) else (middle, high)
    return math.tanh((low + high) / 2)


@functools.lru_cache(maxsize=512)
def _simulated(statistic: str, n: int, r: float) -> FloatArray:
    """The statistic [B] of n pairs with correlation r; the same random numbers serve every r, so it grows with it."""
    x, e = _noise(n)
    return STATISTICS[statistic](x, r * x + math.sqrt(1 - r * r) * e)


@functools.lru_cache(maxsize=8)
def _noise(n: int) -> tuple[FloatArray, FloatArray]:
    simulations = SIMULATED if n <= MANY else max(1000, SIMULATED * MANY // n)
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((2, simulations, n)) / np.sqrt(rng.chisquare(FREEDOM, (simulations, n)) / FREEDOM)
    return x, e


def both(a: Sequence[float], b: Sequence[float]) -> tuple[Correlation, Correlation]:
    """Kendall's tau and Spearman's rho."""
    return correlation("kendall", a, b), correlation("spearman", a, b)
