"""Stop a trial when it is improbable that it will beat the best: see `ogive.schedule.extrapolation`.

Domhan et al. (IJCAI 2015), section 3.3 (the termination criterion), and Baker et al. (2018), section 4. Theirs is a fixed
chance. But of n trials in no order the next one is the best with chance 1 / (n + 1): after twenty of them a fixed chance of
0.05 would stop a trial of which nothing is known. So the threshold here is a multiple of that chance; and as what a trial
still costs could be spent on new ones, both chances are counted for each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import JobError
from ogive.objective import Constraint, Objective, pareto_front, violation
from ogive.registry import whole
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.schedule.extrapolation import CurveForecast, CurveRegressions, cuts, parametric
from ogive.seeds import generator
from ogive.trial import Report, Status, Trial

NAME = "schedule 'curve'"
MODELS = ("auto", "parametric", "learned")

REMEMBERED = 300
"""Trials that a regression learns from: the latest that got so far."""

FEWEST = 3
"""Trials trained in full that learning needs."""

DRAWS = 2000


class CurveStopping(Schedule):
    """Every trial is started for all `epochs`, and stopped as soon as the chance that it ends better than the best one that
    was trained in full is, for each epoch that it has left, below `threshold` times that of a new trial: 1 / (n + 1) after n
    trials, for `epochs`.

    With several objectives: that it ends undominated by those; the front has as many points as an unknown trial has chances.

    Options:
        threshold: above 0; a high one saves more epochs and loses more.
        min_epochs: no trial is stopped before.
        min_trials: nor before so many have been trained in full.
        model: "parametric" extrapolates a curve of five epochs or more by its shape, "learned" from earlier trials, stopped
            ones too, and the architecture, once three were trained in full; "auto" is parametric before that.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        threshold: float = 1.0,
        min_epochs: int = 1,
        min_trials: int = 1,
        model: str = "auto",
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs to know how far a trial can go: give epochs")
        self.epochs = whole(NAME, "epochs", epochs, at_least=1)
        self.min_epochs = whole(NAME, "min_epochs", min_epochs, at_least=1)
        self.min_trials = whole(NAME, "min_trials", min_trials, at_least=1)
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold < np.inf:
            raise JobError(f"{NAME}: threshold is {threshold!r}, but must be a finite number above 0")
        if model not in MODELS:
            raise JobError(f"{NAME}: model is {model!r}, but must be one of {', '.join(MODELS)}")
        self.threshold, self.model = float(threshold), model
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._judged = 0  # trials that were stopped or trained in full
        self._full = 0  # trained in full
        # features [d] and costs [m, t] of those that got to each cut
        self._reached: dict[int, list[tuple[FloatArray, FloatArray]]] = {cut: [] for cut in cuts(self.epochs)}
        self._remembered = self._learned = 0  # curves, and how many of them there were when the chains learned
        self._chains: list[CurveRegressions] = []  # of each objective
        self._least = np.inf  # their least violation of the constraints
        self._front = np.empty((0, len(self.objectives)))  # costs of those with the least, without what is dominated

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start({"epochs": self.epochs})

    def on_report(self, trial: Trial, report: Report) -> Action:
        early = report.step < self.min_epochs or report.step >= self.epochs
        if early or self._full < self.min_trials or len(trial.reports) != report.step:
            return Action.CONTINUE
        if violation(trial.metrics, self.constraints) > self._least:
            return Action.STOP
        chance = self.chance(trial)
        new = len(self._front) / (self._judged + 1)
        left = (self.epochs - report.step) / self.epochs
        return Action.CONTINUE if chance is None or chance >= self.threshold * new * left else Action.STOP

    def on_end(self, trial: Trial) -> None:
        if trial.status.failed:
            return
        self._judged += 1
        if not trial.reports or len(trial.reports) != trial.step or trial.step > self.epochs:
            return
        curves = self._curves(trial)
        if not np.isfinite(curves).all():
            return
        if trial.ended_by_itself:  # it keeps its last value
            curves = np.pad(curves, ((0, 0), (0, self.epochs - trial.step)), mode="edge")
        self._remember(_features(trial), curves)
        if trial.status is Status.FINISHED and curves.shape[1] == self.epochs:
            self._full += 1
            self._compare(curves[:, -1][None], violation(trial.metrics, self.constraints))

    def _remember(self, features: FloatArray, curves: FloatArray) -> None:
        """Learns anew when there is a tenth more to learn from."""
        for cut, known in self._reached.items():
            if cut <= curves.shape[1]:
                known.append((features, curves))
                del known[:-REMEMBERED]
        self._remembered += 1
        if self._remembered >= 1.1 * self._learned and len(self._reached[self.epochs]) >= FEWEST:
            self._learned = self._remembered
            self._chains = [
                CurveRegressions(
                    {cut: [(x, rows[number]) for x, rows in known] for cut, known in self._reached.items()}, self.epochs
                )
                for number in range(len(self.objectives))
            ]

    def _compare(self, costs: FloatArray, excess: float) -> None:
        if excess < self._least:
            self._least, self._front = excess, costs
        elif excess == self._least:
            rows = np.concatenate([self._front, costs])
            self._front = np.unique(
                rows[pareto_front(rows)], axis=0
            )  # who only equals the best makes it no more likely

    def chance(self, trial: Trial) -> float | None:
        """That a running trial ends better than the best that was trained in full; None where nothing can be said."""
        curves = self._curves(trial)
        if not len(self._front) or not np.isfinite(curves).all():
            return None
        forecasts = []
        for number, curve in enumerate(curves):
            forecast = self._forecast(trial, number, curve)
            if forecast is None:
                return None
            forecasts.append(forecast)
        if len(forecasts) == 1:
            return forecasts[0].below(float(self._front.min()))
        rng = generator(trial.seed, "curve", trial.step)
        draws = np.stack([forecast.draw(rng, DRAWS) for forecast in forecasts], axis=1)
        front = np.stack([f.scaled(column) for f, column in zip(forecasts, self._front.T, strict=True)], axis=1)
        dominated = np.any(np.all(front[None] <= draws[:, None], axis=2), axis=1)
        return float(1 - dominated.mean())

    def _forecast(self, trial: Trial, number: int, curve: FloatArray) -> CurveForecast | None:
        """Of the cost at the end; None where nothing can be said."""
        if self._chains and self.model != "parametric":
            return self._chains[number].predict(_features(trial), curve)
        if self.model == "learned":
            return None
        if np.ptp(curve) == 0 and all(np.ptp(curves[number]) == 0 for _, curves in self._reached[self.epochs]):
            return CurveForecast(float(curve[-1]), 0.0)  # such as the number of parameters
        forecast = parametric((-curve).tolist(), self.epochs)
        return CurveForecast(-forecast.mean, forecast.deviation) if forecast else None

    def _curves(self, trial: Trial) -> FloatArray:
        """Costs [m, t] of a trial that has reported every epoch: its value after each of them."""
        rows = [trial.at(report.step) for report in trial.reports]
        return np.array([[objective.cost(row) for row in rows] for objective in self.objectives], dtype=np.float64)


def _features(trial: Trial) -> FloatArray:
    return np.asarray(trial.architecture.space.encode([trial.architecture])[0])
