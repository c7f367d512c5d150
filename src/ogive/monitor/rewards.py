"""The rewards of a run as one series at equal fidelity, which the stop rules test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from ogive.arrays import FloatArray
from ogive.monitor.trend import Best
from ogive.objective import hypervolume, pareto_front, total_violation
from ogive.run.state import State
from ogive.trial import Status, Step, Trial, TrialId, select_comparable


@dataclass(frozen=True, kw_only=True, eq=False)
class Rewards:
    """Rewards in the order in which trials became inactive.

    Attributes:
        values: [n], more is better: the objective, with its sign changed if it is minimized. With several objectives, minus
            the distance to the present front.
        best: the running best. With several objectives, the dominated hypervolume.
        start: the value from which the running best rises: the median of the first fifth. With several objectives 0, because
            the reference point of the volume is at the medians of the first fifth.
        step: the step at which the trials are compared, in epochs.
    """

    values: FloatArray
    best: Best
    start: float
    step: Step


def count_inactive(state: State) -> int:
    """Return how many trials are paused or have ended."""
    return state.ended_count + state.status_counts[Status.PAUSED]


def rewards(state: State, trials: int) -> Rewards:
    """Return the rewards of the first `trials` trials that became inactive.

    They are compared at the highest step that half of them have reached. Failed trials, and trials that violate a
    constraint, have no reward.
    """
    inactive = sorted((t for t in state.trials.values() if _is_inactive(t)), key=_inactive_since)[:trials]
    valued = [t for t in inactive if t.reports and not t.status.failed]
    step, comparable_trials = select_comparable(valued, at_least=math.ceil(len(valued) / 2))
    metrics_of_trials = [t.at(step) for t in comparable_trials]
    if state.constraints:
        metrics_of_trials = [m for m in metrics_of_trials if total_violation(m, state.constraints) == 0]
    rows = np.array([[objective.cost(metrics) for metrics in metrics_of_trials] for objective in state.objectives]).T
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) == 0:
        return Rewards(values=np.empty(0), best=lambda k: math.nan, start=math.nan, step=step)
    return rewards_of_one(-rows[:, 0], step) if rows.shape[1] == 1 else _rewards_of_several(rows, step)


def rewards_of_one(values: FloatArray, step: Step = 1) -> Rewards:
    """Return the rewards of a single objective with `values` [n], n at least 1, more is better."""
    running = np.maximum.accumulate(values)
    start = float(np.median(values[: _first_fifth(values)]))
    return Rewards(values=values, best=lambda k: float(running[k - 1]), start=start, step=step)


def _rewards_of_several(rows: FloatArray, step: Step) -> Rewards:
    """Return the rewards of several objectives with costs [n, m].

    The distance is the additive epsilon indicator (Zitzler et al., "Performance Assessment of Multiobjective Optimizers: An
    Analysis and Review", IEEE Transactions on Evolutionary Computation 2003) of the front compared with a single trial: over
    the points of the front, the largest of their smallest leads in any objective. Leads are in units of each objective's
    spread (median absolute deviation) in the first fifth.
    """
    first = rows[: _first_fifth(rows)]
    middle = np.median(first, axis=0)
    scale = np.median(np.abs(first - middle), axis=0)
    scaled = (rows - middle) / np.where(scale > 0, scale, 1.0)
    front = np.unique(scaled[pareto_front(scaled)], axis=0)
    lead = np.full(len(scaled), -math.inf)
    for point in front:  # one at a time, because an array [n, front, m] may be too large
        lead = np.maximum(lead, (scaled - point).min(axis=1))

    @cache
    def best(k: int) -> float:
        return hypervolume(scaled[:k], [0.0] * scaled.shape[1])

    return Rewards(values=-np.maximum(lead, 0.0), best=best, start=0.0, step=step)


def _first_fifth(values: FloatArray) -> int:
    return max(2, len(values) // 5)


def _is_inactive(trial: Trial) -> bool:
    return trial.status.ended or trial.status is Status.PAUSED


def _inactive_since(trial: Trial) -> tuple[float, TrialId]:
    last_time = trial.reports[-1].time if trial.reports else trial.proposed_at
    return (trial.ended_at if trial.ended_at is not None else last_time), trial.id
