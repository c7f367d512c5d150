"""The keys of a job: the type and range of each, and a description of its allowed values for error messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, create_model

from ogive.job.key_types import (
    BUDGET,
    NAME_AND_OPTIONS,
    REFERENCE,
    Count,
    Keys,
    NameAndOptions,
    Positive,
    Reference,
    Share,
    check_not_empty,
    check_parallel_trials,
    check_price,
    check_warm_start,
    normalize_budget,
    normalize_executor,
    normalize_list,
    normalize_objective,
    normalize_space,
)
from ogive.run.executor import STARTUP_SECONDS
from ogive.task.recipe import Recipe


class SpaceKeys(Keys):
    """`space`: a reference to a space (`at`), or the name and options of a space in the zoo."""

    at: str | None = None
    zoo: dict[str, dict[str, Any]] | None = None


class TaskKeys(Keys):
    """`task`: the data and the splits of the built-in trainer; `ogive.task` checks the amounts."""

    data: Reference = Field(default="digits", description=f"the name of a data set, such as digits, or {REFERENCE}")
    test: Any = Field(default=None, description="a share of the examples between 0 and 1, or a count")
    validation: Any = Field(
        default=None, description="a share of the examples outside the test set, between 0 and 1, or a count"
    )
    train: Any = Field(
        default=None, description="a share of the examples outside the test set, between 0 and 1, or a count"
    )
    split: str | None = Field(
        default=None, description="percentages to train, select and test on that add up to 100, such as 70/15/15"
    )
    seed: int = Field(default=0, ge=0, description="a whole number, at least 0")
    device: str = Field(default="cpu", description="cpu, cuda, cuda:N, or auto")


class ObjectiveKeys(Keys):
    """An item of `objectives`: a metric with a goal."""

    metric: Reference = Field(description="the name of a metric, such as accuracy")
    goal: Literal["maximize", "minimize"] | None = Field(default=None, description="maximize or minimize")
    epoch: Literal["last", "best"] = Field(
        default="last", description="last or best: the epoch whose metrics are the value of a trial"
    )


class CriterionKeys(Keys):
    """An item of `criteria`: a metric with a threshold."""

    metric: Reference = Field(description="the name of a metric, such as parameters")
    at_most: float | None = Field(default=None, description="a number; give one of at_most and at_least")
    at_least: float | None = Field(default=None, description="a number; give one of at_most and at_least")


class ConstraintKeys(CriterionKeys):
    """An item of `constraints`: a threshold that may be checked before training."""

    hard: bool = Field(default=False, description="true or false")


_RECIPE_FIELDS = {field.name: (get_type_hints(Recipe)[field.name], field.default) for field in fields(Recipe)}
RecipeKeys: type[BaseModel] = create_model("RecipeKeys", __base__=Keys, **_RECIPE_FIELDS)  # type: ignore[call-overload]
"""`recipe`: the fields of `ogive.task.Recipe`, with their types and defaults."""


class ProxyKeys(Keys):
    """`proxy`: settings other than epochs that make a trial of the search cheaper than full training."""

    data_fraction: Share = Field(default=1.0, description="a share of the training part, above 0 and at most 1")
    resolution: Share = Field(default=1.0, description="a share of each side of the images, above 0 and at most 1")
    width: Share = Field(
        default=1.0, description="a factor for the sizes that the space scales by it, above 0 and at most 1"
    )
    depth: Share = Field(
        default=1.0, description="a factor for the sizes that the space scales by it, above 0 and at most 1"
    )


class BudgetKeys(Keys):
    """`budget`: the hours and the money that the search may take."""

    hours: Positive | None = Field(default=None, description="hours, a number above 0")
    money: Positive | None = Field(default=None, description="money in the currency of the price, a number above 0")


Budget = Annotated[BudgetKeys, BeforeValidator(normalize_budget), AfterValidator(check_not_empty)]


class FinalizeKeys(Keys):
    """`finalize`: full training of the best trials."""

    top: Count = Field(default=10, description="how many of the best trials to train, a whole number, at least 1")
    seeds: Count = Field(default=1, description="trainings of each finalist, a whole number, at least 1")
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    from_weights: bool = Field(default=False, description="true or false")
    recipe: dict[str, Any] | None = Field(
        default=None, description="a mapping of changes to the recipe of the search, such as {learning_rate: 0.001}"
    )


class GoKeys(Keys):
    """`go` of a phase: the conditions for starting the next phase."""

    best: list[CriterionKeys] = Field(
        default=[],
        description="a list of thresholds that one trial must satisfy, such as {metric: accuracy, at_least: 0.5}",
    )
    failed: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="the largest share of trials that may fail, from 0 to 1"
    )
    learns: bool = Field(default=False, description="true (one trial must be more accurate than guessing) or false")


class PhaseKeys(Keys):
    """An item of `phases`: the keys that the phase changes, and the condition for starting the next phase."""

    proxy: ProxyKeys | None = Field(default=None, description="a mapping such as {data_fraction: 0.1}")
    start_from: int | None = Field(
        default=None,
        ge=0,
        description="how many of the best of the previous phase to try first, a whole number, at least 0",
    )
    strategy: NameAndOptions | None = Field(default=None, description=NAME_AND_OPTIONS)
    schedule: NameAndOptions | None = Field(default=None, description=NAME_AND_OPTIONS)
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    max_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    max_failed_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    time_limit: Positive | None = Field(default=None, description="seconds for one trial, a number above 0")
    memory_limit: Positive | None = Field(default=None, description="gigabytes for one trial, a number above 0")
    budget: Budget | None = Field(default=None, description=BUDGET)
    stop: Literal["advise", "auto"] | None = Field(default=None, description="advise or auto")
    go: GoKeys = Field(
        default=GoKeys(), description="a mapping such as {learns: true, best: [{metric: accuracy, at_least: 0.5}]}"
    )
    finalize: FinalizeKeys | None = Field(
        default=None,
        description="a mapping such as {top: 5, seeds: 3}; only in the last phase, which then trains and does not search",
    )


class JobKeys(Keys):
    """All keys of a job file."""

    space: Annotated[SpaceKeys, BeforeValidator(normalize_space)] = Field(
        description=f"{REFERENCE}, or {{zoo: {NAME_AND_OPTIONS.removeprefix('a ')}}}"
    )
    only: dict[str, list[Any]] = Field(
        default={},
        description="a mapping such as {op: [conv, mb], depth: [2, 4]}: the labels to keep, or the two bounds of a range",
    )
    train: Reference | None = Field(
        default=None, description=f"a train function f(model, trial), or an estimator, as {REFERENCE}"
    )
    task: TaskKeys | None = Field(default=None, description="a mapping such as {data: digits, test: 0.2}")
    recipe: RecipeKeys | None = Field(default=None, description="a mapping such as {epochs: 12, learning_rate: 0.003}")  # type: ignore[valid-type]
    objectives: Annotated[
        list[Annotated[ObjectiveKeys, BeforeValidator(normalize_objective)]], BeforeValidator(normalize_list)
    ] = Field(
        default=[ObjectiveKeys(metric="accuracy")],
        min_length=1,
        description="the name of a metric, {metric: name, goal: maximize or minimize}, or a list of these",
    )
    constraints: list[ConstraintKeys] = Field(
        default=[], description="a list of items such as {metric: parameters, at_most: 50000, hard: true}"
    )
    strategy: NameAndOptions = Field(default={"auto": {}}, description=NAME_AND_OPTIONS)
    schedule: NameAndOptions = Field(default={"full": {}}, description=NAME_AND_OPTIONS)
    proxy: ProxyKeys = Field(default=ProxyKeys(), description="a mapping such as {data_fraction: 0.1}")
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    max_trials: Count = Field(default=100, description="a whole number, at least 1")
    parallel_trials: Annotated[int | str, BeforeValidator(check_parallel_trials)] = Field(
        default=1, description="a whole number, at least 1, or auto (as many as a plan recommends)"
    )
    workers_per_trial: Count = Field(default=1, description="a whole number, at least 1")
    max_failed_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    retries: int = Field(default=2, ge=0, description="a whole number, at least 0")
    time_limit: Positive | None = Field(default=None, description="seconds for one trial, a number above 0")
    memory_limit: Positive | None = Field(default=None, description="gigabytes for one trial, a number above 0")
    startup_limit: Positive | None = Field(
        default=STARTUP_SECONDS, description="seconds that a worker may take to load code and data, a number above 0"
    )
    budget: Budget | None = Field(default=None, description=BUDGET)
    price: Annotated[float | str | None, BeforeValidator(check_price)] = Field(
        default=None, description="money per worker-hour, above 0, or a name in the price file, or 'file.yaml:name'"
    )
    confirm_above: Positive | None = Field(
        default=None, description="money above which `ogive search` asks before it starts, a number above 0"
    )
    stop: Literal["advise", "auto"] = Field(default="advise", description="advise or auto")
    patience: Positive | None = Field(
        default=None, description="hours without improvement before an alert is sent, a number above 0"
    )
    criteria: list[CriterionKeys] = Field(
        default=[], description="a list of items such as {metric: accuracy, at_least: 0.95}"
    )
    alerts: Annotated[list[Any], BeforeValidator(normalize_list)] = Field(
        default=[], description="a list of routes: console, {file: name}, {webhook: url}"
    )
    sinks: Annotated[list[Any], BeforeValidator(normalize_list)] = Field(
        default=[], description="a list of sinks: a name such as csv, or {name: {option: value}}"
    )
    initial: list[dict[str, Any]] = Field(
        default=[], description="a list of architectures to try first, each {decision: label, ...}"
    )
    warm_start: Annotated[str | dict[str, Any] | None, BeforeValidator(check_warm_start)] = Field(
        default=None,
        description="the folder of an earlier run, relative to the job file, or {run: folder, trials: 10}",
    )
    joint: bool = Field(default=False, description="true or false")
    finalize: FinalizeKeys | None = Field(default=None, description="a mapping such as {top: 10, seeds: 3, epochs: 60}")
    phases: dict[str, PhaseKeys] | None = Field(
        default=None, description="a mapping of at least one phase, such as {smoke: {max_trials: 4}, full: {}}"
    )
    seed: int = Field(default=0, ge=0, description="a whole number, at least 0")
    run: Reference | None = Field(default=None, description="the run's folder, relative to the job file")
    cache: bool = Field(default=True, description="true or false")
    executor: Annotated[str | dict[str, Any], BeforeValidator(normalize_executor)] = Field(
        default="processes", description="processes, inline, simulated, or {simulated: {option: value}}"
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(default="NORMAL", description="NORMAL or FULL")
    baseline: Reference | None = Field(
        default=None, description=f"a function that returns a hand-drawn network, as {REFERENCE}"
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
"""For each section of a job, the model of its keys."""

KEYS_BY_OTHER_NAME: Mapping[str, str] = {
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
"""For names that other toolkits or the Python arguments use, the corresponding keys of a job."""
