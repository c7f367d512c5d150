"""The built-in trainer as an estimator: it trains classifiers on the training split, and reports validation metrics."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ogive.arrays import FloatArray
from ogive.errors import JobError, MissingExtra
from ogive.estimate.checkpoint import REMEDY, summarize_error
from ogive.estimate.live_trial import LiveTrial, run_live
from ogive.estimate.proxy_model import build_proxy_model, changes_weights, check_proxy_size
from ogive.estimate.user_functions import compute_parameters
from ogive.hashing import hash_json
from ogive.run.estimator import Estimator, Evaluation
from ogive.space import Architecture, Space
from ogive.task import Recipe, Task
from ogive.task.proxy import Proxy
from ogive.task.recipe import replace_settings
from ogive.trial import EMPTY, Fidelity

if TYPE_CHECKING:
    from torch import nn

    from ogive.task.trainer import Examples, Training

NO_PROXY = Proxy()
"""The proxy whose shares are all 1: training with all data, at full size."""
TRAINER_VERSION = 1
"""The version of the trainer. It is increased with every change of the code that changes the results of a recipe."""


class Classifier(Estimator):
    """The estimator of the built-in trainer; created by `classifier`.

    It reports `accuracy` and `log_loss` on the validation split, `train_loss`, `parameters` (of the architecture at full
    size, even if a multiplier makes the trained model smaller) and `epoch_seconds`. Metrics whose names end in `seconds` are
    measured times, and differ between runs.

    Attributes:
        task: the task to train on.
        training: the recipe: the training settings.
        device: "cpu", "cuda", "cuda:N", or "auto".
        proxy: the shares of data, resolution, width and depth to train with; the values of a fidelity multiply them.
    """

    epochs: int
    # The learning rate depends on the epochs of the recipe, not on those of the job, so a job can be continued.
    continuable = True
    fidelities = tuple(field.name for field in fields(Proxy))
    parallel = True
    # The ranks share the batches of the recipe, so the result does not depend on their number (up to rounding).
    rank_invariant = True
    trains_models = True
    display_name = "the built-in trainer"

    def __init__(
        self,
        task: Task,
        training: Recipe,
        device: str,
        *,
        count_parameters: bool,
        proxy: Proxy = NO_PROXY,
        inherits_weights_only: bool = False,
    ) -> None:
        self.task = task
        self.proxy = proxy
        self._inherits_weights_only = inherits_weights_only
        self.training = training
        self.epochs = training.epochs
        self.device = device
        self._count_parameters = count_parameters
        self._examples: dict[tuple[float, float, str], tuple[Examples, Examples]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_examples": {}}

    def prepare(self) -> None:
        from ogive.task.trainer import choose_device

        self.task.prepare()
        # The examples are prepared once. They are copied to a GPU later, because the device depends on the rank.
        if choose_device(self.device).type == "cpu":
            self.examples()

    def evaluate(self, evaluation: Evaluation) -> None:
        inherited_epochs = evaluation.step_offset if evaluation.inherit_from is not None else 0
        if inherited_epochs + evaluation.until > self.epochs:
            raise JobError(
                f"a trial needs {inherited_epochs + evaluation.until} epochs, but the recipe has {self.epochs}; call "
                f"og.estimate.classifier(..., epochs={inherited_epochs + evaluation.until}), or search with fewer epochs"
            )
        run_live(evaluation, self._train)

    def check(self, space: Space, fidelity: Fidelity, settings: Mapping[str, Any]) -> None:
        proxy = self.proxy.multiply_shares(fidelity)
        replace_settings(self.training, settings)
        for name in proxy.multipliers:
            if name not in space.multipliers:
                raise JobError(
                    f"{name}={proxy.list_shares()[name]:g}: nothing in the space is scaled by {name!r}, so its models "
                    f"cannot be made smaller; mark the numbers that shrink as og.scaled(value, {name!r}), or remove {name}"
                )
        self._make_reduced_task(proxy.data_fraction).prepare()
        shape = proxy.scale_shape(self.task.data.shape)
        if proxy.list_reduced_shares().keys() - {"data_fraction"}:
            check_proxy_size(space, proxy, shape)

    def count_gpus(self) -> int:
        """Return the number of GPUs that can be trained on; 0 for training on the CPU."""
        import torch

        from ogive.task.trainer import choose_device

        return torch.cuda.device_count() if choose_device(self.device).type == "cuda" else 0

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return compute_parameters(architecture) if self._count_parameters else EMPTY

    def recipe(self) -> Mapping[str, Any]:
        import torch

        from ogive.task.trainer import choose_device

        return {
            **self._list_training_settings(),
            "device": choose_device(self.device).type,
            "task": self._make_reduced_task().fingerprints(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }

    def warnings(self) -> Sequence[str]:
        return self._make_reduced_task().warnings()

    def fingerprints(self) -> Mapping[str, str]:
        return {**self._make_reduced_task().fingerprints(), "recipe": hash_json(self._list_training_settings())}

    def _list_training_settings(self) -> dict[str, Any]:
        """Return the settings that determine a result, other than data and the versions of Python and PyTorch."""
        settings = {
            "estimator": "classifier",
            "trainer": TRAINER_VERSION,
            "device": self.device,
            **asdict(self.training),
        }
        return {**settings, **self.proxy.list_reduced_shares()}

    def _make_reduced_task(self, data_fraction: float | None = None) -> Task:
        """Return the task with a share of its training part; by default the data fraction of the proxy."""
        fraction = self.proxy.data_fraction if data_fraction is None else data_fraction
        return self.task if fraction == 1 else self.task.subset(fraction)

    def examples(self, proxy: Proxy | None = None, device: str = "cpu") -> tuple[Examples, Examples]:
        """Return the training and validation examples at the data fraction and resolution of a proxy, on a device.

        Args:
            proxy: the proxy; None for the proxy of this estimator.
            device: the name of a device.
        """
        proxy = proxy or self.proxy
        key = proxy.data_fraction, proxy.resolution, device
        if key not in self._examples:
            task = self._make_reduced_task(proxy.data_fraction)
            train, validation = (
                (proxy.shrink_images(x).to(device), y.to(device)) for x, y in (task.train(), task.validation())
            )
            self._examples[key] = train, validation
        return self._examples[key]

    def full_training(self, recipe: Mapping[str, Any]) -> Classifier:
        """Return the estimator of full training: without proxy, on the second split of the task.

        Args:
            recipe: values of the recipe to replace, by name.

        Raises:
            JobError: a value is not valid.
        """
        training = replace_settings(self.training, recipe)
        return Classifier(
            self.task.second_split(),
            training,
            self.device,
            count_parameters=self._count_parameters,
            inherits_weights_only=True,
        )

    def find_incompatible_shares(self, architecture: Architecture, fidelity: Fidelity) -> dict[str, float]:
        """Return the shares of the proxy that prevent full training from starting with the weights of a trial.

        These are the shares, such as {"width": 0.5}, that give the weights other names or shapes than in full training.

        Args:
            architecture: the architecture of the trial.
            fidelity: the fidelity at which it was trained.
        """
        shape = self.task.data.shape
        proxies = (
            (name, share, Proxy(**{name: share}))
            for name, share in self.proxy.multiply_shares(fidelity).list_reduced_shares().items()
        )
        return {
            name: share
            for name, share, proxy in proxies
            if changes_weights(architecture, proxy, proxy.scale_shape(shape))
        }

    def compute_scores(self, model: nn.Module, examples: Examples) -> dict[str, FloatArray]:
        """Return the metrics of each example: `accuracy` (0 or 1) and `log_loss` (in nats), arrays [n]."""
        from ogive.task.trainer import choose_device, score

        device = choose_device(self.device)
        values = score(model.to(device), (examples[0].to(device), examples[1].to(device)), self.task.classes)
        return {name: tensor.cpu().numpy() for name, tensor in values.items()}

    def _train(self, trial: LiveTrial) -> None:
        """Train the model of one trial: resume it or inherit weights, then report and save each epoch."""
        from ogive.task.trainer import Training, choose_device, evaluate

        proxy = self.proxy.multiply_shares(trial.fidelity)
        train, validation = self.examples(proxy, str(choose_device(self.device, trial.team)))
        recipe = proxy.scale_recipe(replace_settings(self.training, trial.settings))
        model = build_proxy_model(trial.architecture, trial.seed, proxy, tuple(train[0].shape[1:]))
        training = Training(model, train, self.task.classes, recipe, trial.seed, trial.team)
        # A trial that inherits weights continues the learning rate schedule in the epoch in which they were saved. Full
        # training inherits weights only: it starts with a new optimizer and in epoch 1 of the learning rate schedule.
        inherited_epochs = 0 if self._inherits_weights_only else trial.began
        state = trial.restore()
        if state is not None:
            resume(training, state)
        elif (inherited := trial.inherited()) is not None:
            inherit(training, inherited, with_optimizer=not self._inherits_weights_only)
        # A multiplier reduces the trained model, but constraints and objectives refer to the architecture at full size.
        full_size_parameters = compute_parameters(trial.architecture)["parameters"] if proxy.multipliers else None
        parameters = float(_count_model_parameters(model)) if full_size_parameters is None else full_size_parameters
        for epoch in trial.epochs():
            start = time.perf_counter()
            train_loss = training.train_epoch(inherited_epochs + epoch)
            metrics = evaluate(model, validation, self.task.classes, trial.team)
            seconds = time.perf_counter() - start
            # The checkpoint is written before the report, because the answer to the report may pause the trial.
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
    """Return the estimator of the built-in trainer for classification.

    On a CPU, results are a function of architecture, task, recipe, settings, seed and number of threads. A trial that was
    paused gives exactly the same results as one that was not.

    The last four arguments define a proxy. `Run.finalize` always trains without proxy. The `fidelities` of a schedule with
    the same names multiply these shares.

    Args:
        task: the task, from `og.task.classification`.
        recipe: the training settings; None for `Recipe()`. Settings of a trial override its values by name.
        epochs: the number of epochs over which the learning rate decays; None for that of the recipe.
        device: "cpu", "cuda", "cuda:N", or "auto" for a GPU if there is one.
        count_parameters: whether the metric `parameters` is computed before training, for hard constraints on it.
        data_fraction: the share of the training examples, in (0, 1]. Subsets are stratified and nested.
        resolution: the share of height and width of the images, in (0, 1]; models must accept images of any size.
        width: a multiplier in (0, 1] of the numbers that the space declares as `og.scaled(value, "width")`.
        depth: the same for `og.scaled(value, "depth")`.

    Raises:
        JobError: an argument is not valid.
        MissingExtra: PyTorch is not installed.
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "torch", "the built-in trainer")
    if not isinstance(task, Task):
        raise JobError(f"task is a {type(task).__name__}, but must be a task, from og.task.classification(...)")
    if recipe is not None and not isinstance(recipe, Recipe):
        raise JobError(f"recipe is a {type(recipe).__name__}, but must be an og.task.Recipe(...)")
    training = replace_settings(recipe or Recipe(), {} if epochs is None else {"epochs": epochs})
    proxy = Proxy(data_fraction, resolution, width, depth)
    return Classifier(task, training, device, count_parameters=count_parameters, proxy=proxy)


def resume(training: Training, state: Mapping[str, Any]) -> None:
    """Load the checkpoint of the same trial into `training`.

    Raises:
        JobError: the checkpoint belongs to another model, or has other content.
    """
    try:
        training.load(state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise JobError(
            f"the checkpoint of the trial does not fit this model ({summarize_error(error)}): a layer of the space has "
            f"changed since it was written, or {REMEDY}"
        ) from error


def inherit(training: Training, state: Mapping[str, Any], with_optimizer: bool = True) -> None:
    """Load the weights of the checkpoint of another trial into `training`.

    Args:
        training: the new training.
        state: the state of the checkpoint.
        with_optimizer: whether to restore the state of the optimizer as well, if there is one.

    Raises:
        JobError: there are no weights under the name `model`, or they belong to another architecture.
    """
    if "model" not in state:
        raise JobError(
            f"the inherited checkpoint contains {', '.join(state) or 'nothing'}, but no weights under the name 'model'"
        )
    hyperparameters = [
        {name: value for name, value in group.items() if name != "params"} for group in training.optimizer.param_groups
    ]
    try:
        training.model.load_state_dict(state["model"])
        if with_optimizer and "optimizer" in state:
            training.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"the inherited checkpoint belongs to another architecture: {error}; the built-in trainer inherits weights "
            "between equal architectures only"
        ) from error
    # `load_state_dict` has also copied hyperparameters such as weight decay from the other trial. Restore those of this one.
    for group, values in zip(training.optimizer.param_groups, hyperparameters, strict=True):
        group.update(values)


def _count_model_parameters(model: nn.Module) -> int:
    from ogive.hardware import parameters

    return parameters(model)
