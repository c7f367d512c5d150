"""Durations that a plan is made from: measured for it, taken from an earlier run's journal, or read from a file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ogive.errors import JobError
from ogive.run.state import State
from ogive.trial import EMPTY

COLUMNS = ("trial", "workers", "epoch", "seconds")
NO_METRICS = (*COLUMNS, "architecture", "unit")
UNITS = ("threads", "devices")


@dataclass(frozen=True)
class Epoch:
    """One epoch of one trial.

    Attributes:
        trial: which; equal names are one architecture, however many workers it was given.
        workers: given to the trial.
        epoch: counted from 1.
        seconds: on the wall.
        first: whether an attempt began with it: building the network and the like are in it.
        metrics: what it reported, where that is known.
    """

    trial: str
    workers: int
    epoch: int
    seconds: float
    first: bool
    metrics: Mapping[str, float] = EMPTY


@dataclass(frozen=True)
class StartUp:
    """Seconds from the start of a worker process with so many `workers` to its first job; one for those started together."""

    workers: int
    seconds: float


@dataclass(frozen=True)
class Timings:
    """What was measured.

    Attributes:
        epochs, start_ups: one of each at least for epochs.
        unit: what a worker is: "threads" of a CPU, or "devices" with a data-parallel process each.
        source: where the numbers are from, in words.
        notes: what a reader of the plan should know about them.
    """

    epochs: tuple[Epoch, ...]
    start_ups: tuple[StartUp, ...] = ()
    unit: str = "threads"
    source: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def workers(self) -> tuple[int, ...]:
        """How many workers a trial was given, in order."""
        return tuple(sorted({epoch.workers for epoch in self.epochs}))

    @property
    def trials(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(epoch.trial for epoch in self.epochs))

    def to_json(self) -> dict[str, Any]:
        return {
            "epochs": [{**asdict(epoch), "metrics": dict(epoch.metrics)} for epoch in self.epochs],
            "start_ups": [asdict(start) for start in self.start_ups],
            "unit": self.unit,
            "source": self.source,
            "notes": list(self.notes),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Timings:
        return Timings(
            tuple(Epoch(**{**epoch, "metrics": _metrics(epoch["metrics"])}) for epoch in data["epochs"]),
            tuple(StartUp(**start) for start in data["start_ups"]),
            data["unit"],
            data["source"],
            tuple(data["notes"]),
        )


def timings_of_run(state: State, source: str) -> Timings:
    """The durations in a run's journal: the reports of its trials, and how long its workers took to start.

    How many workers a trial had is the number of threads of its worker, or of its data-parallel processes.

    Raises:
        JobError: nothing was computed in it, or an epoch of it is not always a full one.
    """
    varied = sorted({name for trial in state.trials.values() for name in trial.fidelity} - {"epochs"})
    if varied:
        raise JobError(
            f"{source}: its schedule varied {', '.join(varied)}, and its journal does not tell how long a full epoch takes; "
            "leave this source out, and durations are measured"
        )
    sessions = list(zip(state.stretches, state.sessions, strict=True))
    begins = [stretch.begin for stretch, _ in sessions]
    given = [_given(session) for _, session in sessions]
    epochs: list[Epoch] = []
    spans: dict[int, list[float]] = {}
    for span in state.spans:
        spans.setdefault(span.trial, []).append(span.begin)
    for trial in state.trials.values():
        if trial.cached:
            continue
        starts = list(spans.get(trial.id, ()))
        for report in trial.reports:
            first = bool(starts) and report.time >= starts[0]
            while starts and report.time >= starts[0]:
                starts.pop(0)
            session = max((i for i, begin in enumerate(begins) if begin <= report.time), default=-1)
            if report.seconds > 0 and session >= 0:
                epochs.append(
                    Epoch(f"{trial.id}", given[session], report.step, report.seconds, first, dict(report.metrics))
                )
    if not epochs:
        raise JobError(f"{source}: no trial of this run was computed, so there are no durations to plan with")
    units = {"devices" if session.get("workers_per_trial", 1) > 1 else "threads" for _, session in sessions}
    starts_up = []
    for i, (stretch, _) in enumerate(sessions):
        first_of: dict[str, float] = {}
        for span in state.spans:
            if stretch.begin <= span.begin <= stretch.end:
                first_of.setdefault(span.worker, span.begin - stretch.begin)
        if together := [seconds for seconds in first_of.values() if seconds > 0]:
            starts_up.append(StartUp(given[i], median(together)))
    return Timings(tuple(epochs), tuple(starts_up), "devices" if units == {"devices"} else "threads", source)


def _given(session: Mapping[str, Any]) -> int:
    per_trial = int(session.get("workers_per_trial", 1))
    return per_trial if per_trial > 1 else int(session.get("threads", 1))


def read_timings(path: Path) -> Timings:
    """The durations in a file: CSV with the columns of `COLUMNS`, JSON with a list of such rows, or a plan as JSON.

    `trial` is any name, `workers` and `epoch` are whole numbers, `seconds` is a number above 0. Epoch 0 is the start-up of a
    worker; epoch 1 is the first of an attempt. A column `unit` says what a worker is, where it is not a thread: one of
    `UNITS`. Columns beside these are metrics, where they are numbers.

    Raises:
        JobError: it cannot be read, or a row is not what it should be; says which.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path} cannot be read: {error}; give a run's folder, a CSV or a JSON file") from error
    if path.suffix.lower() == ".json":
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise JobError(f"{path} is not JSON: {error}") from error
        if isinstance(data, Mapping) and "timings" in data:
            try:
                return Timings.from_json(data["timings"])
            except (KeyError, TypeError, AttributeError) as error:
                raise JobError(f"{path} is no plan as `ogive plan --json` prints it: {error!r}") from error
        rows = data if isinstance(data, list) else None
    else:
        rows = list(csv.DictReader(text.splitlines()))
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise JobError(f"{path}: found no rows; allowed: rows with {', '.join(COLUMNS)} (epoch 0: a worker's start-up)")
    return timings_of_rows(rows, str(path))


def timings_of_rows(rows: Iterable[Mapping[str, Any]], source: str) -> Timings:
    """Timings of rows with the keys of `COLUMNS`.

    Raises:
        JobError: a row is not what it should be, or no epoch is among them.
    """
    epochs, starts, units = [], [], set()
    for number, row in enumerate(rows, 1):
        units.add(row.get("unit") or UNITS[0])
        workers, epoch = (
            _whole(row, name, low, f"{source}, row {number}") for name, low in (("workers", 1), ("epoch", 0))
        )
        seconds = _seconds(row, f"{source}, row {number}")
        if epoch == 0:
            starts.append(StartUp(workers, seconds))
            continue
        trial = row.get("trial", row.get("architecture"))
        if trial in (None, ""):
            raise JobError(f"{source}, row {number}: no trial (or architecture); any name that tells it from others")
        epochs.append(Epoch(str(trial), workers, epoch, seconds, epoch == 1, _metrics(row)))
    if not epochs:
        raise JobError(f"{source}: there is no epoch above 0, so there are no durations to plan with")
    if len(units) > 1 or not units <= set(UNITS):
        raise JobError(f"{source}: unit is {', '.join(sorted(map(repr, units)))}; allowed: one of {', '.join(UNITS)}")
    return Timings(tuple(epochs), tuple(starts), units.pop(), f"recorded in {source}")


def _whole(row: Mapping[str, Any], name: str, low: int, where: str) -> int:
    value = row.get(name)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not number.is_integer() or number < low:
        raise JobError(f"{where}: {name} is {value!r}; allowed: a whole number, at least {low}")
    return int(number)


def _seconds(row: Mapping[str, Any], where: str) -> float:
    value = row.get("seconds")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or number <= 0:
        raise JobError(f"{where}: seconds is {value!r}; allowed: a number above 0")
    return number


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """What beside the columns is a finite number."""
    found = {}
    for name, value in row.items():
        try:
            number = math.nan if name in NO_METRICS else float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            found[name] = number
    return found
