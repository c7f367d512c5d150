"""Progressive ASHA (PASHA), which raises the top rung only while the ranking of the trials still changes.

Bohdal et al., "PASHA: Efficient HPO and NAS with Progressive Resource Allocation" (ICLR 2023), section 4. Symbols of the
paper: R_t the current maximum resource, epsilon the noise in the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import JobError
from ogive.objective import Constraint, Metrics, Objective, rank_metrics
from ogive.schedule.asha import ASHA
from ogive.schedule.base import Action
from ogive.trial import EMPTY, Report, Step, Trial, TrialId, are_finite


class PASHA(ASHA):
    """ASHA that begins with the two lowest rungs, and adds a rung when the two highest rungs rank the trials differently.

    The ranking is soft (section 4.2): values within epsilon of each other count as equal. Epsilon is estimated from
    pairs of learning curves that cross at least twice, as a percentile of their distances (section 4.3). With several
    objectives the trials of one non-dominated front are equal, and epsilon is 0.

    Options:
        min_epochs, max_epochs, eta, capped, fidelities: as in `asha`.
        percentile: epsilon is this percentile of the distances of crossing curves; 90 in the paper.
    """

    name = "schedule 'pasha'"

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        capped: bool = True,
        percentile: float = 90.0,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        super().__init__(
            objectives,
            constraints,
            epochs,
            min_epochs=min_epochs,
            max_epochs=max_epochs,
            eta=eta,
            capped=capped,
            fidelities=fidelities,
        )
        if isinstance(percentile, bool) or not isinstance(percentile, (int, float)) or not 0 <= percentile <= 100:
            raise JobError(f"{self.name}: percentile is {percentile!r}, but must be a number from 0 to 100")
        self.percentile = float(percentile)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._top_rung = min(1, len(self.rungs))
        self._trials_at_top: dict[TrialId, Trial] = {}

    @property
    def top_rung(self) -> int:
        """The rung of the current maximum resource R_t."""
        return self._top_rung

    def on_report(self, trial: Trial, report: Report) -> Action:
        action = super().on_report(trial, report)
        if self._top_rung < len(self.rungs) and report.step >= self.ladder.steps[self._top_rung]:
            # Section 4.1: check the ranking whenever a trial reaches the top rung. If it is not stable, raise R_t to the
            # next rung.
            self._trials_at_top[trial.id] = trial
            if not self._is_ranking_stable():
                self._top_rung += 1
                self._trials_at_top.clear()
        return action

    def on_end(self, trial: Trial) -> None:
        super().on_end(trial)
        if trial.status.failed:
            self._trials_at_top.pop(trial.id, None)

    def _is_ranking_stable(self) -> bool:
        """Return whether the ranking on the top rung is compatible with the soft ranking on the rung below."""
        trials = list(self._trials_at_top.values())
        lower, upper = (
            self._sort_keys([self._value(t, self.ladder.steps[k]) for t in trials])
            for k in (self._top_rung - 1, self._top_rung)
        )
        epsilon = self._estimate_epsilon(trials) if len(self.objectives) == 1 else 0.0
        lower_order, upper_order = np.argsort(lower, kind="stable"), np.argsort(upper, kind="stable")
        # Section 4.2: for each rank, take the trial with this rank on the top rung, and the trial with this rank on the rung
        # below. Their values on the rung below must be within epsilon of each other.
        return bool(np.all(np.abs(lower[upper_order] - lower[lower_order]) <= epsilon))

    def _value(self, trial: Trial, step: Step) -> Metrics:
        """Return the metrics of the trial at `step`, or at the first step with a value if it has none up to `step`."""
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        steps_with_value = (report.step for report in trial.reports if are_finite(trial.metrics_at(report.step), names))
        return trial.metrics_at(max(step, next(steps_with_value, step)))

    def _sort_keys(self, metrics: Sequence[Metrics]) -> FloatArray:
        """Return the numbers [n] by which trials are ranked: costs, or ranks with several objectives or constraints."""
        if len(self.objectives) == 1 and not self.constraints:
            return np.array([self.objectives[0].cost(row) for row in metrics])
        return np.array(rank_metrics(metrics, self.objectives, self.constraints), dtype=float)

    def _estimate_epsilon(self, trials: Sequence[Trial]) -> float:
        """Return the percentile of the distances of pairs of learning curves that cross at least twice (section 4.3).

        The distance is the absolute difference of their costs at the last step that both curves have.
        """
        cost = self.objectives[0].cost
        curves = [{r.step: cost(r.metrics) for r in t.reports if math.isfinite(cost(r.metrics))} for t in trials]
        distances = []
        for i, curve in enumerate(curves):
            for second_curve in curves[:i]:
                # Section 4.3: if two curves cross and cross back, their order is noise, and so is their distance.
                signs = np.sign(
                    [curve[step] - second_curve[step] for step in sorted(curve.keys() & second_curve.keys())]
                )
                if np.count_nonzero(np.diff(signs[signs != 0])) >= 2:
                    last_step = max(curve.keys() & second_curve.keys())
                    distances.append(abs(curve[last_step] - second_curve[last_step]))
        return float(np.percentile(distances, self.percentile)) if distances else 0.0
