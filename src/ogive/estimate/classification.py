"""The built-in trainer as an estimator: trains classifiers on a task's train split, selects on its validation split."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from ogive.errors import JobError, MissingExtra
from ogive.estimate.functions import count, short_hash
from ogive.estimate.live import LiveTrial, run_live
from ogive.run.estimator import Estimator, Evaluation
from ogive.space import Architecture
from ogive.task import Recipe, Task
from ogive.task.recipe import override
from ogive.trial import EMPTY

if TYPE_CHECKING:
    from torch import nn

    from ogive.task.trainer import Examples, Training

TRAINER = 1  # raised whenever the built-in trainer would give other numbers for the same recipe


class Buildable(Protocol):
    """What can be trained: an `Architecture`, or anything else that makes its model from a seed."""

    def build(self, seed: int | None = None) -> Any: ...


class Classifier(Estimator):
    """The built-in trainer as an estimator; made by `classifier`.

    Reports `accuracy` and `log_loss` on the validation split, `train_loss`, `parameters` and `epoch_seconds`. Metrics
    whose names end in `seconds` are the clock's and differ from run to run.

    Attributes:
        task: what it trains on.
        training: the recipe.
        device: "cpu", "cuda", "cuda:N", or "auto".
    """

    epochs: int
    continuable = True  # the horizon is the recipe's, however far a job goes

    def __init__(self, task: Task, training: Recipe, device: str, count_parameters: bool) -> None:
        self.task = task
        self.training = training
        self.epochs = training.epochs  # the horizon of the recipe: how far a trial can be trained
        self.device = device
        self._count_parameters = count_parameters
        self._examples: tuple[Examples, Examples] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_examples": None}

    def prepare(self) -> None:
        self._prepared()

    def evaluate(self, evaluation: Evaluation) -> None:
        if evaluation.until > self.epochs:
            raise JobError(
                f"a trial is to be trained for {evaluation.until} epochs, but the recipe ends after {self.epochs}; "
                f"give og.estimate.classifier(..., epochs={evaluation.until}), or search with fewer epochs"
            )
        run_live(evaluation, self._train)

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return count(architecture) if self._count_parameters else EMPTY

    def recipe(self) -> Mapping[str, Any]:
        import torch

        from ogive.task.trainer import choose_device

        return {
            **self._numerics(),
            "device": choose_device(self.device).type,
            "task": self.task.fingerprints(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }

    def fingerprints(self) -> Mapping[str, str]:
        return {**self.task.fingerprints(), "recipe": short_hash(self._numerics())}

    def _numerics(self) -> dict[str, Any]:
        return {"estimator": "classifier", "trainer": TRAINER, "device": self.device, **asdict(self.training)}

    def _prepared(self) -> tuple[Examples, Examples]:
        if self._examples is None:
            from ogive.task.trainer import choose_device

            device = choose_device(self.device)
            (x, y), (u, v) = self.task.train(), self.task.validation()
            self._examples = (x.to(device), y.to(device)), (u.to(device), v.to(device))
        return self._examples

    def _train(self, trial: LiveTrial) -> None:
        from ogive.task.trainer import Training, evaluate

        train, validation = self._prepared()
        recipe = override(self.training, trial.settings)
        model = trial.architecture.build(seed=trial.seed)
        training = Training(model, train, self.task.classes, recipe, trial.seed)
        state = trial.restore()
        if state is not None:
            training.load(state)
        elif (inherited := trial.inherited()) is not None:
            inherit(training, inherited)
        parameters = _parameters(model)
        for epoch in trial.epochs():
            began = time.perf_counter()
            train_loss = training.epoch(epoch)
            metrics = evaluate(model, validation, self.task.classes)
            trial.checkpoint(**training.state())
            seconds = time.perf_counter() - began
            trial.report(**metrics, train_loss=train_loss, parameters=parameters, epoch_seconds=seconds)


def classifier(
    task: Task,
    recipe: Recipe | None = None,
    *,
    epochs: int | None = None,
    device: str = "cpu",
    count_parameters: bool = False,
) -> Classifier:
    """The built-in trainer for classification as an estimator.

    On a CPU, results are a function of architecture, task, recipe, settings, seed and number of threads; a trial that
    was paused any number of times gives bit for bit what it would have given straight.

    Args:
        task: made by `og.task.classification`.
        recipe: how to train; `Recipe()` where None. A trial's settings override its values by name.
        epochs: replaces the recipe's: the horizon of its learning rate, which is as far as a trial can be trained.
        device: "cpu", "cuda", "cuda:N", or "auto" for a GPU where there is one.
        count_parameters: whether `parameters` is told before training, so that constraints on it cost no training.

    Raises:
        JobError: an argument is wrong.
        MissingExtra: PyTorch is not installed.
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "torch", "the built-in trainer")
    if not isinstance(task, Task):
        raise JobError(f"task is a {type(task).__name__}, but must be made by og.task.classification(...)")
    if recipe is not None and not isinstance(recipe, Recipe):
        raise JobError(f"recipe is a {type(recipe).__name__}, but must be an og.task.Recipe(...)")
    training = override(recipe or Recipe(), {} if epochs is None else {"epochs": epochs})
    return Classifier(task, training, device, count_parameters)


def retrain(
    architecture: Buildable,
    task: Task,
    recipe: Recipe | None = None,
    *,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    examples: Examples | None = None,
    on_epoch: Callable[[int, float], object] | None = None,
) -> dict[str, Any]:
    """Stage 2: train one architecture from scratch on the full training split, without validation.

    Args:
        architecture: an `Architecture`, or anything with `build(seed)`, such as a hand-drawn baseline.
        task: made by `og.task.classification`.
        recipe: how to train; `Recipe()` where None.
        epochs: replaces the recipe's.
        seed: of all randomness.
        device: as for `classifier`.
        examples: what the trained model is judged on, such as `task.test(on_read)`, read once for all models that are
            compared; None for no judgement.
        on_epoch: called after each epoch with its number and its training loss.

    Returns:
        `state`: the model's state dict, on the CPU; `metrics`: `train_loss` of the last epoch, `parameters`, `seconds`,
        and, where `examples` are given, `accuracy` and `log_loss` on them.

    Raises:
        JobError: an argument is wrong, or the model does not fit the task.
    """
    from ogive.task.trainer import Training, choose_device, evaluate

    began = time.perf_counter()
    recipe = override(recipe or Recipe(), {} if epochs is None else {"epochs": epochs})
    target = choose_device(device)
    x, y = task.full_train()
    model = architecture.build(seed=seed)
    training = Training(model, (x.to(target), y.to(target)), task.classes, recipe, seed)
    loss = 0.0
    for epoch in range(1, recipe.epochs + 1):
        loss = training.epoch(epoch)
        if on_epoch is not None:
            on_epoch(epoch, loss)
    metrics = {"train_loss": loss, "parameters": float(_parameters(model)), "seconds": time.perf_counter() - began}
    if examples is not None:
        metrics |= evaluate(model, (examples[0].to(target), examples[1].to(target)), task.classes)
    return {"state": {name: value.cpu() for name, value in model.state_dict().items()}, "metrics": metrics}


def inherit(training: Training, state: Mapping[str, Any]) -> None:
    """Start from the weights, and where it has any the optimizer's state, of another trial's checkpoint.

    Raises:
        JobError: it holds no weights under `model`, or they are of another architecture.
    """
    if "model" not in state:
        raise JobError(f"the inherited checkpoint holds {', '.join(state) or 'nothing'}, but no weights under 'model'")
    try:
        training.model.load_state_dict(state["model"])
        if "optimizer" in state:
            training.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"the inherited checkpoint is of another architecture: {error}; the built-in trainer inherits between "
            "equal architectures only"
        ) from error


def _parameters(model: nn.Module) -> int:
    from ogive.hardware import parameters

    return parameters(model)
