"""The built-in trainer as an estimator of the search and of full training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trial_driver import ARCHITECTURE, SPACE, Driver

import ogive.space as og
from ogive import estimate, task
from ogive.errors import JobError
from ogive.task import Recipe
from ogive.task.proxy import Proxy
from ogive.task.trainer import Training, evaluate
from ogive.testing.estimators import check_estimator


@pytest.fixture(scope="module")
def digits() -> task.Task:
    torch.set_num_threads(1)
    return task.classification("digits", test=500, validation=500, train=200)


def without_time(reports: dict[int, dict[str, float]]) -> dict[int, dict[str, float]]:
    return {step: {k: v for k, v in metrics.items() if k != "epoch_seconds"} for step, metrics in reports.items()}


def test_conformance(digits: task.Task) -> None:
    check_estimator(lambda: estimate.classifier(digits, Recipe(epochs=3), count_parameters=True), SPACE)


def test_a_trial_paused_twice_gives_the_reports_of_an_uninterrupted_one(digits: task.Task, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    uninterrupted, paused = Driver(tmp_path / "a"), Driver(tmp_path / "b")
    uninterrupted.run(estimate.classifier(digits, epochs=7), 7)
    for until in (1, 3, 7):
        paused.run(estimate.classifier(digits, epochs=7), until)
    assert without_time(paused.reports) == without_time(uninterrupted.reports)
    assert uninterrupted.reports[7].keys() == {"accuracy", "log_loss", "train_loss", "parameters", "epoch_seconds"}
    one, other = (
        torch.load(driver.folder / "checkpoint-7.pt", weights_only=True) for driver in (uninterrupted, paused)
    )
    assert one["model"].keys() == ARCHITECTURE.build().state_dict().keys()
    for name, value in one["model"].items():
        assert torch.equal(value, other["model"][name]), name


def test_the_reports_are_the_scores_of_the_checkpoint_on_the_validation_split(
    digits: task.Task, tmp_path: Path
) -> None:
    (metrics,) = Driver(tmp_path).run(estimate.classifier(digits, epochs=4)).values()
    model = ARCHITECTURE.build()
    model.load_state_dict(estimate.load_checkpoint(tmp_path)["model"])
    scores = evaluate(model, digits.validation(), 10)
    assert {name: metrics[name] for name in scores} == scores
    assert metrics["parameters"] == 4 * 9 + 4 + 2 * 4 + 4 * 36 * 10 + 10


def test_parameters_can_be_screened_metrics(digits: task.Task) -> None:
    assert dict(estimate.classifier(digits).screen(ARCHITECTURE)) == {}
    counted = estimate.classifier(digits, count_parameters=True).screen(ARCHITECTURE)
    assert counted == {"parameters": sum(p.numel() for p in ARCHITECTURE.build().parameters())}


def test_recipe_and_fingerprints_cover_everything_that_determines_a_result(digits: task.Task) -> None:
    def fingerprints(**changed: Any) -> dict[str, str]:
        return dict(estimate.classifier(digits, Recipe(**changed)).fingerprints())

    assert fingerprints() == fingerprints(epochs=12)
    assert fingerprints().keys() == {"data", "split", "recipe"}
    assert fingerprints(weight_decay=0.1)["recipe"] != fingerprints()["recipe"]
    other = task.classification("digits", test=500, validation=500, train=200, seed=1)
    assert estimate.classifier(other).fingerprints()["split"] != fingerprints()["split"]
    recipe = json.loads(json.dumps(estimate.classifier(digits).recipe()))
    assert recipe["versions"]["torch"] == torch.__version__
    assert recipe["task"] == digits.fingerprints()
    assert recipe["learning_rate"] == Recipe().learning_rate


def test_settings_override_the_recipe(digits: task.Task, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    plain = Driver(tmp_path / "a").run(estimate.classifier(digits, Recipe(epochs=2, learning_rate=0.1)), 2)
    same = Driver(tmp_path / "b").run(estimate.classifier(digits, epochs=2), 2, settings={"learning_rate": 0.1})
    assert without_time(plain) == without_time(same)
    with pytest.raises(JobError, match="there is no setting 'lr'"):
        Driver(tmp_path / "c").run(estimate.classifier(digits), settings={"lr": 0.1})


def test_a_trial_can_start_from_the_weights_of_another_trial(digits: task.Task, tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    (tmp_path / "child").mkdir()
    parent = Driver(tmp_path / "parent").run(estimate.classifier(digits, epochs=8), 8)
    child = Driver(tmp_path / "child")
    (first,) = child.run(estimate.classifier(digits, epochs=8), 1, inherit_from=(tmp_path / "parent", 8)).values()
    assert first["log_loss"] < (parent[1]["log_loss"] + parent[8]["log_loss"]) / 2
    torch.save({"model": nn.Linear(2, 2).state_dict()}, tmp_path / "parent" / "checkpoint-8.pt")
    (tmp_path / "other").mkdir()
    with pytest.raises(JobError, match="the inherited checkpoint belongs to another architecture"):
        Driver(tmp_path / "other").run(estimate.classifier(digits), inherit_from=(tmp_path / "parent", 8))


def test_invalid_arguments_are_errors(digits: task.Task, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"needs 9 epochs, but the recipe has 3; call .*epochs=9"):
        Driver(tmp_path).run(estimate.classifier(digits, epochs=3), 9)
    with pytest.raises(JobError, match="task is a str"):
        estimate.classifier("digits")  # type: ignore[arg-type]
    with pytest.raises(JobError, match="recipe is a dict"):
        estimate.classifier(digits, {"epochs": 3})  # type: ignore[arg-type]


def test_a_data_fraction_reduces_the_training_examples_only(digits: task.Task, tmp_path: Path) -> None:
    proxy = estimate.classifier(digits, epochs=1, data_fraction=0.25)
    (metrics,) = Driver(tmp_path).run(proxy).values()
    examples = digits.subset(0.25).train()
    training = Training(ARCHITECTURE.build(seed=11), examples, 10, Recipe(epochs=1), 11)
    assert len(training.y) == 50
    assert training.train_epoch(1) == metrics["train_loss"]
    assert metrics["log_loss"] == evaluate(training.model, digits.validation(), 10)["log_loss"]
    recipe = json.loads(json.dumps(proxy.recipe()))
    assert recipe["data_fraction"] == 0.25
    assert recipe["task"] != digits.fingerprints()
    for wrong in (0, 1.5):
        with pytest.raises(JobError, match="fraction"):
            estimate.classifier(digits, data_fraction=wrong)


def test_full_training_uses_the_second_split_without_proxy(digits: task.Task) -> None:
    full = estimate.classifier(digits, epochs=2, data_fraction=0.25).full_training({"epochs": 4, "flip": True})
    assert (full.training.epochs, full.training.flip, full.proxy) == (4, True, Proxy())
    split = full.task.split
    assert len(split.train) == 1797 - 500 - 500
    assert set(digits.split.validation) <= set(split.train)
    assert full.task.split.test.tolist() == digits.split.test.tolist()


def test_networks_are_trained_on_arrays(tmp_path: Path) -> None:
    """A linear model separates two distant clouds of points, with a log-loss near 0."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 2
    x = torch.randn(200, 2, generator=generator) + 6.0 * y[:, None]
    clouds = task.classification((x, y), validation=0.2)
    space = og.Space(og.layer(nn.Linear, 2, 2, bias=og.one_of(True, False, name="bias")), example_input=(2,))
    driver = Driver(tmp_path, space.architecture({"bias": True}))
    reports = driver.run(estimate.classifier(clouds, Recipe(epochs=20, learning_rate=0.1)), 20)
    assert reports[20]["accuracy"] == 1.0
    assert reports[20]["log_loss"] < 0.1
