"""HOW FAR TO TRAIN: the contract (`ogive.schedule.base`) and its implementations, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ogive.objective import Constraint, ObjectiveSpec
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
from ogive.registry import Registry
from ogive.schedule.base import Action, Done, Drop, Job, Resume, Schedule, Start, Wait

_REGISTRY: Registry[Schedule] = Registry(
    "schedule",
    given=("objectives", "constraints", "epochs"),
    factories={
        "asha": "ogive.schedule.asha:ASHA",
        "curve": "ogive.schedule.curve_stopping:CurveStopping",
        "dehb": "ogive.schedule.dehb:DEHBBrackets",
        "full": "ogive.schedule.full:Full",
        "hyperband": "ogive.schedule.hyperband:Hyperband",
        "median": "ogive.schedule.median:Median",
        "pasha": "ogive.schedule.pasha:PASHA",
        "pbt": "ogive.schedule.pbt:PBT",
        "progressive_dynamic_hurdles": "ogive.schedule.progressive_dynamic_hurdles:ProgressiveDynamicHurdles",
        "successive_halving": "ogive.schedule.successive_halving:SuccessiveHalving",
    },
)


def create(
    name: str,
    *,
    objectives: ObjectiveSpec = "accuracy",
    constraints: Constraint | Sequence[Constraint] = (),
    epochs: int | None = None,
    **options: Any,
) -> Schedule:
    """The schedule called `name`, for trials of at most `epochs` epochs (None: the estimator has no epochs).

    Raises:
        JobError: there is no such schedule, it has no such option, or an option or an objective is not what it should be.
    """
    _REGISTRY.check_options(name, options)
    return _REGISTRY.factory(name)(
        objectives=parse_objectives(objectives), constraints=parse_constraints(constraints), epochs=epochs, **options
    )


def names() -> tuple[str, ...]:
    """The schedules that `create` knows."""
    return _REGISTRY.names()


def options(name: str) -> dict[str, Any]:
    """The options of the schedule called `name`, with their defaults."""
    return _REGISTRY.options(name)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """See that there is a schedule called `name`, and that `options` are options of it.

    Raises:
        JobError: there is none, one is unknown, or one without a default is missing.
    """
    _REGISTRY.check_options(name, options)


def register(name: str, factory: str | Callable[..., Schedule]) -> None:
    """Make `factory(*, objectives, constraints, epochs, **options)`, or "module:name" of one, known as `name`."""
    _REGISTRY.register(name, factory)


__all__ = [
    "Action",
    "Done",
    "Drop",
    "Job",
    "Resume",
    "Schedule",
    "Start",
    "Wait",
    "check_options",
    "create",
    "names",
    "options",
    "register",
]
