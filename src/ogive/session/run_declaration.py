"""What a run is created with, and whether a call of `search` may continue it."""

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
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
from ogive.run.estimator import Estimator
from ogive.schedule.base import Schedule
from ogive.space import Space
from ogive.space.fingerprints import is_same
from ogive.strategy.base import Strategy
from ogive.strategy.listed import Listed, check_list

AUTO = "auto"

StrategySpec = str | Mapping[str, Mapping[str, Any]] | Strategy
ScheduleSpec = str | Mapping[str, Mapping[str, Any]] | Schedule | None


class _LeftOut:
    """The mark of an argument that was not given: as stored, or the default of a new run."""

    def __repr__(self) -> str:
        return "<as stored, or the default>"


LEFT_OUT: Any = _LeftOut()


@dataclass(frozen=True)
class PluginSpec:
    """A strategy or a schedule by its name and options, as it is journalled; an object of the user's by its class."""

    name: str
    options: Mapping[str, Any]

    @staticmethod
    def of(kind: str, spec: Any) -> PluginSpec:
        """Read "name", {"name": {option: value}} or an object.

        Raises:
            JobError: it is none of these.
        """
        if isinstance(spec, str):
            return PluginSpec(spec, {})
        if isinstance(spec, Mapping) and len(spec) == 1:
            (name, options), *_ = spec.items()
            if isinstance(name, str) and isinstance(options or {}, Mapping):
                return PluginSpec(name, dict(options or {}))
        if isinstance(spec, (Strategy, Schedule)):
            return PluginSpec(f"{type(spec).__module__}:{type(spec).__qualname__}", {})
        raise JobError(f"{kind}={spec!r}: a name, {{name: {{option: value}}}}, or an object")


def auto(max_trials: int) -> Mapping[str, Mapping[str, Any]]:
    """The default strategy of a search of so many trials; what it chooses and why is in the notes of its proposals."""
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
    """The strategy after the architectures of `initial` and of `warm_start`, without duplicates and within the hard
    constraints.

    A `listed` strategy keeps its duplicates: the same architecture may stand in the list with several settings.
    """
    repeats = False
    if isinstance(spec, Strategy):
        strategy = _fitting(spec, space, objectives, constraints)
        repeats = isinstance(strategy, Listed)
    else:
        named = _found("strategy", PluginSpec.of("strategy", spec))
        strategy = strategies.create(named.name, space, tuple(objectives), tuple(constraints), **named.options)
        repeats = named.name == "listed"
    if warm_start:
        strategy = strategies.WarmStart(strategy, warm_start["architectures"], warm_start["trials"])
    if initial:
        strategy = strategies.Initial(strategy, initial)
    if not repeats:
        strategy = strategies.Deduplicated(strategy)
    return strategies.Constrained(strategy, screen) if any(c.hard for c in constraints) else strategy


def _fitting(
    strategy: Strategy, space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Strategy:
    """A copy of the user's object, since what one run tells it is not for the next; made for what the run searches."""
    same = is_same(strategy.space, space)
    for what, its, ours in (
        ("space", strategy.space.fingerprint, strategy.space.fingerprint if same else space.fingerprint),
        ("objectives", strategy.objectives, tuple(objectives)),
        ("constraints", strategy.constraints, tuple(constraints)),
    ):
        if its != ours:
            raise JobError(
                f"strategy={type(strategy).__name__}(...) was made for other {what} than the search: {its} and {ours}; "
                "make it for the same, or give its name"
            )
    return copy.deepcopy(strategy, {id(strategy.space): space})


def _found(kind: str, named: PluginSpec) -> PluginSpec:
    if ":" in named.name:
        raise RunError(f"the run was begun with an object of class {named.name} as its {kind}; give {kind}= again")
    return named


def schedule_for(strategy: StrategySpec, schedule: ScheduleSpec) -> ScheduleSpec:
    """`schedule`, or the one that the strategy brings along (BOHB's, DEHB's).

    Raises:
        JobError: it brings one along, and another one is given.
    """
    if isinstance(strategy, Strategy):
        name, options = type(strategy).__name__, {o: getattr(strategy, o) for o in strategy.schedule_options}
        own = {strategy.schedule: {o: v for o, v in options.items() if v is not None}} if strategy.schedule else None
    else:
        named = PluginSpec.of("strategy", strategy)
        name, own = named.name, strategies.brought(named.name, named.options)
    if own is None:
        return schedule
    if schedule is not None and PluginSpec.of("schedule", schedule) != PluginSpec.of("schedule", own):
        raise JobError(
            f"strategy {name!r} brings its own schedule, {next(iter(own))!r}; leave schedule={schedule!r} out (its options "
            "are among the strategy's)"
        )
    return own


def make_schedule(
    spec: ScheduleSpec, objectives: Sequence[Objective], constraints: Sequence[Constraint], epochs: int | None
) -> Schedule:
    """The schedule; `full` where none is named."""
    if isinstance(spec, Schedule):
        return copy.deepcopy(spec)  # what one run tells it is not for the next
    named = _found("schedule", PluginSpec.of("schedule", spec or "full"))
    return schedules.create(
        named.name, objectives=tuple(objectives), constraints=tuple(constraints), epochs=epochs, **named.options
    )


@dataclass(frozen=True)
class RunSpec:
    """What cannot change while a run is continued, as journalled in its first event."""

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
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise JobError(f"seed={seed!r}: a whole number, at least 0")
        if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
            raise JobError(f"epochs={epochs!r}: a whole number, at least 1, or None where the estimator has no epochs")
        if epochs is not None and estimator.epochs is not None and epochs > estimator.epochs:
            raise JobError(
                f"epochs={epochs}, but the estimator goes up to {estimator.epochs} epochs only; give both the same"
            )
        return RunSpec(
            space,
            parse_objectives(objectives),
            parse_constraints(constraints),
            PluginSpec.of("strategy", strategy),
            PluginSpec.of("schedule", schedule or "full"),
            epochs,
            seed,
            f"{type(estimator).__module__}:{type(estimator).__qualname__}",
            dict(estimator.fingerprints()),
            estimator.recipe(),
            _initial(space, initial),
            warm_start,
        )

    def to_json(self) -> dict[str, Any]:
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
            stored: dict[str, Any] = json.loads(json.dumps(data))  # as it will be read back
        except (TypeError, ValueError) as error:
            raise JobError(f"options of strategy and schedule, and the recipe, must be JSON: {error}") from error
        return stored


def _initial(space: Space, architectures: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Architectures to propose first, as names and labels, each seen to be of the space."""
    given = tuple(architectures)
    if not given:
        return ()
    try:
        return tuple(proposal.architecture.to_json() for proposal in check_list(space, given))
    except JobError as error:
        raise JobError(f"initial: {error}") from error


def _differences(stored: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """`epochs: was 9, and is 8; ...`; "" where one is not known, or nothing differs."""
    if not stored or not now:
        return ""
    missing = "left out"
    pairs = ((key, stored.get(key, missing), now.get(key, missing)) for key in {**stored, **now})
    return "; ".join(f"{key}: was {then}, and is {this}" for key, then, this in pairs if then != this)


def check_unchanged(
    stored: Mapping[str, Any],
    space: Space,
    wanted: Mapping[str, Any],
    where: str,
    recipe: Mapping[str, Any] | None = None,
) -> None:
    """See that `space` and the arguments that were given (`wanted`, as JSON) are those of the stored run.

    `recipe` (as JSON) is what the recipe is now, so that the message can say which of its keys differ.

    Raises:
        RunError: something differs; the message says what, and the remedy.
    """
    lines = [f"the space: {line}" for line in Space.from_json(stored["space"]).differences(space)]
    for name, value in wanted.items():
        if name == "fingerprints":
            for part in {**stored[name], **value}:
                if stored[name].get(part) != value.get(part):
                    keys = _differences(stored.get("recipe"), recipe) if part == "recipe" else ""
                    prints = f"its fingerprint was {stored[name].get(part)}, and is {value.get(part)}"
                    lines.append(f"the {part}: {keys or prints}")
        elif stored.get(name, []) != value:  # runs of earlier versions have no `initial`
            lines.append(f"{name}: was {stored.get(name, [])!r}, and is {value!r}")
    if lines:
        raise RunError(
            f"the run in {where} cannot be continued, because this has changed:\n  "
            + "\n  ".join(lines)
            + "\nput it back as it was, or start a new run in another folder"
        )
