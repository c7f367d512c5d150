"""The rewards of a run as one series, at one fidelity: what the stop rules test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from ogive.arrays import FloatArray
from ogive.monitor.trend import Best
from ogive.objective import hypervolume, pareto_front, violation
from ogive.run.state import State
from ogive.trial import Status, Step, Trial, TrialId, comparable


@dataclass(frozen=True, eq=False)
class Rewards:
    """Rewards in the order in which trials came to rest.

    Attributes:
        values: [n], more is better: the objective, turned where it is minimised; with several objectives, minus the distance
            to the present front.
        best: the running best; with several objectives the dominated hypervolume.
        start: where the running best came from: the median of the first fifth; with several objectives 0, the volume being
            counted from the medians of the first fifth.
        step: at which the trials are compared, in epochs.
    """

    values: FloatArray
    best: Best
    start: float
    step: Step


def at_rest(state: State) -> int:
    """How many trials have ended or are paused."""
    return state.done + state.count[Status.PAUSED]


def rewards(state: State, trials: int) -> Rewards:
    """The rewards of the first `trials` trials that came to rest.

    They are compared at the highest step that half of them have reached; failed trials, and those that violate a constraint,
    have no reward.
    """
    resting = sorted((t for t in state.trials.values() if _rests(t)), key=_since)[:trials]
    valued = [t for t in resting if t.reports and not t.status.failed]
    step, chosen = comparable(valued, at_least=math.ceil(len(valued) / 2))
    found = [t.at(step) for t in chosen]
    feasible = (
        [metrics for metrics in found if violation(metrics, state.constraints) == 0] if state.constraints else found
    )
    rows = np.array([[objective.cost(metrics) for metrics in feasible] for objective in state.objectives]).T
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) == 0:
        return Rewards(np.empty(0), lambda k: math.nan, math.nan, step)
    return of_one(-rows[:, 0], step) if rows.shape[1] == 1 else _of_several(rows, step)


def of_one(values: FloatArray, step: Step = 1) -> Rewards:
    """Of a single objective's `values` [n], n at least 1, more is better."""
    running = np.maximum.accumulate(values)
    return Rewards(values, lambda k: float(running[k - 1]), float(np.median(values[: _first(values)])), step)


def _of_several(rows: FloatArray, step: Step) -> Rewards:
    """Of costs [n, m]. The distance is the additive epsilon indicator (Zitzler et al., "Performance Assessment of
    Multiobjective Optimizers", IEEE Trans. Evol. Comp. 2003) of the front against a single trial: the largest, over the
    front, of the smallest lead in any objective; in units of each objective's spread in the first fifth.
    """
    first = rows[: _first(rows)]
    middle = np.median(first, axis=0)
    scale = np.median(np.abs(first - middle), axis=0)
    scaled = (rows - middle) / np.where(scale > 0, scale, 1.0)
    front = np.unique(scaled[pareto_front(scaled)], axis=0)
    lead = np.full(len(scaled), -math.inf)
    for point in front:  # one at a time: [n, m] in memory, not [n, front, m]
        lead = np.maximum(lead, (scaled - point).min(axis=1))

    @cache
    def best(k: int) -> float:
        return hypervolume(scaled[:k], [0.0] * scaled.shape[1])

    return Rewards(-np.maximum(lead, 0.0), best, 0.0, step)


def _first(values: FloatArray) -> int:
    return max(2, len(values) // 5)


def _rests(trial: Trial) -> bool:
    return trial.status.ended or trial.status is Status.PAUSED


def _since(trial: Trial) -> tuple[float, TrialId]:
    last = trial.reports[-1].time if trial.reports else trial.proposed_at
    return (trial.ended_at if trial.ended_at is not None else last), trial.id
