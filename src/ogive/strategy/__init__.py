"""WHAT TO TRY NEXT: the contract (`ogive.strategy.base`), its implementations by name, and wrappers that fit them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ogive.objective import Constraint, ObjectiveSpec
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
from ogive.registry import Registry
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.constrained import Constrained
from ogive.strategy.deduplicated import Deduplicated
from ogive.strategy.listed import Initial
from ogive.strategy.warm_start import WarmStart

_REGISTRY: Registry[Strategy] = Registry(
    "strategy",
    given=("space", "objectives", "constraints"),
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
    """The bare strategy called `name`; its module is loaded now. Wrap it in `Deduplicated` and `Constrained` as needed.

    Raises:
        JobError: there is no such strategy, it has no such option, or an option or an objective is not what it should be.
    """
    _REGISTRY.check_options(name, options)
    return _REGISTRY.factory(name)(space, parse_objectives(objectives), parse_constraints(constraints), **options)


def names() -> tuple[str, ...]:
    """The strategies that `create` knows."""
    return _REGISTRY.names()


def options(name: str) -> dict[str, Any]:
    """The options of the strategy called `name`, with their defaults."""
    return _REGISTRY.options(name)


def brought(name: str, options: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """The schedule that a strategy brings along, as BOHB and DEHB do: {name: {option: value}}; None for most.

    Such a strategy's class says `schedule`, its name, and `schedule_options`, which of the strategy's options are its.
    """
    factory = _REGISTRY.factory(name)
    schedule = getattr(factory, "schedule", "")
    theirs = getattr(factory, "schedule_options", ())
    return {schedule: {o: options[o] for o in theirs if options.get(o) is not None}} if schedule else None


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """See that there is a strategy called `name`, and that `options` are options of it.

    Raises:
        JobError: there is none, one is unknown, or one without a default is missing.
    """
    _REGISTRY.check_options(name, options)


def register(name: str, factory: str | Callable[..., Strategy]) -> None:
    """Make `factory(space, objectives, constraints, **options)`, or "module:name" of one, known as `name`."""
    _REGISTRY.register(name, factory)


__all__ = [
    "Constrained",
    "Deduplicated",
    "Initial",
    "Strategy",
    "WarmStart",
    "brought",
    "check_options",
    "create",
    "names",
    "options",
    "register",
]
