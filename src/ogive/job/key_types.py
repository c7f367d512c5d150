"""The types of the values in a job: their ranges, and the short forms that are converted to full ones.

The texts of the errors here are not shown: `ogive.job.key_validation` describes the allowed values instead.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

AUTO = "auto"
"""The value of `parallel_trials` if a plan should decide how many trials run at a time."""


class Keys(BaseModel):
    """The base class of the pydantic models of a job's keys. Unknown keys are errors, and types are not converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def normalize_name_and_options(value: Any) -> Any:
    """Return {name: {option: value}}. The value may also be a name alone, or {name: nothing}."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict) and len(value) == 1:
        name, options = next(iter(value.items()))
        if isinstance(name, str) and isinstance(options, (dict, type(None))):
            return {name: options or {}}
    raise PydanticCustomError("name_and_options", "not a name with options")


def normalize_space(value: Any) -> Any:
    """Return the fields of `SpaceKeys`, given a reference or {zoo: name with options}."""
    if isinstance(value, str):
        return {"at": value}
    if isinstance(value, dict) and set(value) == {"zoo"}:
        return {"zoo": normalize_name_and_options(value["zoo"])}
    raise PydanticCustomError("space", "neither a reference nor a space of the zoo")


def normalize_budget(value: Any) -> Any:
    """Return a mapping. A number alone is a number of hours."""
    return value if isinstance(value, dict) else {"hours": value}


def check_price(value: Any) -> Any:
    """Return a price, after checking that it is an amount of money above 0, or a name."""
    is_amount = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
    if not is_amount and not (isinstance(value, str) and value):
        raise PydanticCustomError("price", "neither an amount of money nor a name")
    return value


def normalize_executor(value: Any) -> Any:
    """Return {name: {option: value}}; a name alone stays a text. `ogive.session.executor_config` checks the content."""
    return value if isinstance(value, str) else normalize_name_and_options(value)


def check_warm_start(value: Any) -> Any:
    """Return the value: None, the folder of a run, or a mapping, which `ogive.job.search_parts` checks."""
    if value is not None and not (isinstance(value, str) and value) and not isinstance(value, dict):
        raise PydanticCustomError("warm_start", "neither a folder nor a mapping")
    return value


def check_parallel_trials(value: Any) -> Any:
    """Return the value of `parallel_trials`, after checking that it is a number, at least 1, or "auto"."""
    if value != AUTO and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise PydanticCustomError("parallel_trials", "neither a number nor auto")
    return value


def check_not_empty(value: Any) -> Any:
    """Return a section (a model of keys), after checking that at least one of its keys has a value."""
    if not any(item is not None for item in dict(value).values()):  # `dict` of a pydantic model has its fields
        raise PydanticCustomError("empty", "no key has a value")
    return value


def normalize_list(value: Any) -> Any:
    """Return a list. A single value becomes a list of this value."""
    return value if isinstance(value, list) else [value]


def normalize_objective(value: Any) -> Any:
    """Return the fields of `ObjectiveKeys`. A name alone is the name of a metric."""
    return {"metric": value} if isinstance(value, str) else value


NameAndOptions = Annotated[dict[str, dict[str, Any]], BeforeValidator(normalize_name_and_options)]
Reference = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]

# Descriptions of allowed values, for error messages.
REFERENCE = "'file.py:name' (a file beside the job file) or 'package.module:name'"
BUDGET = "hours, a number above 0, or {hours: h, money: m} with one or both"
NAME_AND_OPTIONS = "a name, or {name: {option: value}}"
