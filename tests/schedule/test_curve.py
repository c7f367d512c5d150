"""Extrapolated learning curves against curves whose end is known, and the stopping that follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from ogive.errors import JobError
from ogive.objective import Objective
from ogive.schedule.base import Schedule
from ogive.schedule.curve import CurveStopping
from ogive.schedule.extrapolation import Regression, parametric
from ogive.testing.spaces import tiny
from ogive.testing.workers import Fate, Log, Workers
from ogive.trial import Status

ACCURACY = (Objective("accuracy"),)


def run(schedule: Schedule, world: object, trials: int, workers: int = 2) -> Log:
    return Workers(schedule, world, tiny(), trials, workers).run()  # type: ignore[arg-type]


def test_noiseless_curves_of_the_models_own_kinds_are_continued() -> None:
    epochs = np.arange(1, 101)
    for curve in (0.9 - 0.6 * epochs**-0.7, 0.9 - 0.6 * np.exp(-0.05 * epochs), 0.9 / (1 + (epochs / 4) ** -1.1)):
        forecast = parametric(curve[:30].tolist(), 100)
        assert forecast is not None
        assert forecast.mean == pytest.approx(curve[-1], abs=0.02)


def test_the_forecasts_deviation_covers_what_comes() -> None:
    """Of 200 noisy curves the end lies within two deviations as often as a normal distribution has it there, about."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        end, speed, noise = rng.uniform(0.5, 1.0), rng.uniform(0.3, 1.2), rng.uniform(0.002, 0.02)
        curve = end - 0.6 * np.arange(1.0, 33) ** -speed + rng.normal(0, noise, 32)
        forecast = parametric(curve[:10].tolist(), 32)
        assert forecast is not None
        inside += abs(forecast.mean - curve[-1]) < 2 * forecast.deviation
    assert inside >= 180


def test_short_and_flat_curves_say_nothing() -> None:
    assert parametric([0.1, 0.2, 0.3], 10) is None
    assert parametric([0.5] * 9, 10) is None


def test_the_regression_is_a_bayesian_ridge_of_what_is_left_to_come() -> None:
    rng = np.random.default_rng(0)
    features, curves = rng.random((40, 3)), rng.random((40, 4))
    ends = curves[:, -1] + features @ [0.3, -0.2, 0.1] + rng.normal(0, 0.01, 40)
    found = Regression(features, curves, ends).predict(features[0], curves[0])
    rows = np.hstack([features, curves, np.diff(curves), np.diff(curves, n=2)])
    rows = (rows - rows.mean(0)) / rows.std(0)
    expected = BayesianRidge().fit(rows, ends - curves[:, -1]).predict(rows[:1])[0] + curves[0, -1]
    assert found.mean == pytest.approx(expected)
    assert 0.008 < found.deviation < 0.02


def fate(i: int) -> Fate:
    end = (i * 37 % 100) / 100
    return Fate(lambda epoch: end * (1 - 0.9 / epoch**0.8))


@pytest.mark.parametrize("model", ["parametric", "learned", "auto"])
def test_poor_trials_are_stopped_and_the_best_is_not(model: str) -> None:
    log = run(CurveStopping(ACCURACY, epochs=27, model=model), fate, 60)
    best = max(log.trials.values(), key=lambda trial: trial.id * 37 % 100)
    assert best.status is Status.FINISHED
    stopped = [trial for trial in log.trials.values() if trial.status is Status.STOPPED]
    assert len(stopped) > 30
    assert sum(trial.step for trial in log.trials.values()) < 0.6 * 60 * 27


@pytest.mark.parametrize(
    ("options", "text"),
    [({"threshold": 0.7}, "above 0 and below 0.5"), ({"model": "oracle"}, "one of auto, parametric, learned")],
)
def test_wrong_options_are_named(options: dict[str, object], text: str) -> None:
    with pytest.raises(JobError, match=text):
        CurveStopping(ACCURACY, epochs=9, **options)  # type: ignore[arg-type]
