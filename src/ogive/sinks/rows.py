"""A trial as flat names and values, as files and other tools want it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ogive.objective import Objective
from ogive.run.events import Kind
from ogive.trial import Trial

AT_REST = (Kind.FINISHED, Kind.STOPPED, Kind.FAILED, Kind.PAUSED)
"""Events after which a trial has a result, for the time being where it is paused."""

Scalar = str | int | float | bool


def row(trial: Trial) -> dict[str, Any]:
    """A trial as one flat row; metrics and decisions whose names are taken get `metric.` or `decision.` in front."""
    flat: dict[str, Any] = {
        "trial": trial.id,
        "status": trial.status.value,
        "step": trial.step,
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "reason": trial.reason,
    }
    for kind, values in (("metric", trial.metrics), ("decision", trial.architecture.to_json())):
        flat |= {name if name not in flat else f"{kind}.{name}": value for name, value in values.items()}
    return flat


def parameters(trial: Trial) -> dict[str, Scalar]:
    """What was tried: the decisions by name, and the settings with `settings.` in front."""
    settings = {f"settings.{name}": value for name, value in trial.proposal.settings.items()}
    return {name: scalar(value) for name, value in {**trial.architecture.to_json(), **settings}.items()}


def scalar(value: Any) -> Scalar:
    """`value` where it is a text, a number or a truth value; the parts of a list joined by +; else its text."""
    if isinstance(value, (str, int, float, bool)):
        return value
    return "+".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def tags(trial: Trial) -> dict[str, str]:
    """What is told of a trial beside its parameters and metrics."""
    found = {
        "architecture": trial.architecture.id,
        "status": trial.status.value,
        "origin": str(trial.proposal.note.get("origin", "")),
        "inherits": "trial {} at step {}".format(*trial.proposal.inherit) if trial.proposal.inherit else "",
        "cached": "yes" if trial.cached else "",
        "reason": trial.reason,
    }
    return {name: value for name, value in found.items() if value}


def best_values(best: Iterable[Trial], objectives: Iterable[Objective]) -> dict[str, float]:
    """The best value so far of each objective among the best trials."""
    trials = list(best)
    found = {}
    for objective in objectives:
        values = [trial.metrics[objective.metric] for trial in trials if objective.metric in trial.metrics]
        if values:
            found[objective.metric] = max(values) if objective.goal == "maximize" else min(values)
    return found


def plain(value: Any) -> Any:
    """`value` as strict JSON: numbers that are not finite become texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


class Names:
    """Names that a tool allows, one for each name of ours: what is not allowed becomes `_`, and a clash gets a number."""

    def __init__(self, forbidden: str, longest: int) -> None:
        self._forbidden = re.compile(forbidden)
        self._longest = longest
        self._known: dict[str, str] = {}
        self._taken: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            allowed = self._forbidden.sub("_", name)[: self._longest - 4] or "_"
            found, number = allowed, 2
            while found in self._taken:
                found, number = f"{allowed}_{number}", number + 1
            self._known[name] = found
            self._taken.add(found)
        return self._known[name]
