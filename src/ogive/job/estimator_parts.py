"""The parts of a job that evaluate architectures: task, recipe, estimator; and checks of the estimator.

Each error names the key of the job that caused it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.job.key_validation import format_unknown_name
from ogive.job.keys import FinalizeKeys, JobKeys, ProxyKeys, TaskKeys
from ogive.job.user_modules import CodeImporter, describe_object
from ogive.job.yaml_source import KeyPath, Source, locate_errors
from ogive.run.estimator import Estimator, name_estimator
from ogive.schedule.base import Schedule
from ogive.session.executor_config import check_simulated_times, parse_executor_config
from ogive.session.search_checks import check_capacity, check_fidelities
from ogive.space import Space
from ogive.user_code import call_user_function

if TYPE_CHECKING:
    from ogive.task import Task


def make_task(source: Source, keys: JobKeys, code: CodeImporter, space: Space) -> Task | None:
    """Return the task of the built-in trainer; None if the job has a train function.

    Raises:
        JobError: the job has both `train` and `task`, or neither; the task is invalid, its data cannot be read, or its
            examples do not have the shape that the space declares.
    """
    if (keys.train is None) == (keys.task is None):
        problem = "found neither `train` nor `task`" if keys.train is None else "found both `train` and `task`"
        raise source.error(
            next(((key,) for key in ("train", "task") if key in source.data), ()),
            f"{problem}; give `train: file.py:function`, or `task: {{data: digits}}` for the built-in trainer, not both",
        )
    if keys.task is None:
        return None
    task = _read_task(source, keys.task, code)
    _check_example_shape(source, keys, space, task)
    return task


def make_estimator(source: Source, keys: JobKeys, code: CodeImporter, *, task: Task | None, space: Space) -> Estimator:
    """Return the built-in trainer for the task, or the estimator of the user's train function.

    Raises:
        JobError: the settings of the trainer are invalid, or `train` does not name a train function or an estimator.
    """
    if task is not None:
        return _make_trainer(source, keys, task, space)
    for name, is_declared in (("recipe", keys.recipe is not None), ("proxy", keys.proxy != ProxyKeys())):
        if is_declared:
            raise source.error(
                (name,), "belongs to the built-in trainer; give `task` instead of `train`, or leave this key out"
            )
    train = code.resolve(("train",), str(keys.train))
    if isinstance(train, Estimator):
        return train
    if not callable(train) or inspect.isclass(train):
        raise source.error(
            ("train",),
            f"{keys.train} is {describe_object(train)}; allowed: a train function f(model, trial), or an estimator",
        )
    from ogive import estimate

    with locate_errors(source, "train"):
        return estimate.train(train, count_parameters=_needs_parameter_counts(keys))


def _read_task(source: Source, keys: TaskKeys, code: CodeImporter) -> Task:
    """Return the task, with its data read and split."""
    from ogive import task as tasks

    options = keys.model_dump(exclude_unset=True, exclude={"device", "data"})
    data: Any = keys.data
    if ":" in data:
        data = code.resolve(("task", "data"), data)
        with locate_errors(source, "task", "data"):
            data = call_user_function("data function", data) if inspect.isfunction(data) else data
    # First check each option separately, so that an error names the option that caused it.
    for name, value in options.items():
        with locate_errors(source, "task", name):
            # Only `train` may be empty, which means all examples outside the other two parts.
            if value is None and name != "train":
                raise JobError(f"found nothing; allowed: {TaskKeys.model_fields[name].description}")
            tasks.classification(**{name: value})
    with locate_errors(source, "task", "data"):
        tasks.classification(data)
    with locate_errors(source, "task"):
        task = tasks.classification(data, **options)
    with locate_errors(source, "task", "data"):
        task.read()
    with locate_errors(source, "task"):
        task.prepare()
    return task


def _make_trainer(source: Source, keys: JobKeys, task: Task, space: Space) -> Estimator:
    """Return the built-in trainer, after checking that it can train with the proxy of the job."""
    from ogive import estimate
    from ogive.task.trainer import choose_device

    device = keys.task.device if keys.task is not None else "cpu"
    with locate_errors(source, "task", "device"):
        choose_device(device)
    recipe = make_recipe(source, keys)
    proxy: dict[str, Any] = keys.proxy.model_dump()
    trainer = estimate.classifier(task, recipe, device=device, count_parameters=_needs_parameter_counts(keys), **proxy)
    # First check each share separately, so that an error names the share that caused it.
    for name, share in trainer.proxy.list_reduced_shares().items():
        single_share: dict[str, Any] = {name: share}
        with locate_errors(source, "proxy", name):
            estimate.classifier(task, recipe, **single_share).check(space, {}, {})
    with locate_errors(source, "proxy"):
        trainer.check(space, {}, {})
    return trainer


def _needs_parameter_counts(keys: JobKeys) -> bool:
    """Return whether a hard constraint needs the number of parameters before training."""
    return any(constraint.hard and constraint.metric == "parameters" for constraint in keys.constraints)


def _check_example_shape(source: Source, keys: JobKeys, space: Space, task: Task) -> None:
    """Raise JobError if the space declares another shape of an example than the task has."""
    shape = space.example_input
    if isinstance(shape, tuple) and shape != task.example_input:
        raise source.error(
            ("space",),
            f"its example_input is {shape}, but the examples of {task.data.name!r} have the shape {task.example_input}; "
            f"{_suggest_equal_shapes(keys, shape, task.example_input)}",
        )


def _suggest_equal_shapes(keys: JobKeys, space_shape: tuple[int, ...], task_shape: tuple[int, ...]) -> str:
    """Return a remedy: how to give the space the shape (channels, height, width) of the task's examples."""
    zoo = keys.space.zoo
    if zoo is None or len(task_shape) != 3 or task_shape[1] != task_shape[2]:
        return "make the two equal"
    ((name, options),) = zoo.items()
    sizes = {"in_channels": (space_shape[0], task_shape[0]), "image": (space_shape[1], task_shape[1])}
    changes = {option: task_size for option, (space_size, task_size) in sizes.items() if space_size != task_size}
    new_options = ", ".join(f"{key}: {value}" for key, value in {**options, **changes}.items())
    return f"write `space: {{zoo: {{{name}: {{{new_options}}}}}}}`"


def make_recipe(source: Source, keys: JobKeys) -> Any:
    """Return the recipe of the built-in trainer. A recipe without epochs gets the `epochs` of the job.

    Raises:
        JobError: a setting is out of range, or `epochs` of the job is larger than that of the recipe.
    """
    from ogive.task import Recipe

    settings: dict[str, Any] = {} if keys.recipe is None else keys.recipe.model_dump(exclude_unset=True)
    # First check each setting separately, so that an error names it. The range of `warmup` depends on the epochs.
    for name, value in settings.items():
        if name != "warmup":
            with locate_errors(source, "recipe", name):
                Recipe(**{name: value})
    if keys.epochs is not None:
        settings.setdefault("epochs", keys.epochs)
    with locate_errors(source, "recipe", *(("warmup",) if "warmup" in settings else ())):
        recipe = Recipe(**settings)
    if keys.epochs is not None and keys.epochs > recipe.epochs:
        raise source.error(
            ("epochs",),
            f"found {keys.epochs}, but the learning rate of the recipe reaches its end after {recipe.epochs} epochs; "
            "raise recipe.epochs",
        )
    return recipe


def builds_models(estimator: Estimator) -> bool:
    """Return whether the estimator builds the model of every architecture. A user's estimator may not need models."""
    from ogive.estimate import Classifier
    from ogive.estimate.user_functions import TrainFunctionEstimator

    return isinstance(estimator, (Classifier, TrainFunctionEstimator))


def get_reported_metrics(estimator: Estimator) -> Sequence[str] | None:
    """Return the metrics that the built-in trainer reports; None for other estimators, whose metrics are unknown."""
    from ogive.estimate import Classifier

    metrics = ("accuracy", "log_loss", "train_loss", "parameters", "epoch_seconds")
    return metrics if isinstance(estimator, Classifier) else None


def check_metrics(source: Source, keys: JobKeys, estimator: Estimator) -> None:
    """Raise JobError if the built-in trainer does not report a metric of the objectives, constraints or criteria."""
    metrics: list[tuple[KeyPath, str]] = [(("objectives", i), o.metric) for i, o in enumerate(keys.objectives)]
    metrics += [(("constraints", i, "metric"), c.metric) for i, c in enumerate(keys.constraints)]
    metrics += [(("criteria", i, "metric"), c.metric) for i, c in enumerate(keys.criteria)]
    for key, metric in metrics:
        check_metric(source, key, metric, estimator)


def check_metric(source: Source, key: KeyPath, metric: str, estimator: Estimator) -> None:
    """Raise JobError if the built-in trainer does not report `metric`, which the job names under `key`."""
    metrics = get_reported_metrics(estimator)
    if metrics is not None and metric not in metrics:
        raise source.error(key, format_unknown_name("metric of the built-in trainer", metric, tuple(metrics)))


def check_execution(
    source: Source, keys: JobKeys, estimator: Estimator, *, space: Space, make_schedule: Callable[..., Schedule]
) -> None:
    """Check that the estimator supports the executor, the fidelities of the schedule, and several processes per trial.

    Raises:
        JobError: it does not support one of them, or the machine has too few cores or GPUs for all processes.
    """
    with locate_errors(source, "executor"):
        check_simulated_times(parse_executor_config(keys.executor), estimator)
    ((name, options),) = keys.schedule.items()
    key = ("schedule", name, "fidelities") if "fidelities" in options else ("schedule", name)
    with locate_errors(source, *key):
        check_fidelities(make_schedule(name, **options), estimator, space)
    if keys.workers_per_trial > 1 and not estimator.parallel:
        raise source.error(
            ("workers_per_trial",),
            f"found {keys.workers_per_trial}, but {name_estimator(estimator)} evaluates in one process; leave this key out",
        )
    parallel_trials = keys.parallel_trials if isinstance(keys.parallel_trials, int) else 1
    with locate_errors(source, "workers_per_trial"):
        check_capacity(estimator, parallel_trials, keys.workers_per_trial)


def check_finalize(source: Source, keys: FinalizeKeys, estimator: Estimator, *key: str) -> None:
    """Raise JobError if the built-in trainer cannot do full training with the settings under `key`."""
    from ogive.estimate import Classifier

    if not isinstance(estimator, Classifier):
        return
    settings = dict(keys.recipe or {})
    # First check each setting separately, so that an error names it. The range of `warmup` depends on the epochs.
    for name, value in settings.items():
        if name != "warmup":
            with locate_errors(source, *key, "recipe", name):
                estimator.full_training({name: value})
    if keys.epochs is not None:
        settings["epochs"] = keys.epochs
    with locate_errors(source, *key):
        estimator.full_training(settings)
