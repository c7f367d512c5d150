"""Extrapolated learning curves against curves whose end is known, and the stopping that follows from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from ogive.errors import JobError
from ogive.objective import Objective
from ogive.schedule.base import Schedule
from ogive.schedule.curve import CurveStopping
from ogive.schedule.extrapolation import PENALTIES, Regression, Scale, parametric
from ogive.testing.spaces import tiny
from ogive.testing.workers import Fate, Log, Workers
from ogive.trial import Report, Status

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


def test_the_regression_is_scikit_learns_ridge_with_the_penalty_that_leaves_out_best() -> None:
    rng = np.random.default_rng(0)
    features, curves = rng.random((40, 3)), rng.random((40, 4)) + 1
    ends = curves[:, -1] - 0.5 + features @ [0.3, -0.2, 0.1] + rng.normal(0, 0.01, 40)
    found = Regression(features, curves, ends).predict(features[0], curves[0])
    scale = Scale(ends.min(), float(np.median(ends)))
    scaled, gains = scale(curves), scale(ends) - scale(curves)[:, -1]
    rows = np.hstack([features, scaled, np.diff(scaled), np.diff(scaled, n=2)])
    rows = (rows - rows.mean(0)) / rows.std(0)
    peer = RidgeCV([40 * penalty for penalty in PENALTIES], store_cv_results=True).fit(rows, gains)
    assert found.mean == pytest.approx(peer.predict(rows[:1])[0] + scaled[0, -1])
    left_out = [
        gains[i] - Ridge(peer.alpha_).fit(np.delete(rows, i, 0), np.delete(gains, i)).predict(rows[i : i + 1])[0]
        for i in range(40)
    ]
    assert np.sqrt(np.mean(np.square(left_out))) == pytest.approx(
        Regression(features, curves, ends)._deviation, rel=0.02
    ), "what is left out also moves the penalised mean a little"


def test_chances_come_true_as_often_as_they_say() -> None:
    """Of curves that differ in level and speed by their architecture: forecasts from 4 of 20 epochs after 30 others."""
    rng, said, came = np.random.default_rng(0), [], []
    epochs = np.arange(1.0, 21)
    for _ in range(40):
        features = rng.random((60, 3))
        levels = features @ [0.5, 0.3, 0.1] + rng.normal(0, 0.05, 60)
        speeds = 0.1 + 0.3 * features[:, 2] + rng.uniform(0, 0.1, 60)
        curves = levels[:, None] + np.exp(-np.outer(speeds, epochs)) + rng.normal(0, 0.01, (60, 20))
        fitted = Regression(features[:30], curves[:30, :4], curves[:30, -1])
        goal = float(np.quantile(curves[:30, -1], 0.1))
        said += [fitted.predict(x, c[:4]).below(goal) for x, c in zip(features[30:], curves[30:], strict=True)]
        came += (curves[30:, -1] < goal).tolist()
    bold, sure = np.array(said), np.array(came, dtype=float)
    assert bold.mean() == pytest.approx(sure.mean(), abs=0.04)
    for low, high in ((0.0, 0.02), (0.0, 0.1), (0.5, 1.0)):
        among = (bold >= low) & (bold <= high)
        assert among.sum() > 20
        assert sure[among].mean() == pytest.approx(bold[among].mean(), abs=0.12 if low else 0.02)


def test_a_slow_start_is_not_taken_for_the_end() -> None:
    """Two equal values at the beginning say nothing: nobody else's curve stays where it begins."""
    schedule = CurveStopping(ACCURACY, epochs=20, min_trials=8)
    log = run(schedule, fate, 10)
    flat = replace(
        log.trials[9], status=Status.RUNNING, reports=(Report(1, {"accuracy": 0.1}), Report(2, {"accuracy": 0.1}))
    )
    chance = schedule.chance(flat)
    assert chance is not None
    assert chance > 0


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
    [({"threshold": 1.0}, "above 0 and below 1"), ({"model": "oracle"}, "one of auto, parametric, learned")],
)
def test_wrong_options_are_named(options: dict[str, object], text: str) -> None:
    with pytest.raises(JobError, match=text):
        CurveStopping(ACCURACY, epochs=9, **options)  # type: ignore[arg-type]
