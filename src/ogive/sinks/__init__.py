"""Sinks: destinations of a run's metrics beside the journal, in files or in other tools. See `ogive.sinks.base`.

A sink is declared by its name, `"csv"`, by its name with options, `{"csv": {"path": "tables"}}`, or as an object. Paths are
relative to `sinks/` in the run's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ogive.errors import JobError
from ogive.registry import Registry
from ogive.run.events import Event
from ogive.sinks.base import Entry, Sink, feed_events, lock_target

Spec = str | Mapping[str, Mapping[str, Any] | None] | Sink
"""The declaration of a sink: its name, {name: options}, or an object."""

SINKS: Registry[Sink] = Registry(
    "sink",
    ("folder", "clock"),
    {
        "jsonl": "ogive.sinks.jsonl:JsonLines",
        "csv": "ogive.sinks.csv_table:Csv",
        "tensorboard": "ogive.sinks.tensorboard:TensorBoard",
        "mlflow": "ogive.sinks.mlflow:MLflow",
        "wandb": "ogive.sinks.wandb:WeightsAndBiases",
    },
)
register = SINKS.register
names = SINKS.names


def check_specs(sinks: Spec | Iterable[Spec]) -> list[Any]:
    """Return `sinks` as a list of {name: {option: value}}, the form that is journalled, and of objects.

    This function is called before a run begins, and writes nothing.

    Raises:
        JobError: there is no such sink, or it has no such option.
        MissingExtra: a package that one of the sinks needs is not installed.
    """
    if isinstance(sinks, (str, Mapping, Sink)):
        sinks = [sinks]
    if not isinstance(sinks, Iterable):
        raise JobError(f"sinks: found {sinks!r}; allowed: a list of names, {{name: {{option: value}}}}, or objects")
    return [_check_spec(item) for item in sinks]


def _check_spec(item: Any) -> Any:
    """Return the declaration of one sink as {name: {option: value}}, or the object; see `check_specs` for the errors."""
    if isinstance(item, Sink):
        return item
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, Mapping) or len(item) != 1:
        raise JobError(f"sinks: found {item!r}; allowed: a name, {{name: {{option: value}}}}, or an object")
    (name, options), *_ = item.items()
    if not isinstance(name, str) or not isinstance(options or {}, Mapping):
        raise JobError(f"sinks: found {item!r}; allowed: a name, {{name: {{option: value}}}}, or an object")
    options = dict(options or {})
    SINKS.check_options(name, options)
    for option, value in options.items():
        if not isinstance(value, (str, os.PathLike)):
            raise JobError(f"sink {name!r}: {option}: found {value!r}; allowed: text")
    spec = {name: {option: os.fspath(value) for option, value in options.items()}}
    # Creating a sink writes nothing, but raises MissingExtra if a package is not installed.
    _create(spec, Path())
    return spec


def create_sinks(sinks: Spec | Iterable[Spec], run: Path) -> list[Sink]:
    """Return the sinks of the run in the folder `run`; nothing is written yet.

    Raises:
        JobError: a name or an option is wrong, or two sinks have the same target.
        MissingExtra: a package that one of the sinks needs is not installed.
    """
    created = [_create(spec, run) for spec in check_specs(sinks)]
    targets = [sink.target for sink in created]
    for sink in created:
        if sink.target and targets.count(sink.target) > 1:
            raise JobError(f"sinks: two sinks write to {sink.target}; give one of them another path")
    return created


def _create(spec: Any, run: Path) -> Sink:
    """Return the sink with a checked declaration, for the run in the folder `run`."""
    if isinstance(spec, Sink):
        return spec
    (name, options), *_ = spec.items()
    return SINKS.factory(name)(run / "sinks", **options)


def write_events(sink: Sink, events: Iterable[Event], run: Path) -> None:
    """Write the events of a journal, from its first event, to a sink; events that its target holds already are skipped.

    Raises:
        RunError: the target holds another run or other files, or another process is writing to it.
        Exception: any exception of the sink.
    """
    with lock_target(sink, run):
        feed_events(sink, events)


__all__ = ["SINKS", "Entry", "Sink", "check_specs", "create_sinks", "names", "register", "write_events"]
