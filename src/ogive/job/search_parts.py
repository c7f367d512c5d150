"""The parts of a job that say what is sought and how: space, objectives, strategy, schedule; each blamed on its key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api.funnel import Go
from ogive.errors import JobError, OgiveError
from ogive.job.key_validation import unknown
from ogive.job.keys import CriterionKeys, GoKeys, JobKeys
from ogive.job.user_modules import Code, describe
from ogive.job.yaml_source import Source, blamed
from ogive.objective import Constraint, Objective
from ogive.objective import constraints as check_constraints
from ogive.objective import objectives as check_objectives
from ogive.session.earlier_run import transferred
from ogive.space import Space
from ogive.space.training_decisions import training_decisions
from ogive.strategy.listed import check_list

if TYPE_CHECKING:
    from ogive.task import Task

ZOO = ("chain", "nasbench201")
"""The functions of `ogive.zoo` that make a space."""


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
    made: list[Objective] = []
    for index, item in enumerate(keys.objectives):
        with blamed(source, "objectives", index):
            made.extend(check_objectives([Objective(item.metric, item.goal or "", item.epoch)]))
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
            transferred(given, space, objectives, constraints)


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
