"""The check for overtraining: trials whose objective was clearly better at an earlier epoch than at the last one.

By default the value of a trial is its value at the last epoch, so an overtrained trial is undervalued.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ogive.objective import Objective
from ogive.run.state import State
from ogive.trial import Status, Step, Trial

MIN_REPORTS = 4
"""Trials with fewer reports are not examined."""
MIN_OVERTRAINED_TRIALS = 3
"""With fewer overtrained trials, `detect_overtraining` returns None."""
MEDIAN_DIFFERENCE = 0.954
"""The median of |a - b| for independent a and b with a normal distribution of standard deviation 1."""


@dataclass(frozen=True, kw_only=True)
class Overtraining:
    """The finding that most trials were better at an earlier epoch.

    Attributes:
        objective: the first objective of the search.
        better: the number of trials that were better at an earlier epoch.
        examined: the number of trials that were examined.
        best_step: the median of the best epochs of the trials that were better at an earlier epoch.
        last_step: the median of the last epochs of these trials.
    """

    objective: Objective
    better: int
    examined: int
    best_step: Step
    last_step: Step

    def __str__(self) -> str:
        name, goal = self.objective.metric, self.objective.goal
        return (
            f"{self.better} of {self.examined} trials had a clearly better {name} earlier than at their last epoch (median: "
            f"epoch {self.best_step} of {self.last_step}), but the last epoch gives a trial its value: train for "
            f"fewer epochs, or use the best epoch: Objective({name!r}, {goal!r}, epoch='best'), in a job {{metric: {name}, "
            f"goal: {goal}, epoch: best}}"
        )


def detect_overtraining(state: State) -> Overtraining | None:
    """Check whether most inactive trials were clearly better at an earlier epoch.

    Returns:
        The finding; None if at most half of the trials, or fewer than `MIN_OVERTRAINED_TRIALS`, were clearly better at an
        earlier epoch, or if the search already uses the value of the best epoch.
    """
    objective = state.objectives[0]
    if state.best_epoch_rule is not None:
        return None
    trials = [t for t in state.trials.values() if t.status is Status.PAUSED or (t.status.ended and not t.status.failed)]
    curves = [(trial, _list_costs(trial, objective)) for trial in trials]
    examined = [(trial, curve) for trial, curve in curves if len(curve) >= MIN_REPORTS]
    better = [(trial, curve) for trial, curve in examined if is_overtrained([cost for _, cost in curve])]
    if len(better) < MIN_OVERTRAINED_TRIALS or 2 * len(better) <= len(examined):
        return None
    best_steps = [min(curve, key=lambda pair: pair[1])[0] for _, curve in better]
    return Overtraining(
        objective=objective,
        better=len(better),
        examined=len(examined),
        best_step=round(median(best_steps)),
        last_step=round(median(trial.step for trial, _ in better)),
    )


def is_overtrained(costs: Sequence[float]) -> bool:
    """Return whether the smallest cost is further below the last cost than noise explains; `costs` has one per epoch."""
    gap = costs[-1] - min(costs)
    # The differences of successive costs give the standard deviation of the noise. A slow trend hardly changes them.
    deviation = float(np.median(np.abs(np.diff(costs)))) / MEDIAN_DIFFERENCE
    # Of n costs without a trend, the least is about sqrt(2 ln n) standard deviations below the mean, and the last is at most
    # two standard deviations above the mean.
    return gap > (2.0 + math.sqrt(2.0 * math.log(len(costs)))) * deviation


def _list_costs(trial: Trial, objective: Objective) -> list[tuple[Step, float]]:
    """Return the steps and costs of the reports at the trial's present fidelity, without costs that are not finite."""
    # A trial that was restarted at a higher fidelity has another step offset since then. Only the reports since the restart
    # are one curve.
    reports = [report for report in trial.reports if report.step_offset == trial.reports[-1].step_offset]
    costs = [(report.step, objective.cost(report.metrics)) for report in reports]
    return [(step, cost) for step, cost in costs if math.isfinite(cost)]
