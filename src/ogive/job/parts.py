"""The parts of a job: space, estimator, objectives, strategy, schedule; each made once, and blamed on its key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api.declared import AUTO
from ogive.errors import JobError, OgiveError
from ogive.job.code import Code, describe
from ogive.job.model import JobKeys, unknown
from ogive.job.source import At, Source
from ogive.objective import Constraint, Objective
from ogive.objective import constraints as check_constraints
from ogive.objective import objectives as check_objectives
from ogive.run.estimator import Estimator
from ogive.space import Space

ZOO = ("chain", "nasbench201")
"""The functions of `ogive.zoo` that make a space."""


@contextmanager
def blamed(source: Source, *at: str | int) -> Iterator[None]:
    """Errors that are meant for the user get the place `at` of the job in front."""
    try:
        yield
    except OgiveError as error:
        message = str(error)
        for part in at:  # some messages begin with the key, which the place names already
            message = message.removeprefix(f"{part}: ")
        raise source.error(at, message) from error


def make_space(source: Source, keys: JobKeys, code: Code) -> Space:
    """The space, seen to have something to search."""
    if keys.space.zoo is not None:
        space = _from_zoo(source, keys.space.zoo)
    else:
        reference = str(keys.space.at)
        found = code.resolve(("space",), reference)
        if not isinstance(found, Space):
            hint = f"; make one of it: space = og.Space({reference.partition(':')[2]}, example_input=...)"
            raise source.error(
                ("space",),
                f"{reference} is {describe(found)}; allowed: an ogive.Space{'' if callable(found) else hint}",
            )
        space = found
    if not space.decisions:
        raise source.error(
            ("space",), "the space is empty: nothing in it is left open; declare a choice, such as og.one_of(16, 32)"
        )
    return space


def _from_zoo(source: Source, zoo: Mapping[str, Mapping[str, Any]]) -> Space:
    from ogive import zoo as spaces

    ((name, options),) = zoo.items()
    if name not in ZOO:
        raise source.error(("space", "zoo", name), unknown("space in the zoo", name, ZOO))
    factory: Callable[..., Space] = getattr(spaces, name)
    known = tuple(inspect.signature(factory).parameters)
    for option in options:
        if option not in known:
            raise source.error(("space", "zoo", name, option), unknown(f"option of {name!r}", option, known))
    try:
        return factory(**options)
    except (OgiveError, TypeError, ValueError, IndexError) as error:
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        raise source.error(
            ("space", "zoo", name), f"{name}({given}) cannot be made: {error}; mend its options"
        ) from error


def make_objectives(source: Source, keys: JobKeys) -> tuple[Objective, ...]:
    """The objectives, each with its goal."""
    made = []
    for index, item in enumerate(keys.objectives):
        with blamed(source, "objectives", index):
            try:
                made.append(Objective(item.metric, item.goal or ""))
            except JobError as error:
                if item.goal:
                    raise
                remedy = f"write {{metric: {item.metric}, goal: maximize}}, or minimize"
                raise JobError(f"the name {item.metric!r} does not tell whether more is better; {remedy}") from error
    with blamed(source, "objectives"):
        return check_objectives(made)


def make_constraints(source: Source, keys: JobKeys) -> tuple[Constraint, ...]:
    """The constraints, seen not to contradict each other."""
    made = []
    for index, item in enumerate(keys.constraints):
        with blamed(source, "constraints", index):
            made.append(Constraint(**item.model_dump()))
    with blamed(source, "constraints"):
        return check_constraints(made)


def make_estimator(source: Source, keys: JobKeys, code: Code, space: Space) -> Estimator:
    """The built-in trainer on the task, or what the user's train function makes."""
    if (keys.train is None) == (keys.task is None):
        found = "neither is there" if keys.train is None else "both are there"
        raise source.error(
            next(((key,) for key in ("train", "task") if key in source.data), ()),
            f"{found}; give `train: file.py:function`, or `task: {{data: digits}}` for the built-in trainer, not both",
        )
    if keys.task is not None:
        return _trainer(source, keys, code, space)
    if keys.recipe is not None:
        raise source.error(
            ("recipe",), "belongs to the built-in trainer; give `task` instead of `train`, or leave it out"
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
        return estimate.train(found)


def _trainer(source: Source, keys: JobKeys, code: Code, space: Space) -> Estimator:
    from ogive import estimate
    from ogive import task as tasks
    from ogive.task.trainer import choose_device

    assert keys.task is not None
    wanted = keys.task.model_dump(exclude_unset=True)
    device = wanted.pop("device", "cpu")
    data = wanted.pop("data", "digits")
    if ":" in data:
        data = code.resolve(("task", "data"), data)
        data = data() if inspect.isfunction(data) else data
    for name, value in wanted.items():
        with blamed(source, "task", name):
            tasks.Plan(**{name: value})
    with blamed(source, "task", "data"):
        task = tasks.classification(data)
        task = tasks.classification(task.data)
    with blamed(source, "task"):
        task = tasks.classification(data, **wanted)
        task.prepare()
    _check_shape(source, space, task)
    hard = any(c.hard and c.metric == "parameters" for c in keys.constraints)
    with blamed(source, "task", "device"):
        choose_device(device)
    return estimate.classifier(task, make_recipe(source, keys), device=device, count_parameters=hard)


def _check_shape(source: Source, space: Space, task: Any) -> None:
    shape = space.example_input
    if isinstance(shape, tuple) and shape != task.example_input:
        raise source.error(
            ("space",),
            f"its example_input is {shape}, but the examples of {task.data.name!r} have the shape {task.example_input}; "
            "make the two equal",
        )


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


def named(source: Source, kind: str, spec: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A strategy's or schedule's name and options, seen to exist."""
    registry: Any = {"strategy": strategies, "schedule": schedules}[kind]
    ((name, options),) = spec.items()
    automatic = kind == "strategy" and name == AUTO
    if not automatic and name not in registry.names():
        raise source.error((kind, name), unknown(kind, name, registry.names()))
    known = () if automatic else tuple(registry.options(name))
    for option in options:
        if option not in known:
            raise source.error((kind, name, option), unknown(f"option of {name!r}", option, known))
    return {name: dict(options)}


def try_options(source: Source, kind: str, spec: Mapping[str, Mapping[str, Any]], make: Callable[..., object]) -> None:
    """Make the strategy or schedule: with each option alone, so that the wrong one is blamed, then with all."""
    ((name, options),) = spec.items()
    if name == AUTO:  # chosen when the run is created; it has no options
        return
    for option, value in options.items():
        try:
            make(name, **{option: value})
        except (OgiveError, TypeError, ValueError) as error:
            if len(options) == 1 or option in str(error):
                raise source.error((kind, name, option), str(error)) from error
    with blamed(source, kind, name):
        make(name, **options)


def builds_models(estimator: Estimator) -> bool:
    """Whether the estimator is known to build the model of each architecture; a plain function need not."""
    from ogive.estimate import Classifier
    from ogive.estimate.functions import Train

    return isinstance(estimator, (Classifier, Train))


def metrics_of(estimator: Estimator) -> Sequence[str] | None:
    """What the estimator reports; None where only running it can tell."""
    from ogive.estimate import Classifier

    known = ("accuracy", "log_loss", "train_loss", "parameters", "epoch_seconds")
    return known if isinstance(estimator, Classifier) else None


def check_metrics(source: Source, keys: JobKeys, estimator: Estimator) -> None:
    """See that the built-in trainer reports what objectives and constraints ask for."""
    known = metrics_of(estimator)
    if known is None:
        return
    asked: list[tuple[At, str]] = [(("objectives", i), o.metric) for i, o in enumerate(keys.objectives)]
    asked += [(("constraints", i, "metric"), c.metric) for i, c in enumerate(keys.constraints)]
    for at, metric in asked:
        if metric not in known:
            raise source.error(at, unknown("metric of the built-in trainer", metric, tuple(known)))
