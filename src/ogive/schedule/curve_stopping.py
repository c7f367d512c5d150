"""Stopping of trials that are unlikely to beat the best, by extrapolation of their learning curves.

Domhan et al., "Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning
Curves" (IJCAI 2015), section 3.3 (the termination criterion), and Baker et al., "Accelerating Neural Architecture Search
using Performance Prediction" (2018), section 4. The forecasts are in `ogive.surrogates.learning_curves`.

Both papers stop a trial if the probability that it beats the best is below a constant. However, a new trial beats n earlier
ones with probability 1 / (n + 1) only. After twenty trials, a constant of 0.05 would therefore stop a trial about which
nothing is known. Here the threshold is a multiple of the probability of a new trial. Both probabilities are divided by the
epochs that they cost, because the remaining epochs of a trial could be spent on new trials.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import JobError
from ogive.objective import Constraint, Objective, find_pareto_front, total_violation
from ogive.registry import check_whole_number
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.seeds import generator
from ogive.surrogates.learning_curves import CurveForecast, CurveRegressions, extrapolate_curve, list_cuts
from ogive.trial import Report, Status, Trial

NAME = "schedule 'curve'"
MODELS = ("auto", "parametric", "learned")

MAX_CURVES = 300
"""A regression is fitted to the curves of at most this many trials: the latest of those that were trained far enough."""

MIN_FULL_TRIALS = 3
"""The regressions are fitted once this many trials were trained in full."""

SAMPLES = 2000
"""The number of samples from which a probability is computed with several objectives."""


class CurveStopping(Schedule):
    """Starts every trial for all `epochs`, and stops it when new trials are a better use of its remaining epochs.

    Let p be the probability that the trial ends better than the best fully trained trial. For a new trial, this probability
    is 1 / (n + 1) after n trials that were stopped or trained in full. A trial is stopped if p / (its remaining epochs) is
    below `threshold` / (n + 1) / `epochs`. With several objectives, p is the probability that no fully trained trial
    dominates the trial, and the probability of a new trial is multiplied by the size of the front.

    Options:
        epochs: the number of epochs of full training.
        threshold: a factor above 0; a higher one saves more epochs and loses more good trials.
        min_epochs: the number of epochs before which no trial is stopped.
        min_trials: the number of trials that must have been trained in full before any trial is stopped.
        model: "parametric" extrapolates the shape of the trial's own curve, of five epochs or more. "learned" uses
            regressions on the architecture and the curves of earlier trials, including stopped ones, once three trials were
            trained in full. "auto" is "parametric" until then, and "learned" afterwards.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        threshold: float = 1.0,
        min_epochs: int = 1,
        min_trials: int = 1,
        model: str = "auto",
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs the number of epochs of full training; give epochs")
        self.epochs = check_whole_number(NAME, "epochs", epochs, at_least=1)
        self.min_epochs = check_whole_number(NAME, "min_epochs", min_epochs, at_least=1)
        self.min_trials = check_whole_number(NAME, "min_trials", min_trials, at_least=1)
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold < np.inf:
            raise JobError(f"{NAME}: threshold is {threshold!r}, but must be a finite number above 0")
        if model not in MODELS:
            raise JobError(f"{NAME}: model is {model!r}, but must be one of {', '.join(MODELS)}")
        self.threshold, self.model = float(threshold), model
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._ended_count = 0  # trials that were stopped or trained in full
        self._full_count = 0  # trials that were trained in full
        # For each cut, the features [d] and the costs [m, t] of the trials that were trained up to it: d columns of the
        # encoding, m objectives, t epochs.
        self._curves_at: dict[int, list[tuple[FloatArray, FloatArray]]] = {cut: [] for cut in list_cuts(self.epochs)}
        self._curve_count = self._fitted_count = 0  # the number of curves so far, and at the time of the last fit
        self._regressions: list[CurveRegressions] = []  # one for each objective
        self._min_violation = np.inf  # the smallest violation of the constraints by a fully trained trial
        # The costs [k, m] of the k non-dominated trials with that violation.
        self._front = np.empty((0, len(self.objectives)))

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start({"epochs": self.epochs})

    def on_report(self, trial: Trial, report: Report) -> Action:
        # A forecast needs a value after every epoch, so trials that report less often are not stopped.
        is_too_early_or_late = report.step < self.min_epochs or report.step >= self.epochs
        if is_too_early_or_late or self._full_count < self.min_trials or len(trial.reports) != report.step:
            return Action.CONTINUE
        # A trial that violates the constraints more than the best cannot be among the best.
        if total_violation(trial.metrics, self.constraints) > self._min_violation:
            return Action.STOP
        # Domhan et al., section 3.3: stop if the probability of beating the best is below a threshold. The paper has a
        # constant threshold; here it is the probability with which new trials would beat the best in the same number of
        # epochs (see the module docstring).
        probability = self.improvement_probability(trial)
        if probability is None:
            return Action.CONTINUE
        probability_of_new_trial = len(self._front) / (self._ended_count + 1)
        remaining_share = (self.epochs - report.step) / self.epochs
        is_worth_it = probability >= self.threshold * probability_of_new_trial * remaining_share
        return Action.CONTINUE if is_worth_it else Action.STOP

    def on_end(self, trial: Trial) -> None:
        if trial.status.failed:
            return
        self._ended_count += 1
        if not trial.reports or len(trial.reports) != trial.step or trial.step > self.epochs:
            return
        curves = self._cost_curves(trial)
        if not np.isfinite(curves).all():
            return
        # A trial that ended by itself would keep its last value until the last epoch.
        if trial.ended_by_itself:
            curves = np.pad(curves, ((0, 0), (0, self.epochs - trial.step)), mode="edge")
        self._add_curves(_features(trial), curves)
        if trial.status is Status.FINISHED and curves.shape[1] == self.epochs:
            self._full_count += 1
            self._update_front(curves[:, -1][None], total_violation(trial.metrics, self.constraints))

    def _add_curves(self, features: FloatArray, curves: FloatArray) -> None:
        """Store the curves of a trial; refit the regressions when there are a tenth more curves than at the last fit."""
        for cut, pairs in self._curves_at.items():
            if cut <= curves.shape[1]:
                pairs.append((features, curves))
                del pairs[:-MAX_CURVES]
        self._curve_count += 1
        if self._curve_count >= 1.1 * self._fitted_count and len(self._curves_at[self.epochs]) >= MIN_FULL_TRIALS:
            self._fitted_count = self._curve_count
            self._regressions = [
                CurveRegressions(
                    {cut: [(x, rows[index]) for x, rows in pairs] for cut, pairs in self._curves_at.items()},
                    self.epochs,
                )
                for index in range(len(self.objectives))
            ]

    def _update_front(self, costs: FloatArray, violation: float) -> None:
        """Add the costs [1, m] of a fully trained trial to the front, unless another trial dominates or violates less."""
        if violation < self._min_violation:
            self._min_violation, self._front = violation, costs
        elif violation == self._min_violation:
            rows = np.concatenate([self._front, costs])
            # Equal rows count once: a trial that equals the best does not make it more likely that a new one beats it.
            self._front = np.unique(rows[find_pareto_front(rows)], axis=0)

    def improvement_probability(self, trial: Trial) -> float | None:
        """Return the probability that a running trial ends better than the best fully trained trial.

        Returns:
            The probability; with several objectives, the probability that the front does not dominate the trial. None if
            there is no forecast.
        """
        curves = self._cost_curves(trial)
        if not len(self._front) or not np.isfinite(curves).all():
            return None
        forecasts = []
        for index, curve in enumerate(curves):
            forecast = self._forecast(trial, index, curve)
            if forecast is None:
                return None
            forecasts.append(forecast)
        if len(forecasts) == 1:
            return forecasts[0].probability_below(float(self._front.min()))
        # With several objectives there is no closed form: sample the final costs of each objective independently, and count
        # the samples that the front dominates. Both are on the scales of the forecasts, which do not change the order.
        rng = generator(trial.seed, "curve", trial.step)
        samples = np.stack([forecast.sample(rng, SAMPLES) for forecast in forecasts], axis=1)
        front = np.stack([f.to_scale(column) for f, column in zip(forecasts, self._front.T, strict=True)], axis=1)
        is_dominated = np.any(np.all(front[None] <= samples[:, None], axis=2), axis=1)
        return float(1 - is_dominated.mean())

    def _forecast(self, trial: Trial, index: int, curve: FloatArray) -> CurveForecast | None:
        """Return the forecast of the final cost of objective `index`; None if the model cannot make one yet."""
        # Baker et al., section 3: regressions on the architecture and the first part of the curve.
        if self._regressions and self.model != "parametric":
            return self._regressions[index].predict(_features(trial), curve)
        if self.model == "learned":
            return None
        # An objective that never changes during training, such as the number of parameters, is known already.
        if np.ptp(curve) == 0 and all(np.ptp(curves[index]) == 0 for _, curves in self._curves_at[self.epochs]):
            return CurveForecast(float(curve[-1]), 0.0)
        # Domhan et al., table 1: these are growth curves, so the cost is extrapolated with its sign changed.
        forecast = extrapolate_curve((-curve).tolist(), self.epochs)
        return CurveForecast(-forecast.mean, forecast.deviation) if forecast else None

    def _cost_curves(self, trial: Trial) -> FloatArray:
        """Return the costs [m, t] of a trial after each of its t epochs; all epochs must have been reported."""
        rows = [trial.metrics_at(report.step) for report in trial.reports]
        return np.array([[objective.cost(row) for row in rows] for objective in self.objectives], dtype=np.float64)


def _features(trial: Trial) -> FloatArray:
    return np.asarray(trial.architecture.space.encode([trial.architecture])[0])
