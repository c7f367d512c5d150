"""The declaration of a run, which cannot change while it is continued, and the making of its strategy and schedule."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.errors import JobError, RunError
from ogive.objective import Constraint, Objective, ObjectiveSpec
from ogive.objective import parse_constraints as parse_constraints
from ogive.objective import parse_objectives as parse_objectives
from ogive.run.estimator import Estimator
from ogive.schedule.base import Schedule
from ogive.space import Space
from ogive.space.fingerprints import is_same
from ogive.strategy.base import Strategy
from ogive.strategy.listed import Listed, parse_list

AUTO = "auto"

StrategySpec = str | Mapping[str, Mapping[str, Any]] | Strategy
ScheduleSpec = str | Mapping[str, Mapping[str, Any]] | Schedule | None


class _LeftOut:
    """The type of `LEFT_OUT`, the value of arguments that a caller leaves out: stored values or defaults replace it."""

    def __repr__(self) -> str:
        return "<as stored, or the default>"


LEFT_OUT: Any = _LeftOut()


@dataclass(frozen=True)
class PluginSpec:
    """A strategy or a schedule by name and options, as it is journalled. An object of the user's is named by its class."""

    name: str
    options: Mapping[str, Any]

    @staticmethod
    def of(kind: str, spec: Any) -> PluginSpec:
        """Parse "name", {"name": {option: value}} or an object.

        Args:
            kind: "strategy" or "schedule", for the message.
            spec: to parse.

        Raises:
            JobError: `spec` is none of these.
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
    """Return the default strategy of a search of `max_trials` trials. Its proposals note its choice and the reason."""
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

    It proposes the architectures of `initial` first, then those of `warm_start`, then those of the strategy itself. It skips
    duplicates and architectures that violate a hard constraint. A `listed` strategy keeps its duplicates, because its list
    may hold an architecture several times with different settings.

    Args:
        spec: the strategy.
        space: of the search.
        objectives: of the search.
        constraints: of the search.
        screen: returns the metrics of an architecture that are known before training.
        initial: architectures, as names and labels.
        warm_start: the record of a warm start (`ogive.session.earlier_run`).

    Raises:
        JobError: the name or an option is wrong, or an object was made for another search.
        RunError: the run was created with an object, which must be passed again.
    """
    if isinstance(spec, Strategy):
        strategy = _copy_for_run(spec, space, objectives, constraints)
        has_duplicates = isinstance(strategy, Listed)
    else:
        named = _require_name("strategy", PluginSpec.of("strategy", spec))
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
    """Return a copy of the user's strategy, so that the trials of one run do not affect the next.

    Raises:
        JobError: it was made for another space, other objectives or other constraints.
    """
    same = is_same(strategy.space, space)
    for what, strategy_value, search_value in (
        ("space", strategy.space.fingerprint, strategy.space.fingerprint if same else space.fingerprint),
        ("objectives", strategy.objectives, tuple(objectives)),
        ("constraints", strategy.constraints, tuple(constraints)),
    ):
        if strategy_value != search_value:
            raise JobError(
                f"strategy={type(strategy).__name__}(...) was made for other {what} than the search: {strategy_value} "
                f"instead of {search_value}; make it for the same {what}, or give its name"
            )
    return copy.deepcopy(strategy, {id(strategy.space): space})


def _require_name(kind: str, plugin: PluginSpec) -> PluginSpec:
    """Return `plugin` if it can be created by its name.

    Raises:
        RunError: it is the class of an object, which only the user can create.
    """
    if ":" in plugin.name:
        raise RunError(f"the run was started with an object of class {plugin.name} as its {kind}; pass {kind}= again")
    return plugin


def schedule_for(strategy: StrategySpec, schedule: ScheduleSpec) -> ScheduleSpec:
    """Return the schedule that the strategy brings along, as BOHB and DEHB do, or else `schedule`.

    Raises:
        JobError: the strategy brings a schedule along, and `schedule` is a different one.
    """
    if isinstance(strategy, Strategy):
        name, options = type(strategy).__name__, {o: getattr(strategy, o) for o in strategy.schedule_options}
        included = {o: value for o, value in options.items() if value is not None}
        brought = {strategy.schedule: included} if strategy.schedule else None
    else:
        named = PluginSpec.of("strategy", strategy)
        name, brought = named.name, strategies.paired_schedule(named.name, named.options)
    if brought is None:
        return schedule
    if schedule is not None and PluginSpec.of("schedule", schedule) != PluginSpec.of("schedule", brought):
        raise JobError(
            f"strategy {name!r} brings its own schedule, {next(iter(brought))!r}; leave schedule={schedule!r} out (its "
            "options are among the strategy's)"
        )
    return brought


def make_schedule(
    spec: ScheduleSpec, objectives: Sequence[Objective], constraints: Sequence[Constraint], epochs: int | None
) -> Schedule:
    """Return the schedule of a search; None means `full`.

    Raises:
        JobError: the name or an option is wrong.
        RunError: the run was created with an object, which must be passed again.
    """
    if isinstance(spec, Schedule):
        return copy.deepcopy(spec)  # the trials of one run do not affect the next
    named = _require_name("schedule", PluginSpec.of("schedule", spec or "full"))
    return schedules.create(
        named.name, objectives=tuple(objectives), constraints=tuple(constraints), epochs=epochs, **named.options
    )


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """The part of a search that cannot change while the run is continued, as journalled in its first event.

    Attributes:
        space: what is searched.
        objectives: the metrics to optimize.
        constraints: bounds on metrics.
        strategy: by name and options.
        schedule: by name and options.
        epochs: the largest number of epochs of a trial; None if the estimator has no epochs.
        seed: of all random choices.
        estimator: the class of the estimator, as "module:name".
        fingerprints: hashes of the estimator's data, split and recipe.
        recipe: of the estimator; None if unknown.
        initial: the architectures that are proposed first, as names and labels.
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
        objectives: ObjectiveSpec,
        constraints: Constraint | Iterable[Constraint],
        strategy: StrategySpec,
        schedule: ScheduleSpec,
        epochs: int | None,
        seed: int,
        initial: Iterable[Mapping[str, Any]] = (),
        warm_start: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """Return the declaration of a search with these arguments, which are those of `ogive.search`.

        Raises:
            JobError: an argument is wrong.
        """
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise JobError(f"seed={seed!r}: expected a whole number, at least 0")
        if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
            raise JobError(
                f"epochs={epochs!r}: expected a whole number, at least 1, or None if the estimator has no epochs"
            )
        if epochs is not None and estimator.epochs is not None and epochs > estimator.epochs:
            raise JobError(
                f"epochs={epochs}, but the estimator trains for at most {estimator.epochs} epochs; give both the same number"
            )
        return RunSpec(
            space=space,
            objectives=parse_objectives(objectives),
            constraints=parse_constraints(constraints),
            strategy=PluginSpec.of("strategy", strategy),
            schedule=PluginSpec.of("schedule", schedule or "full"),
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
            JobError: an option or the recipe is not JSON.
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
            "initial": [dict(choices) for choices in self.initial],
            **({"warm_start": dict(self.warm_start)} if self.warm_start else {}),
        }
        try:
            stored: dict[str, Any] = json.loads(json.dumps(data))  # as it is read from the journal
        except (TypeError, ValueError) as error:
            raise JobError(f"options of strategy and schedule, and the recipe, must be JSON: {error}") from error
        return stored


def _check_initial(space: Space, architectures: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return the architectures to propose first, as names and labels.

    Raises:
        JobError: one of them is not an architecture of the space.
    """
    architectures = tuple(architectures)
    if not architectures:
        return ()
    try:
        return tuple(proposal.architecture.to_json() for proposal in parse_list(space, architectures))
    except JobError as error:
        raise JobError(f"initial: {error}") from error
