"""Bayesian optimisation with a small Gaussian process over the encoding of architectures.

Symbols: n trials, d columns of the encoding, m candidates. The kernel is an exponentiated distance, k(x, x') =
exp(-gamma |x - x'|_1), which over one-hot columns is an exponentiated Hamming distance. Values are replaced by the
normal scores of their ranks, so that objectives, constraints and outliers need no scale. Expected improvement (Jones
et al. 1998, equation 15) is averaged over a grid of hyperparameters, weighted by their marginal likelihood (Snoek et al.
2012, section 3.2). Architectures in flight are believed to come out as predicted (Ginsbourger et al. 2010, "Kriging
believer").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.spatial.distance import cdist
from scipy.stats import norm, rankdata

from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.ranking import ranked
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

FloatArray = NDArray[np.float64]
NAME = "strategy 'gp'"

GAMMAS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Inverse length scales, in units of one over the number of decisions."""

NOISES = (1e-2, 1e-1)
"""Variances of the noise, beside a prior variance of 1."""

NEGLIGIBLE = 1e-3
"""Hyperparameters with a smaller share of the posterior are left out."""


@dataclass(frozen=True)
class Posterior:
    """A Gaussian process with zero mean and unit variance, conditioned on y [n] at x [n, d]."""

    x: FloatArray  # [n, d]
    gamma: float
    factor: FloatArray  # [n, n], lower Cholesky factor of the kernel matrix with noise
    weights: FloatArray  # [n], kernel matrix^-1 y
    log_marginal_likelihood: float

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means [m] and standard deviations [m] of the function, without noise, at x [m, d]."""
        cross = kernel(x, self.x, self.gamma)  # [m, n]
        half = solve_triangular(self.factor, cross.T, lower=True)  # [n, m]
        return cross @ self.weights, np.sqrt(np.maximum(1.0 - (half**2).sum(axis=0), 1e-12))


def kernel(a: FloatArray, b: FloatArray, gamma: float) -> FloatArray:
    """exp(-gamma |a_i - b_j|_1) [n, m] of a [n, d] and b [m, d]."""
    return np.asarray(np.exp(-gamma * cdist(a, b, "cityblock")))


def fit(x: FloatArray, y: FloatArray, gamma: float, noise: float) -> Posterior:
    """Condition on y [n] at x [n, d], seen with noise of variance `noise`."""
    factor = np.asarray(np.linalg.cholesky(kernel(x, x, gamma) + noise * np.eye(len(x))), dtype=np.float64)
    weights = np.asarray(cho_solve((factor, True), y))
    evidence = -0.5 * y @ weights - np.log(np.diag(factor)).sum() - 0.5 * len(y) * math.log(2 * math.pi)
    return Posterior(x, gamma, factor, weights, float(evidence))


def expected_improvement(mean: FloatArray, deviation: FloatArray, best: float) -> FloatArray:
    """E[max(best - Y, 0)] for Y ~ N(mean, deviation^2), elementwise: how far a candidate is expected below `best`."""
    z = (best - mean) / deviation
    return np.asarray(deviation * (z * norm.cdf(z) + norm.pdf(z)))


class GaussianProcess(Strategy):
    """Propose what promises most improvement among random architectures and mutations of the best.

    Options:
        initial: how many trials need a value before the model is used; random until then.
        samples: random candidates at each ask.
        mutations: candidates at each ask that are one change away from one of the five best.
        max_fit: with more trials than this the model is fitted to a third of it, the best, and random others; the
            proposal's note then says to how many of how many. (Fitting takes time cubic in their number.)

    Trials are compared at the highest step that a quarter of them have reached (at least `initial`).
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 10,
        samples: int = 150,
        mutations: int = 150,
        max_fit: int = 300,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.initial = whole(NAME, "initial", initial, at_least=2)
        self.samples = whole(NAME, "samples", samples, at_least=1)
        self.mutations = whole(NAME, "mutations", mutations, at_least=0)
        self.max_fit = whole(NAME, "max_fit", max_fit, at_least=3)
        self._trials: dict[TrialId, Trial] = {}
        self._encoded: dict[TrialId, FloatArray] = {}  # a cache

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        if trial.id not in self._encoded:
            self._encoded[trial.id] = self.space.encode([trial.architecture])[0]

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        trials = list(self._trials.values())
        order = ranked(trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4))
        if len(order) < self.initial:
            return Proposal(self.space.sample(rng))
        order.sort(key=lambda item: item[0])
        known = len(order)
        if known > self.max_fit:
            keep = self.max_fit // 3
            others = rng.permutation(np.arange(keep, known))[: self.max_fit - keep]
            order = [*order[:keep], *(order[i] for i in sorted(others.tolist()))]
        note = {"fitted_on": len(order), "of": known}
        seen = {trial.architecture.id for trial in trials} | {proposal.architecture.id for proposal in pending}
        candidates = self._candidates([trial.architecture for _, trial in order[:5]], seen, rng)
        if not candidates:
            return Proposal(self.space.sample(rng), note={"fitted_on": 0, "of": known})
        waiting = [proposal.architecture for proposal in pending]
        gain = self._gain(order, self.space.encode(waiting), self.space.encode(candidates))
        by_gain = [candidates[i] for i in np.argsort(-gain, kind="stable")]
        return Proposal(next(filter(self.allowed, by_gain), by_gain[0]), note=note)

    def _candidates(self, best: list[Architecture], seen: set[str], rng: np.random.Generator) -> list[Architecture]:
        """Different architectures that are not among the `seen` ids: random ones, and mutations of the `best`."""
        found = [self.space.sample(rng) for _ in range(self.samples)]
        for i in range(self.mutations):
            try:
                found.append(self.space.mutate(best[i % len(best)], rng))
            except SpaceError:  # the space's constraint allows nothing that is one change away from this one
                continue
        return list({a.id: a for a in found if a.id not in seen}.values())

    def _gain(self, order: list[tuple[int, Trial]], waiting: FloatArray, candidates: FloatArray) -> FloatArray:
        """Expected improvement [m] at `candidates` [m, d] while `waiting` [w, d] are in flight."""
        x = np.stack([self._encoded[trial.id] for _, trial in order])
        y = norm.ppf((rankdata([place for place, _ in order]) - 0.5) / len(order))  # small is good
        scale = max(1, len(self.space.decisions))
        fits = {(gamma / scale, noise): fit(x, y, gamma / scale, noise) for gamma in GAMMAS for noise in NOISES}
        evidence = np.array([posterior.log_marginal_likelihood for posterior in fits.values()])
        shares = np.exp(evidence - evidence.max())
        gain = np.zeros(len(candidates))
        for ((gamma, noise), posterior), share in zip(fits.items(), shares / shares.sum(), strict=True):
            if share > NEGLIGIBLE:
                if len(waiting):
                    believed = np.concatenate([y, posterior.predict(waiting)[0]])
                    posterior = fit(np.concatenate([x, waiting]), believed, gamma, noise)
                gain += share * expected_improvement(*posterior.predict(candidates), best=float(y.min()))
        return gain
