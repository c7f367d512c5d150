"""The keys of a job: what each may be, checked by pydantic before anything is loaded or run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from ogive.errors import JobError
from ogive.job.source import At, Source, found
from ogive.task.recipe import Recipe


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


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _metric(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


Named = Annotated[dict[str, dict[str, Any]], BeforeValidator(_named)]
Reference = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]

REFERENCE = "'file.py:name' (the file beside the job) or 'package.module:name'"
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
    seed: int = Field(default=0, ge=0, description="a whole number, at least 0")
    device: str = Field(default="cpu", description="cpu, cuda, cuda:N, or auto")


class ObjectiveKeys(_Keys):
    """A metric with a goal."""

    metric: Reference = Field(description="the name of a metric, such as accuracy")
    goal: Literal["maximize", "minimize"] | None = Field(default=None, description="maximize or minimize")


class ConstraintKeys(_Keys):
    """A metric with a threshold."""

    metric: Reference = Field(description="the name of a metric, such as parameters")
    at_most: float | None = Field(default=None, description="a number; give one of at_most and at_least")
    at_least: float | None = Field(default=None, description="a number; give one of at_most and at_least")
    hard: bool = Field(default=False, description="true or false")


_RECIPE = {field.name: (get_type_hints(Recipe)[field.name], field.default) for field in fields(Recipe)}
RecipeKeys: type[BaseModel] = create_model("RecipeKeys", __base__=_Keys, **_RECIPE)  # type: ignore[call-overload]
"""The fields of `ogive.task.Recipe`, with its types and defaults."""


class JobKeys(_Keys):
    """The whole file."""

    space: Annotated[SpaceKeys, BeforeValidator(_spaces)] = Field(
        description=f"{REFERENCE}, or {{zoo: {NAMED.removeprefix('a ')}}}"
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
    epochs: Count | None = Field(default=None, description="a whole number, at least 1")
    max_trials: Count = Field(default=100, description="a whole number, at least 1")
    workers: Count = Field(default=1, description="a whole number, at least 1")
    max_failed_trials: Count | None = Field(default=None, description="a whole number, at least 1")
    retries: int = Field(default=2, ge=0, description="a whole number, at least 0")
    time_limit: Positive | None = Field(default=None, description="seconds of one trial, a number above 0")
    memory_limit: Positive | None = Field(default=None, description="gigabytes of one trial, a number above 0")
    budget: Positive | None = Field(default=None, description="hours of the whole search, a number above 0")
    seed: int = Field(default=0, ge=0, description="a whole number, at least 0")
    run: Reference | None = Field(default=None, description="the run's folder, relative to the job's file")
    cache: bool = Field(default=True, description="true or false")
    executor: Literal["processes", "inline"] = Field(default="processes", description="processes or inline")
    synchronous: Literal["NORMAL", "FULL"] = Field(default="NORMAL", description="NORMAL or FULL")
    baseline: Reference | None = Field(
        default=None, description=f"a function that makes a network by hand, as {REFERENCE}"
    )


_INSIDE: Mapping[str, type[BaseModel]] = {
    "task": TaskKeys,
    "recipe": RecipeKeys,
    "objectives": ObjectiveKeys,
    "constraints": ConstraintKeys,
}


def check_keys(source: Source) -> JobKeys:
    """The job's keys, each of the type and in the range that it may be.

    Raises:
        JobError: something is not what it should be; one line for each such thing.
    """
    try:
        return JobKeys.model_validate(dict(source.data))
    except ValidationError as error:
        lines = [str(source.error(*_explain(detail))) for detail in error.errors()]
        raise JobError("\n".join(dict.fromkeys(lines))) from error


def _explain(detail: ErrorDetails) -> tuple[At, str]:
    """Where, and what is wrong there, in a line."""
    at = detail["loc"]
    model = _model(at)
    name = str(at[-1]) if at else ""
    if detail["type"] == "extra_forbidden":
        return at, unknown("key", name, tuple(model.model_fields))
    allowed = _allowed(at)
    if detail["type"] == "missing":
        return at, f"is missing; give {allowed}"
    return at, f"{found(detail['input'])}; allowed: {allowed}"


def _model(at: At) -> type[BaseModel]:
    """The model whose key is the last of `at`."""
    return _INSIDE.get(str(at[0]), JobKeys) if len(at) > 1 else JobKeys


def _allowed(at: At) -> str:
    """What the key's description says; for a value deeper inside, that of the nearest key above."""
    for n in range(len(at), 0, -1):
        field = _model(at[:n]).model_fields.get(str(at[n - 1]))
        if field is not None:
            return field.description or _type_name(field.annotation)
    return "a mapping of keys"


def _type_name(annotation: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(annotation, "a number, or nothing")


def unknown(kind: str, name: str, names: tuple[str, ...]) -> str:
    """An unknown name, the one that was probably meant, and all that there are."""
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"there is no {kind} {name!r}; {hint}{'there are ' + ', '.join(names) if names else 'there are none'}"
