"""How a job's architectures are judged: the task, the recipe and the estimator, and what that can do and reports."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.job.key_validation import unknown
from ogive.job.keys import FinalizeKeys, JobKeys, ProxyKeys, TaskKeys
from ogive.job.user_modules import Code, describe
from ogive.job.yaml_source import At, Source, blamed
from ogive.run.estimator import Estimator
from ogive.schedule.base import Schedule
from ogive.session.executor_config import check_simulated_times, executor_config
from ogive.session.search_checks import check_capacity, check_fidelities
from ogive.space import Space
from ogive.user_code import call

if TYPE_CHECKING:
    from ogive.task import Task


def make_task(source: Source, keys: JobKeys, code: Code, space: Space) -> Task | None:
    """What the built-in trainer learns; None where there is a train function."""
    if (keys.train is None) == (keys.task is None):
        found = "neither is there" if keys.train is None else "both are there"
        raise source.error(
            next(((key,) for key in ("train", "task") if key in source.data), ()),
            f"{found}; give `train: file.py:function`, or `task: {{data: digits}}` for the built-in trainer, not both",
        )
    if keys.task is None:
        return None
    task = _task(source, keys.task, code)
    _check_shape(source, keys, space, task)
    return task


def make_estimator(source: Source, keys: JobKeys, code: Code, task: Task | None, space: Space) -> Estimator:
    """The built-in trainer on the task, or what the user's train function makes."""
    if task is not None:
        return _trainer(source, keys, task, space)
    for name, given in (("recipe", keys.recipe is not None), ("proxy", keys.proxy != ProxyKeys())):
        if given:
            raise source.error(
                (name,), "belongs to the built-in trainer; give `task` instead of `train`, or leave it out"
            )
    found = code.resolve(("train",), str(keys.train))
    if isinstance(found, Estimator):
        return found
    if not callable(found) or inspect.isclass(found):
        raise source.error(
            ("train",), f"{keys.train} is {describe(found)}; allowed: a train function f(model, trial), or an estimator"
        )
    from ogive import estimate

    with blamed(source, "train"):
        return estimate.train(found, count_parameters=_counts_parameters(keys))


def _task(source: Source, keys: TaskKeys, code: Code) -> Task:
    from ogive import task as tasks

    wanted = keys.model_dump(exclude_unset=True, exclude={"device", "data"})
    data: Any = keys.data
    if ":" in data:
        data = code.resolve(("task", "data"), data)
        with blamed(source, "task", "data"):
            data = call("data function", data) if inspect.isfunction(data) else data
    for name, value in wanted.items():
        with blamed(source, "task", name):
            if value is None and name != "train":
                raise JobError(f"found nothing; allowed: {TaskKeys.model_fields[name].description}")
            tasks.classification(**{name: value})
    with blamed(source, "task", "data"):
        tasks.classification(data)
    with blamed(source, "task"):
        task = tasks.classification(data, **wanted)
    with blamed(source, "task", "data"):
        task.read()
    with blamed(source, "task"):
        task.prepare()
    return task


def _trainer(source: Source, keys: JobKeys, task: Task, space: Space) -> Estimator:
    from ogive import estimate
    from ogive.task.trainer import choose_device

    device = keys.task.device if keys.task is not None else "cpu"
    with blamed(source, "task", "device"):
        choose_device(device)
    recipe = make_recipe(source, keys)
    proxy: dict[str, Any] = keys.proxy.model_dump()
    made = estimate.classifier(task, recipe, device=device, count_parameters=_counts_parameters(keys), **proxy)
    for name, share in made.proxy.reduced().items():
        alone: dict[str, Any] = {name: share}
        with blamed(source, "proxy", name):
            estimate.classifier(task, recipe, **alone).check(space, {}, {})
    with blamed(source, "proxy"):
        made.check(space, {}, {})
    return made


def _counts_parameters(keys: JobKeys) -> bool:
    """Whether a hard constraint needs the parameters to be known before training."""
    return any(c.hard and c.metric == "parameters" for c in keys.constraints)


def _check_shape(source: Source, keys: JobKeys, space: Space, task: Task) -> None:
    shape = space.example_input
    if isinstance(shape, tuple) and shape != task.example_input:
        raise source.error(
            ("space",),
            f"its example_input is {shape}, but the examples of {task.data.name!r} have the shape {task.example_input}; "
            f"{_equal_shapes(keys, shape, task.example_input)}",
        )


def _equal_shapes(keys: JobKeys, space: tuple[int, ...], task: tuple[int, ...]) -> str:
    """How the space of a job gets the shape (channels, height, width) of the task's examples."""
    zoo = keys.space.zoo
    if zoo is None or len(task) != 3 or task[1] != task[2]:
        return "make the two equal"
    ((name, options),) = zoo.items()
    sizes = {"in_channels": (space[0], task[0]), "image": (space[1], task[1])}
    wanted = {**options, **{option: there for option, (here, there) in sizes.items() if here != there}}
    return f"write `space: {{zoo: {{{name}: {{{', '.join(f'{key}: {value}' for key, value in wanted.items())}}}}}}}`"


def make_recipe(source: Source, keys: JobKeys) -> Any:
    """The recipe of the built-in trainer; its horizon is the job's `epochs` where it has none of its own."""
    from ogive.task import Recipe

    given: dict[str, Any] = {} if keys.recipe is None else keys.recipe.model_dump(exclude_unset=True)
    for name, value in given.items():
        if name != "warmup":  # whose range depends on the epochs
            with blamed(source, "recipe", name):
                Recipe(**{name: value})
    if keys.epochs is not None:
        given.setdefault("epochs", keys.epochs)
    with blamed(source, "recipe", *(("warmup",) if "warmup" in given else ())):
        recipe = Recipe(**given)
    if (keys.epochs or 1) > recipe.epochs:
        raise source.error(
            ("epochs",),
            f"found {keys.epochs}, but the recipe's learning rate ends after {recipe.epochs}; raise recipe.epochs",
        )
    return recipe


def builds_models(estimator: Estimator) -> bool:
    """Whether the estimator is known to build the model of each architecture; a plain function need not."""
    from ogive.estimate import Classifier
    from ogive.estimate.user_functions import Train

    return isinstance(estimator, (Classifier, Train))


def metrics_of(estimator: Estimator) -> Sequence[str] | None:
    """What the estimator reports; None where only running it can tell."""
    from ogive.estimate import Classifier

    known = ("accuracy", "log_loss", "train_loss", "parameters", "epoch_seconds")
    return known if isinstance(estimator, Classifier) else None


def check_metrics(source: Source, keys: JobKeys, estimator: Estimator) -> None:
    """See that the built-in trainer reports what objectives, constraints and criteria ask for."""
    asked: list[tuple[At, str]] = [(("objectives", i), o.metric) for i, o in enumerate(keys.objectives)]
    asked += [(("constraints", i, "metric"), c.metric) for i, c in enumerate(keys.constraints)]
    asked += [(("criteria", i, "metric"), c.metric) for i, c in enumerate(keys.criteria)]
    for at, metric in asked:
        check_metric(source, at, metric, estimator)


def check_metric(source: Source, at: At, metric: str, estimator: Estimator) -> None:
    """See that the built-in trainer reports `metric`, which the key `at` asks for."""
    known = metrics_of(estimator)
    if known is not None and metric not in known:
        raise source.error(at, unknown("metric of the built-in trainer", metric, tuple(known)))


def check_carried_out(
    source: Source, keys: JobKeys, estimator: Estimator, space: Space, make: Callable[..., Schedule]
) -> None:
    """See that the estimator can do what the schedule and the executor ask for, with as many processes as the job says."""
    with blamed(source, "executor"):
        check_simulated_times(executor_config(keys.executor), estimator)
    ((name, options),) = keys.schedule.items()
    at = ("schedule", name, "fidelities") if "fidelities" in options else ("schedule", name)
    with blamed(source, *at):
        check_fidelities(make(name, **options), estimator, space)
    if keys.workers_per_trial > 1 and not estimator.parallel:
        raise source.error(
            ("workers_per_trial",),
            f"found {keys.workers_per_trial}, but a {type(estimator).__name__} evaluates in one process; leave it out",
        )
    at_a_time = keys.parallel_trials if isinstance(keys.parallel_trials, int) else 1
    with blamed(source, "workers_per_trial"):
        check_capacity(estimator, at_a_time, keys.workers_per_trial)


def check_finalize(source: Source, keys: FinalizeKeys, estimator: Estimator, *at: str) -> None:
    """See that full training can be what the job says."""
    from ogive.estimate import Classifier

    if not isinstance(estimator, Classifier):
        return
    given = dict(keys.recipe or {})
    for name, value in given.items():
        if name != "warmup":  # whose range depends on the epochs
            with blamed(source, *at, "recipe", name):
                estimator.full_training({name: value})
    if keys.epochs is not None:
        given["epochs"] = keys.epochs
    with blamed(source, *at):
        estimator.full_training(given)
