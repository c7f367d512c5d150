"""Where a learning curve will end: the answers of a parametric ensemble, and of regressions over earlier trials.

Symbols: t epochs seen, n curves, d columns of an encoding, p columns of a regression.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.stats.ridge import left_out_residuals

Model = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class CostScale:
    """A scale of costs, less is better: log(1 + bend x), x = (cost - best) / (typical - best), and its mirror image below.

    A large bend spreads what is near the best: where networks differ by orders of magnitude, errors of a forecast do too,
    and on such a scale they are about alike. With a small one it is nearly linear, for errors that are alike as they are.
    """

    best: float
    typical: float
    bend: float

    def __call__(self, costs: ArrayLike) -> FloatArray:
        shares = self._shares(costs)
        return np.asarray(np.sign(shares) * np.log1p(self.bend * np.abs(shares)))

    def log_slope(self, costs: ArrayLike) -> FloatArray:
        """The logarithm of the derivative, but for a constant that is the same for each bend."""
        return np.asarray(math.log(self.bend) - np.log1p(self.bend * np.abs(self._shares(costs))))

    def _shares(self, costs: ArrayLike) -> FloatArray:
        span = self.typical - self.best
        return (np.asarray(costs, dtype=np.float64) - self.best) / (span if span > 0 else 1.0)


@dataclass(frozen=True)
class CurveForecast:
    """Of a cost: Student's t distribution around `mean`, on `scale`.

    Attributes:
        mean, deviation: its centre and width.
        freedom: degrees of freedom; infinite for a normal distribution.
        scale: None for the cost itself.
    """

    mean: float
    deviation: float
    freedom: float = math.inf
    scale: CostScale | None = None

    def scaled(self, costs: ArrayLike) -> FloatArray:
        """Costs on the scale of this forecast."""
        return np.asarray(costs, dtype=np.float64) if self.scale is None else self.scale(costs)

    def below(self, cost: float) -> float:
        """The chance to end below `cost`."""
        from scipy.special import stdtr

        distance = (float(self.scaled(cost)) - self.mean) / max(self.deviation, 1e-12)
        return float(stdtr(self.freedom, distance)) if self.freedom < math.inf else NormalDist().cdf(distance)

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """[count] costs, on the scale."""
        normal = math.isinf(self.freedom)
        draws = rng.standard_normal(count) if normal else rng.standard_t(self.freedom, count)
        return np.asarray(self.mean + self.deviation * draws)


def _pow3(x: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(p[0] - p[1] * x ** -np.exp(p[2]))


def _log_power(x: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(p[0] / (1 + (x / np.exp(p[1])) ** p[2]))


def _exp3(x: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(p[0] - p[1] * np.exp(-np.exp(p[2]) * x))


def _ilog2(x: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(p[0] - p[1] / np.log(x + 1))


def _janoschek(x: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(p[0] - p[1] * np.exp(-np.exp(p[2]) * x ** np.exp(p[3])))


def _mmf(x: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(p[0] - p[1] / (1 + (np.exp(p[2]) * x) ** np.exp(p[3])))


# x is in epochs; the values are scaled to [0, 1] over what was seen, so that these starts fit every curve.
_MODELS: tuple[tuple[Model, tuple[float, ...]], ...] = (
    (_pow3, (1.1, 1.0, 0.0)),
    (_log_power, (1.1, 0.5, -1.0)),
    (_exp3, (1.0, 1.0, -1.0)),
    (_ilog2, (1.2, 1.0)),
    (_janoschek, (1.0, 1.0, -1.0, 0.0)),
    (_mmf, (1.1, 1.0, 0.0, 0.0)),
)
_LEAST_NOISE = 0.01
"""Of the range seen: no curve is thought smoother than that."""

BENDS = (0.1, 2.0, 20.0)
"""Of the scales of costs that a chain tries."""

ENOUGH = 8
"""Curves that a regression needs; fewer give a mean."""

PRIOR = 2.0
"""Degrees of freedom that what is expected of a variance is worth."""

PENALTIES = tuple(10.0 ** np.arange(-2, 4.5, 0.5))
"""Of the ridge regression, for each curve that it learns from."""


def parametric(curve: Sequence[float], end: int) -> CurveForecast | None:
    """The value of `curve` (one value an epoch, at least five) at epoch `end`, by an ensemble of growth curves.

    Six of the eleven models of Domhan et al., "Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by
    Extrapolation of Learning Curves" (IJCAI 2015), table 1 are fitted by least squares and weighted by their evidence as the
    Bayesian information criterion approximates it; the paper samples by Markov chains, which takes seconds a curve. Each
    model's own uncertainty is the linear approximation at its optimum. None where the curve is too short or flat.
    """
    from scipy.optimize import least_squares

    values = np.asarray(curve, dtype=float)
    low, high = float(values.min()), float(values.max())
    if len(values) < 5 or high <= low:
        return None
    x, y, n = np.arange(1.0, len(values) + 1), (values - low) / (high - low), len(values)
    last = np.array([float(end)])
    means, variances, scores = [], [], []
    for model, start in _MODELS:
        if n <= len(start):
            continue
        bounds = ([-4.0] * len(start), [4.0] * len(start))
        fit = least_squares(lambda p, model=model: model(x, p) - y, start, bounds=bounds, max_nfev=60)
        noise = max(float(2 * fit.cost) / (n - len(start)), _LEAST_NOISE**2)
        mean = float(model(last, fit.x)[0])
        slope = np.array([(model(last, fit.x + step)[0] - mean) / 1e-4 for step in 1e-4 * np.eye(len(start))])
        covariance = noise * np.linalg.pinv(fit.jac.T @ fit.jac + 1e-4 * np.eye(len(start)))
        means.append(mean)
        variances.append(noise + min(float(slope @ covariance @ slope), 4.0))
        scores.append(-0.5 * (2 * fit.cost / noise + n * math.log(noise) + len(start) * math.log(n)))
    if not means:
        return None
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    mean = float(weights @ means)
    variance = float(weights @ (np.array(variances) + (np.array(means) - mean) ** 2))
    return CurveForecast(low + mean * (high - low), math.sqrt(variance) * (high - low))


class CurveRegressions:
    """Forecasts the last cost of a curve, learned from curves of any length: those of trials that were stopped count too.

    Few trials are trained in full, but many for a while. So the way to the end is cut at end, end / 2, end / 4 ..., and
    each step is a `GPRegression` on all curves that got to its end: from the epoch reached to the next cut on the
    architecture, the curve so far, and its first and second differences, the features of Baker et al., "Accelerating
    Neural Architecture Search using Performance Prediction" (2018), section 3; from cut to cut on the architecture and
    the cost there. Such a product of regressions is the maximum likelihood for normal curves of unequal length (Anderson,
    "Maximum likelihood estimates for a multivariate normal distribution when some observations are missing", JASA 1957).
    That curves were stopped for what they showed does not bias it, for a regression is conditional on that (ignorable, in
    Rubin, "Inference and missing data", Biometrika 1976), as far as the epochs before a cut add nothing to the cost there,
    and nothing else, such as a second objective, decided on the stop.

    Slopes carry the variance of one step through the next ones; degrees of freedom are Welch's and Satterthwaite's. The
    scale of costs is the one under which the curves are likeliest (Box and Cox, "An analysis of transformations", 1964).

    Args:
        reached: for each of `cuts(end)` the features [d] and costs [t], t at least the cut, of curves that got there; there
            must be some that got to the end.
        end: the last epoch.
    """

    def __init__(self, reached: Mapping[int, Sequence[tuple[FloatArray, FloatArray]]], end: int) -> None:
        self._reached, self._cuts = reached, cuts(end)
        curves = [costs for _, costs in reached[self._cuts[0]]]
        best, typical = min(float(costs.min()) for costs in curves), float(np.median([costs[-1] for costs in curves]))
        fits = [self._fit(CostScale(best, typical, bend)) for bend in BENDS]
        _, self._scale, self._steps = max(fits, key=lambda fit: fit[0])
        self._first: dict[int, RidgeRegression] = {}  # steps that see the curve so far, by its length

    def _fit(self, scale: CostScale) -> tuple[float, CostScale, list[RidgeRegression]]:
        """The log-likelihood of the costs at the cuts, given those at the cuts before; and the steps from cut to cut."""
        steps: list[RidgeRegression] = []
        likelihood = 0.0
        for cut, following in pairwise(self._cuts):
            known = self._reached[following]
            rows = _rows(np.array([x for x, _ in known]), scale([[costs[cut - 1]] for _, costs in known]))
            ends = np.array([costs[following - 1] for _, costs in known])
            steps.append(RidgeRegression(rows, scale(ends) - rows[:, 0], steps[-1].unexplained if steps else 1.0))
            deviation = math.sqrt(steps[-1].variance)
            likelihood += float(scale.log_slope(ends).sum()) - len(ends) * math.log(max(deviation, 1e-6))
        return likelihood, scale, steps

    def _first_step(self, t: int, place: int) -> RidgeRegression:
        """From t epochs to a cut."""
        if t not in self._first:
            known = self._reached[self._cuts[place]]
            curves = self._scale(np.array([costs[: self._cuts[place]] for _, costs in known]))
            rows = _rows(np.array([x for x, _ in known]), curves[:, :t])
            expected = self._steps[place - 2].unexplained if place > 1 else 1.0
            self._first[t] = RidgeRegression(rows, curves[:, -1] - curves[:, t - 1], expected)
        return self._first[t]

    def predict(self, features: FloatArray, curve: FloatArray) -> CurveForecast:
        """The last cost of a curve [t] of an architecture with these features [d]; t less than the end."""
        scaled, t = self._scale(curve), len(curve)
        place = bisect_right(self._cuts, t)
        step = self._first_step(t, place)
        gain, variance = step.predict(_rows(features[None], scaled[None])[0])
        mean, parts = float(scaled[-1]) + gain, [(variance, step.freedom)]
        for step in self._steps[place:]:
            gain, variance = step.predict(_rows(features[None], np.array([[mean]]))[0])
            mean, parts = (
                mean + gain,
                [(step.slope**2 * v, freedom) for v, freedom in parts] + [(variance, step.freedom)],
            )
        variance, inverse = sum(v for v, _ in parts), sum(v**2 / freedom for v, freedom in parts)
        return CurveForecast(mean, math.sqrt(variance), variance**2 / inverse if inverse else math.inf, self._scale)


def cuts(end: int) -> list[int]:
    """end, end / 2, end / 4 ... 1, rounded up; ascending."""
    return [1] if end == 1 else [*cuts((end + 1) // 2), end]


class RidgeRegression:
    """Ridge regression of gains on rows whose first column is what is gained upon.

    The penalty has the least error on rows that are left out, each in its turn. That error is the deviation of a prediction,
    so it also holds what the regression cannot express. Fewer than `ENOUGH` rows give the mean gain only.

    Args:
        rows, gains: [n, p], [n]; n at least 1.
        unexplained: what is expected of the attribute; weighs as much as `PRIOR` degrees of freedom.

    Attributes:
        variance: what is left of a gain's.
        unexplained: the same as a share of the mean square gain: what hardly moves hardly varies.
        freedom: of the variance.
        slope: of the sum of what is gained upon and the gain.
    """

    def __init__(self, rows: FloatArray, gains: FloatArray, unexplained: float) -> None:
        self._n, self._gain = len(gains), float(gains.mean())
        self._center, spread = rows.mean(axis=0), rows.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        residual, freedom = gains - self._gain, self._n - 1.0
        variance, size = float(residual @ residual) / max(freedom, 1.0), float(np.mean(gains**2))
        self._vt, self._inverse, self._weights = np.empty((0, rows.shape[1])), np.empty(0), np.zeros(rows.shape[1])
        if self._n >= ENOUGH:
            u, s, self._vt = np.linalg.svd((rows - self._center) / self._spread, full_matrices=False)
            error, penalty = min(_left_out(u, s, residual, self._n * penalty) for penalty in PENALTIES)
            self._inverse = 1.0 / (s**2 + penalty)
            self._weights = self._vt.T @ (s * self._inverse * (u.T @ residual))
            variance, freedom = error**2, freedom - 1
        self.freedom = freedom + PRIOR
        self.variance = (freedom * variance + PRIOR * unexplained * size) / self.freedom
        self.unexplained = self.variance / size if size else unexplained
        self.slope = 1 + float(self._weights[0] / self._spread[0])

    def predict(self, row: FloatArray) -> tuple[float, float]:
        """The gain, and its variance, of a row [p]."""
        row = (row - self._center) / self._spread
        leverage = 1 / self._n + float(self._inverse @ (self._vt @ row) ** 2)
        return self._gain + float(row @ self._weights), self.variance * (1 + leverage)


def _left_out(u: FloatArray, s: FloatArray, y: FloatArray, penalty: float) -> tuple[float, float]:
    """The root mean square error of a ridge regression on left-out rows, and the penalty; see `left_out_residuals`."""
    residuals = left_out_residuals(u, s, y, penalty, least=1e-3)
    return float(np.sqrt(np.mean(residuals**2))), penalty


def _rows(features: FloatArray, costs: FloatArray) -> FloatArray:
    """The last cost first; then the architecture, and the curve so far with its differences."""
    return np.concatenate([costs[:, -1:], features, costs, np.diff(costs), np.diff(costs, n=2)], axis=1)
