"""The built-in trainer: correct metrics and learning rates, and equal results with and without pauses."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from ogive import task
from ogive.errors import JobError
from ogive.seeds import derive
from ogive.task.recipe import Recipe, compute_learning_rate, replace_settings
from ogive.task.trainer import Training, choose_device, evaluate, split_batches


@pytest.fixture(scope="module")
def digits() -> task.Task:
    torch.set_num_threads(1)
    return task.classification("digits", test=500, validation=500, train=193)  # 3 batches of 64 and 1 more example


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(288, 10)
    )


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_paused_training_gives_exactly_the_result_of_an_uninterrupted_one(digits: task.Task, optimizer: str) -> None:
    recipe = Recipe(epochs=9, optimizer=optimizer, warmup=1.5, label_smoothing=0.1)
    uninterrupted = Training(network(), digits.train(), 10, recipe, seed=5)
    losses = [uninterrupted.train_epoch(epoch) for epoch in range(1, 8)]
    scores = evaluate(uninterrupted.model, digits.validation(), 10)

    resumed_losses, stored = [], None
    for first, last in ((1, 1), (2, 3), (4, 7)):
        training = Training(
            network(seed=first), digits.train(), 10, recipe, seed=5
        )  # other initial weights, which are overwritten
        if stored is None:
            training.model.load_state_dict(network().state_dict())
        else:
            training.load(torch.load(stored, weights_only=True))
        torch.manual_seed(first)  # a worker may have changed the random state in between
        resumed_losses += [training.train_epoch(epoch) for epoch in range(first, last + 1)]
        stored = io.BytesIO()
        torch.save(training.state(), stored)
        stored.seek(0)

    assert resumed_losses == losses
    assert evaluate(training.model, digits.validation(), 10) == scores
    for name, value in uninterrupted.model.state_dict().items():
        assert torch.equal(value, training.model.state_dict()[name]), name
    assert scores["accuracy"] > 0.5
    other = Training(network(), digits.train(), 10, recipe, seed=6)
    assert other.train_epoch(1) != losses[0], "the seed has an effect"


def test_scores_are_those_of_scikit_learn(digits: task.Task) -> None:
    x, y = digits.validation()
    x, y = torch.cat([x, x]), torch.cat([y, y])  # more than one evaluation batch
    model = network().eval()
    with torch.no_grad():
        probabilities = torch.softmax(model(x).double(), dim=1).numpy()
    scores = evaluate(model, (x, y), 10)
    assert scores["accuracy"] == pytest.approx(accuracy_score(y, probabilities.argmax(1)), abs=1e-12)
    assert scores["log_loss"] == pytest.approx(log_loss(y, probabilities, labels=range(10)), rel=1e-6)


def test_learning_rates_are_those_of_pytorch() -> None:
    recipe = Recipe(epochs=6, learning_rate=0.2, warmup=0.5)
    warm, total = 5, 60
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warm, 1.0, total_iters=warm - 1),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - warm),
        ],
        [warm],
    )
    for step in range(total):
        assert compute_learning_rate(recipe, step, 10) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        schedule.step()


def test_an_epoch_is_plain_sgd(digits: task.Task) -> None:
    """SGD written out by hand gives the same weights on the same order of examples."""
    recipe = Recipe(epochs=1, optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.01, gradient_clip=0.5)
    training = Training(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits.train(), 10, recipe, seed=1)
    model = copy.deepcopy(training.model)
    training.train_epoch(1)

    x, y = digits.train()
    torch.manual_seed(derive(1, "epoch", 1))
    order = torch.randperm(193)
    for step, batch in enumerate((order[:64], order[64:128], order[128:])):  # the last batch has one example more
        model.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
        rate = 0.1 * 0.5 * (1 + np.cos(np.pi * step / 3))
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * (p.grad * min(1.0, 0.5 / (float(norm) + 1e-6)) + 0.01 * p)
    for ours, theirs in zip(training.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_no_batch_has_a_single_example() -> None:
    for n in range(2, 40):
        batches = split_batches(torch.arange(n), 4)
        assert torch.cat(batches).tolist() == list(range(n))
        assert all(2 <= len(batch) <= 5 for batch in batches)


def test_a_loss_that_is_not_finite_is_returned(digits: task.Task) -> None:
    recipe = Recipe(epochs=2, optimizer="sgd", learning_rate=1e30, gradient_clip=None)
    training = Training(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits.train(), 10, recipe, seed=0)
    assert not np.isfinite(training.train_epoch(1) + training.train_epoch(2))
    assert not np.isfinite(evaluate(training.model, digits.validation(), 10)["log_loss"])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(64, 9)),
            r"returned \[64, 9\] for a batch of 64, but must return logits",
        ),
        (nn.Conv2d(1, 10, 3), r"returned \[64, 10, 6, 6\]"),
        (nn.Flatten(), "the model Flatten has no parameters"),
    ],
)
def test_a_model_that_does_not_fit_the_task_is_an_error(digits: task.Task, model: nn.Module, message: str) -> None:
    with pytest.raises(JobError, match=message):
        Training(model, digits.train(), 10, Recipe(), 0).train_epoch(1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adam"}, "optimizer is 'adam', but must be one of adamw, sgd"),
        ({"learning_rate": 0}, "learning_rate is 0, but must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"momentum": 1.0}, "momentum is 1.0, but must be a number at least 0 and below 1"),
        ({"batch_size": 1}, "batch_size is 1, but must be a whole number of at least 2"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"warmup": 12}, "warmup is 12, but must be a number at least 0 and below epochs=12"),
        ({"gradient_clip": -1}, "gradient_clip is -1"),
        ({"lr": 0.1}, "there is no setting 'lr'; the settings are epochs, optimizer, learning_rate"),
    ],
)
def test_invalid_recipes_are_errors(settings: dict, message: str) -> None:
    with pytest.raises(JobError, match=message):
        replace_settings(Recipe(), settings)


def test_training_beyond_the_epochs_of_the_recipe_is_an_error(digits: task.Task) -> None:
    with pytest.raises(JobError, match="epoch 3 was requested, but the learning rate of the recipe ends with epoch 2"):
        Training(network(), digits.train(), 10, Recipe(epochs=2), 0).train_epoch(3)


def test_devices_are_chosen_by_name_or_automatically() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for wrong in ("gpu", "meta", f"cuda:{torch.cuda.device_count()}"):
        with pytest.raises(JobError, match=f"device is '{wrong}', but"):
            choose_device(wrong)
