"""A job's keys seen to be what they may be, by pydantic, before anything is loaded or run; each error in one line."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ogive.errors import JobError
from ogive.job.keys import OTHER_NAMES, SECTIONS, JobKeys
from ogive.job.yaml_source import At, Source, found


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
        if len(at) == 1 and name in OTHER_NAMES:
            return at, f"there is no key {name!r}; a job calls it {OTHER_NAMES[name]!r}"
        return at, unknown("key", name, tuple(model.model_fields))
    allowed = _allowed(at)
    if detail["type"] == "missing":
        return at, f"is missing; give {allowed}"
    return at, f"{found(detail['input'])}; allowed: {allowed}"


def _model(at: At) -> type[BaseModel]:
    """The model whose key is the last of `at`."""
    names = at[:-1] if at[:1] != ("phases",) else at[:1] + at[2:-1]  # a phase may be called whatever its user likes
    above = [part for part in names if part in SECTIONS]
    if at[:1] == ("phases",) and len(at) <= 2:
        return JobKeys
    return SECTIONS[str(above[-1])] if above else JobKeys


def _allowed(at: At) -> str:
    """What the key's description says; for a value deeper inside, that of the nearest key above."""
    for n in range(len(at), 0, -1):
        field = _model(at[:n]).model_fields.get(str(at[n - 1]))
        if field is not None:
            return field.description or _type_name(field.annotation)
        if n == 2 and at[0] == "phases":
            return "a mapping of what this phase changes, such as {max_trials: 4, epochs: 1}"
    return "a mapping of keys"


def _type_name(annotation: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(annotation, "a number, or nothing")


def unknown(kind: str, name: str, names: tuple[str, ...]) -> str:
    """An unknown name, the one that was probably meant, and all that there are."""
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"there is no {kind} {name!r}; {hint}{'there are ' + ', '.join(names) if names else 'there are none'}"
