"""The rewards of a run: a series of numbers, one for each trial, at equal fidelity. The stop rules test this series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from ogive.arrays import FloatArray
from ogive.monitor.trend import RunningBest
from ogive.objective import find_pareto_front, hypervolume, total_violation
from ogive.run.state import State
from ogive.trial import Status, Step, Trial, TrialId, select_comparable


@dataclass(frozen=True, kw_only=True, eq=False)
class Rewards:
    """The rewards of n trials, in the order in which the trials became inactive. More is better.

    Attributes:
        values: the rewards [n]. With one objective, the rewards are its values, with the sign changed if the objective is
            minimized. With several objectives, a reward is minus the distance of the trial to the present Pareto front.
        best_after: a function that returns the running best after k trials. With several objectives, the running best is the
            hypervolume that the k trials dominate.
        starting_best: the value of the running best from which its gain is measured: the median of the first fifth of the
            rewards. With several objectives this value is 0, because the hypervolume is measured from the medians of the
            first fifth.
        step: the epoch or report number at which the trials are compared.
    """

    values: FloatArray
    best_after: RunningBest
    starting_best: float
    step: Step


def count_inactive(state: State) -> int:
    """Return how many trials are paused or have ended."""
    return state.ended_count + state.status_counts[Status.PAUSED]


def compute_rewards(state: State, trials: int) -> Rewards:
    """Return the rewards of the first `trials` trials that became inactive.

    The trials are compared at the highest step that half of them have reached. Failed trials, trials that have not reached
    this step, and trials that violate a constraint have no reward.
    """
    inactive = sorted((t for t in state.trials.values() if _is_inactive(t)), key=_find_end_time)[:trials]
    valid = [t for t in inactive if t.reports and not t.status.failed]
    step, comparable = select_comparable(valid, at_least=math.ceil(len(valid) / 2))
    metrics = [trial.metrics_at(step) for trial in comparable]
    if state.constraints:
        metrics = [row for row in metrics if total_violation(row, state.constraints) == 0]
    # Transposed, so that the array has a column for each objective even if there are no trials.
    costs = np.array([[objective.cost(row) for row in metrics] for objective in state.objectives]).T
    costs = costs[np.isfinite(costs).all(axis=1)]
    if len(costs) == 0:
        return Rewards(values=np.empty(0), best_after=lambda k: math.nan, starting_best=math.nan, step=step)
    if costs.shape[1] == 1:
        return make_single_objective_rewards(-costs[:, 0], step)
    return _make_multi_objective_rewards(costs, step)


def make_single_objective_rewards(values: FloatArray, step: Step = 1) -> Rewards:
    """Return the rewards of a single objective.

    Args:
        values: at least one value of the objective, with the sign for which more is better.
        step: the step at which the values were measured.
    """
    running_best = np.maximum.accumulate(values)
    starting_best = float(np.median(values[: _count_first_fifth(values)]))
    return Rewards(
        values=values, best_after=lambda k: float(running_best[k - 1]), starting_best=starting_best, step=step
    )


def _make_multi_objective_rewards(costs: FloatArray, step: Step) -> Rewards:
    """Return the rewards of n trials with several objectives.

    The distance of a trial to the front is the largest amount by which one point of the front is better than the trial in
    all objectives at once. It is minus the additive epsilon indicator of the front relative to the trial (Zitzler et al.,
    "Performance Assessment of Multiobjective Optimizers: An Analysis and Review", IEEE Transactions on Evolutionary
    Computation 2003).

    Args:
        costs: the costs [n, number of objectives] of the trials.
        step: the step at which the costs were measured.
    """
    # Scale each objective by its median and its spread (median absolute deviation) in the first fifth, so that amounts in
    # different objectives can be compared.
    first_fifth = costs[: _count_first_fifth(costs)]
    center = np.median(first_fifth, axis=0)
    scale = np.median(np.abs(first_fifth - center), axis=0)
    scaled = (costs - center) / np.where(scale > 0, scale, 1.0)
    front = np.unique(scaled[find_pareto_front(scaled)], axis=0)
    # One point of the front at a time, because an array of all differences [n, points, objectives] may be too large.
    distance = np.full(len(scaled), -math.inf)
    for point in front:
        distance = np.maximum(distance, (scaled - point).min(axis=1))

    @cache
    def compute_hypervolume(k: int) -> float:
        return hypervolume(scaled[:k], [0.0] * scaled.shape[1])

    return Rewards(values=-np.maximum(distance, 0.0), best_after=compute_hypervolume, starting_best=0.0, step=step)


def _count_first_fifth(values: FloatArray) -> int:
    """Return the number of trials in the first fifth of `values`, at least 2."""
    return max(2, len(values) // 5)


def _is_inactive(trial: Trial) -> bool:
    return trial.status.ended or trial.status is Status.PAUSED


def _find_end_time(trial: Trial) -> tuple[float, TrialId]:
    """Return the time since when a trial is inactive, and its number to break ties."""
    last_time = trial.reports[-1].time if trial.reports else trial.proposed_at
    return (trial.ended_at if trial.ended_at is not None else last_time), trial.id
