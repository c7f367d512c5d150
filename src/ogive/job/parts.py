"""The parts of a job: space, estimator, objectives, strategy, schedule; each made once, and blamed on its key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api.checks import check_fidelities
from ogive.api.funnel import Go
from ogive.api.warm import taken_over
from ogive.errors import JobError, OgiveError
from ogive.job.code import Code, describe
from ogive.job.keys import CriterionKeys, FinalizeKeys, GoKeys, JobKeys, ProxyKeys, TaskKeys
from ogive.job.model import unknown
from ogive.job.source import At, Source
from ogive.objective import Constraint, Objective
from ogive.objective import constraints as check_constraints
from ogive.objective import objectives as check_objectives
from ogive.run.estimator import Estimator
from ogive.schedule.base import Schedule
from ogive.space import Space
from ogive.space.joint import training_decisions
from ogive.strategy.listed import check_list

if TYPE_CHECKING:
    from ogive.task import Task

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
    with blamed(source, "only"):
        space = space.restricted(keys.only) if keys.only else space
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
    made = limits(source, keys.constraints, "constraints")
    with blamed(source, "constraints"):
        return check_constraints(made)


def make_criteria(source: Source, keys: JobKeys) -> tuple[Constraint, ...]:
    """The success criteria, seen not to contradict each other."""
    made = limits(source, keys.criteria, "criteria")
    with blamed(source, "criteria"):
        return check_constraints(made)


def limits(source: Source, items: Sequence[CriterionKeys], *at: str | int) -> list[Constraint]:
    """A constraint for each item of the list at the key `at`."""
    made = []
    for index, item in enumerate(items):
        with blamed(source, *at, index):
            made.append(Constraint(**item.model_dump()))
    return made


def make_initial(source: Source, keys: JobKeys, space: Space) -> tuple[Mapping[str, Any], ...]:
    """The architectures to try first, each seen to be of the space."""
    for index, choices in enumerate(keys.initial):
        with blamed(source, "initial", index):
            try:
                check_list(space, [choices])
            except JobError as error:
                raise JobError(str(error).removeprefix("architectures[0]: ")) from error
    return tuple(keys.initial)


def warm_start(source: Source, keys: JobKeys) -> dict[str, Any] | None:
    """What the search takes over from an earlier run, with its folder relative to the job's file."""
    if keys.warm_start is None:
        return None
    given = keys.warm_start if isinstance(keys.warm_start, dict) else {"run": keys.warm_start}
    if not isinstance(given.get("run"), str):
        allowed = "give the folder of an earlier run, or {run: folder, trials: 10}"
        raise source.error(("warm_start",), f"found {given!r}; {allowed}")
    at = Path() if "warm_start" in source.options else source.path.parent
    return {**given, "run": str(at / given["run"])}


def check_warm_start(
    source: Source, keys: JobKeys, space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> None:
    """See that there is something to take over."""
    given = warm_start(source, keys)
    if given is not None:
        with blamed(source, "warm_start"):
            taken_over(given, space, objectives, constraints)


def with_its_schedule(source: Source, keys: JobKeys, is_given: bool) -> dict[str, dict[str, Any]]:
    """The job's schedule, or the one that its strategy brings along; `is_given`: whether the job names one."""
    ((name, options),) = keys.strategy.items()
    own = strategies.brought(name, options)
    if own is None or own == keys.schedule:
        return dict(keys.schedule)
    if is_given:
        ((other, _),) = keys.schedule.items()
        brought = f"strategy {name!r} brings its own schedule, {next(iter(own))!r}"
        raise source.error(("schedule", other), f"{brought}; leave schedule out (its options are among the strategy's)")
    return own


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
        data = data() if inspect.isfunction(data) else data
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


def named(source: Source, kind: str, spec: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A strategy's or schedule's name and options, seen to exist."""
    registry: Any = {"strategy": strategies, "schedule": schedules}[kind]
    ((name, options),) = spec.items()
    if name not in registry.names():
        raise source.error((kind, name), unknown(kind, name, registry.names()))
    known = tuple(registry.options(name))
    for option in options:
        if option not in known:
            raise source.error((kind, name, option), unknown(f"option of {name!r}", option, known))
    return {name: dict(options)}


def try_options(source: Source, kind: str, spec: Mapping[str, Mapping[str, Any]], make: Callable[..., object]) -> None:
    """Make the strategy or schedule: with each option alone, so that the wrong one is blamed, then with all."""
    ((name, options),) = spec.items()
    for option, value in options.items():
        try:
            make(name, **{option: value})
        except (OgiveError, TypeError, ValueError) as error:
            if len(options) == 1 or option in str(error):
                raise source.error((kind, name, option), str(error)) from error
    with blamed(source, kind, name):
        make(name, **options)


def check_carried_out(
    source: Source, keys: JobKeys, estimator: Estimator, space: Space, make: Callable[..., Schedule]
) -> None:
    """See that the estimator can do what the schedule asks for, with as many processes as the job says."""
    ((name, options),) = keys.schedule.items()
    at = ("schedule", name, "fidelities") if "fidelities" in options else ("schedule", name)
    with blamed(source, *at):
        check_fidelities(make(name, **options), estimator, space)
    if isinstance(keys.workers_per_trial, int) and keys.workers_per_trial > 1 and not estimator.parallel:
        raise source.error(
            ("workers_per_trial",),
            f"found {keys.workers_per_trial}, but a {type(estimator).__name__} evaluates in one process; leave it out",
        )


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


def check_joint(source: Source, keys: JobKeys, space: Space) -> None:
    """See that decisions about training stand in the space only where the user says that they are meant."""
    found = training_decisions(space)
    if found and not keys.joint:
        names = ", ".join(map(repr, found))
        raise source.error(
            ("space",),
            f"{names}: by the name not architecture, but how it is trained; what is found would be good with its own recipe "
            "only. Take it out of the space, rename it, or say `joint: true`",
        )


def make_go(source: Source, phase: str, keys: GoKeys, task: Task | None) -> Go:
    """When the phase after `phase` begins."""
    at = ("phases", phase, "go")
    best = tuple(limits(source, keys.best, *at, "best"))
    if keys.learns and task is None:
        raise source.error(
            (*at, "learns"),
            "only the built-in trainer's task tells what guessing gives; give `best: [{metric: ..., at_least: ...}]`",
        )
    return Go(best, keys.failed, task if keys.learns else None)


def check_finalize(source: Source, keys: FinalizeKeys, estimator: Estimator, *at: str) -> None:
    """See that full training can be what the job says."""
    from ogive.estimate import Classifier

    if not isinstance(estimator, Classifier):
        return
    given = dict(keys.recipe or {})
    for name, value in given.items():
        if name != "warmup":  # whose range depends on the epochs
            with blamed(source, *at, "recipe", name):
                estimator.second_stage({name: value})
    if keys.epochs is not None:
        given["epochs"] = keys.epochs
    with blamed(source, *at):
        estimator.second_stage(given)
