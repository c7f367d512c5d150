"""Forecasts of learning curves with a known end, and the stopping of trials by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from ogive.errors import JobError
from ogive.objective import Objective
from ogive.schedule.base import Action, Schedule
from ogive.schedule.curve_stopping import CurveStopping
from ogive.surrogates.learning_curves import (
    PENALTIES,
    PRIOR_WEIGHT,
    CurveRegressions,
    RidgeRegression,
    extrapolate_curve,
    list_cuts,
)
from ogive.testing.spaces import tiny
from ogive.testing.workers import ControllerLog, SimulatedController, TrialBehavior
from ogive.trial import Report, Status

ACCURACY = (Objective("accuracy"),)


def run(schedule: Schedule, world: object, trials: int, workers: int = 2) -> ControllerLog:
    return SimulatedController(schedule, world, tiny(), trials, workers).run()  # type: ignore[arg-type]


def test_noiseless_curves_of_the_ensemble_are_extrapolated() -> None:
    epochs = np.arange(1, 101)
    for curve in (0.9 - 0.6 * epochs**-0.7, 0.9 - 0.6 * np.exp(-0.05 * epochs), 0.9 / (1 + (epochs / 4) ** -1.1)):
        forecast = extrapolate_curve(curve[:30].tolist(), 100)
        assert forecast is not None
        assert forecast.mean == pytest.approx(curve[-1], abs=0.02)


def test_the_end_of_noisy_curves_lies_within_two_deviations_of_the_forecast() -> None:
    """For 180 of 200 curves at least; a normal distribution would have 191."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        end, speed, noise = rng.uniform(0.5, 1.0), rng.uniform(0.3, 1.2), rng.uniform(0.002, 0.02)
        curve = end - 0.6 * np.arange(1.0, 33) ** -speed + rng.normal(0, noise, 32)
        forecast = extrapolate_curve(curve[:10].tolist(), 32)
        assert forecast is not None
        inside += abs(forecast.mean - curve[-1]) < 2 * forecast.deviation
    assert inside >= 180


def test_short_and_constant_curves_have_no_forecast() -> None:
    assert extrapolate_curve([0.1, 0.2, 0.3], 10) is None
    assert extrapolate_curve([0.5] * 9, 10) is None


def chain(features: np.ndarray, curves: Sequence[np.ndarray], end: int) -> CurveRegressions:
    """Return the regressions of curves [t] of any length."""
    pairs = list(zip(features, curves, strict=True))
    return CurveRegressions({cut: [pair for pair in pairs if len(pair[1]) >= cut] for cut in list_cuts(end)}, end)


def test_the_regression_equals_that_of_scikit_learn_with_the_best_penalty_by_leave_one_out() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((40, 7))
    gains = rows @ rng.normal(size=7) + rng.normal(0, 0.01, 40)
    regression = RidgeRegression(rows, gains, 0.0)
    scaled = (rows - rows.mean(0)) / rows.std(0)
    peer = RidgeCV([40 * penalty for penalty in PENALTIES], store_cv_results=True).fit(scaled, gains)
    assert regression.predict(rows[0])[0] == pytest.approx(peer.predict(scaled[:1])[0])
    assert regression.slope == pytest.approx(1 + peer.coef_[0] / rows[:, 0].std())
    left_out = [
        gains[i] - Ridge(peer.alpha_).fit(np.delete(scaled, i, 0), np.delete(gains, i)).predict(scaled[i : i + 1])[0]
        for i in range(40)
    ]
    share = 38 / (38 + PRIOR_WEIGHT)  # the prior expectation of the variance is 0 here
    expected = share * np.mean(np.square(left_out))
    assert regression.variance == pytest.approx(expected, rel=0.04), "the mean of the rows changes a little, too"


def test_the_variance_of_few_curves_is_shrunk_to_the_prior_expectation() -> None:
    one = RidgeRegression(np.zeros((1, 2)), np.array([-0.5]), 0.3)
    assert (one.variance, one.degrees_of_freedom, one.slope) == (pytest.approx(0.3 * 0.25), 2, 1)
    few = RidgeRegression(np.zeros((3, 2)), np.array([-0.4, -0.5, -0.6]), 0.3)
    assert few.variance == pytest.approx((2 * 0.01 + 2 * 0.3 * np.mean([0.16, 0.25, 0.36])) / 4)
    assert few.predict(np.zeros(2)) == (pytest.approx(-0.5), pytest.approx(few.variance * (1 + 1 / 3)))


def autoregressive_curves(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return [count, 16] costs of a normal autoregression, z(t + 1) = 0.9 z(t) + 0.1 e.

    Given z, the cost after k more epochs has mean 0.9^k z and variance 0.01 (1 - 0.81^k) / (1 - 0.81).
    """
    costs = np.empty((count, 16))
    costs[:, 0] = rng.normal(0, 0.2, count)
    for t in range(1, 16):
        costs[:, t] = 0.9 * costs[:, t - 1] + 0.1 * rng.normal(size=count)
    return costs


def stop_worse_half(curves: np.ndarray) -> list[np.ndarray]:
    """Stop the worse half of the remaining curves at 2, 4 and 8 epochs, so that one in 8 reaches the end."""
    lengths = np.full(len(curves), curves.shape[1])
    for t in (2, 4, 8):
        running = np.flatnonzero(lengths == curves.shape[1])
        lengths[running[curves[running, t - 1] > np.median(curves[running, t - 1])]] = t
    return [curve[:length] for curve, length in zip(curves, lengths, strict=True)]


def test_forecasts_from_stopped_curves_are_unbiased() -> None:
    """The probabilities to end below the true mean, and below one deviation from it, are those of the normal distribution.

    Forecasts from the fully trained curves alone, which were lucky, are biased.
    """
    for t in (1, 2, 5):
        from_all, from_full = [], []
        truth = NormalDist(-0.1 * 0.9 ** (16 - t), 0.1 * ((1 - 0.81 ** (16 - t)) / (1 - 0.81)) ** 0.5)
        costs = [truth.mean + sigma * truth.stdev for sigma in (-1, 0, 1)]
        for seed in range(6):
            curves = stop_worse_half(autoregressive_curves(np.random.default_rng(seed), 6000))
            full = [curve for curve in curves if len(curve) == 16]
            assert len(full) == 750
            for fitted, probabilities in ((curves, from_all), (full, from_full)):
                forecast = chain(np.empty((len(fitted), 0)), fitted, 16).predict(np.empty(0), np.full(t, -0.1))
                probabilities.append([forecast.probability_below(cost) for cost in costs])
        expected = [truth.cdf(cost) for cost in costs]
        assert np.mean(from_all, axis=0) == pytest.approx(expected, abs=0.08)
        assert np.mean(from_full, axis=0)[1] > 0.6


def test_the_scale_suits_the_noise_of_the_curves() -> None:
    """Additive noise needs a linear scale, multiplicative noise a bent one."""
    rng = np.random.default_rng(0)
    levels, noise = rng.exponential(size=(200, 1)), rng.normal(0, 0.1, (200, 8))
    assert chain(np.empty((200, 0)), list(levels + noise), 8)._scale.bend < 1
    assert chain(np.empty((200, 0)), list(levels * np.exp(noise)), 8)._scale.bend > 10


def test_probabilities_are_calibrated() -> None:
    """For forecasts from 4 of 20 epochs after 30 other curves, whose level and speed depend on the architecture."""
    rng, forecasts, outcomes = np.random.default_rng(0), [], []
    epochs = np.arange(1.0, 21)
    for _ in range(40):
        features = rng.random((60, 3))
        levels = features @ [0.5, 0.3, 0.1] + rng.normal(0, 0.05, 60)
        speeds = 0.1 + 0.3 * features[:, 2] + rng.uniform(0, 0.1, 60)
        curves = levels[:, None] + np.exp(-np.outer(speeds, epochs)) + rng.normal(0, 0.01, (60, 20))
        fitted = chain(features[:30], list(curves[:30]), 20)
        goal = float(np.quantile(curves[:30, -1], 0.1))
        pairs = zip(features[30:], curves[30:], strict=True)
        forecasts += [fitted.predict(x, curve[:4]).probability_below(goal) for x, curve in pairs]
        outcomes += (curves[30:, -1] < goal).tolist()
    probability, outcome = np.array(forecasts), np.array(outcomes, dtype=float)
    assert probability.mean() == pytest.approx(outcome.mean(), abs=0.04)
    for low, high in ((0.0, 0.02), (0.0, 0.1), (0.5, 1.0)):
        in_bin = (probability >= low) & (probability <= high)
        assert in_bin.sum() > 20
        assert outcome[in_bin].mean() == pytest.approx(probability[in_bin].mean(), abs=0.12 if low else 0.02)


def test_costs_below_the_best_so_far_are_possible() -> None:
    """No cost is clipped at the best; constant curves, such as accuracies of few examples, have sure forecasts."""
    flat = [np.round(np.full(8, cost), 2) for cost in (0.5, 0.4, 0.3)]
    fitted = chain(np.zeros((3, 1)), flat, 8)
    assert fitted.predict(np.zeros(1), np.full(7, 0.2)).probability_below(0.3) > 0.9
    assert fitted.predict(np.zeros(1), np.full(7, 0.35)).probability_below(0.3) < 0.1


def test_only_the_latest_curves_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ogive.schedule.curve_stopping.MAX_CURVES", 10)
    schedule = CurveStopping(ACCURACY, epochs=8)
    run(schedule, make_behavior, 90)
    assert max(len(pairs) for pairs in schedule._curves_at.values()) == 10


def test_a_trial_with_a_flat_start_still_has_a_chance() -> None:
    """Two equal values at the beginning do not mean that the curve stays there, since no other curve did."""
    schedule = CurveStopping(ACCURACY, epochs=20, min_trials=8)
    log = run(schedule, make_behavior, 10)
    flat = replace(
        log.trials[9], status=Status.RUNNING, reports=(Report(1, {"accuracy": 0.1}), Report(2, {"accuracy": 0.1}))
    )
    probability = schedule.improvement_probability(flat)
    assert probability is not None
    assert probability > 0


def make_behavior(i: int) -> TrialBehavior:
    end = (i * 37 % 100) / 100
    return TrialBehavior(lambda epoch: end * (1 - 0.9 / epoch**0.8))


def test_a_trial_with_few_remaining_epochs_continues_at_a_lower_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """After nine trials a new one is the best with probability 0.1, for 20 epochs; 0.05 is worth 10 of them."""
    schedule = CurveStopping(ACCURACY, epochs=20)
    log = run(schedule, lambda i: TrialBehavior(lambda epoch: 0.5), 9)
    monkeypatch.setattr(CurveStopping, "improvement_probability", lambda self, trial: 0.05)
    reports = tuple(Report(step, {"accuracy": 0.5}) for step in range(1, 20))

    def decide(step: int) -> Action:
        running = replace(log.trials[8], status=Status.RUNNING, reports=reports[:step])
        return schedule.on_report(running, running.reports[-1])

    assert [decide(step) for step in (9, 11, 19)] == [Action.STOP, Action.CONTINUE, Action.CONTINUE]


@pytest.mark.parametrize("model", ["parametric", "learned", "auto"])
def test_poor_trials_are_stopped_and_the_best_is_not(model: str) -> None:
    log = run(CurveStopping(ACCURACY, epochs=27, model=model), make_behavior, 60)
    best = max(log.trials.values(), key=lambda trial: trial.id * 37 % 100)
    assert best.status is Status.FINISHED
    stopped = [trial for trial in log.trials.values() if trial.status is Status.STOPPED]
    assert len(stopped) > 30
    assert sum(trial.step for trial in log.trials.values()) < 0.6 * 60 * 27


@pytest.mark.parametrize(
    ("options", "text"),
    [({"threshold": 0.0}, "finite number above 0"), ({"model": "oracle"}, "one of auto, parametric, learned")],
)
def test_errors_name_the_invalid_option(options: dict[str, object], text: str) -> None:
    with pytest.raises(JobError, match=text):
        CurveStopping(ACCURACY, epochs=9, **options)  # type: ignore[arg-type]
