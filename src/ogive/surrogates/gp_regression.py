"""Gaussian process regression with a posterior over the kernel's parameters.

Rasmussen and Williams, "Gaussian processes for machine learning" (2006), algorithm 2.1. The parameters are not fitted but
drawn from their posterior by elliptical slice sampling (Murray, Adams and MacKay 2010), so that a decision that seems to
matter little after a few trials is not written off.

Symbols: n trials, m points, p columns of the embedding, theta the logarithms of the kernel's parameters, S draws of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from ogive.arrays import FloatArray
from ogive.surrogates.architecture_kernel import ArchitectureKernel

LogLikelihood = Callable[[FloatArray], float]

CLIMB, BURN = 20, 8
"""Steps up to where the posterior is highest, and steps of the chain from there to the first draw."""

FARTHEST = 8.0
"""How far from the prior's mean the climb may go, in the prior's standard deviations: L-BFGS-B does not limit its steps, and
parameters are logarithms."""

IMPOSSIBLE = 1e10
"""The cost of parameters under which nothing can be computed."""


@dataclass(frozen=True)
class GPRegression:
    """A Gaussian process with zero mean, conditioned on y [n] at x [n, p]."""

    kernel: ArchitectureKernel
    theta: FloatArray
    x: FloatArray  # [n, p]
    y: FloatArray  # [n]
    factor: FloatArray  # [n, n], lower Cholesky factor of the kernel matrix with noise
    weights: FloatArray  # [n], kernel matrix^-1 y

    @property
    def log_marginal_likelihood(self) -> float:
        n = len(self.y)
        half_log_determinant = np.log(np.diag(self.factor)).sum()
        return float(-0.5 * self.y @ self.weights - half_log_determinant - 0.5 * n * math.log(2 * math.pi))

    @property
    def slopes(self) -> FloatArray:
        """The gradient of the logarithm of the marginal likelihood by theta (equation 5.9)."""
        inverse = cho_solve((self.factor, True), np.eye(len(self.y)), check_finite=False)
        return self.kernel.slopes(self.theta, self.x, 0.5 * (np.outer(self.weights, self.weights) - inverse))

    @cached_property
    def _inverse_factor(self) -> FloatArray:  # [n, n]; a product with it is quicker than solving for many points
        n = len(self.factor)
        return np.asarray(solve_triangular(self.factor, np.eye(n), lower=True, check_finite=False))

    def predict(self, x: FloatArray, noise: bool = False) -> tuple[FloatArray, FloatArray]:
        """Means [m] and standard deviations [m] at x [m, p]: of the function, or of what would be measured of it."""
        cross = self.kernel(self.theta, self.x, x)  # [n, m]
        half = self._inverse_factor @ cross  # [n, m]
        variance = self.kernel.diagonal(self.theta, x) - np.einsum("ij,ij->j", half, half)
        deviation = np.sqrt(np.maximum(variance, 1e-10) + noise * self.kernel.noise(self.theta))
        return cross.T @ self.weights, deviation

    def believing(self, x: FloatArray) -> GPRegression:
        """As if points in flight, x [w, p], had come out as predicted (Ginsbourger et al. 2010, "Kriging believer")."""
        if not len(x):
            return self
        y = np.concatenate([self.y, self.predict(x)[0]])
        return condition(self.kernel, self.theta, np.concatenate([self.x, x]), y)


def condition(kernel: ArchitectureKernel, theta: FloatArray, x: FloatArray, y: FloatArray) -> GPRegression:
    """Condition on y [n] at x [n, p]."""
    k = kernel(theta, x, x)
    k[np.diag_indices(len(x))] += kernel.noise(theta)
    factor = cholesky(k, lower=True, check_finite=False)
    return GPRegression(kernel, theta, x, y, factor, cho_solve((factor, True), y, check_finite=False))


def draw_parameters(
    kernel: ArchitectureKernel, x: FloatArray, y: FloatArray, draws: int, rng: np.random.Generator
) -> list[FloatArray]:
    """S = `draws` vectors theta from their posterior given y [n] at x [n, p], one after another of a chain.

    The chain begins where the posterior is highest: from the middle of the prior it would take hundreds of steps to where a
    metric without noise, such as a latency from a table, has its parameters.

    Raises:
        FloatingPointError: the likelihood cannot be computed there.
    """
    prior = kernel.prior

    def model(z: FloatArray) -> GPRegression:
        return condition(kernel, prior.mean + prior.deviation * z, x, y)

    def log_likelihood(z: FloatArray) -> float:
        try:
            return model(z).log_marginal_likelihood
        except (LinAlgError, ArithmeticError):  # not positive definite to the last digit: as good as impossible
            return -math.inf

    z = _highest(model, len(prior.mean))
    current = log_likelihood(z)
    if not math.isfinite(current):
        raise FloatingPointError("no parameters of the Gaussian process explain the data")
    found = []
    for _ in range(BURN + draws):
        z, current = elliptical_slice_step(z, current, log_likelihood, rng)
        found.append(prior.mean + prior.deviation * z)
    return found[BURN:]


def _highest(model: Callable[[FloatArray], GPRegression], parameters: int) -> FloatArray:
    """Where the posterior of z, whose prior is a standard normal, is about the highest."""
    from scipy.optimize import minimize  # a tenth of a second to import

    def cost(z: FloatArray) -> tuple[float, FloatArray]:
        try:
            here = model(z)
            value = 0.5 * float(z @ z) - here.log_marginal_likelihood
            slopes = z - here.kernel.prior.deviation * here.slopes
        except (LinAlgError, ArithmeticError):
            return IMPOSSIBLE, np.zeros(parameters)
        return (value, slopes) if math.isfinite(value + slopes.sum()) else (IMPOSSIBLE, np.zeros(parameters))

    start, bounds = np.zeros(parameters), [(-FARTHEST, FARTHEST)] * parameters
    found = minimize(cost, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": CLIMB})
    return np.asarray(found.x)


def elliptical_slice_step(
    z: FloatArray, current: float, log_likelihood: LogLikelihood, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    """One step of a chain whose prior is a standard normal (Murray et al. 2010, figure 2); with its log-likelihood."""
    nu = rng.standard_normal(len(z))
    threshold = current + math.log(1.0 - rng.random())
    angle = rng.uniform(0.0, 2.0 * math.pi)
    low, high = angle - 2.0 * math.pi, angle
    while True:
        proposal = z * math.cos(angle) + nu * math.sin(angle)
        value = log_likelihood(proposal)
        if value > threshold:
            return proposal, value
        low, high = (angle, high) if angle < 0 else (low, angle)
        if high - low < 1e-9:  # the bracket has shrunk to where the chain stands
            return z, current
        angle = rng.uniform(low, high)
