"""The probability that a network is the best of the fully trained networks, given the noise of their training.

A hierarchical normal model like that of Rubin's eight schools (Gelman et al., "Bayesian Data Analysis", 3rd edition, section
5.4). The *true value* theta_i of network i is its mean over seeds, and over validation sets of this size from the same
source. Its measurement y_i is the mean over n_i seeds:

    y ~ N(theta, diag(sigma^2 / n_i) + C)      theta_i ~ N(a + b x_i, tau^2)

- sigma is the standard deviation from seed to seed. Its estimate is pooled over networks, and its uncertainty is included.
- C [k, k] is the sampling covariance of the means over the validation examples, which all networks share.
- x_i is the value of network i in the search. The slope b says how well x_i predicts the true value.
- a, b and tau have flat priors (tau up to 4 standard deviations of y).

The selection of the finalists by the search does not bias the model, because the model is conditional on x. The
probabilities that theta_i is the largest are computed by simulation. `benchmarks/rank_statistics.py` measures their
calibration.

Symbols: k networks, m validation examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ogive.arrays import FloatArray

DRAWS = 20_000
"""The number of draws of the true values in the simulation."""
MIN_NETWORKS = 5
"""With fewer networks than this, their values in the search are not used as a predictor."""
GRID = 16
"""The number of values of sigma, and of tau, on the grid of the numerical integration."""


@dataclass(frozen=True)
class Noise:
    """The noise in the values of fully trained networks.

    Attributes:
        seed_deviation: the standard deviation from seed to seed, pooled over networks; None if no network has two seeds.
        degrees_of_freedom: the degrees of freedom of this estimate.
        example_covariance: the covariance [k, k] of the networks' means over the validation examples; None if it is unknown.
    """

    seed_deviation: float | None
    degrees_of_freedom: int
    example_covariance: FloatArray | None

    @property
    def is_known(self) -> bool:
        """Whether at least one of the two sources of noise is known."""
        return self.seed_deviation is not None or self.example_covariance is not None


def estimate_noise(values: Sequence[Sequence[float]], scores: FloatArray | None = None) -> Noise:
    """Estimate the noise in the values of k networks.

    Args:
        values: the values of each network, one for each seed.
        scores: [k, m] the score of each network on each validation example, averaged over seeds. The value of a network is
            the mean of its row.
    """
    degrees_of_freedom = sum(len(network_values) - 1 for network_values in values)
    squares = sum(float(((np.asarray(row) - np.mean(row)) ** 2).sum()) for row in values)
    # The covariance of means over m examples is that of the examples divided by m.
    covariance = None if scores is None else np.atleast_2d(np.cov(scores)) / scores.shape[1]
    return Noise(
        math.sqrt(squares / degrees_of_freedom) if degrees_of_freedom else None, degrees_of_freedom, covariance
    )


def best_probabilities(
    values: Sequence[Sequence[float]], goal: str, noise: Noise, searched: Sequence[float] = ()
) -> FloatArray:
    """Return the probability [k] of each network that its true value is the best.

    Args:
        values: the values of each network, one for each seed, at least one.
        goal: "maximize" or "minimize".
        noise: the noise in these values; at least one source must be known.
        searched: the networks' values in the search, measured at equal fidelity; empty if there are none. With fewer than
            `MIN_NETWORKS` networks, these values are ignored.

    Raises:
        ValueError: no source of noise is known, or a network has no values.
    """
    if not noise.is_known or not values or not all(len(row) for row in values):
        raise ValueError("expected at least one value of each network, and at least one known source of noise")
    sign = 1.0 if goal == "maximize" else -1.0
    y = sign * np.array([np.mean(row) for row in values])
    k, scale = len(y), float(np.std(y)) or 1.0  # 1.0 if all networks are equal
    if k == 1:
        return np.ones(1)
    # Standardize y, so that the grid of tau suits every metric.
    y = (y - y.mean()) / scale
    seed_variances = np.array([1.0 / len(row) for row in values]) * ((noise.seed_deviation or 0.0) / scale) ** 2
    examples = np.zeros((k, k)) if noise.example_covariance is None else noise.example_covariance / scale**2
    rng = np.random.default_rng(0)
    x = _predictors(np.asarray(searched, dtype=np.float64), k)
    # Gelman et al., section 5.4: integrate over the hyperparameters on a grid, weighted by their marginal likelihood, ...
    models = [
        _ConditionalModel(y, x, factor * np.diag(seed_variances) + examples, tau)
        for factor in _variance_factors(noise)
        for tau in _tau_grid()
    ]
    logs = np.array([model.log_likelihood for model in models])
    weights = np.exp(logs - logs.max())
    # ... then draw theta given the hyperparameters, and count how often each network is the best.
    counts = rng.multinomial(DRAWS, weights / weights.sum())
    wins = np.zeros(k)
    for model, count in zip(models, counts, strict=True):
        if count:
            wins += np.bincount(model.draw(rng, count).argmax(axis=1), minlength=k)
    return np.asarray(wins / DRAWS)


def _variance_factors(noise: Noise) -> FloatArray:
    """Return sigma^2 divided by its estimate at `GRID` equally probable quantiles of its posterior (inverse chi-squared)."""
    if noise.seed_deviation is None:
        return np.ones(1)
    from scipy.stats import chi2

    quantiles = (np.arange(GRID) + 0.5) / GRID
    return np.asarray(noise.degrees_of_freedom / chi2.ppf(quantiles, noise.degrees_of_freedom))


def _tau_grid() -> FloatArray:
    """Return the grid of tau, in standard deviations of y."""
    return (np.arange(GRID) + 0.5) / GRID * 4.0


def _predictors(searched: FloatArray, k: int) -> FloatArray:
    """Return the predictors, [k, 1] or [k, 2]: a column of ones and, for enough networks, standardized `searched`."""
    columns = [np.ones(k)]
    if len(searched) == k >= MIN_NETWORKS and searched.std() > 0:
        columns.append((searched - searched.mean()) / searched.std())
    return np.stack(columns, axis=1)


class _ConditionalModel:
    """The model given sigma and tau: y [k] ~ N(X beta, S) with S = V + tau^2 I. beta = (a, b) is integrated out.

    Args:
        y: measured values, [k].
        x: predictors, [k, p].
        v: covariance of the noise, [k, k].
        tau: standard deviation of the true values around their prediction.
    """

    def __init__(self, y: FloatArray, x: FloatArray, v: FloatArray, tau: float) -> None:
        self.y, self.x, self.tau = y, x, tau
        s = v + tau**2 * np.eye(len(y))
        self.inverse = np.linalg.inv(s)
        # Generalized least squares: beta has mean (X' S^-1 X)^-1 X' S^-1 y, and covariance (X' S^-1 X)^-1.
        precision = x.T @ self.inverse @ x
        self.covariance = np.linalg.inv(precision)
        self.beta = self.covariance @ x.T @ self.inverse @ y
        # The marginal likelihood of y with a flat prior on beta, up to a constant.
        residual = y - x @ self.beta
        determinants = float(np.linalg.slogdet(s)[1] + np.linalg.slogdet(precision)[1])
        self.log_likelihood = -0.5 * (determinants + float(residual @ self.inverse @ residual))

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Return samples [count, k] of theta from its posterior."""
        k, p = self.x.shape
        beta = self.beta + rng.standard_normal((count, p)) @ np.linalg.cholesky(self.covariance).T
        # theta given beta and y is normal with mean X beta + tau^2 S^-1 (y - X beta) and covariance tau^2 I - tau^4 S^-1.
        expected = beta @ self.x.T
        mean = expected + self.tau**2 * (self.y - expected) @ self.inverse
        values, vectors = np.linalg.eigh(self.tau**2 * np.eye(k) - self.tau**4 * self.inverse)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        return np.asarray(mean + rng.standard_normal((count, k)) @ root.T)
