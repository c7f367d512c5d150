"""The median stopping rule.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization" (KDD 2017), section 3.2.2.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Metrics, Objective, ranks, violation
from ogive.registry import whole
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.trial import Report, Status, Step, Trial, finite

NAME = "schedule 'median'"
REMEMBERED = 200
"""Completed trials that a trial is compared with where comparing means sorting them: the latest."""


class Median(Schedule):
    """Stop a trial at step s where the best it has reached is strictly worse than the median, over all trials that were
    trained in full, of the mean of what they reported up to s.

    With several objectives a trial is stopped where more than half of those means are on better non-dominated fronts; a
    constraint's violation counts before the value.

    Options:
        min_epochs: no trial is stopped before.
        min_trials: nor before so many have been trained in full.
    """

    draws = False

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        min_epochs: int = 1,
        min_trials: int = 5,
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs to know how far a trial can go: give epochs")
        self.fidelity = {"epochs": whole(NAME, "epochs", epochs, at_least=1)}
        self.min_epochs = whole(NAME, "min_epochs", min_epochs, at_least=1)
        self.min_trials = whole(NAME, "min_trials", min_trials, at_least=1)
        if self.min_epochs > self.fidelity["epochs"]:
            raise JobError(f"{NAME}: min_epochs is {min_epochs}, but must be at most the {epochs} epochs of a trial")
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._completed: dict[Step, list[tuple[float, float]]] = {}  # sorted (violation, cost) of the means, by step
        self._means: dict[Step, list[Metrics]] = {}  # with several objectives

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start(self.fidelity)

    def on_report(self, trial: Trial, report: Report) -> Action:
        step = report.step
        if step < self.min_epochs or step >= self.fidelity["epochs"]:
            return Action.CONTINUE
        best = {**trial.at(step), **{o.metric: self._best(trial, o) for o in self.objectives}}
        worse = self._worse(best, step) if len(self.objectives) == 1 else self._dominated(best, step)
        return Action.STOP if worse else Action.CONTINUE

    def _best(self, trial: Trial, objective: Objective) -> float:
        """The best value of the objective's metric so far; what is not finite is the worst."""
        values = [report.metrics for report in trial.reports if objective.metric in report.metrics]
        costs = [(math.isnan(cost), cost) for cost in map(objective.cost, values)]
        best = values[costs.index(min(costs))] if values else trial.screened
        return float(best[objective.metric])

    def _worse(self, best: Metrics, step: Step) -> bool:
        completed = self._completed.get(step, [])
        if len(completed) < self.min_trials:
            return False
        low, high = completed[(len(completed) - 1) // 2], completed[len(completed) // 2]
        key = (violation(best, self.constraints), self.objectives[0].cost(best))
        if key[0] == low[0] == high[0]:
            return key[1] > (low[1] + high[1]) / 2
        return key > high

    def _dominated(self, best: Metrics, step: Step) -> bool:
        means = self._means.get(step, [])
        if len(means) < self.min_trials:
            return False
        place, *others = ranks([best, *means], self.objectives, self.constraints)
        return 2 * sum(other < place for other in others) > len(others)

    def on_end(self, trial: Trial) -> None:
        if trial.status is not Status.FINISHED or not trial.reaches(self.fidelity["epochs"]):
            return
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        reports = [(report.step, {**trial.screened, **report.metrics}) for report in trial.reports]
        valued = [(step, [metrics[name] for name in names]) for step, metrics in reports if finite(metrics, names)]
        # One that ended by itself keeps its last value.
        valued += [(step, valued[-1][1]) for step in range(trial.step + 1, self.fidelity["epochs"] + 1)]
        sums = np.cumsum([row for _, row in valued], axis=0)
        for place, (step, _) in enumerate(valued):
            mean = dict(zip(names, (sums[place] / (place + 1)).tolist(), strict=True))
            if len(self.objectives) == 1:
                key = (violation(mean, self.constraints), self.objectives[0].cost(mean))
                insort(self._completed.setdefault(step, []), key)
            else:
                self._means.setdefault(step, []).append(mean)
                del self._means[step][:-REMEMBERED]
