"""Flatten a trial to names and values, for files and other tools."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ogive.objective import Objective
from ogive.run.events import Kind
from ogive.trial import Trial

RESULT_KINDS = (Kind.FINISHED, Kind.STOPPED, Kind.FAILED, Kind.PAUSED)
"""Events after which a trial has a result; the result of a paused trial may still change."""

Scalar = str | int | float | bool


def trial_row(trial: Trial) -> dict[str, Any]:
    """Return a trial as one row: its record, metrics and decisions.

    If the row already has a column with the name of a metric or decision, the name gets the prefix `metric.` or `decision.`.
    """
    columns: dict[str, Any] = {
        "trial": trial.id,
        "status": trial.status.value,
        "step": trial.step,
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "reason": trial.reason or "",
    }
    for kind, values in (("metric", trial.metrics), ("decision", trial.architecture.to_json())):
        columns |= {name if name not in columns else f"{kind}.{name}": value for name, value in values.items()}
    return columns


def decisions_and_settings(trial: Trial) -> dict[str, Scalar]:
    """Return the decisions by name, and the settings of the trial with the prefix `settings.`."""
    settings = {f"settings.{name}": value for name, value in trial.proposal.settings.items()}
    return {name: scalar(value) for name, value in {**trial.architecture.to_json(), **settings}.items()}


def scalar(value: Any) -> Scalar:
    """Return text, numbers and booleans unchanged, the items of a list joined by +, and the text of anything else."""
    if isinstance(value, (str, int, float, bool)):
        return value
    return "+".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def tags(trial: Trial) -> dict[str, str]:
    """Return the properties of a trial beside its decisions, settings and metrics; those without a value are left out."""
    texts = {
        "architecture": trial.architecture.id,
        "status": trial.status.value,
        "origin": str(trial.proposal.note.get("origin", "")),
        "inherits": "trial {} at step {}".format(*trial.proposal.inherit) if trial.proposal.inherit else "",
        "cached": "yes" if trial.cached else "",
        "reason": trial.reason,
    }
    return {name: value for name, value in texts.items() if value}


def best_values(best: Iterable[Trial], objectives: Iterable[Objective]) -> dict[str, float]:
    """Return the best value of each objective among `best`; an objective without a value is left out."""
    trials = list(best)
    result = {}
    for objective in objectives:
        values = [trial.metrics[objective.metric] for trial in trials if objective.metric in trial.metrics]
        if values:
            result[objective.metric] = max(values) if objective.goal == "maximize" else min(values)
    return result


def to_strict_json(value: Any) -> Any:
    """Return `value` as strict JSON: numbers that are not finite become texts."""
    if isinstance(value, Mapping):
        return {str(key): to_strict_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_strict_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


class NameMapping:
    """Maps names to names that another tool allows.

    Forbidden characters become `_`; if two names would then be equal, the later one gets a number.

    Args:
        forbidden: a regular expression for the characters that the tool does not allow.
        max_length: at most this many characters are allowed in a name.
    """

    def __init__(self, forbidden: str, max_length: int) -> None:
        self._forbidden = re.compile(forbidden)
        self._max_length = max_length
        self._mapped: dict[str, str] = {}
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name not in self._mapped:
            # Leave four characters for a number.
            allowed = self._forbidden.sub("_", name)[: self._max_length - 4] or "_"
            unique, number = allowed, 2
            while unique in self._used:
                unique, number = f"{allowed}_{number}", number + 1
            self._mapped[name] = unique
            self._used.add(unique)
        return self._mapped[name]
