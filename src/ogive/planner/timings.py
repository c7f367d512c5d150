"""The durations that a plan is made from: measured for it, taken from an earlier run, or read from a file."""

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
NON_METRIC_COLUMNS = (*COLUMNS, "architecture", "unit")
UNITS = ("threads", "devices")


@dataclass(frozen=True)
class Epoch:
    """One epoch of one trial.

    Attributes:
        trial: the name of the trial. The same name with other `workers` is the same architecture.
        workers: that the trial had.
        epoch: its number, from 1.
        seconds: wall-clock time.
        first: whether it is the first of an attempt, so that it includes building the network.
        metrics: that it reported; empty if unknown.
    """

    trial: str
    workers: int
    epoch: int
    seconds: float
    first: bool
    metrics: Mapping[str, float] = EMPTY


@dataclass(frozen=True)
class StartUp:
    """A worker's start-up. Workers that start together give one value.

    Attributes:
        workers: threads, or data-parallel processes, of the worker.
        seconds: from the start of the process to its first job.
    """

    workers: int
    seconds: float


@dataclass(frozen=True)
class Timings:
    """Measured durations.

    Attributes:
        epochs: at least one.
        start_ups: of workers; may be empty.
        unit: of the workers: "threads" of a CPU, or "devices" with a data-parallel process each.
        source: of the numbers, in words.
        notes: for the reader of the plan, one sentence each.
    """

    epochs: tuple[Epoch, ...]
    start_ups: tuple[StartUp, ...] = ()
    unit: str = "threads"
    source: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def workers(self) -> tuple[int, ...]:
        """The different numbers of workers that trials had, in increasing order."""
        return tuple(sorted({epoch.workers for epoch in self.epochs}))

    @property
    def trials(self) -> tuple[str, ...]:
        """The names of the trials, in order of appearance."""
        return tuple(dict.fromkeys(epoch.trial for epoch in self.epochs))

    def to_json(self) -> dict[str, Any]:
        """Return the durations as JSON; `from_json` is the inverse."""
        return {
            "epochs": [{**asdict(epoch), "metrics": dict(epoch.metrics)} for epoch in self.epochs],
            "start_ups": [asdict(start) for start in self.start_ups],
            "unit": self.unit,
            "source": self.source,
            "notes": list(self.notes),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Timings:
        """Return the durations that `to_json` wrote."""
        return Timings(
            epochs=tuple(Epoch(**{**epoch, "metrics": _read_metrics(epoch["metrics"])}) for epoch in data["epochs"]),
            start_ups=tuple(StartUp(**start) for start in data["start_ups"]),
            unit=data["unit"],
            source=data["source"],
            notes=tuple(data["notes"]),
        )


def read_run_timings(state: State, source: str) -> Timings:
    """Return the durations in a run's journal: the epochs of its trials and the start-ups of its workers.

    The number of workers of a trial is the number of its data-parallel processes, or else of its worker's threads.

    Args:
        state: of the run.
        source: the run in words, for messages.

    Raises:
        JobError: no trial was computed, or the schedule varied a fidelity besides epochs.
    """
    varied = sorted({name for trial in state.trials.values() for name in trial.fidelity} - {"epochs"})
    if varied:
        raise JobError(
            f"{source}: its schedule varied {', '.join(varied)}, so its journal does not show how long a full epoch takes; "
            "leave this source out, and durations are measured"
        )
    sessions = list(zip(state.session_intervals, state.sessions, strict=True))
    begins = [interval.begin for interval, _ in sessions]
    workers = [_count_workers(session) for _, session in sessions]
    epochs: list[Epoch] = []
    attempt_begins: dict[int, list[float]] = {}
    for span in state.attempt_intervals:
        attempt_begins.setdefault(span.trial, []).append(span.begin)
    for trial in state.trials.values():
        if trial.cached:
            continue
        remaining = list(attempt_begins.get(trial.id, ()))
        for report in trial.reports:
            # The first report after the begin of an attempt is that of its first epoch.
            first = bool(remaining) and report.time >= remaining[0]
            while remaining and report.time >= remaining[0]:
                remaining.pop(0)
            session = max((i for i, begin in enumerate(begins) if begin <= report.time), default=-1)
            if report.seconds > 0 and session >= 0:
                epochs.append(
                    Epoch(
                        trial=f"{trial.id}",
                        workers=workers[session],
                        epoch=report.step,
                        seconds=report.seconds,
                        first=first,
                        metrics=dict(report.metrics),
                    )
                )
    if not epochs:
        raise JobError(f"{source}: no trial of this run was computed, so there are no durations to plan with")
    units = {"devices" if session.get("workers_per_trial", 1) > 1 else "threads" for _, session in sessions}
    start_ups = []
    for i, (interval, _) in enumerate(sessions):
        # The time from the start of the session to each worker's first trial; workers that start together give one value.
        first_begins: dict[str, float] = {}
        for span in state.attempt_intervals:
            if interval.begin <= span.begin <= interval.end:
                first_begins.setdefault(span.worker, span.begin - interval.begin)
        if seconds := [begin for begin in first_begins.values() if begin > 0]:
            start_ups.append(StartUp(workers[i], median(seconds)))
    return Timings(tuple(epochs), tuple(start_ups), "devices" if units == {"devices"} else "threads", source)


def _count_workers(session: Mapping[str, Any]) -> int:
    """Return the number of workers that each trial of a session had."""
    per_trial = int(session.get("workers_per_trial", 1))
    return per_trial if per_trial > 1 else int(session.get("threads", 1))


def read_timings(path: Path) -> Timings:
    """Read the durations in a file: CSV with the columns `COLUMNS`, JSON with a list of such rows, or a plan as JSON.

    `trial` is any name, `workers` and `epoch` are whole numbers, `seconds` is a number above 0. Epoch 0 is the start-up of a
    worker; epoch 1 is the first of an attempt. An optional column `unit` is one of `UNITS` ("threads" by default). Other
    columns are metrics if they hold numbers.

    Raises:
        JobError: the file cannot be read, or a row is wrong; the message names the row.
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
                raise JobError(f"{path} is no plan in the format of `ogive plan --json`: {error!r}") from error
        rows = data if isinstance(data, list) else None
    else:
        rows = list(csv.DictReader(text.splitlines()))
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise JobError(
            f"{path}: found no rows; allowed: rows with the columns {', '.join(COLUMNS)} (epoch 0: start-up)"
        )
    return parse_rows(rows, str(path))


def parse_rows(rows: Iterable[Mapping[str, Any]], source: str) -> Timings:
    """Return the durations in rows with the keys `COLUMNS`.

    Args:
        rows: as in a file.
        source: the file, for messages.

    Raises:
        JobError: a row is wrong, or no row is an epoch above 0.
    """
    epochs, starts, units = [], [], set()
    for number, row in enumerate(rows, 1):
        units.add(row.get("unit") or UNITS[0])
        workers, epoch = (
            _read_whole(row, name, low, f"{source}, row {number}") for name, low in (("workers", 1), ("epoch", 0))
        )
        seconds = _read_seconds(row, f"{source}, row {number}")
        if epoch == 0:
            starts.append(StartUp(workers, seconds))
            continue
        trial = row.get("trial", row.get("architecture"))
        if trial in (None, ""):
            raise JobError(
                f"{source}, row {number}: no trial (or architecture); give each architecture a name of its own"
            )
        epochs.append(
            Epoch(
                trial=str(trial),
                workers=workers,
                epoch=epoch,
                seconds=seconds,
                first=epoch == 1,
                metrics=_read_metrics(row),
            )
        )
    if not epochs:
        raise JobError(f"{source}: there is no epoch above 0, so there are no durations to plan with")
    if len(units) > 1 or not units <= set(UNITS):
        raise JobError(f"{source}: unit is {', '.join(sorted(map(repr, units)))}; allowed: one of {', '.join(UNITS)}")
    return Timings(tuple(epochs), tuple(starts), units.pop(), f"recorded in {source}")


def _read_whole(row: Mapping[str, Any], name: str, low: int, location: str) -> int:
    value = row.get(name)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not number.is_integer() or number < low:
        raise JobError(f"{location}: {name} is {value!r}; allowed: a whole number, at least {low}")
    return int(number)


def _read_seconds(row: Mapping[str, Any], location: str) -> float:
    value = row.get("seconds")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or number <= 0:
        raise JobError(f"{location}: seconds is {value!r}; allowed: a number above 0")
    return number


def _read_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the columns besides those of `NON_METRIC_COLUMNS` that hold finite numbers."""
    metrics = {}
    for name, value in row.items():
        try:
            number = math.nan if name in NON_METRIC_COLUMNS else float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            metrics[name] = number
    return metrics
