"""Where a learning curve will end: the answers of a parametric ensemble, and of a regression over earlier trials.

Symbols: t epochs seen, n curves, d columns of an encoding, p columns of a regression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Model = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Scale:
    """A scale of costs, less is better, that spreads what is near the best: log(1 + 20 (cost - best) / (typical - best)).

    Where networks differ by orders of magnitude, errors of a forecast do too; on this scale they are about alike.
    """

    best: float
    typical: float

    def __call__(self, costs: ArrayLike) -> FloatArray:
        span = self.typical - self.best
        shares = (np.asarray(costs, dtype=np.float64) - self.best) / (span if span > 0 else 1.0)
        return np.log1p(20.0 * np.maximum(shares, 0.0))


@dataclass(frozen=True)
class Forecast:
    """Of a cost: Student's t distribution around `mean`, on `scale`.

    Attributes:
        mean, deviation: its centre and width.
        freedom: degrees of freedom; infinite for a normal distribution.
        scale: None for the cost itself.
    """

    mean: float
    deviation: float
    freedom: float = math.inf
    scale: Scale | None = None

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

FEWEST = 8
"""Curves that a regression needs."""

PENALTIES = tuple(10.0 ** np.arange(-2, 4.5, 0.5))
"""Of the ridge regression, for each curve that it learns from."""


def parametric(curve: Sequence[float], end: int) -> Forecast | None:
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
    return Forecast(low + mean * (high - low), math.sqrt(variance) * (high - low))


class Regression:
    """Predicts the last cost from the first t, their differences, and the architecture.

    Baker et al., "Accelerating Neural Architecture Search using Performance Prediction" (2018), section 3: features are the
    architecture's encoding, the curve so far, and its first and second differences. Here a ridge regression of what is left
    to come, on the scale of `Scale`; its penalty has the least error on curves that are left out, each in its turn. That
    error is the deviation of a forecast, so it also holds what the regression cannot express.

    Args:
        features: [n, d] encodings of architectures.
        curves: [n, t] costs of the first epochs.
        ends: [n] the last costs; n at least `FEWEST`.
    """

    def __init__(self, features: FloatArray, curves: FloatArray, ends: FloatArray) -> None:
        self._scale = Scale(float(min(ends.min(), curves.min())), float(np.median(ends)))
        scaled = self._scale(curves)
        rows, gains = _rows(features, scaled), self._scale(ends) - scaled[:, -1]
        self._center, spread = rows.mean(axis=0), rows.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        self._gain, self._n = float(gains.mean()), len(gains)
        u, s, self._vt = np.linalg.svd((rows - self._center) / self._spread, full_matrices=False)
        fits = [_left_out(u, s, gains - self._gain, self._n * penalty) for penalty in PENALTIES]
        self._deviation, penalty = min(fits)
        self._inverse = 1.0 / (s**2 + penalty)
        self._weights = self._vt.T @ (s * self._inverse * (u.T @ (gains - self._gain)))

    def predict(self, features: FloatArray, curve: FloatArray) -> Forecast:
        """The last cost of a curve [t] of an architecture with these features [d]."""
        scaled = self._scale(curve)
        row = (_rows(features[None], scaled[None])[0] - self._center) / self._spread
        leverage = 1 / self._n + float(self._inverse @ (self._vt @ row) ** 2)
        mean = float(scaled[-1]) + self._gain + float(row @ self._weights)
        return Forecast(mean, self._deviation * math.sqrt(1 + leverage), max(2, self._n - 2), self._scale)


def _left_out(u: FloatArray, s: FloatArray, y: FloatArray, penalty: float) -> tuple[float, float]:
    """Root mean square error of a ridge regression on rows that are left out, each in its turn; and the penalty.

    u [n, p], s [p] of the singular value decomposition of centred rows, y [n] centred. Residuals over 1 - leverage (Allen
    1974); leverages include the mean's 1/n.
    """
    shrunk = s**2 / (s**2 + penalty)
    residuals = y - u @ (shrunk * (u.T @ y))
    leverages = u**2 @ shrunk + 1 / len(y)
    return float(np.sqrt(np.mean((residuals / np.maximum(1 - leverages, 1e-3)) ** 2))), penalty


def _rows(features: FloatArray, curves: FloatArray) -> FloatArray:
    parts = [features, curves, np.diff(curves, axis=1), np.diff(curves, n=2, axis=1)]
    return np.concatenate(parts, axis=1)
