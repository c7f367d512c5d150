"""Forecasts of learning curves: by an ensemble of parametric curves, and by regressions on earlier trials.

Symbols: t observed epochs, n curves, d columns of an encoding, p columns of a regression.
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
from ogive.stats.ridge import choose_penalty

GrowthCurve = Callable[[FloatArray, FloatArray], FloatArray]
"""A function of epochs `x` and parameters `p` that returns the values of a growth curve at these epochs."""


@dataclass(frozen=True)
class CostScale:
    """A scale for costs: log(1 + bend * x), where x = (cost - best) / (typical - best); -log(1 + bend * |x|) for x < 0.

    The scale is chosen so that the errors of forecasts have a similar size everywhere. With a large bend it is logarithmic,
    for costs whose errors grow with the distance from the best cost. With a small bend it is nearly linear, for costs whose
    errors do not depend on this distance.

    Attributes:
        best: the cost that is 0 on the scale.
        typical: the cost at which x is 1.
        bend: how strongly the scale is curved; above 0.
    """

    best: float
    typical: float
    bend: float

    def __call__(self, costs: ArrayLike) -> FloatArray:
        """Return `costs` on this scale."""
        x = self._normalize(costs)
        return np.asarray(np.sign(x) * np.log1p(self.bend * np.abs(x)))

    def log_slope(self, costs: ArrayLike) -> FloatArray:
        """Return the logarithm of the scale's derivative, up to a constant that does not depend on the bend."""
        return np.asarray(math.log(self.bend) - np.log1p(self.bend * np.abs(self._normalize(costs))))

    def _normalize(self, costs: ArrayLike) -> FloatArray:
        span = self.typical - self.best
        return (np.asarray(costs, dtype=np.float64) - self.best) / (span if span > 0 else 1.0)


@dataclass(frozen=True)
class CurveForecast:
    """The forecast of a cost: Student's t distribution on a scale.

    Attributes:
        mean, deviation: the center and the width of the distribution, on `scale`.
        degrees_of_freedom: the degrees of freedom of the distribution; infinite for a normal distribution.
        scale: the scale of the distribution; None if the distribution is that of the cost itself.
    """

    mean: float
    deviation: float
    degrees_of_freedom: float = math.inf
    scale: CostScale | None = None

    def to_scale(self, costs: ArrayLike) -> FloatArray:
        """Return costs on the scale of this forecast."""
        return np.asarray(costs, dtype=np.float64) if self.scale is None else self.scale(costs)

    def probability_below(self, cost: float) -> float:
        """Return the probability that the final cost is below `cost`."""
        from scipy.special import stdtr

        distance = (float(self.to_scale(cost)) - self.mean) / max(self.deviation, 1e-12)
        if math.isinf(self.degrees_of_freedom):
            return NormalDist().cdf(distance)
        return float(stdtr(self.degrees_of_freedom, distance))

    def sample(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Return `count` samples of the final cost, on the scale of this forecast."""
        is_normal = math.isinf(self.degrees_of_freedom)
        draws = rng.standard_normal(count) if is_normal else rng.standard_t(self.degrees_of_freedom, count)
        return np.asarray(self.mean + self.deviation * draws)


# The growth curves of Domhan et al. (2015), table 1. Parameters that must be positive are given by their logarithms.


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


# Each growth curve with its initial parameters. The values of a learning curve are scaled to [0, 1], so that the same
# initial parameters are suitable for all learning curves.
_GROWTH_CURVES: tuple[tuple[GrowthCurve, tuple[float, ...]], ...] = (
    (_pow3, (1.1, 1.0, 0.0)),
    (_log_power, (1.1, 0.5, -1.0)),
    (_exp3, (1.0, 1.0, -1.0)),
    (_ilog2, (1.2, 1.0)),
    (_janoschek, (1.0, 1.0, -1.0, 0.0)),
    (_mmf, (1.1, 1.0, 0.0, 0.0)),
)
_MIN_NOISE = 0.01
"""The smallest standard deviation of the noise, as a share of the observed range."""

BENDS = (0.1, 2.0, 20.0)
"""The bends of the cost scales that are tried."""

MIN_CURVES = 8
"""The smallest number of curves that a regression is fitted to. With fewer curves, the prediction is their mean gain."""

PRIOR_WEIGHT = 2.0
"""The weight of the prior expectation of a residual variance, in degrees of freedom."""

PENALTIES = tuple(10.0 ** np.arange(-2, 4.5, 0.5))
"""The penalties that are tried for a ridge regression, per curve: a regression of n curves tries n times each."""


def extrapolate_curve(curve: Sequence[float], last_epoch: int) -> CurveForecast | None:
    """Return a forecast of `curve` at epoch `last_epoch`, by an ensemble of growth curves.

    Six of the eleven models of Domhan et al. (IJCAI 2015), table 1, are fitted. The paper samples the parameters and weights
    of all models by Markov chain Monte Carlo, which takes seconds for each curve. Here each model is fitted by least squares
    and weighted by its evidence, approximated by the Bayesian information criterion (BIC).

    Args:
        curve: the values [t] so far, one for each epoch; more is better.
        last_epoch: the epoch to extrapolate to.

    Returns:
        None if the curve has fewer than five values or is constant.
    """
    from scipy.optimize import least_squares

    values = np.asarray(curve, dtype=float)
    low, high = float(values.min()), float(values.max())
    if len(values) < 5 or high <= low:
        return None
    x, y, n = np.arange(1.0, len(values) + 1), (values - low) / (high - low), len(values)
    x_last = np.array([float(last_epoch)])
    means, variances, scores = [], [], []
    for model, initial in _GROWTH_CURVES:
        if n <= len(initial):
            continue
        # Table 1: fit the model to the observed part of the curve, whose values are in [0, 1], so that its parameters are
        # small. `fit.cost` is half of the sum of squared residuals.
        bounds = ([-4.0] * len(initial), [4.0] * len(initial))
        fit = least_squares(lambda p, model=model: model(x, p) - y, initial, bounds=bounds, max_nfev=60)
        noise = max(float(2 * fit.cost) / (n - len(initial)), _MIN_NOISE**2)
        # The variance of the extrapolated value: noise, and the variance that comes from the model's parameters by linear
        # (Laplace) approximation. The gradient is computed by finite differences; 1e-4 I makes the inverse stable.
        mean = float(model(x_last, fit.x)[0])
        gradient = np.array([(model(x_last, fit.x + step)[0] - mean) / 1e-4 for step in 1e-4 * np.eye(len(initial))])
        covariance = noise * np.linalg.pinv(fit.jac.T @ fit.jac + 1e-4 * np.eye(len(initial)))
        means.append(mean)
        # The variance is limited to 4: a deviation of twice the observed range, whose length is 1.
        variances.append(noise + min(float(gradient @ covariance @ gradient), 4.0))
        # The logarithm of the evidence by the BIC.
        scores.append(-0.5 * (2 * fit.cost / noise + n * math.log(noise) + len(initial) * math.log(n)))
    if not means:
        return None
    # The mean and the variance of the mixture of all models.
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    mean = float(weights @ means)
    variance = float(weights @ (np.array(variances) + (np.array(means) - mean) ** 2))
    return CurveForecast(low + mean * (high - low), math.sqrt(variance) * (high - low))


class CurveRegressions:
    """Forecasts the final cost of a curve by regressions on earlier curves of any length, including those of stopped trials.

    Few trials are trained in full, but many are trained for some epochs. The epochs are therefore divided into intervals
    at `end`, `end` / 2, `end` / 4 ... (the cuts). Each interval has a `RidgeRegression`, fitted to all curves that reached
    the last epoch of the interval:

    - From the last observed epoch to the next cut, on the architecture, the curve so far, and its first and second
      differences. These are the features of Baker et al., "Accelerating Neural Architecture Search using Performance
      Prediction" (2018), section 3.
    - From cut to cut, on the architecture and the cost at the cut.

    For normally distributed curves of unequal length, such a chain of regressions is the maximum likelihood estimate
    (Anderson, "Maximum likelihood estimates for a multivariate normal distribution when some observations are missing", JASA
    1957). Trials that were stopped because of their curves do not bias it, because each regression is conditional on the
    curve so far: the missing values are ignorable (Rubin, "Inference and missing data", Biometrika 1976). There are two
    assumptions. Given the cost at a cut, earlier epochs contain no further information. And only the curve of this objective
    decided whether a trial was stopped.

    Args:
        curves_at: for each cut of `list_cuts(end)`, the curves that reached it, as pairs of features [d] and costs [t],
            where t is at least the cut. At least one curve must have reached `end`.
        end: the last epoch of full training.
    """

    def __init__(self, curves_at: Mapping[int, Sequence[tuple[FloatArray, FloatArray]]], end: int) -> None:
        self._curves_at, self._cuts = curves_at, list_cuts(end)
        curves = [costs for _, costs in curves_at[self._cuts[0]]]
        best, typical = min(float(costs.min()) for costs in curves), float(np.median([costs[-1] for costs in curves]))
        # Box and Cox, "An analysis of transformations" (1964): choose the scale with the highest likelihood of the curves.
        fits = [self._fit(CostScale(best, typical, bend)) for bend in BENDS]
        _, self._scale, self._steps = max(fits, key=lambda fit: fit[0])
        self._first_steps: dict[int, RidgeRegression] = {}  # a cache of `_first_step`, by the number of observed epochs

    def _fit(self, scale: CostScale) -> tuple[float, CostScale, list[RidgeRegression]]:
        """Fit the steps from cut to cut on a scale.

        Returns:
            The log-likelihood of the costs at the cuts, each given the cost at the cut before; the scale; and the steps.
        """
        steps: list[RidgeRegression] = []
        likelihood = 0.0
        for cut, next_cut in pairwise(self._cuts):
            pairs = self._curves_at[next_cut]
            rows = _regression_rows(np.array([x for x, _ in pairs]), scale([[costs[cut - 1]] for _, costs in pairs]))
            ends = np.array([costs[next_cut - 1] for _, costs in pairs])
            steps.append(RidgeRegression(rows, scale(ends) - rows[:, 0], steps[-1].unexplained if steps else 1.0))
            deviation = math.sqrt(steps[-1].variance)
            likelihood += float(scale.log_slope(ends).sum()) - len(ends) * math.log(max(deviation, 1e-6))
        return likelihood, scale, steps

    def _first_step(self, t: int, index: int) -> RidgeRegression:
        """Return the regression from the first t epochs to the cut with this index."""
        if t not in self._first_steps:
            cut = self._cuts[index]
            pairs = self._curves_at[cut]
            curves = self._scale(np.array([costs[:cut] for _, costs in pairs]))
            rows = _regression_rows(np.array([x for x, _ in pairs]), curves[:, :t])
            # The prior expectation comes from the regression that ends at the cut before: step i ends at cut i + 1.
            expected = self._steps[index - 2].unexplained if index > 1 else 1.0
            self._first_steps[t] = RidgeRegression(rows, curves[:, -1] - curves[:, t - 1], expected)
        return self._first_steps[t]

    def predict(self, features: FloatArray, curve: FloatArray) -> CurveForecast:
        """Return the forecast of the final cost.

        Args:
            features: [d] the encoded architecture.
            curve: [t] the costs so far; t is less than the last epoch.
        """
        scaled, t = self._scale(curve), len(curve)
        index = bisect_right(self._cuts, t)  # of the first cut after the observed epochs
        step = self._first_step(t, index)
        gain, variance = step.predict(_regression_rows(features[None], scaled[None])[0])
        mean = float(scaled[-1]) + gain
        variances = [(variance, step.degrees_of_freedom)]  # of the error of each step, with its degrees of freedom
        for step in self._steps[index:]:
            gain, variance = step.predict(_regression_rows(features[None], np.array([[mean]]))[0])
            mean += gain
            # A step multiplies the error before it by its slope, and adds its own error.
            variances = [(step.slope**2 * v, dof) for v, dof in variances] + [(variance, step.degrees_of_freedom)]
        # Welch and Satterthwaite: the degrees of freedom of a sum of independent variances.
        variance, inverse = sum(v for v, _ in variances), sum(v**2 / dof for v, dof in variances)
        return CurveForecast(mean, math.sqrt(variance), variance**2 / inverse if inverse else math.inf, self._scale)


def list_cuts(end: int) -> list[int]:
    """Return the cuts of `end` epochs: end, end / 2, end / 4 ... 1, rounded up, in ascending order."""
    return [1] if end == 1 else [*list_cuts((end + 1) // 2), end]


class RidgeRegression:
    """Ridge regression of a gain: the cost of a curve after one step (from cut to cut) minus its cost before the step.

    The penalty is the one with the smallest leave-one-out error. This error is also the standard deviation of a prediction,
    so that it includes variation that a linear model cannot express. With fewer than `MIN_CURVES` rows the prediction is the
    mean gain.

    Args:
        rows: [n, p] the features of n curves; n is at least 1. The first column is the cost before the step.
        gains: [n] the costs of these curves after the step minus the costs before it.
        unexplained: the prior expectation of the attribute `unexplained`, with the weight of `PRIOR_WEIGHT` degrees of
            freedom.

    Attributes:
        variance: the residual variance of a gain.
        unexplained: the residual variance divided by the mean square of the gains.
        degrees_of_freedom: the degrees of freedom of the variance.
        slope: the derivative of the cost after the step by the cost before it.
    """

    def __init__(self, rows: FloatArray, gains: FloatArray, unexplained: float) -> None:
        self._n, self._mean_gain = len(gains), float(gains.mean())
        self._center, spread = rows.mean(axis=0), rows.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        residual, degrees_of_freedom = gains - self._mean_gain, self._n - 1.0
        variance, mean_square = float(residual @ residual) / max(degrees_of_freedom, 1.0), float(np.mean(gains**2))
        self._vt, self._inverse, self._weights = np.empty((0, rows.shape[1])), np.empty(0), np.zeros(rows.shape[1])
        if self._n >= MIN_CURVES:
            u, s, self._vt = np.linalg.svd((rows - self._center) / self._spread, full_matrices=False)
            penalties = [self._n * penalty for penalty in PENALTIES]
            penalty, left_out_variance = choose_penalty(u, s, residual, penalties, min_denominator=1e-3)
            self._inverse = 1.0 / (s**2 + penalty)
            self._weights = self._vt.T @ (s * self._inverse * (u.T @ residual))
            variance, degrees_of_freedom = left_out_variance, degrees_of_freedom - 1
        # With few curves, shrink the variance towards the prior expectation. This is a share of the mean square of the
        # gains, since gains that are small also vary little.
        self.degrees_of_freedom = degrees_of_freedom + PRIOR_WEIGHT
        weighted_sum = degrees_of_freedom * variance + PRIOR_WEIGHT * unexplained * mean_square
        self.variance = weighted_sum / self.degrees_of_freedom
        self.unexplained = self.variance / mean_square if mean_square else unexplained
        self.slope = 1 + float(self._weights[0] / self._spread[0])

    def predict(self, row: FloatArray) -> tuple[float, float]:
        """Return the gain of a row [p] and its variance."""
        row = (row - self._center) / self._spread
        leverage = 1 / self._n + float(self._inverse @ (self._vt @ row) ** 2)
        return self._mean_gain + float(row @ self._weights), self.variance * (1 + leverage)


def _regression_rows(features: FloatArray, costs: FloatArray) -> FloatArray:
    """Return the features [n, p] of n curves of t epochs each.

    Their columns are the last cost, the encoded architecture, the curve so far, and its first and second differences.

    Args:
        features: [n, d] the encoded architectures.
        costs: [n, t] the curves so far.
    """
    return np.concatenate([costs[:, -1:], features, costs, np.diff(costs), np.diff(costs, n=2)], axis=1)
