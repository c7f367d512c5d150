"""Train functions and plain functions as estimators."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trial_driver import ARCHITECTURE, SPACE, Driver

from ogive.errors import Infeasible, JobError
from ogive.estimate import LiveTrial, function, train
from ogive.space import Architecture
from ogive.testing.estimators import check_estimator


def fit(model: Any, trial: LiveTrial) -> None:
    """Depends on weights, batch norm, dropout and all sources of randomness; it learns nothing useful."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    state = trial.restore()
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for _ in trial.epochs():
        noise = torch.rand(16, 1, 8, 8) * np.random.rand() * random.random()
        loss = model(noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.checkpoint(model=model.state_dict(), optimizer=optimizer.state_dict())
        trial.report(loss=loss)


def fit_without_checkpoints(model: Any, trial: LiveTrial) -> None:
    for _ in trial.epochs():
        trial.report(loss=model(torch.rand(4, 1, 8, 8)).mean(), noise=random.random())


def count(architecture: Architecture) -> dict[str, float]:
    return {"parameters": sum(p.numel() for p in architecture.build().parameters()), "noise": torch.rand(()).item()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: train(fit, recipe={"lr": 0.1}),
        lambda: train(fit_without_checkpoints),
        lambda: function(count),
    ],
    ids=["checkpoints", "no checkpoints", "function"],
)
def test_conformance(make: Any) -> None:
    check_estimator(make, SPACE)


def test_seeds_determine_all_randomness(tmp_path: Path) -> None:
    def f(model: Any, trial: LiveTrial) -> None:
        weight = next(model.parameters()).sum()
        trial.report(weight=weight, a=random.random(), b=np.random.rand(), c=torch.rand(()))

    torch.manual_seed(1)
    first = Driver(tmp_path).run(f)
    torch.manual_seed(2)
    random.seed(3)
    assert Driver(tmp_path).run(f) == first


def test_infeasible_and_errors_pass_through(tmp_path: Path) -> None:
    def f(model: Any, trial: LiveTrial) -> None:
        raise Infeasible("too deep for the device")

    with pytest.raises(Infeasible, match="too deep"):
        Driver(tmp_path).run(f)

    def g(architecture: Architecture) -> dict[str, float]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Driver(tmp_path).run(function(g))


def generator(model: Any, trial: Any) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda model: None, r"<lambda>\(model\) cannot be called as f\(model, trial\): too many positional"),
        (lambda model, trial, extra: None, r"missing a required argument: 'extra'"),
        (lambda *, model, trial: None, r"cannot be called as f\(model, trial\)"),
        (generator, "generator is a generator or a coroutine, which does nothing when called"),
        (3, "3 cannot be called; expected a function of .model, trial."),
    ],
)
def test_an_invalid_train_function_is_an_error_at_once(f: Any, message: str) -> None:
    with pytest.raises(JobError, match=message):
        train(f)


def test_callables_of_every_kind_are_accepted() -> None:
    class Trainer:
        def __call__(self, model: Any, trial: Any, epochs: int = 3) -> None: ...

    train(Trainer())
    train(lambda *arguments: None)


@pytest.mark.parametrize("returned", [None, 0.9, {}, [1]])
def test_a_function_must_return_metrics(tmp_path: Path, returned: Any) -> None:
    with pytest.raises(JobError, match="must return metrics by name"):
        Driver(tmp_path).run(function(lambda architecture: returned))


def test_a_function_reports_once(tmp_path: Path) -> None:
    evaluated: list[Architecture] = []

    def f(architecture: Architecture) -> dict[str, Any]:
        evaluated.append(architecture)
        return {"score": np.float64(0.5)}

    driver = Driver(tmp_path)
    assert driver.run(function(f)) == driver.run(function(f)) == {1: {"score": 0.5}}
    assert evaluated == [ARCHITECTURE]


def test_a_recipe_allows_results_to_be_shared() -> None:
    assert train(fit).recipe() is None
    assert dict(train(fit).fingerprints()) == {}
    one, other = train(fit, {"lr": 0.1, "batch": 8}), train(fit, {"batch": 8, "lr": 0.1})
    assert one.recipe() == {"lr": 0.1, "batch": 8}
    assert one.fingerprints() == other.fingerprints() != train(fit, {"lr": 0.2, "batch": 8}).fingerprints()
    for wrong in ({"net": torch.nn.Linear}, "sgd"):
        with pytest.raises(JobError, match="recipe"):
            train(fit, wrong)  # type: ignore[arg-type]
