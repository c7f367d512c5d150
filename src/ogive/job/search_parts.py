"""The parts of a job that define the search: space, objectives, strategy, schedule, initial architectures, warm start.

Each error names the key of the job that caused it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api.funnel import Go
from ogive.errors import JobError, OgiveError
from ogive.job.key_validation import format_unknown_name
from ogive.job.keys import CriterionKeys, GoKeys, JobKeys
from ogive.job.user_modules import CodeImporter, describe_object
from ogive.job.yaml_source import Source, locate_errors
from ogive.objective import Constraint, Objective
from ogive.objective import parse_constraints as check_constraints
from ogive.objective import parse_objectives as check_objectives
from ogive.session.earlier_run import prepare_warm_start
from ogive.space import Space
from ogive.space.training_decisions import training_decisions
from ogive.strategy.listed import parse_list

if TYPE_CHECKING:
    from ogive.task import Task

ZOO_SPACES = ("chain", "nasbench201")
"""The functions of `ogive.zoo` that return a space."""


def make_space(source: Source, keys: JobKeys, code: CodeImporter) -> Space:
    """Return the search space, restricted to `only` if the job has that key.

    Raises:
        JobError: there is no such space, the space has no decision, or `only` does not fit the space.
    """
    if keys.space.zoo is not None:
        space = _make_zoo_space(source, keys.space.zoo)
    else:
        reference = str(keys.space.at)
        value = code.resolve(("space",), reference)
        if not isinstance(value, Space):
            name = reference.partition(":")[2]
            hint = "" if callable(value) else f"; make a space from it: space = og.Space({name}, example_input=...)"
            raise source.error(("space",), f"{reference} is {describe_object(value)}; allowed: an ogive.Space{hint}")
        space = value
    with locate_errors(source, "only"):
        space = space.restricted(keys.only) if keys.only else space
    if not space.decisions:
        raise source.error(
            ("space",), "the space is empty: it has no decision; declare a choice, such as og.one_of(16, 32)"
        )
    return space


def _make_zoo_space(source: Source, zoo: Mapping[str, Mapping[str, Any]]) -> Space:
    """Return a space of the zoo; raise JobError if its name or an option is unknown, or if it cannot be made."""
    from ogive import zoo as spaces

    ((name, options),) = zoo.items()
    if name not in ZOO_SPACES:
        raise source.error(("space", "zoo", name), format_unknown_name("space in the zoo", name, ZOO_SPACES))
    make: Callable[..., Space] = getattr(spaces, name)
    parameters = tuple(inspect.signature(make).parameters)
    for option in options:
        if option not in parameters:
            message = format_unknown_name(f"option of {name!r}", option, parameters)
            raise source.error(("space", "zoo", name, option), message)
    try:
        return make(**options)
    except (OgiveError, TypeError, ValueError, IndexError) as error:
        arguments = ", ".join(f"{option}={value!r}" for option, value in options.items())
        raise source.error(
            ("space", "zoo", name), f"{name}({arguments}) fails: {error}; correct its options"
        ) from error


def make_objectives(source: Source, keys: JobKeys) -> tuple[Objective, ...]:
    """Return the objectives.

    Raises:
        JobError: an objective has no goal and its name implies none, is measured on the training split, or is given twice.
    """
    objectives: list[Objective] = []
    for index, item in enumerate(keys.objectives):
        with locate_errors(source, "objectives", index):
            objectives.extend(check_objectives([Objective(item.metric, item.goal or "", item.epoch)]))
    with locate_errors(source, "objectives"):
        return check_objectives(objectives)


def make_constraints(source: Source, keys: JobKeys) -> tuple[Constraint, ...]:
    """Return the constraints.

    Raises:
        JobError: a constraint does not have exactly one bound, or two constraints contradict each other.
    """
    constraints = _make_thresholds(source, keys.constraints, "constraints")
    with locate_errors(source, "constraints"):
        return check_constraints(constraints)


def make_criteria(source: Source, keys: JobKeys) -> tuple[Constraint, ...]:
    """Return the success criteria.

    Raises:
        JobError: a criterion does not have exactly one bound, or two criteria contradict each other.
    """
    criteria = _make_thresholds(source, keys.criteria, "criteria")
    with locate_errors(source, "criteria"):
        return check_constraints(criteria)


def _make_thresholds(source: Source, items: Sequence[CriterionKeys], *key: str | int) -> list[Constraint]:
    """Return a constraint for each item of the list under `key`."""
    thresholds = []
    for index, item in enumerate(items):
        with locate_errors(source, *key, index):
            thresholds.append(Constraint(**item.model_dump()))
    return thresholds


def make_initial(source: Source, keys: JobKeys, space: Space) -> tuple[Mapping[str, Any], ...]:
    """Return the architectures to try first.

    Raises:
        JobError: an architecture is not in the space.
    """
    for index, architecture in enumerate(keys.initial):
        with locate_errors(source, "initial", index):
            try:
                parse_list(space, [architecture])
            except JobError as error:
                raise JobError(str(error).removeprefix("architectures[0]: ")) from error
    return tuple(keys.initial)


def make_warm_start_argument(source: Source, keys: JobKeys) -> dict[str, Any] | None:
    """Return the argument `warm_start` of `ogive.search`; None if the job has no such key.

    In the job file, the folder of the earlier run is relative to the file; on the command line, to the working directory.

    Raises:
        JobError: the key has no folder.
    """
    if keys.warm_start is None:
        return None
    argument = keys.warm_start if isinstance(keys.warm_start, dict) else {"run": keys.warm_start}
    if not isinstance(argument.get("run"), str):
        allowed = "give the folder of an earlier run, or {run: folder, trials: 10}"
        raise source.error(("warm_start",), f"found {argument!r}; {allowed}")
    base = Path() if "warm_start" in source.options else source.path.parent
    return {**argument, "run": str(base / argument["run"])}


def check_warm_start(
    source: Source,
    keys: JobKeys,
    space: Space,
    *,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
) -> None:
    """Raise JobError if the earlier run of `warm_start` does not exist, or has no architecture for this space."""
    argument = make_warm_start_argument(source, keys)
    if argument is not None:
        with locate_errors(source, "warm_start"):
            prepare_warm_start(argument, space, objectives, constraints)


def choose_schedule(source: Source, keys: JobKeys, is_declared: bool) -> dict[str, dict[str, Any]]:
    """Return the schedule of the job as {name: {option: value}}. Some strategies require a schedule, which is then used.

    Args:
        source: the job.
        keys: the keys of the job.
        is_declared: whether the job has the key `schedule`.

    Raises:
        JobError: the job declares another schedule than the one that its strategy requires.
    """
    ((name, options),) = keys.strategy.items()
    required = strategies.paired_schedule(name, options)
    if required is None or required == keys.schedule:
        return dict(keys.schedule)
    if is_declared:
        ((run_spec, _),) = keys.schedule.items()
        problem = f"strategy {name!r} brings its own schedule, {next(iter(required))!r}"
        raise source.error(
            ("schedule", run_spec), f"{problem}; leave schedule out (its options are among the strategy's)"
        )
    return required


def check_names(source: Source, kind: str, spec: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return {name: {option: value}} of a strategy or a schedule, after checking these names.

    Args:
        source: the job.
        kind: "strategy" or "schedule".
        spec: the name and options of the strategy or schedule.

    Raises:
        JobError: there is no strategy or schedule with this name, or it has no such option.
    """
    registry: Any = {"strategy": strategies, "schedule": schedules}[kind]
    ((name, options),) = spec.items()
    if name not in registry.names():
        raise source.error((kind, name), format_unknown_name(kind, name, registry.names()))
    allowed = tuple(registry.options(name))
    for option in options:
        if option not in allowed:
            raise source.error((kind, name, option), format_unknown_name(f"option of {name!r}", option, allowed))
    return {name: dict(options)}


def check_options(
    source: Source, kind: str, spec: Mapping[str, Mapping[str, Any]], make: Callable[..., object]
) -> None:
    """Create a strategy or a schedule once, and raise JobError if an option is out of range.

    First each option is tried separately, so that the error names the option that caused it.

    Args:
        source: the job.
        kind: "strategy" or "schedule".
        spec: the name and options of the strategy or schedule.
        make: a function that creates the strategy or schedule from a name and options.
    """
    ((name, options),) = spec.items()
    for option, value in options.items():
        try:
            make(name, **{option: value})
        except (OgiveError, TypeError, ValueError) as error:
            # An error that does not name this option may be due to the other options, which are missing here.
            if len(options) == 1 or option in str(error):
                raise source.error((kind, name, option), str(error)) from error
    with locate_errors(source, kind, name):
        make(name, **options)


def check_training_decisions(source: Source, keys: JobKeys, space: Space) -> None:
    """Raise JobError if the space has decisions about training, such as a learning rate, and the job is not `joint`."""
    decisions = training_decisions(space)
    if decisions and not keys.joint:
        names = ", ".join(map(repr, decisions))
        raise source.error(
            ("space",),
            f"{names}: by the name this is a setting of training, not of the architecture; the best architectures would "
            "be good with their own settings only. Take it out of the space, rename it, or set `joint: true`",
        )


def make_go(source: Source, phase: str, keys: GoKeys, task: Task | None) -> Go:
    """Return the conditions of `phase` for starting the next phase.

    Raises:
        JobError: a threshold does not have exactly one bound, or `learns` is set without a task.
    """
    key = ("phases", phase, "go")
    best = tuple(_make_thresholds(source, keys.best, *key, "best"))
    if keys.learns and task is None:
        raise source.error(
            (*key, "learns"),
            "found true, but the accuracy of guessing is known only for a task of the built-in trainer; "
            "give `best: [{metric: ..., at_least: ...}]`",
        )
    return Go(best, keys.failed, task if keys.learns else None)
