"""Schedules, which decide how far each trial is trained: the contract (`ogive.schedule.base`) and all schedules by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ogive.objective import Constraint, ObjectiveSpec
from ogive.objective import parse_constraints as parse_constraints
from ogive.objective import parse_objectives as parse_objectives
from ogive.registry import Registry
from ogive.schedule.base import Action, Done, Drop, Job, Resume, Schedule, Start, Wait

_REGISTRY: Registry[Schedule] = Registry(
    "schedule",
    reserved=("objectives", "constraints", "epochs"),
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
    """Return a new schedule.

    Args:
        name: one of `names()`.
        objectives: the objectives of the search.
        constraints: the constraints of the search.
        epochs: the number of epochs of full training; None if the estimator has no epochs.
        options: the options of this schedule; `options(name)` returns their defaults.

    Raises:
        JobError: there is no such schedule or option, or an option or an objective is invalid.
    """
    _REGISTRY.check_options(name, options)
    return _REGISTRY.factory(name)(
        objectives=parse_objectives(objectives), constraints=parse_constraints(constraints), epochs=epochs, **options
    )


def names() -> tuple[str, ...]:
    """Return the names of all schedules."""
    return _REGISTRY.names()


def options(name: str) -> dict[str, Any]:
    """Return the options of the schedule `name`, with their defaults."""
    return _REGISTRY.options(name)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Check that there is a schedule `name` with these options.

    Raises:
        JobError: there is no such schedule, an option is unknown, or a required option is missing.
    """
    _REGISTRY.check_options(name, options)


def register(name: str, factory: str | Callable[..., Schedule]) -> None:
    """Register a schedule under a new name.

    Args:
        name: a name that is not registered yet.
        factory: a callable with the arguments (*, objectives, constraints, epochs, **options), or "module:name" of one.

    Raises:
        JobError: the name is registered already.
    """
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
