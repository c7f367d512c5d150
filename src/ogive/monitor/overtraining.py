"""Trials whose objective was clearly better at an earlier epoch than at the last one, which is their value by default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ogive.objective import Objective
from ogive.run.state import State
from ogive.trial import Status, Step, Trial

FEWEST_REPORTS = 4
FEWEST_TRIALS = 3
MEDIAN_STEP = 0.954
"""The median of |a - b| for independent a and b with a normal distribution of standard deviation 1."""


@dataclass(frozen=True, kw_only=True)
class Overtraining:
    """Most trials were better at an earlier epoch.

    Attributes:
        objective: by which they were better.
        better: how many trials were.
        of: how many were looked at.
        best_step: the median of their best epochs.
        last_step: the median of their last epochs.
    """

    objective: Objective
    better: int
    of: int
    best_step: Step
    last_step: Step

    def __str__(self) -> str:
        name, goal = self.objective.metric, self.objective.goal
        return (
            f"{self.better} of {self.of} trials had a clearly better {name} earlier than at their last epoch (median: epoch "
            f"{self.best_step} of {self.last_step}), and the last epoch is a trial's value: train for fewer epochs, or take "
            f"the best one: Objective({name!r}, {goal!r}, epoch='best'), in a job {{metric: {name}, goal: {goal}, "
            "epoch: best}"
        )


def overtraining(state: State) -> Overtraining | None:
    """Whether most trials at rest were clearly better at an earlier epoch; None where not, or where the best one counts."""
    objective = state.objectives[0]
    if state.best_epoch_of is not None:
        return None
    trials = [t for t in state.trials.values() if t.status is Status.PAUSED or (t.status.ended and not t.status.failed)]
    curves = [(trial, _curve(trial, objective)) for trial in trials]
    long = [(trial, costs) for trial, costs in curves if len(costs) >= FEWEST_REPORTS]
    better = [(trial, costs) for trial, costs in long if is_overtrained([cost for _, cost in costs])]
    if len(better) < FEWEST_TRIALS or 2 * len(better) <= len(long):
        return None
    best_steps = [min(costs, key=lambda pair: pair[1])[0] for _, costs in better]
    return Overtraining(
        objective=objective,
        better=len(better),
        of=len(long),
        best_step=round(median(best_steps)),
        last_step=round(median(trial.step for trial, _ in better)),
    )


def is_overtrained(costs: Sequence[float]) -> bool:
    """Whether the least of `costs`, in the order of epochs, is clearly below the last.

    It is clear where the gap exceeds what noise alone gives: of n values without a trend the least lies about
    sqrt(2 ln n) standard deviations below their mean, and the last one within two above it. The standard deviation is
    estimated from the differences of neighbours, which a slow trend hardly changes.
    """
    gap = costs[-1] - min(costs)
    deviation = float(np.median(np.abs(np.diff(costs)))) / MEDIAN_STEP
    return gap > (2.0 + math.sqrt(2.0 * math.log(len(costs)))) * deviation


def _curve(trial: Trial, objective: Objective) -> list[tuple[Step, float]]:
    """Step and cost of the trial's reports at its present fidelity that have a value."""
    reports = [report for report in trial.reports if report.began == trial.reports[-1].began]
    costs = [(report.step, objective.cost(report.metrics)) for report in reports]
    return [(step, cost) for step, cost in costs if math.isfinite(cost)]
