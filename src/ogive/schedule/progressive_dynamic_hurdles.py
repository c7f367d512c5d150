"""Progressive dynamic hurdles: who is better than the average of those before goes on.

So, Liang and Le, "The Evolved Transformer" (ICML 2019), section 4 and algorithm 1. Symbols of the paper: m trials
between two hurdles, s_0, s_1, ... the steps before each hurdle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.objective import Constraint, Metrics, Objective, ranks
from ogive.registry import whole
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.schedule.ladder import Ladder
from ogive.trial import Fidelity, Report, Trial, finite

NAME = "schedule 'progressive_dynamic_hurdles'"


class ProgressiveDynamicHurdles(Schedule):
    """Every trial is trained for s_0; when `models` trials have done so, their mean is the first hurdle. Who is better than
    it is trained on, and when as many again have been judged, the mean of those that went furthest is the next hurdle.

    With several objectives or constraints the hurdle is to be in the better half of them.

    Options:
        models: m, trials between two hurdles.
        min_epochs, max_epochs, eta: of the rungs: hurdle k stands at min_epochs eta^k.
    """

    draws = False

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        models: int = 20,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
    ) -> None:
        self.ladder = Ladder.of(NAME, epochs, min_epochs, max_epochs, eta)
        self.models = whole(NAME, "models", models, at_least=2)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._hurdles: list[list[Metrics]] = []  # for each rung below the top: whose mean is to be beaten
        self._judged = 0  # trials that ended since the last hurdle
        self._furthest: list[Metrics] = []  # of those that ended, on the highest rung there is so far

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start(self._fidelity)

    @property
    def _fidelity(self) -> Fidelity:
        return self.ladder.fidelities[len(self._hurdles)]

    def on_report(self, trial: Trial, report: Report) -> Action:
        """CONTINUE past every hurdle that it takes, and STOP before the first that it does not."""
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        earlier = (report.step for report in reversed(trial.reports[:-1]))
        former = next((step for step in earlier if finite(trial.at(step), names)), 0)
        steps = self.ladder.steps[: len(self._hurdles)]
        reached = [hurdle for step, hurdle in zip(steps, self._hurdles, strict=True) if former < step <= report.step]
        if not reached:
            return Action.CONTINUE
        return Action.CONTINUE if self._takes(trial.at(report.step), reached[-1]) else Action.STOP

    def _takes(self, metrics: Metrics, hurdle: Sequence[Metrics]) -> bool:
        if len(self.objectives) == 1 and not self.constraints:
            cost = self.objectives[0].cost
            return bool(cost(metrics) < np.mean([cost(row) for row in hurdle]))
        place, *others = ranks([metrics, *hurdle], self.objectives, self.constraints)
        return sum(other < place for other in others) < len(others) / 2

    def on_end(self, trial: Trial) -> None:
        if trial.status.failed or not trial.reports:
            return
        if len(self._hurdles) == len(self.ladder) - 1:
            return  # there is no further hurdle to make
        self._judged += 1
        if trial.reaches(self.ladder.steps[len(self._hurdles)]):
            self._furthest.append(trial.metrics)
        if self._judged >= self.models and self._furthest:
            self._hurdles.append(self._furthest)
            self._furthest, self._judged = [], 0
