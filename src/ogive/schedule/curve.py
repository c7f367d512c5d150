"""Stop a trial when it is improbable that it will beat the best: see `ogive.schedule.extrapolation`.

Domhan et al. (IJCAI 2015), section 3.3 (the termination criterion), and Baker et al. (2018), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from statistics import NormalDist

import numpy as np

from ogive.errors import JobError, MissingExtra
from ogive.objective import Constraint, Objective, pareto_front, violation
from ogive.registry import whole
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.schedule.extrapolation import Forecast, Regression, parametric
from ogive.seeds import generator
from ogive.trial import Report, Status, Step, Trial

NAME = "schedule 'curve'"
MODELS = ("auto", "parametric", "learned")
LEARNED_FROM = 20
"""Trials trained in full before "auto" takes the regression over them rather than the curve's own shape."""

REMEMBERED = 300
"""Trials that a regression learns from: the latest."""

DRAWS = 400


class CurveStopping(Schedule):
    """Every trial is started for all `epochs`, and stopped as soon as the chance that it ends better than the best one that
    was trained in full is below `threshold`. With several objectives: that it ends undominated by those.

    Options:
        threshold: the chance below which a trial is stopped, above 0 and below 0.5.
        min_epochs: no trial is stopped before; 5 at least, where the shape of a curve is to be judged.
        min_trials: nor before so many have been trained in full.
        model: "parametric" extrapolates the curve by its shape, "learned" from earlier trials and the architecture;
            "auto" is parametric up to 20 trials trained in full and learned from then on.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        threshold: float = 0.05,
        min_epochs: int = 5,
        min_trials: int = 5,
        model: str = "auto",
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs to know how far a trial can go: give epochs")
        self.epochs = whole(NAME, "epochs", epochs, at_least=1)
        self.min_epochs = whole(NAME, "min_epochs", min_epochs, at_least=2)
        self.min_trials = whole(NAME, "min_trials", min_trials, at_least=1)
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold < 0.5:
            raise JobError(f"{NAME}: threshold is {threshold!r}, but must be a number above 0 and below 0.5")
        if model not in MODELS:
            raise JobError(f"{NAME}: model is {model!r}, but must be one of {', '.join(MODELS)}")
        if model != "parametric" and find_spec("sklearn") is None:
            raise MissingExtra("scikit-learn", "data", f"model {model!r} of {NAME} (model 'parametric' does not)")
        self.threshold, self.model = float(threshold), model
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._full: list[Trial] = []  # trained in full
        self._least = np.inf  # their least violation of the constraints
        self._front = np.empty((0, len(self.objectives)))  # costs of those with the least, without what is dominated
        self._regressions: dict[tuple[int, Step], tuple[int, Regression]] = {}  # a cache, by objective and step

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start({"epochs": self.epochs})

    def on_report(self, trial: Trial, report: Report) -> Action:
        early = report.step < self.min_epochs or report.step >= self.epochs
        if early or len(self._full) < self.min_trials or len(trial.reports) != report.step:
            return Action.CONTINUE
        if violation(trial.metrics, self.constraints) > self._least:
            return Action.STOP
        forecasts = [self._forecast(trial, number) for number in range(len(self.objectives))]
        if any(forecast is None for forecast in forecasts):
            return Action.CONTINUE
        chance = self._chance([f for f in forecasts if f is not None], trial)
        return Action.STOP if chance < self.threshold else Action.CONTINUE

    def on_end(self, trial: Trial) -> None:
        if trial.status is not Status.FINISHED or trial.step < self.epochs or len(trial.reports) != trial.step:
            return
        curves = np.array([self._curve(trial, number) for number in range(len(self.objectives))])
        if not np.isfinite(curves).all():
            return
        self._full.append(trial)
        costs = curves[:, -1][None]
        excess = violation(trial.metrics, self.constraints)
        if excess < self._least:
            self._least, self._front = excess, costs
        elif excess == self._least:
            rows = np.concatenate([self._front, costs])
            self._front = rows[pareto_front(rows)]

    def _chance(self, forecasts: Sequence[Forecast], trial: Trial) -> float:
        """That costs drawn from the forecasts are dominated by none of the front."""
        if len(forecasts) == 1:
            spread = NormalDist(forecasts[0].mean, max(forecasts[0].deviation, 1e-12))
            return spread.cdf(float(self._front.min()))
        rng = generator(trial.seed, "curve", trial.step)
        means, deviations = [f.mean for f in forecasts], [f.deviation for f in forecasts]
        draws = rng.normal(means, deviations, size=(DRAWS, len(forecasts)))
        dominated = np.any(np.all(self._front[None] <= draws[:, None], axis=2), axis=1)
        return float(1 - dominated.mean())

    def _forecast(self, trial: Trial, number: int) -> Forecast | None:
        """Of the cost at the end; None where nothing can be said."""
        curve = self._curve(trial, number)
        if not np.isfinite(curve).all():
            return None
        if np.ptp(curve) == 0:
            return Forecast(float(curve[-1]), 0.0)  # such as the number of parameters
        if self.model == "learned" or (self.model == "auto" and len(self._full) >= LEARNED_FROM):
            regression = self._regression(number, trial.step)
            features = trial.architecture.space.encode([trial.architecture])[0]
            return regression.predict(features, curve) if regression else None
        forecast = parametric((-curve).tolist(), self.epochs)
        return Forecast(-forecast.mean, forecast.deviation) if forecast else None

    def _curve(self, trial: Trial, number: int, steps: Step | None = None) -> np.ndarray:
        objective = self.objectives[number]
        return np.array([objective.cost({**trial.screened, **r.metrics}) for r in trial.reports[:steps]])

    def _regression(self, number: int, step: Step) -> Regression | None:
        """Fitted anew when the trials to learn from are a tenth more."""
        n = len(self._full)
        if n < 8:
            return None
        known = self._regressions.get((number, step))
        if known is None or known[0] != self._fitted_at(n):
            trials = self._full[: self._fitted_at(n)][-REMEMBERED:]
            features = trials[0].architecture.space.encode([trial.architecture for trial in trials])
            curves = np.array([self._curve(trial, number, step) for trial in trials])
            ends = np.array([self._curve(trial, number)[-1] for trial in trials])
            known = (self._fitted_at(n), Regression(features, curves, ends))
            self._regressions[number, step] = known
        return known[1]

    @staticmethod
    def _fitted_at(n: int) -> int:
        """The last of 8, 9, 10, 11, 12, 13, 14, 15, 16, 18 ... (a tenth more each time) that is not above n."""
        size = 8
        while (following := size + max(1, size // 10)) <= n:
            size = following
        return size
