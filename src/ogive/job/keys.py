"""The keys of a job: what each may be, and the words that tell it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

from ogive.run.executor import STARTUP_SECONDS
from ogive.task.recipe import Recipe

AUTO = "auto"


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def _named(value: Any) -> Any:
    """A name, or {name: {option: value}}."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict) and len(value) == 1:
        (name, options), *_ = value.items()
        if isinstance(name, str) and isinstance(options, (dict, type(None))):
            return {name: options or {}}
    raise PydanticCustomError("named", "not a name with options")


def _spaces(value: Any) -> Any:
    if isinstance(value, str):
        return {"at": value}
    if isinstance(value, dict) and set(value) == {"zoo"}:
        return {"zoo": _named(value["zoo"])}
    raise PydanticCustomError("space", "neither a reference nor a space of the zoo")


def _hours(value: Any) -> Any:
    """A number alone means hours."""
    return value if isinstance(value, dict) else {"hours": value}


def _price(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
    if not number and not (isinstance(value, str) and value):
        raise PydanticCustomError("price", "neither money nor a name")
    return value


def _executor(value: Any) -> Any:
    """A name stays one; what it may be is checked by `ogive.session.executor_config`."""
    return value if isinstance(value, str) else _named(value)


def _earlier(value: Any) -> Any:
    """The folder of a run, or a mapping that names it; what it holds is checked by `ogive.job.search_parts`."""
    if value is not None and not (isinstance(value, str) and value) and not isinstance(value, dict):
        raise PydanticCustomError("earlier", "neither a folder nor a mapping")
    return value


def _trials(value: Any) -> Any:
    if value != AUTO and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise PydanticCustomError("trials", "neither a number nor auto")
    return value


def _some(value: Any) -> Any:
    """Something of an optional section."""
    if not any(item is not None for item in dict(value).values()):
        raise PydanticCustomError("empty", "nothing is given")
    return value


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _metric(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


Named = Annotated[dict[str, dict[str, Any]], BeforeValidator(_named)]
Reference = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]

REFERENCE = "'file.py:name' (the file beside the job) or 'package.module:name'"
BUDGET = "hours, a number above 0, or {hours: h, money: m} with one or both"
NAMED = "a name, or {name: {option: value}}"


class SpaceKeys(_Keys):
    """Where the space is declared."""

    at: str | None = None
    zoo: dict[str, dict[str, Any]] | None = None


class TaskKeys(_Keys):
    """What to learn from; amounts are checked by `ogive.task`."""

    data: Reference = Field(default="digits", description=f"the name of a data set, such as digits, or {REFERENCE}")
    test: Any = Field(default=None, description="a share of the examples between 0 and 1, or a count")
    validation: Any = Field(
        default=None, description="a share of what the test set leaves, between 0 and 1, or a count"
    )
    train: Any = Field(default=None, description="a share of what the test set leaves, between 0 and 1, or a count")
    split: str | None = Field(
        default=None, description="percentages to train, select and test on that add up to 100, such as 70/15/15"
    )
    seed: int = Field(default=0, ge=0, description="a whole number, at least 0")
    device: str = Field(default="cpu", description="cpu, cuda, cuda:N, or auto")


class ObjectiveKeys(_Keys):
    """A metric with a goal."""

    metric: Reference = Field(description="the name of a metric, such as accuracy")
    goal: Literal["maximize", "minimize"] | None = Field(default=None, description="maximize or minimize")
    epoch: Literal["last", "best"] = Field(
        default="last", description="last or best: the epoch whose metrics are a trial's value"
    )


class CriterionKeys(_Keys):
    """A metric with a threshold."""

    metric: Reference = Field(description="the name of a metric, such as parameters")
    at_most: float | None = Field(default=None, description="a number; give one of at_most and at_least")
    at_least: float | None = Field(default=None, description="a number; give one of at_most and at_least")


class ConstraintKeys(CriterionKeys):
    """A threshold that may be kept before training."""

    hard: bool = Field(default=False, description="true or false")


_RECIPE = {field.name: (get_type_hints(Recipe)[field.name], field.default) for field in fields(Recipe)}
RecipeKeys: type[BaseModel] = create_model("RecipeKeys", __base__=_Keys, **_RECIPE)  # type: ignore[call-overload]
"""The fields of `ogive.task.Recipe`, with its types and defaults."""


class ProxyKeys(_Keys):
    """What makes a trial of the search cheaper than full training, beside fewer epochs."""

    data_fraction: Share = Field(default=1.0, description="a share of the training part, above 0 and at most 1")
    resolution: Share = Field(default=1.0, description="a share of each side of the images, above 0 and at most 1")
    width: Share = Field(default=1.0, description="a multiplier of what the space scales by it, above 0 and at most 1")
    depth: Share = Field(default=1.0, description="a multiplier of what the space scales by it, above 0 and at most 1")


class BudgetKeys(_Keys):
    """What the search may take."""

    hours: Positive | None = Field(default=None, description="hours, a number above 0")
    money: Positive | None = Field(default=None, description="money in the currency of the price, a number above 0")


Budget = Annotated[BudgetKeys, BeforeValidator(_hours), AfterValidator(_some)]


class FinalizeKeys(_Keys):
    """The second stage: full training of the best."""

    top: Count = Field(default=10, description="how many of the best to train, a whole number, at least 1")
    seeds: Count = Field(default=1, description="trainings of each, a whole number, at least 1")
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    from_weights: bool = Field(default=False, description="true or false")
    recipe: dict[str, Any] | None = Field(
        default=None, description="a mapping of what differs from the search's recipe, such as {learning_rate: 0.001}"
    )


class GoKeys(_Keys):
    """What a phase must have shown before the next begins."""

    best: list[CriterionKeys] = Field(
        default=[], description="a list of items that one trial has to reach, such as {metric: accuracy, at_least: 0.5}"
    )
    failed: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="the largest share of trials that may fail, from 0 to 1"
    )
    learns: bool = Field(default=False, description="true: one trial must be more accurate than guessing, or false")


class PhaseKeys(_Keys):
    """A phase of a funnel: what it changes, and when the next one begins."""

    proxy: ProxyKeys | None = Field(default=None, description="a mapping such as {data_fraction: 0.1}")
    start_from: int | None = Field(
        default=None, ge=0, description="how many of the former phase's best to begin with, a whole number, at least 0"
    )
    strategy: Named | None = Field(default=None, description=NAMED)
    schedule: Named | None = Field(default=None, description=NAMED)
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    max_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    max_failed_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    time_limit: Positive | None = Field(default=None, description="seconds of one trial, a number above 0")
    memory_limit: Positive | None = Field(default=None, description="gigabytes of one trial, a number above 0")
    budget: Budget | None = Field(default=None, description=BUDGET)
    stop: Literal["advise", "auto"] | None = Field(default=None, description="advise or auto")
    go: GoKeys = Field(
        default=GoKeys(), description="a mapping such as {learns: true, best: [{metric: accuracy, at_least: 0.5}]}"
    )
    finalize: FinalizeKeys | None = Field(
        default=None,
        description="a mapping such as {top: 5, seeds: 3}; of the last phase only, which then searches nothing",
    )


class JobKeys(_Keys):
    """The whole file."""

    space: Annotated[SpaceKeys, BeforeValidator(_spaces)] = Field(
        description=f"{REFERENCE}, or {{zoo: {NAMED.removeprefix('a ')}}}"
    )
    only: dict[str, list[Any]] = Field(
        default={}, description="a mapping such as {op: [conv, mb], depth: [2, 4]}: labels that are left, or two ends"
    )
    train: Reference | None = Field(
        default=None, description=f"a train function f(model, trial), or an estimator, as {REFERENCE}"
    )
    task: TaskKeys | None = Field(default=None, description="a mapping such as {data: digits, test: 0.2}")
    recipe: RecipeKeys | None = Field(default=None, description="a mapping such as {epochs: 12, learning_rate: 0.003}")  # type: ignore[valid-type]
    objectives: Annotated[list[Annotated[ObjectiveKeys, BeforeValidator(_metric)]], BeforeValidator(_list)] = Field(
        default=[ObjectiveKeys(metric="accuracy")],
        min_length=1,
        description="the name of a metric, {metric: name, goal: maximize or minimize}, or a list of these",
    )
    constraints: list[ConstraintKeys] = Field(
        default=[], description="a list of items such as {metric: parameters, at_most: 50000, hard: true}"
    )
    strategy: Named = Field(default={"auto": {}}, description=NAMED)
    schedule: Named = Field(default={"full": {}}, description=NAMED)
    proxy: ProxyKeys = Field(default=ProxyKeys(), description="a mapping such as {data_fraction: 0.1}")
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    max_trials: Count = Field(default=100, description="a whole number, at least 1")
    parallel_trials: Annotated[int | str, BeforeValidator(_trials)] = Field(
        default=1, description="a whole number, at least 1, or auto: as many as a plan recommends"
    )
    workers_per_trial: Count = Field(default=1, description="a whole number, at least 1")
    max_failed_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    retries: int = Field(default=2, ge=0, description="a whole number, at least 0")
    time_limit: Positive | None = Field(default=None, description="seconds of one trial, a number above 0")
    memory_limit: Positive | None = Field(default=None, description="gigabytes of one trial, a number above 0")
    startup_limit: Positive | None = Field(
        default=STARTUP_SECONDS, description="seconds that a worker may take to load code and data, a number above 0"
    )
    budget: Budget | None = Field(default=None, description=BUDGET)
    price: Annotated[float | str | None, BeforeValidator(_price)] = Field(
        default=None, description="money per worker-hour, above 0, or a name of the price file, or 'file.yaml:name'"
    )
    confirm_above: Positive | None = Field(
        default=None, description="money above which `ogive search` asks before it starts, a number above 0"
    )
    stop: Literal["advise", "auto"] = Field(default="advise", description="advise or auto")
    patience: Positive | None = Field(
        default=None, description="hours without improvement that are worth an alert, a number above 0"
    )
    criteria: list[CriterionKeys] = Field(
        default=[], description="a list of items such as {metric: accuracy, at_least: 0.95}"
    )
    alerts: Annotated[list[Any], BeforeValidator(_list)] = Field(
        default=[], description="a list of console, {file: name}, {webhook: url}"
    )
    sinks: Annotated[list[Any], BeforeValidator(_list)] = Field(
        default=[], description="a list of names such as csv, or {name: {option: value}}"
    )
    initial: list[dict[str, Any]] = Field(
        default=[], description="a list of architectures to try first, each {decision: label, ...}"
    )
    warm_start: Annotated[str | dict[str, Any] | None, BeforeValidator(_earlier)] = Field(
        default=None,
        description="the folder of an earlier run, relative to the job's file, or {run: folder, trials: 10}",
    )
    joint: bool = Field(default=False, description="true or false")
    finalize: FinalizeKeys | None = Field(default=None, description="a mapping such as {top: 10, seeds: 3, epochs: 60}")
    phases: dict[str, PhaseKeys] | None = Field(
        default=None, description="a mapping of at least one phase, such as {smoke: {max_trials: 4}, full: {}}"
    )
    seed: int = Field(default=0, ge=0, description="a whole number, at least 0")
    run: Reference | None = Field(default=None, description="the run's folder, relative to the job's file")
    cache: bool = Field(default=True, description="true or false")
    executor: Annotated[str | dict[str, Any], BeforeValidator(_executor)] = Field(
        default="processes", description="processes, inline, simulated, or {simulated: {option: value}}"
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(default="NORMAL", description="NORMAL or FULL")
    baseline: Reference | None = Field(
        default=None, description=f"a function that makes a network by hand, as {REFERENCE}"
    )


SECTIONS: Mapping[str, type[BaseModel]] = {
    "task": TaskKeys,
    "recipe": RecipeKeys,
    "objectives": ObjectiveKeys,
    "constraints": ConstraintKeys,
    "criteria": CriterionKeys,
    "proxy": ProxyKeys,
    "budget": BudgetKeys,
    "finalize": FinalizeKeys,
    "go": GoKeys,
    "best": CriterionKeys,
    "phases": PhaseKeys,
}
"""The keys inside a key."""

OTHER_NAMES: Mapping[str, str] = {
    "workers": "parallel_trials",
    "parallel": "parallel_trials",
    "gpus_per_trial": "workers_per_trial",
    "processes_per_trial": "workers_per_trial",
    "max_parallel_trials": "parallel_trials",
    "jobs": "parallel_trials",
    "n_trials": "max_trials",
    "max_trial_count": "max_trials",
    "max_failures": "max_failed_trials",
    "timeout": "time_limit",
    "trial_timeout": "time_limit",
    "objective": "objectives",
    "metric": "objectives",
    "estimator": "train",
    "search_space": "space",
    "algorithm": "strategy",
    "scheduler": "schedule",
    "fidelity": "proxy",
    "success_criteria": "criteria",
    "stages": "phases",
    "funnel": "phases",
}
"""What other toolkits, or the Python arguments, call a key."""
