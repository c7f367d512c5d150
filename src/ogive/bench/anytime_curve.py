"""The any-time curve of a search: the regret of its incumbent over evaluations, virtual time or training time.

The incumbent is the architecture that a user would select: the best by the metrics that the search has reported, at the
highest fidelity that any trial has reached. Its regret is computed from `Problem.truth`, which the search does not see. With
several objectives, the incumbents are the Pareto front of the reports, and the measure is the missing share of hypervolume.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.bench.problem import TEST_PREFIX, Problem
from ogive.objective import compute_costs, find_pareto_front, hypervolume, sort_key, total_violation
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.trial import Trial

HYPERVOLUME_GAP = "hypervolume gap (%)"

_END_EVENTS = (Kind.FINISHED, Kind.STOPPED, Kind.PAUSED, Kind.FAILED)
"""The events that end an evaluation; the strategy receives the trial after them."""


@dataclass(frozen=True)
class IncumbentPoint:
    """A point of an any-time curve: the regret of the incumbent until the next point.

    Attributes:
        evaluations: the number of trials that the strategy has received.
        seconds: the virtual time since the start of the search, in seconds.
        cost: the training time of all trials together, in seconds.
        values: the value of each measure, in the order of `list_measures(problem)`; 0 at the optimum.
    """

    evaluations: int
    seconds: float
    cost: float
    values: tuple[float, ...]


def list_measures(problem: Problem) -> tuple[str, ...]:
    """Return the names of the measures of an incumbent, for tables and figures.

    The measures are the regret on the validation split and, if it is known, on the test split. With several objectives, the
    measure is the missing share of hypervolume.
    """
    if len(problem.objectives) > 1:
        return (HYPERVOLUME_GAP,)
    metric = problem.objectives[0].metric
    names = {
        metric: f"{metric} ({problem.split})" if problem.split else metric,
        f"{TEST_PREFIX}{metric}": f"{metric} (test)",
    }
    return tuple(names[name] for name in problem.bounds)


class Recorder:
    """An observer of a simulated search that records its any-time curve.

    Attributes:
        points: the curve; a point is added when the regret of the incumbent changes.
        evaluations: the number of trials that the strategy has received.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.points: list[IncumbentPoint] = []
        self.evaluations = 0
        self._evaluated: set[int] = set()
        self._highest_step = -1
        self._incumbent: _BestTrial | _ParetoFront = (
            _BestTrial(problem) if len(problem.objectives) == 1 else _ParetoFront(problem)
        )

    def __call__(self, state: State, event: Event | None) -> None:
        if event is None or event.trial is None:
            return
        if event.kind in _END_EVENTS and event.trial not in self._evaluated:
            self._evaluated.add(event.trial)
            self.evaluations += 1
        if event.kind is Kind.REPORTED:
            trial = state.trials[event.trial]
            if not all(math.isfinite(trial.metrics.get(name, math.nan)) for name in state.compared_metrics):
                return
            # Reports at different fidelities are not comparable: only those at the highest fidelity so far count.
            if trial.step > self._highest_step:
                self._highest_step = trial.step
                self._incumbent.clear()
            if trial.step == self._highest_step and self._incumbent.update(trial):
                self._add_point(state, event)

    def _add_point(self, state: State, event: Event) -> None:
        # A report comes before the end of its trial, so `self.evaluations` may not include the trial yet.
        evaluations = self.evaluations if event.trial in self._evaluated else self.evaluations + 1
        point = IncumbentPoint(evaluations, event.time, state.compute_seconds, self._incumbent.compute_measures())
        if not self.points or self.points[-1].values != point.values:
            self.points.append(point)


class _BestTrial:
    """The incumbent of a problem with one objective: the best trial by the reported metrics."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._best: Trial | None = None
        self._key: tuple[int, float] | None = None

    def clear(self) -> None:
        self._best, self._key = None, None

    def update(self, trial: Trial) -> bool:
        """Return whether `trial` is the new incumbent."""
        key = sort_key(trial.metrics, self._problem.objectives[0], self._problem.constraints)
        if self._key is not None and key >= self._key:
            return False
        self._best, self._key = trial, key
        return True

    def compute_measures(self) -> tuple[float, ...]:
        assert self._best is not None
        truth = self._problem.truth(self._best.architecture)
        is_feasible = total_violation(truth, self._problem.constraints) == 0
        return tuple(
            compute_regret(self._problem, name, truth if is_feasible else None) for name in self._problem.bounds
        )


def compute_regret(problem: Problem, metric: str, truth: Mapping[str, float] | None) -> float:
    """Return the distance of a true value from the optimum, in the unit of the metric.

    If the truth is None or not finite, the regret is that of the worst true value. The regret is never negative, although a
    true value can exceed the bounds: by rounding, or in a problem whose bounds are estimates.
    """
    best, worst = problem.bounds[metric]
    value = worst if truth is None or not math.isfinite(truth[metric]) else truth[metric]
    return max(0.0, best - value if best > worst else value - best)


class _ParetoFront:
    """The incumbents of a problem with several objectives: the trials on the Pareto front of the reported metrics.

    The measure is the missing share of hypervolume: the share of the problem's hypervolume, in per cent, that the true
    values of the incumbents do not cover. Trials whose true values violate a constraint cover nothing.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._members: dict[int, tuple[Any, Mapping[str, float]]] = {}  # by trial id: (reported costs, truth)
        true_front = np.array([compute_costs(truth, problem.objectives) for truth in problem.front])
        self._full_hypervolume = hypervolume(true_front, problem.reference)

    def clear(self) -> None:
        self._members.clear()

    def update(self, trial: Trial) -> bool:
        """Return whether `trial` is on the front of the reported metrics."""
        if total_violation(trial.metrics, self._problem.constraints):
            return False
        reported = compute_costs(trial.metrics, self._problem.objectives)
        self._members[trial.id] = reported, self._problem.truth(trial.architecture)
        is_on_front = find_pareto_front(np.array([reported for reported, _ in self._members.values()]))
        self._members = {
            key: value for (key, value), keep in zip(self._members.items(), is_on_front, strict=True) if keep
        }
        return trial.id in self._members

    def compute_measures(self) -> tuple[float, ...]:
        objectives, constraints = self._problem.objectives, self._problem.constraints
        feasible = [truth for _, truth in self._members.values() if total_violation(truth, constraints) == 0]
        true_costs = np.array([compute_costs(truth, objectives) for truth in feasible]).reshape(-1, len(objectives))
        return (100.0 * (1.0 - hypervolume(true_costs, self._problem.reference) / self._full_hypervolume),)


def evaluate_curve(
    points: list[IncumbentPoint], axis: str, positions: list[float], initial: tuple[float, ...]
) -> list[tuple[float, ...]]:
    """Return the values of a curve at some positions along an axis.

    Args:
        points: the curve.
        axis: "evaluations", "seconds" or "cost".
        positions: the positions at which the curve is evaluated, ascending, in the unit of the axis.
        initial: the values before the first point.
    """
    values, index, current = [], 0, initial
    for position in positions:
        while index < len(points) and getattr(points[index], axis) <= position:
            current = points[index].values
            index += 1
        values.append(current)
    return values


def compute_worst_values(problem: Problem) -> tuple[float, ...]:
    """Return the values of the measures before a search has an incumbent: the largest possible regrets."""
    if len(problem.objectives) > 1:
        return (100.0,)
    return tuple(compute_regret(problem, name, None) for name in problem.bounds)
