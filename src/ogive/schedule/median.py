"""The median stopping rule.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization" (KDD 2017), section 3.2.2.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Metrics, Objective, rank_metrics, total_violation
from ogive.registry import check_whole_number
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.trial import Report, Status, Step, Trial, are_finite

NAME = "schedule 'median'"
MAX_COMPARED = 200
"""With several objectives, a trial is compared with at most this many completed trials: the latest ones."""


class Median(Schedule):
    """Stops a trial at step s if its best value so far is worse than the median of the running averages at s.

    The running average of a trial at step s is the mean of the values that it reported up to s. The median is over all
    trials that were trained in full. Trials are compared by their violation of constraints first, and then by their value.
    With several objectives, a trial is stopped if more than half of the running averages have a better rank.

    Options:
        epochs: the number of epochs of full training.
        min_epochs: the number of epochs before which no trial is stopped.
        min_trials: the number of trials that must have been trained in full before any trial is stopped.
    """

    uses_rng = False

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        min_epochs: int = 1,
        min_trials: int = 5,
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs the number of epochs of full training; give epochs")
        self.fidelity = {"epochs": check_whole_number(NAME, "epochs", epochs, at_least=1)}
        self.min_epochs = check_whole_number(NAME, "min_epochs", min_epochs, at_least=1)
        self.min_trials = check_whole_number(NAME, "min_trials", min_trials, at_least=1)
        if self.min_epochs > self.fidelity["epochs"]:
            raise JobError(f"{NAME}: min_epochs is {min_epochs}, but must be at most the {epochs} epochs of a trial")
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        # With one objective: the running averages of completed trials at each step, as sorted pairs (violation, cost).
        self._sorted_averages: dict[Step, list[tuple[float, float]]] = {}
        # With several objectives: the running averages of the latest completed trials at each step, as metrics.
        self._averages: dict[Step, list[Metrics]] = {}

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start(self.fidelity)

    def on_report(self, trial: Trial, report: Report) -> Action:
        step = report.step
        if step < self.min_epochs or step >= self.fidelity["epochs"]:
            return Action.CONTINUE
        # Section 3.2.2: compare the best value of the trial up to step s, not its last value, with the median.
        best = {**trial.metrics_at(step), **{o.metric: self._best_value(trial, o) for o in self.objectives}}
        has_one = len(self.objectives) == 1
        is_worse = self._is_worse_than_median(best, step) if has_one else self._is_worse_than_most(best, step)
        return Action.STOP if is_worse else Action.CONTINUE

    def _best_value(self, trial: Trial, objective: Objective) -> float:
        """Return the best value of the objective so far; values that are not finite count as the worst."""
        reported = [report.metrics for report in trial.reports if objective.metric in report.metrics]
        # The cost of a value that is not finite is NaN.
        keys = [(math.isnan(cost), cost) for cost in map(objective.cost, reported)]
        best = reported[keys.index(min(keys))] if reported else trial.screened
        return float(best[objective.metric])

    def _is_worse_than_median(self, best: Metrics, step: Step) -> bool:
        """Return whether `best`, the best values of a trial, is worse than the median of the running averages at `step`."""
        averages = self._sorted_averages.get(step, [])
        if len(averages) < self.min_trials:
            return False
        # For an even number of trials the median is the mean of the two middle averages, if both are equally feasible.
        low, high = averages[(len(averages) - 1) // 2], averages[len(averages) // 2]
        key = (total_violation(best, self.constraints), self.objectives[0].cost(best))
        if key[0] == low[0] == high[0]:
            return key[1] > (low[1] + high[1]) / 2
        # Otherwise, the trial is worse than the median if it is worse than the larger of the two middle averages.
        return key > high

    def _is_worse_than_most(self, best: Metrics, step: Step) -> bool:
        """Return whether more than half of the running averages at `step` have a better rank than `best`."""
        averages = self._averages.get(step, [])
        if len(averages) < self.min_trials:
            return False
        # The paper has one objective. With several objectives, a trial is worse than the median if more than half of the
        # running averages have a better rank.
        trial_rank, *average_ranks = rank_metrics([best, *averages], self.objectives, self.constraints)
        return 2 * sum(rank < trial_rank for rank in average_ranks) > len(average_ranks)

    def on_end(self, trial: Trial) -> None:
        if trial.status is not Status.FINISHED or not trial.has_reached(self.fidelity["epochs"]):
            return
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        reports = [(report.step, {**trial.screened, **report.metrics}) for report in trial.reports]
        rows = [(step, [metrics[name] for name in names]) for step, metrics in reports if are_finite(metrics, names)]
        if not rows:
            return
        # A trial that ended by itself keeps its last value at all later steps.
        rows += [(step, rows[-1][1]) for step in range(trial.step + 1, self.fidelity["epochs"] + 1)]
        # Section 3.2.2: the running average of the trial's values up to each step.
        sums = np.cumsum([row for _, row in rows], axis=0)
        for index, (step, _) in enumerate(rows):
            average = dict(zip(names, (sums[index] / (index + 1)).tolist(), strict=True))
            if len(self.objectives) == 1:
                key = (total_violation(average, self.constraints), self.objectives[0].cost(average))
                insort(self._sorted_averages.setdefault(step, []), key)
            else:
                self._averages.setdefault(step, []).append(average)
                del self._averages[step][:-MAX_COMPARED]
