"""The built-in trainer as an estimator: trains classifiers on a task's train split, selects on its validation split."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ogive.arrays import FloatArray
from ogive.errors import JobError, MissingExtra
from ogive.estimate.checkpoint import REMEDY, first_line
from ogive.estimate.live_trial import LiveTrial, run_live
from ogive.estimate.proxy_model import check_size, reshaped, smaller
from ogive.estimate.user_functions import count
from ogive.hashing import hash_json
from ogive.run.estimator import Estimator, Evaluation
from ogive.space import Architecture, Space
from ogive.task import Recipe, Task
from ogive.task.proxy import Proxy
from ogive.task.recipe import override
from ogive.trial import EMPTY, Fidelity

if TYPE_CHECKING:
    from torch import nn

    from ogive.task.trainer import Examples, Training

FULL = Proxy()
TRAINER = 1  # raised whenever the built-in trainer would give other numbers for the same recipe


class Classifier(Estimator):
    """The built-in trainer as an estimator; made by `classifier`.

    Reports `accuracy` and `log_loss` on the validation split, `train_loss`, `parameters` (of the architecture in full, also
    where a multiplier makes the trained model smaller) and `epoch_seconds`. Metrics whose names end in `seconds` are the
    clock's and differ from run to run.

    Attributes:
        task: what it trains on.
        training: the recipe.
        device: "cpu", "cuda", "cuda:N", or "auto".
        proxy: what makes every training cheaper; a schedule's fidelities are shares of what it leaves.
    """

    epochs: int
    continuable = True  # the horizon is the recipe's, however far a job goes
    fidelities = tuple(field.name for field in fields(Proxy))
    parallel = True
    rank_invariant = True  # every process takes its share of the recipe's batches
    trains_models = True

    def __init__(
        self,
        task: Task,
        training: Recipe,
        device: str,
        count_parameters: bool,
        proxy: Proxy = FULL,
        fresh_optimizer: bool = False,
    ) -> None:
        self.task = task
        self.proxy = proxy
        self._fresh_optimizer = fresh_optimizer
        self.training = training
        self.epochs = training.epochs  # the horizon of the recipe: how far a trial can be trained
        self.device = device
        self._count_parameters = count_parameters
        self._examples: dict[tuple[float, float, str], tuple[Examples, Examples]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_examples": {}}

    def prepare(self) -> None:
        from ogive.task.trainer import choose_device

        self.task.prepare()
        if choose_device(self.device).type == "cpu":  # which GPU is used, an evaluation tells
            self.examples()

    def evaluate(self, evaluation: Evaluation) -> None:
        began = evaluation.began if evaluation.inherit is not None else 0
        if began + evaluation.until > self.epochs:
            raise JobError(
                f"a trial is to be trained for {began + evaluation.until} epochs, but the recipe ends after {self.epochs}; "
                f"give og.estimate.classifier(..., epochs={began + evaluation.until}), or search with fewer epochs"
            )
        run_live(evaluation, self._train)

    def check(self, space: Space, fidelity: Fidelity, settings: Mapping[str, Any]) -> None:
        proxy = self.proxy.at(fidelity)
        override(self.training, settings)
        for name in proxy.multipliers:
            if name not in space.multipliers:
                raise JobError(
                    f"{name}={proxy.shares()[name]:g}: nothing in the space is scaled by {name!r}, so its models cannot be "
                    f"made smaller; say in the space which numbers shrink, og.scaled(value, {name!r}), or leave {name} out"
                )
        self._used(proxy.data_fraction).prepare()
        shape = proxy.shape(self.task.data.shape)
        if proxy.reduced().keys() - {"data_fraction"}:
            check_size(space, proxy, shape)

    def gpus(self) -> int:
        """How many GPUs there are for the processes that train; 0 where they train on the CPU."""
        import torch

        from ogive.task.trainer import choose_device

        return torch.cuda.device_count() if choose_device(self.device).type == "cuda" else 0

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return count(architecture) if self._count_parameters else EMPTY

    def recipe(self) -> Mapping[str, Any]:
        import torch

        from ogive.task.trainer import choose_device

        return {
            **self._numerics(),
            "device": choose_device(self.device).type,
            "task": self._used().fingerprints(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }

    def warnings(self) -> Sequence[str]:
        return self._used().warnings()

    def fingerprints(self) -> Mapping[str, str]:
        return {**self._used().fingerprints(), "recipe": hash_json(self._numerics())}

    def _numerics(self) -> dict[str, Any]:
        numerics = {"estimator": "classifier", "trainer": TRAINER, "device": self.device, **asdict(self.training)}
        return {**numerics, **self.proxy.reduced()}

    def _used(self, data_fraction: float | None = None) -> Task:
        """The task with the share of its training part that is used; by default the proxy's."""
        fraction = self.proxy.data_fraction if data_fraction is None else data_fraction
        return self.task if fraction == 1 else self.task.subset(fraction)

    def examples(self, proxy: Proxy | None = None, device: str = "cpu") -> tuple[Examples, Examples]:
        """What a training at `proxy` (by default this estimator's) trains on, and what it selects on, at its resolution."""
        proxy = proxy or self.proxy
        key = proxy.data_fraction, proxy.resolution, device
        if key not in self._examples:
            task = self._used(proxy.data_fraction)
            (x, y), (u, v) = task.train(), task.validation()
            train, validation = (proxy.shrink(x), y), (proxy.shrink(u), v)
            self._examples[key] = tuple((a.to(device), b.to(device)) for a, b in (train, validation))  # type: ignore[assignment]
        return self._examples[key]

    def full_training(self, recipe: Mapping[str, Any]) -> Classifier:
        """Full training: the recipe with the values of `recipe` replaced, on the task's second split, all of its data.

        Raises:
            JobError: a value of `recipe` is wrong.
        """
        training = override(self.training, recipe)
        return Classifier(self.task.second_split(), training, self.device, self._count_parameters, fresh_optimizer=True)

    def other_weights(self, architecture: Architecture, fidelity: Fidelity) -> dict[str, float]:
        """The shares that gave the model of `architecture`, as it was trained at `fidelity`, other weights than in full has,
        such as {"width": 0.5}; empty where they fit.
        """
        shape = self.task.data.shape
        each = ((name, share, Proxy(**{name: share})) for name, share in self.proxy.at(fidelity).reduced().items())
        return {name: share for name, share, proxy in each if reshaped(architecture, proxy, proxy.shape(shape))}

    def scores(self, model: nn.Module, examples: Examples) -> dict[str, FloatArray]:
        """What each of `examples` adds to `accuracy` (0 or 1) and to `log_loss` (in nats): arrays [n]."""
        from ogive.task.trainer import choose_device, score

        device = choose_device(self.device)
        found = score(model.to(device), (examples[0].to(device), examples[1].to(device)), self.task.classes)
        return {name: values.cpu().numpy() for name, values in found.items()}

    def _train(self, trial: LiveTrial) -> None:
        from ogive.task.trainer import Training, choose_device, evaluate

        proxy = self.proxy.at(trial.fidelity)
        train, validation = self.examples(proxy, str(choose_device(self.device, trial.team)))
        recipe = proxy.recipe(override(self.training, trial.settings))
        model = smaller(trial.architecture, trial.seed, proxy, tuple(train[0].shape[1:]))
        training = Training(model, train, self.task.classes, recipe, trial.seed, trial.team)
        began = 0 if self._fresh_optimizer else trial.began
        state = trial.restore()
        if state is not None:
            resume(training, state)
        elif (inherited := trial.inherited()) is not None:
            inherit(training, inherited, with_optimizer=not self._fresh_optimizer)
        parameters = count(trial.architecture)["parameters"] if proxy.multipliers else float(_parameters(model))
        for epoch in trial.epochs():
            start = time.perf_counter()
            train_loss = training.epoch(began + epoch)
            metrics = evaluate(model, validation, self.task.classes, trial.team)
            seconds = time.perf_counter() - start
            trial.checkpoint(**training.state())
            trial.report(**metrics, train_loss=train_loss, parameters=parameters, epoch_seconds=seconds)


def classifier(
    task: Task,
    recipe: Recipe | None = None,
    *,
    epochs: int | None = None,
    device: str = "cpu",
    count_parameters: bool = False,
    data_fraction: float = 1.0,
    resolution: float = 1.0,
    width: float = 1.0,
    depth: float = 1.0,
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
            any larger share. This and the next three are proxies for training in full, which `Run.finalize` always does; a
            schedule's `fidelities` of the same names are shares of what they leave.
        resolution: share of each side of the images, in (0, 1]; a model must take images of any size.
        width: multiplier in (0, 1] of the numbers that the space declares as `og.scaled(value, "width")`.
        depth: likewise.

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
    proxy = Proxy(data_fraction, resolution, width, depth)
    return Classifier(task, training, device, count_parameters, proxy)


def resume(training: Training, state: Mapping[str, Any]) -> None:
    """Go on from a trial's own checkpoint.

    Raises:
        JobError: it is of another model, or holds something else.
    """
    try:
        training.load(state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise JobError(
            f"the trial's checkpoint is not of this model ({first_line(error)}): a factory of the space builds another "
            f"network than when it was written, or {REMEDY}"
        ) from error


def inherit(training: Training, state: Mapping[str, Any], with_optimizer: bool = True) -> None:
    """Start from the weights, and where it has any and they are wanted the optimizer's state, of another checkpoint.

    Raises:
        JobError: it holds no weights under `model`, or they are of another architecture.
    """
    if "model" not in state:
        raise JobError(f"the inherited checkpoint holds {', '.join(state) or 'nothing'}, but no weights under 'model'")
    own = [
        {name: value for name, value in group.items() if name != "params"} for group in training.optimizer.param_groups
    ]
    try:
        training.model.load_state_dict(state["model"])
        if with_optimizer and "optimizer" in state:
            training.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"the inherited checkpoint is of another architecture: {error}; the built-in trainer inherits between "
            "equal architectures only"
        ) from error
    for group, settings in zip(training.optimizer.param_groups, own, strict=True):
        group.update(settings)  # weight decay and momentum are this trial's own, not the other's


def _parameters(model: nn.Module) -> int:
    from ogive.hardware import parameters

    return parameters(model)
