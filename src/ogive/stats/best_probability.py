"""How probable it is that a network is the true best of those that were trained in full, given how noisy that training is.

A hierarchical normal model in the manner of Rubin's eight schools (Gelman et al., "Bayesian Data Analysis", 3rd edition,
section 5.4). The *true value* of network i is theta_i, what it would reach on average over seeds and over validation parts
of this size from the same source. It is measured with noise by y_i, the mean over its n_i seeds:

    y ~ N(theta, diag(sigma^2 / n_i) + C)      theta_i ~ N(a + b x_i, tau^2)

sigma is the spread from seed to seed, pooled over networks, with its own uncertainty; C [k, k] is the sampling covariance of
the means over the validation examples, which networks share; x_i is the search's value, which counts as far as it predicts.
a, b and tau are flat (tau up to 4 standard deviations of y). That the finalists are the search's best changes nothing, since
the model is conditional on x. The probabilities are those of theta_i being the largest, by simulation;
`benchmarks/rank_statistics.py` measures how well they are calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ogive.arrays import FloatArray

DRAWS = 20_000
FEWEST = 5
"""Networks below which the search's values are no predictor."""
GRID = 16
"""Values of sigma, and of tau, that are integrated over."""


@dataclass(frozen=True)
class Noise:
    """What blurs the comparison of fully trained networks.

    Attributes:
        seeds: standard deviation from seed to seed, pooled over networks; None where no network has two seeds.
        degrees: of freedom of that estimate.
        examples: covariance [k, k] of the networks' means over the validation examples; None where it is not known.
    """

    seeds: float | None
    degrees: int
    examples: FloatArray | None

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self.seeds is not None or self.examples is not None


def noise(values: Sequence[Sequence[float]], scores: FloatArray | None = None) -> Noise:
    """The noise in `values`: for each of k networks, one value a seed.

    Args:
        values: for each network, one value a seed.
        scores: of k networks on m examples, means over seeds, [k, m]; a network's value is the mean of its row.
    """
    degrees = sum(len(own) - 1 for own in values)
    squares = sum(float(((np.asarray(own) - np.mean(own)) ** 2).sum()) for own in values)
    examples = None if scores is None else np.atleast_2d(np.cov(scores)) / scores.shape[1]
    return Noise(math.sqrt(squares / degrees) if degrees else None, degrees, examples)


def probabilities(
    values: Sequence[Sequence[float]], goal: str, noise: Noise, searched: Sequence[float] = ()
) -> FloatArray:
    """For each of k networks the probability [k] that its true value is the best; see the module's docstring.

    Args:
        values: for each network, one value a seed, at least one.
        goal: "maximize" or "minimize".
        searched: the search's values, comparable with each other; left out where they are not, or of fewer than 5 networks.
        noise: of these values; known.

    Raises:
        ValueError: nothing is known of the noise, or there are no values.
    """
    if not noise.known or not values or not all(len(own) for own in values):
        raise ValueError("expected at least one value of each network, and noise of which something is known")
    sign = 1.0 if goal == "maximize" else -1.0
    y = sign * np.array([np.mean(own) for own in values])
    k, scale = len(y), float(np.std(y)) or 1.0
    if k == 1:
        return np.ones(1)
    y = (y - y.mean()) / scale
    seeds = np.array([1.0 / len(own) for own in values]) * ((noise.seeds or 0.0) / scale) ** 2
    examples = np.zeros((k, k)) if noise.examples is None else noise.examples / scale**2
    rng = np.random.default_rng(0)
    x = _predictors(np.asarray(searched, dtype=np.float64), k)
    cells = [_Cell(y, x, factor * np.diag(seeds) + examples, tau) for factor in _spread(noise) for tau in _taus()]
    logs = np.array([cell.log_likelihood for cell in cells])
    weights = np.exp(logs - logs.max())
    counts = rng.multinomial(DRAWS, weights / weights.sum())
    wins = np.zeros(k)
    for cell, count in zip(cells, counts, strict=True):
        if count:
            wins += np.bincount(cell.draw(rng, count).argmax(axis=1), minlength=k)
    return np.asarray(wins / DRAWS)


def _spread(noise: Noise) -> FloatArray:
    """sigma^2 over its estimate, at the middles of `GRID` equally probable stretches of its posterior (inverse chi^2)."""
    if noise.seeds is None:
        return np.ones(1)
    from scipy.stats import chi2

    middles = (np.arange(GRID) + 0.5) / GRID
    return np.asarray(noise.degrees / chi2.ppf(middles, noise.degrees))


def _taus() -> FloatArray:
    """tau in standard deviations of y."""
    return (np.arange(GRID) + 0.5) / GRID * 4.0


def _predictors(searched: FloatArray, k: int) -> FloatArray:
    """Ones, and the standardised values of the search where there are enough of them; [k, 1 or 2]."""
    columns = [np.ones(k)]
    if len(searched) == k >= FEWEST and searched.std() > 0:
        columns.append((searched - searched.mean()) / searched.std())
    return np.stack(columns, axis=1)


class _Cell:
    """The model with sigma and tau fixed: y [k] ~ N(X beta, S), S = V + tau^2 I; beta is integrated out."""

    def __init__(self, y: FloatArray, x: FloatArray, v: FloatArray, tau: float) -> None:
        self.y, self.x, self.tau = y, x, tau
        s = v + tau**2 * np.eye(len(y))
        self.inverse = np.linalg.inv(s)
        precision = x.T @ self.inverse @ x
        self.covariance = np.linalg.inv(precision)
        self.beta = self.covariance @ x.T @ self.inverse @ y
        off = y - x @ self.beta
        determinants = float(np.linalg.slogdet(s)[1] + np.linalg.slogdet(precision)[1])
        self.log_likelihood = -0.5 * (determinants + float(off @ self.inverse @ off))

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """theta [count, k] from its posterior."""
        k, p = self.x.shape
        beta = self.beta + rng.standard_normal((count, p)) @ np.linalg.cholesky(self.covariance).T
        expected = beta @ self.x.T
        mean = expected + self.tau**2 * (self.y - expected) @ self.inverse
        values, vectors = np.linalg.eigh(self.tau**2 * np.eye(k) - self.tau**4 * self.inverse)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        return np.asarray(mean + rng.standard_normal((count, k)) @ root.T)
