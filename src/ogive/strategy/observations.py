"""What a model is fitted to: the costs, constraints and failures of trials, on scales that a Gaussian process can take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.objective import Constraint, Objective, costs, rank
from ogive.trial import Status, Trial, comparable

CAUSED = (
    Status.ERROR,
    Status.OUT_OF_MEMORY,
    Status.TIME_LIMIT,
    Status.NOT_FINITE,
    Status.MISSING_METRIC,
    Status.INFEASIBLE,
    Status.EXITED,
)
"""Failures that the architecture may have caused; a killed worker or a lost host says nothing of it."""


@dataclass(frozen=True)
class Observations:
    """What is known of trials, at one step at which they can be compared.

    Attributes:
        trials: [n] those with a finite value of every objective.
        costs: [n, m] of the objectives, less is better.
        excess: [n, c] how far each constraint is missed, in its metric's unit; negative where it is kept with room to
            spare, infinite where the metric was not reported.
        failed: those that failed by what they are.
    """

    trials: Sequence[Trial]
    costs: FloatArray
    excess: FloatArray
    failed: Sequence[Trial]

    @property
    def feasible(self) -> BoolArray:
        """[n] which trials keep every constraint."""
        return np.asarray((self.excess <= 0).all(axis=1))

    def ranks(self) -> IntArray:
        """[n] ranks, 0 the best, as `ogive.objective.rank` gives them."""
        return rank(self.costs, np.maximum(self.excess, 0.0).sum(axis=1))

    def rows(self, chosen: IntArray) -> Observations:
        """Only these of the trials, and all that failed."""
        return Observations([self.trials[row] for row in chosen], self.costs[chosen], self.excess[chosen], self.failed)


def collect_observations(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint], at_least: int
) -> Observations:
    """Compare `trials` at the highest step that `at_least` of them have reached."""
    step, reached = comparable(trials, at_least)
    rows = [(trial, trial.at(step)) for trial in reached]
    values = np.array([costs(metrics, objectives) for _, metrics in rows]).reshape(len(rows), len(objectives))
    known = np.isfinite(values).all(axis=1)
    rows = [row for row, keep in zip(rows, known, strict=True) if keep]
    excess = [
        [_excess(constraint, metrics.get(constraint.metric)) for constraint in constraints] for _, metrics in rows
    ]
    return Observations(
        [trial for trial, _ in rows],
        values[known],
        np.array(excess).reshape(len(rows), len(constraints)),
        [trial for trial in trials if trial.status in CAUSED],
    )


def _excess(constraint: Constraint, value: float | None) -> float:
    if value is None or math.isnan(value):
        return math.inf
    return value - constraint.threshold if constraint.at_most is not None else constraint.threshold - value


def normal_scores(values: FloatArray) -> FloatArray:
    """Normal scores [n] of the ranks of `values` [n]: no outlier, no scale, nothing of the distances is left."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[group]  # ties share the mean; SciPy's take half a second to import
    return np.asarray(ndtri((ranks - 0.5) / len(values)))


def winsorized(values: FloatArray) -> FloatArray:
    """`values` [n], less is better, standardised; what is worse than twice the way from the best tenth to the median,
    beyond the median, is drawn in to there. Distances among good ones are kept; how bad a bad one is does not matter.
    """
    median = float(np.median(values))
    tenth = float(np.percentile(values, 10))
    return standardized(np.minimum(values, median + 2.0 * (median - tenth)) if tenth < median else values)


def standardized(values: FloatArray) -> FloatArray:
    """`values` [n] with mean 0 and standard deviation 1; zeros where all are equal."""
    exponent = int(np.frexp(abs(values).max())[1])
    scaled = np.ldexp(values, -exponent)  # exact, and below 1: sums and squares of the largest numbers overflow
    deviation = float(scaled.std())
    return np.asarray((scaled - scaled.mean()) / deviation if deviation > 1e-12 else 0.0 * scaled)


def margins(excess: FloatArray) -> FloatArray:
    """One constraint's excess [n] with its scale taken out and 0 kept where it is; at most 3 away from 0.

    What was not reported is as far on the wrong side as anything.
    """
    finite = np.abs(excess[np.isfinite(excess) & (excess != 0)])
    scale = float(np.median(finite)) if len(finite) else 1.0
    return np.asarray(np.clip(excess / scale, -3.0, 3.0))
