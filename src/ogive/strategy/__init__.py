"""Strategies propose architectures: their contract (`ogive.strategy.base`), a registry of them by name, and wrappers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ogive.objective import Constraint, ObjectiveSpec
from ogive.objective import parse_constraints as parse_constraints
from ogive.objective import parse_objectives as parse_objectives
from ogive.registry import Registry
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.constrained import Constrained
from ogive.strategy.deduplicated import Deduplicated
from ogive.strategy.listed import Initial
from ogive.strategy.warm_start import WarmStart

_REGISTRY: Registry[Strategy] = Registry(
    "strategy",
    reserved=("space", "objectives", "constraints"),
    factories={
        "random": "ogive.strategy.random:Random",
        "grid": "ogive.strategy.grid:Grid",
        "genetic": "ogive.strategy.genetic:Genetic",
        "differential_evolution": "ogive.strategy.differential_evolution:DifferentialEvolution",
        "nsga2": "ogive.strategy.nsga2:NSGA2",
        "tpe": "ogive.strategy.tpe:TPE",
        "smac": "ogive.strategy.smac:SMAC",
        "reinforce": "ogive.strategy.reinforce:Reinforce",
        "bohb": "ogive.strategy.bohb:BOHB",
        "dehb": "ogive.strategy.dehb:DEHB",
        "listed": "ogive.strategy.listed:Listed",
        "local_search": "ogive.strategy.local_search:LocalSearch",
        "regularized_evolution": "ogive.strategy.regularized_evolution:RegularizedEvolution",
        "gp": "ogive.strategy.gaussian_process:GaussianProcess",
        "bananas": "ogive.strategy.bananas:Bananas",
        "auto": "ogive.strategy.auto:Auto",
    },
)


def create(
    name: str,
    space: Space,
    objectives: ObjectiveSpec = "accuracy",
    constraints: Constraint | Sequence[Constraint] = (),
    **options: Any,
) -> Strategy:
    """Return a new strategy without wrappers.

    Wrap it in `Deduplicated` to avoid duplicates, and in `Constrained` to avoid violations of hard constraints.

    Args:
        name: a registered name, such as "regularized_evolution".
        space: the search space.
        objectives: a metric's name, an `Objective`, or a sequence of these.
        constraints: one `Constraint` or several.
        options: the options of the strategy; `options(name)` returns their defaults.

    Raises:
        JobError: there is no such strategy or option, or an option or an objective is invalid.
    """
    _REGISTRY.check_options(name, options)
    return _REGISTRY.factory(name)(space, parse_objectives(objectives), parse_constraints(constraints), **options)


def names() -> tuple[str, ...]:
    """Return the names of all registered strategies."""
    return _REGISTRY.names()


def options(name: str) -> dict[str, Any]:
    """Return the options of the strategy `name` with their defaults."""
    return _REGISTRY.options(name)


def paired_schedule(name: str, options: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """Return the schedule that the strategy `name` was published with, as {schedule: {option: value}}, or None.

    BOHB and DEHB have such a schedule: `Strategy.schedule` is its name, and `Strategy.schedule_options` lists those of the
    strategy's `options` that are passed on to the schedule.
    """
    factory = _REGISTRY.factory(name)
    schedule = getattr(factory, "schedule", None)
    if not schedule:
        return None
    option_names = getattr(factory, "schedule_options", ())
    return {schedule: {option: options[option] for option in option_names if options.get(option) is not None}}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Check that there is a strategy `name` with these options.

    Raises:
        JobError: there is no such strategy, an option is unknown, or a required option is missing.
    """
    _REGISTRY.check_options(name, options)


def register(name: str, factory: str | Callable[..., Strategy]) -> None:
    """Register a strategy under a new name.

    Args:
        name: a name that is not registered yet.
        factory: called as `factory(space, objectives, constraints, **options)`; or "module:name" of such a callable.

    Raises:
        JobError: the name is registered already.
    """
    _REGISTRY.register(name, factory)


__all__ = [
    "Constrained",
    "Deduplicated",
    "Initial",
    "Strategy",
    "WarmStart",
    "check_options",
    "create",
    "names",
    "options",
    "paired_schedule",
    "register",
]
