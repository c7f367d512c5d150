"""The data that surrogates are fitted to: costs, constraints and failures of trials, and transforms of these values.

Symbols: n trials, m objectives, c constraints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.objective import Constraint, Objective, compute_costs, rank_costs
from ogive.stats.ranks import average_ranks
from ogive.trial import Status, Trial, select_comparable

CAUSED_BY_ARCHITECTURE = (
    Status.ERROR,
    Status.OUT_OF_MEMORY,
    Status.TIME_LIMIT,
    Status.NOT_FINITE,
    Status.MISSING_METRIC,
    Status.INFEASIBLE,
    Status.EXITED,
)
"""Failures that the architecture may have caused. A killed worker or a lost host says nothing about the architecture."""


@dataclass(frozen=True)
class Observations:
    """Measurements of trials, all at one step, so that they can be compared.

    Attributes:
        trials: [n] the trials with a finite value of every objective.
        costs: [n, m] the costs of the objectives; less is better.
        excess: [n, c] the amount by which each constraint is violated, in the unit of its metric. Negative where the
            constraint is satisfied with a margin, infinite where the metric was not reported.
        failed: the trials whose failure the architecture may have caused.
    """

    trials: Sequence[Trial]
    costs: FloatArray
    excess: FloatArray
    failed: Sequence[Trial]

    @property
    def feasible(self) -> BoolArray:
        """A mask [n] of the trials that satisfy every constraint."""
        return np.asarray((self.excess <= 0).all(axis=1))

    def ranks(self) -> IntArray:
        """Return the ranks [n] of the trials, 0 for the best, by `ogive.objective.rank_costs`."""
        return rank_costs(self.costs, np.maximum(self.excess, 0.0).sum(axis=1))

    def select(self, rows: IntArray) -> Observations:
        """Return the observations of the trials in these rows, and of all failed trials."""
        return Observations([self.trials[row] for row in rows], self.costs[rows], self.excess[rows], self.failed)


def collect_observations(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint], at_least: int
) -> Observations:
    """Return the observations of `trials` at the highest step that `at_least` of them have reached."""
    step, reached = select_comparable(trials, at_least)
    measured = [(trial, trial.metrics_at(step)) for trial in reached]
    values = np.array([compute_costs(metrics, objectives) for _, metrics in measured]).reshape(
        len(measured), len(objectives)
    )
    # Leave out trials without a finite value of an objective, for example because it was reported only at a later step.
    is_finite = np.isfinite(values).all(axis=1)
    measured = [item for item, finite in zip(measured, is_finite, strict=True) if finite]
    excess = [
        [_compute_excess(constraint, metrics.get(constraint.metric)) for constraint in constraints]
        for _, metrics in measured
    ]
    return Observations(
        trials=[trial for trial, _ in measured],
        costs=values[is_finite],
        excess=np.array(excess).reshape(len(measured), len(constraints)),
        failed=[trial for trial in trials if trial.status in CAUSED_BY_ARCHITECTURE],
    )


def _compute_excess(constraint: Constraint, value: float | None) -> float:
    """Return the excess of one trial: negative if the constraint is satisfied with a margin."""
    if value is None or math.isnan(value):
        return math.inf
    return value - constraint.threshold if constraint.at_most is not None else constraint.threshold - value


def normal_scores(values: FloatArray) -> FloatArray:
    """Return the normal scores [n] of the ranks of `values` [n]; equal values share the mean of their ranks.

    The scores keep the order of the values and nothing else, so neither outliers nor a skewed scale affect a model.
    """
    ranks, _ = average_ranks(values)
    return np.asarray(ndtri((ranks - 0.5) / len(values)))


def winsorize(values: FloatArray) -> FloatArray:
    """Limit the high `values` [n], which are the bad ones, and standardize the result.

    The limit is the median plus twice the distance from the 10th percentile to the median. So the distances among good
    values are kept, and all values beyond the limit count as equally bad.
    """
    median = float(np.median(values))
    percentile_10 = float(np.percentile(values, 10))
    is_spread = percentile_10 < median
    return standardize(np.minimum(values, median + 2.0 * (median - percentile_10)) if is_spread else values)


def standardize(values: FloatArray) -> FloatArray:
    """Return `values` [n] with mean 0 and standard deviation 1; zeros if all are equal."""
    # Scale the values below 1, so that sums and squares do not overflow. Scaling by a power of two is exact.
    exponent = int(np.frexp(abs(values).max())[1])
    scaled = np.ldexp(values, -exponent)
    deviation = float(scaled.std())
    return np.asarray((scaled - scaled.mean()) / deviation if deviation > 1e-12 else 0.0 * scaled)


def scale_excess(excess: FloatArray) -> FloatArray:
    """Return the excess [n] of one constraint, divided by the median of its absolute values and limited to [-3, 3].

    The sign is kept, since an excess of 0 is at the threshold. An infinite excess (the metric was not reported) becomes 3.
    """
    distances = np.abs(excess[np.isfinite(excess) & (excess != 0)])
    scale = float(np.median(distances)) if len(distances) else 1.0
    return np.asarray(np.clip(excess / scale, -3.0, 3.0))
