"""Progressive ASHA: the highest rung is raised only while the ranking still changes.

Bohdal et al., "PASHA: Efficient HPO and NAS with Progressive Resource Allocation" (ICLR 2023), section 4. Symbols of the
paper: R_t the current maximum resource, epsilon the noise in the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Metrics, Objective, ranks
from ogive.schedule.asha import ASHA
from ogive.schedule.base import Action
from ogive.trial import EMPTY, Report, Step, Trial, TrialId, finite


class PASHA(ASHA):
    """ASHA that begins with its two lowest rungs, and adds the next when the two highest disagree on the order of trials.

    The order is a soft one (section 4.2): values within epsilon of each other are equal. Epsilon is estimated from pairs of
    learning curves that cross twice, as a percentile of their distances (section 4.3). With several objectives those of
    one non-dominated front are equal, and there is no epsilon.

    Options:
        min_epochs, max_epochs, eta, capped, fidelities: as in `asha`.
        percentile: of the distances of curves that cross; 90 in the paper.
    """

    name = "schedule 'pasha'"

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        capped: bool = True,
        percentile: float = 90.0,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        super().__init__(
            objectives, constraints, epochs, min_epochs, max_epochs, eta, capped=capped, fidelities=fidelities
        )
        if isinstance(percentile, bool) or not isinstance(percentile, (int, float)) or not 0 <= percentile <= 100:
            raise JobError(f"{self.name}: percentile is {percentile!r}, but must be a number from 0 to 100")
        self.percentile = float(percentile)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._top = min(1, len(self.rungs))
        self._there: dict[TrialId, Trial] = {}  # the trials that have come to the top

    @property
    def top(self) -> int:
        return self._top

    def on_report(self, trial: Trial, report: Report) -> Action:
        action = super().on_report(trial, report)
        if self._top < len(self.rungs) and report.step >= self.ladder.steps[self._top]:
            self._there[trial.id] = trial
            if not self._agree():
                self._top += 1
                self._there.clear()
        return action

    def on_end(self, trial: Trial) -> None:
        super().on_end(trial)
        if trial.status.failed:
            self._there.pop(trial.id, None)

    def _agree(self) -> bool:
        """Whether the order at the top is one that the soft order of the rung below allows."""
        trials = list(self._there.values())
        lower, upper = (
            self._places([self._value(t, self.ladder.steps[k]) for t in trials]) for k in (self._top - 1, self._top)
        )
        epsilon = self._epsilon(trials) if len(self.objectives) == 1 else 0.0
        below, above = np.argsort(lower, kind="stable"), np.argsort(upper, kind="stable")
        # at each place of the top stands one that is, below, within epsilon of the one at that place there
        return bool(np.all(np.abs(lower[above] - lower[below]) <= epsilon))

    def _value(self, trial: Trial, step: Step) -> Metrics:
        """The trial's value at `step`; its first value where it had none yet."""
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        valued = (report.step for report in trial.reports if finite(trial.at(report.step), names))
        return trial.at(max(step, next(valued, step)))

    def _places(self, metrics: Sequence[Metrics]) -> np.ndarray:
        """What orders the trials: their costs, or with several objectives or constraints their ranks."""
        if len(self.objectives) == 1 and not self.constraints:
            return np.array([self.objectives[0].cost(row) for row in metrics])
        return np.array(ranks(metrics, self.objectives, self.constraints), dtype=float)

    def _epsilon(self, trials: Sequence[Trial]) -> float:
        """The percentile of |f_c(r) - f_c'(r)| at the last common step r, over pairs of curves that cross at least twice."""
        cost = self.objectives[0].cost
        curves = [{r.step: cost(r.metrics) for r in t.reports if math.isfinite(cost(r.metrics))} for t in trials]
        distances = []
        for i, one in enumerate(curves):
            for other in curves[:i]:
                signs = np.sign([one[step] - other[step] for step in sorted(one.keys() & other.keys())])
                if np.count_nonzero(np.diff(signs[signs != 0])) >= 2:
                    last = max(one.keys() & other.keys())
                    distances.append(abs(one[last] - other[last]))
        return float(np.percentile(distances, self.percentile)) if distances else 0.0
