"""Gaussian process regression, with kernel parameters that are drawn from their posterior.

Rasmussen and Williams, "Gaussian processes for machine learning" (2006), algorithm 2.1. The parameters are not fitted, but
drawn by elliptical slice sampling (Murray, Adams and MacKay, "Elliptical slice sampling", AISTATS 2010). With fitted
parameters, a decision that seems unimportant after a few trials would be ignored in all later predictions.

Symbols: n trials, m points, w pending points, p columns of the embedding, S draws of theta. theta is the vector of the
logarithms of the kernel's parameters; z is theta in standard deviations from the mean of its prior.
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

MAX_MODE_STEPS = 20
"""The optimizer takes at most this many steps to the mode of the posterior."""

BURN_IN_STEPS = 8
"""The number of steps of the chain from the mode to the first draw."""

MAX_DEVIATIONS = 8.0
"""The optimizer tries parameters at most this far from the prior's mean, in the prior's standard deviations. L-BFGS-B does
not limit its steps, and the exponential of a parameter must not overflow."""

IMPOSSIBLE_COST = 1e10
"""The value of the minimized function (minus the log posterior) where the likelihood cannot be computed."""


@dataclass(frozen=True, kw_only=True)
class GPRegression:
    """A Gaussian process with mean zero, conditioned on y at x.

    Attributes:
        kernel: the kernel.
        theta: the parameters of the kernel.
        x: the embedded architectures, [n, p].
        y: the values at `x`, [n].
        factor: L, the lower Cholesky factor of the kernel matrix with noise, [n, n].
        weights: alpha, the inverse of the kernel matrix with noise times y, [n].
    """

    kernel: ArchitectureKernel
    theta: FloatArray
    x: FloatArray
    y: FloatArray
    factor: FloatArray
    weights: FloatArray

    @property
    def log_marginal_likelihood(self) -> float:
        """The log marginal likelihood of y (algorithm 2.1, line 7)."""
        n = len(self.y)
        half_log_determinant = np.log(np.diag(self.factor)).sum()
        return float(-0.5 * self.y @ self.weights - half_log_determinant - 0.5 * n * math.log(2 * math.pi))

    @property
    def log_likelihood_gradient(self) -> FloatArray:
        """The gradient of the log marginal likelihood with respect to theta (equation 5.9)."""
        # 1/2 trace((alpha alpha^T - K^-1) dK/dtheta)
        inverse = cho_solve((self.factor, True), np.eye(len(self.y)), check_finite=False)
        return self.kernel.compute_weighted_gradient(
            self.theta, self.x, 0.5 * (np.outer(self.weights, self.weights) - inverse)
        )

    @cached_property
    def _inverse_factor(self) -> FloatArray:  # [n, n]
        # For many points, one product with the inverse is faster than solving for each of them.
        n = len(self.factor)
        return np.asarray(solve_triangular(self.factor, np.eye(n), lower=True, check_finite=False))

    def predict(self, x: FloatArray, noise: bool = False) -> tuple[FloatArray, FloatArray]:
        """Return the means [m] and standard deviations [m] at `x` [m, p].

        Args:
            x: embedded architectures.
            noise: whether to predict measurements, whose variance includes the noise, rather than the function itself.
        """
        # Algorithm 2.1, lines 4 to 6: mean k_*^T alpha, v = L \ k_*, variance k(x_*, x_*) - v^T v.
        cross = self.kernel(self.theta, self.x, x)  # [n, m]
        v = self._inverse_factor @ cross  # [n, m]
        variance = self.kernel.diagonal(self.theta, x) - np.einsum("ij,ij->j", v, v)
        # Rounding errors can make a variance of 0 slightly negative.
        variance = np.maximum(variance, 1e-10) + (self.kernel.noise(self.theta) if noise else 0.0)
        return cross.T @ self.weights, np.sqrt(variance)

    def condition_on_pending(self, x: FloatArray) -> GPRegression:
        """Return the process as if pending points `x` [w, p] had ended with the predicted means.

        Ginsbourger, Le Riche and Carraro, "Kriging is well-suited to parallelize optimization" (2010): "Kriging believer".
        """
        if not len(x):
            return self
        y = np.concatenate([self.y, self.predict(x)[0]])
        return condition_process(self.kernel, self.theta, np.concatenate([self.x, x]), y)


def condition_process(kernel: ArchitectureKernel, theta: FloatArray, x: FloatArray, y: FloatArray) -> GPRegression:
    """Return the Gaussian process conditioned on y [n] at x [n, p].

    Raises:
        LinAlgError: the kernel matrix is not positive definite.
    """
    # Algorithm 2.1, lines 2 and 3: L = cholesky(K + noise I), alpha = L^T \ (L \ y).
    k = kernel(theta, x, x)
    k[np.diag_indices(len(x))] += kernel.noise(theta)
    factor = cholesky(k, lower=True, check_finite=False)
    return GPRegression(
        kernel=kernel, theta=theta, x=x, y=y, factor=factor, weights=cho_solve((factor, True), y, check_finite=False)
    )


def draw_parameters(
    kernel: ArchitectureKernel, x: FloatArray, y: FloatArray, *, steps: int, rng: np.random.Generator
) -> list[FloatArray]:
    """Return S = `steps` vectors theta, successive steps of a Markov chain on their posterior given y [n] at x [n, p].

    The chain starts at the mode of the posterior. If it started at the mean of the prior, it would take hundreds of steps to
    reach the parameters of a metric without noise, such as a latency from a table.

    Raises:
        FloatingPointError: the likelihood cannot be computed at the mode.
    """
    prior = kernel.prior

    def model(z: FloatArray) -> GPRegression:
        return condition_process(kernel, prior.mean + prior.deviation * z, x, y)

    def log_likelihood(z: FloatArray) -> float:
        try:
            return model(z).log_marginal_likelihood
        except (LinAlgError, ArithmeticError):  # treat such parameters as impossible
            return -math.inf

    z = _find_mode(model, len(prior.mean))
    current = log_likelihood(z)
    if not math.isfinite(current):
        raise FloatingPointError("no parameters of the Gaussian process explain the data")
    chain = []
    for _ in range(BURN_IN_STEPS + steps):
        z, current = elliptical_slice_step(z, current, log_likelihood, rng)
        chain.append(prior.mean + prior.deviation * z)
    return chain[BURN_IN_STEPS:]


def _find_mode(model: Callable[[FloatArray], GPRegression], parameter_count: int) -> FloatArray:
    """Return the approximate mode z of the posterior, whose prior is a standard normal distribution."""
    from scipy.optimize import minimize  # the import takes a tenth of a second

    def cost(z: FloatArray) -> tuple[float, FloatArray]:
        """Return minus the log posterior, up to a constant, and its gradient."""
        try:
            process = model(z)
            value = 0.5 * float(z @ z) - process.log_marginal_likelihood
            gradient = z - process.kernel.prior.deviation * process.log_likelihood_gradient
        except (LinAlgError, ArithmeticError):
            return IMPOSSIBLE_COST, np.zeros(parameter_count)
        return (
            (value, gradient) if math.isfinite(value + gradient.sum()) else (IMPOSSIBLE_COST, np.zeros(parameter_count))
        )

    start, bounds = np.zeros(parameter_count), [(-MAX_DEVIATIONS, MAX_DEVIATIONS)] * parameter_count
    result = minimize(cost, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": MAX_MODE_STEPS})
    return np.asarray(result.x)


def elliptical_slice_step(
    z: FloatArray, current: float, log_likelihood: LogLikelihood, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    """Return the next state of a chain whose prior is a standard normal distribution, and its log likelihood.

    Murray, Adams and MacKay (2010), figure 2.

    Args:
        z: the current state.
        current: the log likelihood of the current state.
        log_likelihood: the function that returns the log likelihood of a state.
        rng: the source of random numbers.
    """
    # Steps 1 and 2: choose an ellipse by a draw from the prior, and a threshold of the log likelihood.
    nu = rng.standard_normal(len(z))
    threshold = current + math.log(1.0 - rng.random())
    # Step 3: draw a proposal on the ellipse, which also defines the bracket.
    angle = rng.uniform(0.0, 2.0 * math.pi)
    low, high = angle - 2.0 * math.pi, angle
    while True:
        # Steps 4 to 6: accept the proposal if its likelihood is above the threshold.
        proposal = z * math.cos(angle) + nu * math.sin(angle)
        value = log_likelihood(proposal)
        if value > threshold:
            return proposal, value
        # Steps 7 to 10: shrink the bracket towards the current state (angle 0), and try a new proposal.
        low, high = (angle, high) if angle < 0 else (low, angle)
        # Not in the paper: rounding errors can reject every angle, so stay when the bracket has shrunk to the state itself.
        if high - low < 1e-9:
            return z, current
        angle = rng.uniform(low, high)
