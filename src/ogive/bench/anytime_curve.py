"""What a search had found, and when: the any-time curve of its incumbent, judged by the problem's truth.

The incumbent is what a user would take: the best by what the search saw, at the highest fidelity that any trial has
reached. The report judges it by the truth, which the search never sees. With several objectives it is the front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.bench.problem import TEST, Problem
from ogive.objective import costs, hypervolume, pareto_front, sort_key, violation
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.trial import Trial

GAP = "hypervolume gap (%)"
AXES = ("evaluations", "seconds", "cost")
"""What a curve can be drawn over: trials that have been told to the strategy, the virtual clock, and training seconds of
all workers together."""

_TOLD = (Kind.FINISHED, Kind.STOPPED, Kind.PAUSED, Kind.FAILED)


@dataclass(frozen=True)
class IncumbentPoint:
    """The incumbent from here on. `values` are the regrets by `measures(problem)`; 0 is the best there is."""

    evaluations: int
    seconds: float
    cost: float
    values: tuple[float, ...]


def measures(problem: Problem) -> tuple[str, ...]:
    """What is measured of an incumbent: the regret by validation and, where the table has it, by test."""
    if len(problem.objectives) > 1:
        return (GAP,)
    metric = problem.objectives[0].metric
    words = {metric: f"{metric} ({problem.split})" if problem.split else metric, f"{TEST}{metric}": f"{metric} (test)"}
    return tuple(words[name] for name in problem.bounds)


class Recorder:
    """An observer of a simulated search; `points` is its any-time curve, `evaluations` how many trials were told."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.points: list[IncumbentPoint] = []
        self.evaluations = 0
        self._told: set[int] = set()
        self._top = -1
        self._judge: _Single | _Several = _Single(problem) if len(problem.objectives) == 1 else _Several(problem)

    def __call__(self, state: State, event: Event | None) -> None:
        if event is None or event.trial is None:
            return
        if event.kind in _TOLD and event.trial not in self._told:
            self._told.add(event.trial)
            self.evaluations += 1
        if event.kind is Kind.REPORTED:
            trial = state.trials[event.trial]
            if not all(math.isfinite(trial.metrics.get(name, math.nan)) for name in state.metrics_needed):
                return
            if trial.step > self._top:  # what was seen at lower fidelities counts no more
                self._top = trial.step
                self._judge.clear()
            if trial.step == self._top and self._judge.take(trial):
                self._add(state, event)

    def _add(self, state: State, event: Event) -> None:
        # a report comes before the trial is told: it belongs to the evaluation that it completes
        evaluations = self.evaluations + (event.trial not in self._told)
        point = IncumbentPoint(evaluations, event.time, state.seconds, self._judge.values())
        if not self.points or self.points[-1].values != point.values:
            self.points.append(point)


class _Single:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._best: Trial | None = None
        self._key: tuple[int, float] | None = None

    def clear(self) -> None:
        self._best, self._key = None, None

    def take(self, trial: Trial) -> bool:
        key = sort_key(trial.metrics, self._problem.objectives[0], self._problem.constraints)
        if self._key is not None and key >= self._key:
            return False
        self._best, self._key = trial, key
        return True

    def values(self) -> tuple[float, ...]:
        assert self._best is not None
        truth = self._problem.truth(self._best.architecture)
        feasible = violation(truth, self._problem.constraints) == 0
        return tuple(regret(self._problem, name, truth if feasible else None) for name in self._problem.bounds)


def regret(problem: Problem, metric: str, truth: Mapping[str, float] | None) -> float:
    """How far a truth is from the best there is, in the metric's own unit; the worst there is where it is None.

    What was measured on few repetitions can be better than the best that satisfies the constraints: then it is 0.
    """
    best, worst = problem.bounds[metric]
    value = worst if truth is None or not math.isfinite(truth[metric]) else truth[metric]
    return max(0.0, best - value if best > worst else value - best)


class _Several:
    """The truths of what no other observation dominates; what violates a constraint in truth adds nothing."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._seen: dict[int, tuple[Any, Mapping[str, float]]] = {}
        best = np.array([costs(truth, problem.objectives) for truth in problem.front])
        self._whole = hypervolume(best, problem.reference)

    def clear(self) -> None:
        self._seen.clear()

    def take(self, trial: Trial) -> bool:
        if violation(trial.metrics, self._problem.constraints):
            return False
        observed = costs(trial.metrics, self._problem.objectives)
        self._seen[trial.id] = observed, self._problem.truth(trial.architecture)
        front = pareto_front(np.array([seen for seen, _ in self._seen.values()]))
        self._seen = {key: value for (key, value), on in zip(self._seen.items(), front, strict=True) if on}
        return trial.id in self._seen

    def values(self) -> tuple[float, ...]:
        objectives, constraints = self._problem.objectives, self._problem.constraints
        feasible = [truth for _, truth in self._seen.values() if violation(truth, constraints) == 0]
        truths = np.array([costs(truth, objectives) for truth in feasible]).reshape(-1, len(objectives))
        return (100.0 * (1.0 - hypervolume(truths, self._problem.reference) / self._whole),)


def at(
    points: list[IncumbentPoint], axis: str, marks: list[float], start: tuple[float, ...]
) -> list[tuple[float, ...]]:
    """The values of a curve at `marks` along `axis`; `start` before anything was found."""
    found, place, current = [], 0, start
    for mark in marks:
        while place < len(points) and getattr(points[place], axis) <= mark:
            current = points[place].values
            place += 1
        found.append(current)
    return found


def start(problem: Problem) -> tuple[float, ...]:
    """The values of a search that has found nothing."""
    if len(problem.objectives) > 1:
        return (100.0,)
    return tuple(regret(problem, name, None) for name in problem.bounds)
