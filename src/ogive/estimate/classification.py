"""The built-in trainer as an estimator: trains classifiers on a task's train split, selects on its validation split."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, MissingExtra
from ogive.estimate.functions import count, short_hash
from ogive.estimate.live import LiveTrial, run_live
from ogive.run.estimator import Estimator, Evaluation
from ogive.space import Architecture
from ogive.task import Recipe, Task
from ogive.task.recipe import override
from ogive.trial import EMPTY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from ogive.task.trainer import Examples, Training

TRAINER = 1  # raised whenever the built-in trainer would give other numbers for the same recipe


class Classifier(Estimator):
    """The built-in trainer as an estimator; made by `classifier`.

    Reports `accuracy` and `log_loss` on the validation split, `train_loss`, `parameters` and `epoch_seconds`. Metrics
    whose names end in `seconds` are the clock's and differ from run to run.

    Attributes:
        task: what it trains on.
        training: the recipe.
        device: "cpu", "cuda", "cuda:N", or "auto".
        data_fraction: share of the training part that is trained on, in (0, 1].
    """

    epochs: int
    continuable = True  # the horizon is the recipe's, however far a job goes

    def __init__(
        self,
        task: Task,
        training: Recipe,
        device: str,
        count_parameters: bool,
        data_fraction: float = 1.0,
        fresh_optimizer: bool = False,
    ) -> None:
        self.task = task
        self.data_fraction = data_fraction
        self._used = task if data_fraction == 1 else task.subset(data_fraction)
        self._fresh_optimizer = fresh_optimizer
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
            "task": self._used.fingerprints(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }

    def warnings(self) -> Sequence[str]:
        return self._used.warnings()

    def fingerprints(self) -> Mapping[str, str]:
        return {**self._used.fingerprints(), "recipe": short_hash(self._numerics())}

    def _numerics(self) -> dict[str, Any]:
        numerics = {"estimator": "classifier", "trainer": TRAINER, "device": self.device, **asdict(self.training)}
        return numerics if self.data_fraction == 1 else {**numerics, "data_fraction": self.data_fraction}

    def _prepared(self) -> tuple[Examples, Examples]:
        if self._examples is None:
            from ogive.task.trainer import choose_device

            device = choose_device(self.device)
            (x, y), (u, v) = self._used.train(), self._used.validation()
            self._examples = (x.to(device), y.to(device)), (u.to(device), v.to(device))
        return self._examples

    def second_stage(self, recipe: Mapping[str, Any]) -> Classifier:
        """Full training: the recipe with the values of `recipe` replaced, on the task's second split, all of its data.

        Raises:
            JobError: a value of `recipe` is wrong.
        """
        training = override(self.training, recipe)
        return Classifier(self.task.second_split(), training, self.device, self._count_parameters, fresh_optimizer=True)

    def scores(self, model: nn.Module, examples: Examples) -> dict[str, NDArray[np.float64]]:
        """What each of `examples` adds to `accuracy` (0 or 1) and to `log_loss` (in nats): arrays [n]."""
        from ogive.task.trainer import choose_device, score

        device = choose_device(self.device)
        found = score(model.to(device), (examples[0].to(device), examples[1].to(device)), self.task.classes)
        return {name: values.cpu().numpy() for name, values in found.items()}

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
            inherit(training, inherited, with_optimizer=not self._fresh_optimizer)
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
    data_fraction: float = 1.0,
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
        data_fraction: share of the training part that is trained on, in (0, 1]: a stratified subset, and a part of that of
            any larger share. A proxy for training on all of it; full training (`Run.finalize`) always uses all.

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
    return Classifier(task, training, device, count_parameters, data_fraction)


def inherit(training: Training, state: Mapping[str, Any], with_optimizer: bool = True) -> None:
    """Start from the weights, and where it has any and they are wanted the optimizer's state, of another checkpoint.

    Raises:
        JobError: it holds no weights under `model`, or they are of another architecture.
    """
    if "model" not in state:
        raise JobError(f"the inherited checkpoint holds {', '.join(state) or 'nothing'}, but no weights under 'model'")
    try:
        training.model.load_state_dict(state["model"])
        if with_optimizer and "optimizer" in state:
            training.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"the inherited checkpoint is of another architecture: {error}; the built-in trainer inherits between "
            "equal architectures only"
        ) from error


def _parameters(model: nn.Module) -> int:
    from ogive.hardware import parameters

    return parameters(model)
