"""Numerical errors of a model: bounded steps, the prior's parameters, or a random proposal; none ends a search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import ogive as og
from ogive import strategy as strategies
from ogive.objective import Objective
from ogive.strategy.observations import standardize
from ogive.surrogates import gp_regression, metric_models
from ogive.testing.episodes import extreme, run_episode
from ogive.testing.spaces import conditional

OPTIONS: dict[str, dict[str, Any]] = {
    "gp": {"candidates": 16, "draws": 1},
    "bananas": {"initial": 4, "candidates": 8, "members": 2, "max_fit": 8},
    "smac": {"initial": 4, "candidates": 5, "starts": 1, "trees": 2},
    "tpe": {"initial": 4, "candidates": 4},
    "bohb": {},
}


def make(name: str) -> strategies.Strategy:
    return strategies.create(name, conditional(), (Objective("accuracy"),), (), **OPTIONS[name])


def test_the_search_for_the_mode_stays_where_parameters_do_not_overflow() -> None:
    """The likelihood increases without bound along a line; the first step would be 1e6 deviations long."""

    class Rising:
        def __init__(self, z: np.ndarray) -> None:
            math.exp(abs(z).max() * 50)  # raises OverflowError beyond 14 deviations
            self.log_marginal_likelihood, self.log_likelihood_gradient = 1e6 * z[0], np.array([1e6, 0.0])
            self.kernel = type("K", (), {"prior": type("P", (), {"deviation": np.ones(2)})})

    mode = gp_regression._find_mode(Rising, 2)  # type: ignore[arg-type]
    assert mode == pytest.approx([gp_regression.MAX_DEVIATIONS, 0.0])


def test_values_of_any_size_are_standardized() -> None:
    for values in ([1.7e308, -1.7e308, 1e308], [5e-324, 0.0, 1e-323], [1e12, 0.1, 0.2]):
        scaled = standardize(np.array(values))
        assert (scaled.mean(), scaled.std()) == pytest.approx((0.0, 1.0), abs=1e-9)
    assert standardize(np.full(3, 1e300)).tolist() == [0.0, 0.0, 0.0]


def test_parameters_that_cannot_be_drawn_are_those_of_the_prior_and_the_note_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raise_error(*arguments: Any, **keywords: Any) -> Any:
        raise OverflowError("math range error")

    monkeypatch.setattr(metric_models, "draw_parameters", raise_error)
    notes = [ask.answer.note for ask in run_episode(make("gp"), extreme, 12).asks]
    fitted = [note for note in notes if "fitted_on" in note]
    assert fitted
    assert all("so the mean of their prior is used" in note["fallback"] for note in fitted)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_note_names_the_error_of_a_model_and_the_controller_warns_once(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    strategy = make(name)

    def raise_error(*arguments: Any, **keywords: Any) -> Any:
        raise np.linalg.LinAlgError("2-th leading minor\nnot positive definite")

    for module in ("gaussian_process", "bananas", "smac", "tpe", "bohb"):
        monkeypatch.setattr(f"ogive.strategy.{module}.collect_observations", raise_error)
    run = og.search(
        conditional(),
        lambda model, trial: trial.report(accuracy=0.5),
        objectives="accuracy",
        strategy=strategy,
        schedule="full" if name != "bohb" else None,
        max_trials=4,
        executor="inline",
        run=tmp_path / "run",
        **({"epochs": 9} if name == "bohb" else {}),
    )
    notes = [trial.proposal.note["fallback"] for trial in run.trials]
    assert notes == ["no model: LinAlgError: 2-th leading minor not positive definite"] * len(run.trials)
    assert sum("the model of the strategy had a numerical failure" in message for message, _ in run.state.warnings) == 1
