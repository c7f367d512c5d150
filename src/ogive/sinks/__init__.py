"""Sinks: a run shown elsewhere, in files or in other tools. `base.py` has the contract.

A sink is named by itself, `"csv"`, or with options, `{"csv": {"path": "tables"}}`, or is an object of the user's. Paths
are relative to `sinks/` in the run's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ogive.errors import JobError
from ogive.registry import Registry
from ogive.run.events import Event
from ogive.sinks.base import Entry, Sink, feed, locked

Spec = str | Mapping[str, Mapping[str, Any] | None] | Sink

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
    """`sinks` as a list of {name: {option: value}}, as it is journalled, and of objects; checked before a run is begun.

    Raises:
        JobError: there is no such sink, or it has no such option.
        MissingExtra: a package that one of them needs is not installed.
    """
    if isinstance(sinks, (str, Mapping, Sink)):
        sinks = [sinks]
    if not isinstance(sinks, Iterable):
        raise JobError(f"sinks={sinks!r}: a list of names, {{name: {{option: value}}}}, or objects")
    return [_spec(item) for item in sinks]


def _spec(item: Any) -> Any:
    if isinstance(item, Sink):
        return item
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, Mapping) or len(item) != 1:
        raise JobError(f"sinks: found {item!r}; allowed: a name, {{name: {{option: value}}}}, or an object")
    (name, options), *_ = item.items()
    if not isinstance(name, str) or not isinstance(options or {}, Mapping):
        raise JobError(f"sinks: found {item!r}; allowed: a name, {{name: {{option: value}}}}, or an object")
    given = dict(options or {})
    SINKS.check_options(name, given)
    for option, value in given.items():
        if not isinstance(value, (str, os.PathLike)):
            raise JobError(f"sink {name!r}: {option} is {value!r}, but must be a text")
    spec = {name: {option: os.fspath(value) for option, value in given.items()}}
    _create(spec, Path())  # which writes nothing, and tells what is not installed
    return spec


def create(sinks: Spec | Iterable[Spec], run: Path) -> list[Sink]:
    """The sinks of the run in the folder `run`; nothing is written yet.

    Raises:
        JobError: a name or an option is wrong, or two sinks write to one place.
        MissingExtra: a package that one of them needs is not installed.
    """
    made = [_create(spec, run) for spec in check_specs(sinks)]
    places = [sink.place for sink in made]
    for sink in made:
        if sink.place and places.count(sink.place) > 1:
            raise JobError(f"sinks: two of them write to {sink.place}; give one of them another path")
    return made


def _create(spec: Any, run: Path) -> Sink:
    if isinstance(spec, Sink):
        return spec
    (name, options), *_ = spec.items()
    return SINKS.factory(name)(run / "sinks", **options)


def write(sink: Sink, events: Iterable[Event], run: Path) -> None:
    """Bring a sink up to date with the events of a journal, from the first one on, in this thread.

    Raises:
        RunError: its place holds something else, or another process is writing there.
        Exception: whatever the sink raises.
    """
    with locked(sink, run):
        feed(sink, events)


__all__ = ["SINKS", "Entry", "Sink", "create", "names", "register", "specs", "write"]
