"""Where a learning curve will end: the answers of a parametric ensemble, and of a regression over earlier trials.

Both give a normal distribution of the last value, in the unit of the curve. Symbols: t epochs seen, n curves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Model = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Forecast:
    """A normal distribution."""

    mean: float
    deviation: float


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
    """Predicts the last value from the first t, their differences, and the architecture.

    Baker et al., "Accelerating Neural Architecture Search using Performance Prediction" (2018), section 3: features are the
    architecture's encoding, the curve so far, and its first and second differences. Here a Bayesian ridge regression, whose
    deviation is that of its leave-one-out errors, since its own is too small where curves differ in kind.

    Args:
        features: [n, d] encodings of architectures.
        curves: [n, t] values of the first epochs.
        ends: [n] the last values; n at least 8.
    """

    def __init__(self, features: FloatArray, curves: FloatArray, ends: FloatArray) -> None:
        from sklearn.linear_model import BayesianRidge
        from sklearn.model_selection import cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rows = _rows(features, curves)
        self._last = curves[:, -1]
        gains = ends - self._last  # what is left to come: better behaved than the value itself
        self._model = make_pipeline(StandardScaler(), BayesianRidge())
        held_out = cross_val_predict(self._model, rows, gains, cv=min(10, len(rows)))
        self._deviation = float(np.sqrt(np.mean((gains - held_out) ** 2)))
        self._model.fit(rows, gains)

    def predict(self, features: FloatArray, curve: FloatArray) -> Forecast:
        """The last value of a curve [t] of an architecture with these features [d]."""
        gain = float(self._model.predict(_rows(features[None], curve[None]))[0])
        return Forecast(float(curve[-1]) + gain, self._deviation)


def _rows(features: FloatArray, curves: FloatArray) -> FloatArray:
    parts = [features, curves, np.diff(curves, axis=1), np.diff(curves, n=2, axis=1)]
    return np.concatenate(parts, axis=1)
