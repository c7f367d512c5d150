"""Progressive dynamic hurdles: a trial continues if it is better than the average of earlier trials.

So, Liang and Le, "The Evolved Transformer" (ICML 2019), section 4 and algorithm 1. Symbols of the paper: m trials between
two hurdles; s_0 steps up to the first hurdle, and s_i further steps from hurdle i - 1 to hurdle i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.objective import Constraint, Metrics, Objective, rank_metrics
from ogive.registry import check_whole_number
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.schedule.ladder import Ladder
from ogive.trial import Fidelity, Report, Trial, are_finite

NAME = "schedule 'progressive_dynamic_hurdles'"


class ProgressiveDynamicHurdles(Schedule):
    """Stops every trial at the first hurdle that it does not pass.

    At first there is no hurdle, and trials are trained for s_0 epochs. Whenever `models` more trials have ended, the mean of
    the trials that were trained furthest becomes the next hurdle, at the step that they have reached. Later trials that pass
    this hurdle are trained up to the next rung. With several objectives or with constraints, a trial passes a hurdle if it
    ranks in the better half of the trials of the hurdle.

    Options:
        models: m, the number of trials that end between two hurdles.
        min_epochs, max_epochs, eta: define the rungs, as in `Ladder.from_options`: hurdle k = 0, 1 ... is on rung k, at
            min_epochs eta^k epochs. The last rung has no hurdle. By default, max_epochs is the number of epochs of full
            training.
    """

    uses_rng = False

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        models: int = 20,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
    ) -> None:
        self.ladder = Ladder.from_options(NAME, epochs, min_epochs=min_epochs, max_epochs=max_epochs, eta=eta)
        self.models = check_whole_number(NAME, "models", models, at_least=2)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._hurdles: list[list[Metrics]] = []  # for each rung with a hurdle, the metrics of the trials that define it
        self._ended_since_hurdle = 0
        # Of the trials that ended since the last hurdle, the metrics of those that have reached the rung of the next hurdle.
        self._furthest: list[Metrics] = []

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start(self._fidelity)

    @property
    def _fidelity(self) -> Fidelity:
        """The fidelity of the lowest rung that has no hurdle yet."""
        return self.ladder.fidelities[len(self._hurdles)]

    def on_report(self, trial: Trial, report: Report) -> Action:
        """Return STOP if the trial has reached a hurdle and does not pass it."""
        # A train function may report a value only in some epochs, so several hurdles may lie between two values. The new
        # value is compared only with the last of these hurdles.
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        earlier_steps = (report.step for report in reversed(trial.reports[:-1]))
        previous = next((step for step in earlier_steps if are_finite(trial.metrics_at(step), names)), 0)
        steps = self.ladder.steps[: len(self._hurdles)]
        reached = [hurdle for step, hurdle in zip(steps, self._hurdles, strict=True) if previous < step <= report.step]
        if not reached:
            return Action.CONTINUE
        return Action.CONTINUE if self._passes(trial.metrics_at(report.step), reached[-1]) else Action.STOP

    def _passes(self, metrics: Metrics, hurdle: Sequence[Metrics]) -> bool:
        """Return whether a trial with these metrics is better than `hurdle`, the metrics of the trials that define it."""
        # Section 4: a hurdle is the mean fitness of the trials that were trained furthest.
        if len(self.objectives) == 1 and not self.constraints:
            cost = self.objectives[0].cost
            return bool(cost(metrics) < np.mean([cost(row) for row in hurdle]))
        # The paper has one objective. With several objectives there is no mean, so the hurdle is the median rank.
        trial_rank, *hurdle_ranks = rank_metrics([metrics, *hurdle], self.objectives, self.constraints)
        return sum(rank < trial_rank for rank in hurdle_ranks) < len(hurdle_ranks) / 2

    def on_end(self, trial: Trial) -> None:
        if trial.status.failed or not trial.reports:
            return
        # There is a hurdle on every rung but the last, so no further hurdle is needed.
        if len(self._hurdles) == len(self.ladder) - 1:
            return
        self._ended_since_hurdle += 1
        if trial.has_reached(self.ladder.steps[len(self._hurdles)]):
            self._furthest.append(trial.metrics)
        # Algorithm 1: create hurdle i - 1 after m trials. Trials that pass it are trained for another s_i steps.
        if self._ended_since_hurdle >= self.models and self._furthest:
            self._hurdles.append(self._furthest)
            self._furthest, self._ended_since_hurdle = [], 0
