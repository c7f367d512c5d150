"""Check the keys of a job with pydantic, before anything is loaded or run. Each error has one line."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ogive.errors import JobError
from ogive.job.key_types import Keys
from ogive.job.keys import KEYS_BY_OTHER_NAME, SECTIONS, JobKeys
from ogive.job.yaml_source import KeyPath, Source, describe_value


def check_keys(source: Source) -> JobKeys:
    """Return the keys of a job, after checking their names, types and values.

    Raises:
        JobError: keys are unknown or missing, or have wrong values. The message has a line for each of them.
    """
    try:
        return JobKeys.model_validate(dict(source.data))
    except ValidationError as error:
        lines = [str(source.error(*_locate_and_explain(detail))) for detail in error.errors()]
        raise JobError("\n".join(dict.fromkeys(lines))) from error


def _locate_and_explain(detail: ErrorDetails) -> tuple[KeyPath, str]:
    """Return the location of a pydantic error, and a message that uses the terms of a job."""
    key = detail["loc"]
    name = str(key[-1]) if key else ""
    if detail["type"] == "extra_forbidden":
        if len(key) == 1 and name in KEYS_BY_OTHER_NAME:
            return key, f"there is no key {name!r}; in a job it is called {KEYS_BY_OTHER_NAME[name]!r}"
        return key, format_unknown_name("key", name, tuple(_find_model_with_key(key).model_fields))
    allowed = _describe_allowed(key)
    if detail["type"] == "missing":
        return key, f"the key is missing; give {allowed}"
    return key, f"{describe_value(detail['input'])}; allowed: {allowed}"


def _find_model_with_key(key: KeyPath) -> type[BaseModel]:
    """Return the pydantic model that has a field for the last part of `key`.

    If the user chooses that part, such as the name of a phase or of a decision in `only`, the result has no fields.
    """
    if len(key) <= 1:
        return JobKeys
    in_phases = key[0] == "phases"
    # Skip the name of a phase: the user chooses it, and it may be the name of a section.
    enclosing = key[:1] + key[2:-1] if in_phases else key[:-1]
    sections = [part for part in enclosing if part in SECTIONS]
    return SECTIONS[str(sections[-1])] if sections and not (in_phases and len(key) == 2) else Keys


def _describe_allowed(key: KeyPath) -> str:
    """Return the description of the allowed values of `key`, or of the nearest enclosing key that has a description."""
    for length in range(len(key), 0, -1):
        field = _find_model_with_key(key[:length]).model_fields.get(str(key[length - 1]))
        if field is not None:
            return field.description or _describe_type(field.annotation)
        if length == 2 and key[0] == "phases":
            return "a mapping of the keys that this phase changes, such as {max_trials: 4, epochs: 1}"
    return "a mapping of keys"


def _describe_type(annotation: Any) -> str:
    """Return a description of the type of a key that has no description, such as those of the recipe."""
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(annotation, "a number, or nothing")


def format_unknown_name(kind: str, name: str, names: tuple[str, ...]) -> str:
    """Return the message for an unknown name, with the most similar known name and all known names.

    Args:
        kind: the kind of thing that the name should denote, such as "strategy".
        name: the unknown name.
        names: the known names.
    """
    similar = get_close_matches(name, names, n=1)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    known_names = f"known names: {', '.join(names)}" if names else "no names are known"
    return f"there is no {kind} {name!r}; {hint}{known_names}"
