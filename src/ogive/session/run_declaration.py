"""The declaration of a run, which must stay the same when the run is continued; the creation of strategy and schedule."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.errors import JobError, RunError
from ogive.objective import Constraint, Objective, ObjectiveSpec, parse_constraints, parse_objectives
from ogive.run.estimator import Estimator
from ogive.schedule.base import Schedule
from ogive.space import Space
from ogive.space.fingerprints import describes_same_space
from ogive.strategy.base import Strategy
from ogive.strategy.listed import Listed, parse_list

AUTO = "auto"
"""The name of the strategy that selects another strategy, and the value of `workers` that requests a new plan."""

StrategySpec = str | Mapping[str, Mapping[str, Any]] | Strategy
ScheduleSpec = str | Mapping[str, Mapping[str, Any]] | Schedule | None


class _LeftOutType:
    """The type of `LEFT_OUT`. Its representation appears in the signature of `ogive.search`."""

    def __repr__(self) -> str:
        return "<as stored, or the default>"


LEFT_OUT: Any = _LeftOutType()
"""The default of arguments that a caller may leave out. It is replaced by the value that is stored with the run or, in a new
run, by the default of the search."""


@dataclass(frozen=True)
class PluginSpec:
    """The name and the options of a strategy or a schedule, as they are journalled.

    If the user passed an object, the name is its class, as "module:class", and there are no options.
    """

    name: str
    options: Mapping[str, Any]

    @staticmethod
    def parse(kind: str, spec: Any) -> PluginSpec:
        """Return the name and the options of "name", {"name": {option: value}} or an object.

        Args:
            kind: "strategy" or "schedule", for the message.
            spec: the value to parse.

        Raises:
            JobError: `spec` has another form.
        """
        if isinstance(spec, str):
            return PluginSpec(spec, {})
        if isinstance(spec, Mapping) and len(spec) == 1:
            (name, options), *_ = spec.items()
            if isinstance(name, str) and isinstance(options or {}, Mapping):
                return PluginSpec(name, dict(options or {}))
        if isinstance(spec, (Strategy, Schedule)):
            return PluginSpec(f"{type(spec).__module__}:{type(spec).__qualname__}", {})
        raise JobError(f"{kind}={spec!r}: expected a name, {{name: {{option: value}}}}, or an object")


def make_auto_strategy_spec(max_trials: int) -> Mapping[str, Mapping[str, Any]]:
    """Return the default strategy of a search. It selects a strategy by the number of trials, `max_trials`."""
    return {AUTO: {"trials": max_trials}}


def make_strategy(
    spec: StrategySpec,
    space: Space,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    screen: Callable[[Any], Mapping[str, float]],
    initial: Sequence[Mapping[str, Any]] = (),
    warm_start: Mapping[str, Any] | None = None,
) -> Strategy:
    """Return the strategy of a search, with the wrappers that all searches have.

    The wrappers propose the architectures of `initial` first, then the architectures of `warm_start`; then the strategy
    proposes architectures. Duplicates and architectures that violate a hard constraint are skipped. With the strategy
    `listed`, duplicates are not skipped, because its list may hold an architecture several times with different settings.

    Args:
        spec: the declared strategy.
        space: the space of the search.
        objectives: the objectives of the search.
        constraints: the constraints of the search.
        screen: a function that returns the metrics of an architecture that are known before training.
        initial: the architectures to propose first, as mappings of names to labels.
        warm_start: the record of a warm start (`ogive.session.earlier_run`); None without one.

    Raises:
        JobError: the name or an option is wrong, or an object was made for another search.
        RunError: the run was created with an object, and this call does not pass it.
    """
    if isinstance(spec, Strategy):
        strategy = _copy_for_run(spec, space, objectives, constraints)
        has_duplicates = isinstance(strategy, Listed)
    else:
        named = _require_name("strategy", PluginSpec.parse("strategy", spec))
        strategy = strategies.create(named.name, space, tuple(objectives), tuple(constraints), **named.options)
        has_duplicates = named.name == "listed"
    if warm_start:
        strategy = strategies.WarmStart(strategy, warm_start["architectures"], warm_start["trials"])
    if initial:
        strategy = strategies.Initial(strategy, initial)
    if not has_duplicates:
        strategy = strategies.Deduplicated(strategy)
    return strategies.Constrained(strategy, screen) if any(c.hard for c in constraints) else strategy


def _copy_for_run(
    strategy: Strategy, space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Strategy:
    """Return a copy of the user's strategy, so that the trials of one run do not affect the next run.

    Raises:
        JobError: the strategy was made for another space, other objectives or other constraints.
    """
    # The same space may have two fingerprints (with and without an example input). Then the fingerprint of the strategy's
    # space is compared with itself, so that no error is raised.
    is_same_space = describes_same_space(strategy.space, space)
    for part, strategy_value, search_value in (
        ("space", strategy.space.fingerprint, strategy.space.fingerprint if is_same_space else space.fingerprint),
        ("objectives", strategy.objectives, tuple(objectives)),
        ("constraints", strategy.constraints, tuple(constraints)),
    ):
        if strategy_value != search_value:
            raise JobError(
                f"strategy={type(strategy).__name__}(...) was made for other {part} than the search: {strategy_value} "
                f"instead of {search_value}; make the strategy for the same {part}, or pass its name"
            )
    # The second argument is the memo of `deepcopy`: it maps the strategy's space to the search's space, so that the copy
    # refers to the search's space instead of to a copy of its own.
    return copy.deepcopy(strategy, {id(strategy.space): space})


def _require_name(kind: str, plugin: PluginSpec) -> PluginSpec:
    """Return `plugin` if it can be created by its name.

    Raises:
        RunError: `plugin` names the class of an object, which only the user can create.
    """
    if ":" in plugin.name:
        raise RunError(f"the run was started with an object of class {plugin.name} as its {kind}; pass {kind}= again")
    return plugin


def choose_schedule(strategy: StrategySpec, schedule: ScheduleSpec) -> ScheduleSpec:
    """Return the schedule of a search.

    Some strategies, such as BOHB and DEHB, require a certain schedule; the options of that schedule are options of the
    strategy too. For all other strategies the result is `schedule`.

    Args:
        strategy: the declared strategy.
        schedule: the declared schedule; None if the user has left it out.

    Raises:
        JobError: the strategy requires another schedule than `schedule`.
    """
    if isinstance(strategy, Strategy):
        name = type(strategy).__name__
        options = {option: getattr(strategy, option) for option in strategy.schedule_options}
        # An option that is None was left out; the schedule has its own default.
        set_options = {option: value for option, value in options.items() if value is not None}
        required = {strategy.schedule: set_options} if strategy.schedule else None
    else:
        named = PluginSpec.parse("strategy", strategy)
        name, required = named.name, strategies.paired_schedule(named.name, named.options)
    if required is None:
        return schedule
    if schedule is not None and PluginSpec.parse("schedule", schedule) != PluginSpec.parse("schedule", required):
        raise JobError(
            f"strategy {name!r} brings its own schedule, {next(iter(required))!r}; leave schedule={schedule!r} out (the "
            "options of the schedule are options of the strategy)"
        )
    return required


def make_schedule(
    spec: ScheduleSpec, objectives: Sequence[Objective], constraints: Sequence[Constraint], epochs: int | None
) -> Schedule:
    """Return the schedule of a search.

    Args:
        spec: the declared schedule; None for `full`.
        objectives: the objectives of the search.
        constraints: the constraints of the search.
        epochs: the largest number of epochs of a trial; None if the estimator has no epochs.

    Raises:
        JobError: the name or an option is wrong.
        RunError: the run was created with an object, and this call does not pass it.
    """
    if isinstance(spec, Schedule):
        # Copied, so that the trials of one run do not affect the next run.
        return copy.deepcopy(spec)
    named = _require_name("schedule", PluginSpec.parse("schedule", spec or "full"))
    return schedules.create(
        named.name, objectives=tuple(objectives), constraints=tuple(constraints), epochs=epochs, **named.options
    )


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """The declaration of a search: the arguments that must stay the same when the run is continued.

    The declaration is the data of the journal's first event.

    Attributes:
        space: the search space.
        objectives: the metrics to optimize.
        constraints: the bounds on metrics.
        strategy: the name and the options of the strategy.
        schedule: the name and the options of the schedule.
        epochs: the largest number of epochs of a trial; None if the estimator has no epochs.
        seed: the seed of all random choices.
        estimator: the class of the estimator, as "module:class".
        fingerprints: hashes of the estimator's data, split and recipe.
        recipe: the recipe of the estimator; None if unknown.
        initial: the architectures that are proposed first, as mappings of names to labels.
        warm_start: the record of a warm start; None without one.
    """

    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    strategy: PluginSpec
    schedule: PluginSpec
    epochs: int | None
    seed: int
    estimator: str
    fingerprints: Mapping[str, str]
    recipe: Mapping[str, Any] | None
    initial: tuple[Mapping[str, Any], ...] = ()
    warm_start: Mapping[str, Any] | None = None

    @staticmethod
    def of(
        space: Space,
        estimator: Estimator,
        *,
        objectives: ObjectiveSpec,
        constraints: Constraint | Iterable[Constraint],
        strategy: StrategySpec,
        schedule: ScheduleSpec,
        epochs: int | None,
        seed: int,
        initial: Iterable[Mapping[str, Any]] = (),
        warm_start: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """Return the declaration of a search. The arguments have the meaning that they have for `ogive.search`.

        Raises:
            JobError: an argument has a wrong type or is out of its range.
        """
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise JobError(f"seed={seed!r}: expected a whole number, at least 0")
        if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
            raise JobError(
                f"epochs={epochs!r}: expected a whole number, at least 1, or None if the estimator has no epochs"
            )
        if epochs is not None and estimator.epochs is not None and epochs > estimator.epochs:
            raise JobError(
                f"epochs={epochs}, but the estimator trains for at most {estimator.epochs} epochs; give the search and the "
                "estimator the same number"
            )
        return RunSpec(
            space=space,
            objectives=parse_objectives(objectives),
            constraints=parse_constraints(constraints),
            strategy=PluginSpec.parse("strategy", strategy),
            schedule=PluginSpec.parse("schedule", schedule or "full"),
            epochs=epochs,
            seed=seed,
            estimator=f"{type(estimator).__module__}:{type(estimator).__qualname__}",
            fingerprints=dict(estimator.fingerprints()),
            recipe=estimator.recipe(),
            initial=_check_initial(space, initial),
            warm_start=warm_start,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the data of the journal's first event, without the settings.

        Raises:
            JobError: an option or the recipe cannot be written as JSON.
        """
        data = {
            "space": self.space.to_json(),
            "objectives": [objective.to_json() for objective in self.objectives],
            "constraints": [asdict(constraint) for constraint in self.constraints],
            "strategy": asdict(self.strategy),
            "schedule": asdict(self.schedule),
            "epochs": self.epochs,
            "seed": self.seed,
            "estimator": self.estimator,
            "fingerprints": dict(self.fingerprints),
            "recipe": self.recipe,
            "initial": [dict(labels) for labels in self.initial],
            **({"warm_start": dict(self.warm_start)} if self.warm_start else {}),
        }
        try:
            # Converted to text and back, so that the data has the form in which it is read from the journal.
            stored: dict[str, Any] = json.loads(json.dumps(data))
        except (TypeError, ValueError) as error:
            raise JobError(f"options of strategy and schedule, and the recipe, must be JSON: {error}") from error
        return stored


def _check_initial(space: Space, architectures: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return the architectures to propose first, as mappings of names to labels.

    Raises:
        JobError: an element is not an architecture of the space.
    """
    architectures = tuple(architectures)
    if not architectures:
        return ()
    try:
        return tuple(proposal.architecture.to_json() for proposal in parse_list(space, architectures))
    except JobError as error:
        raise JobError(f"initial: {error}") from error
