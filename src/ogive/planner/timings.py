"""The durations that a plan is made from. They are measured for the plan, or read from an earlier run or a file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ogive.errors import JobError
from ogive.run.state import State
from ogive.trial import EMPTY

COLUMNS = ("trial", "workers", "epoch", "seconds")
"""The required columns of a file."""
NON_METRIC_COLUMNS = (*COLUMNS, "architecture", "unit")
"""The columns that are not read as metrics. `architecture` may be used instead of `trial`."""
UNITS = ("threads", "devices")
"""The units of workers."""


@dataclass(frozen=True)
class MeasuredEpoch:
    """One epoch of one trial.

    Attributes:
        trial: the name of the trial. Trials with the same name and other `workers` have the same architecture.
        workers: the number of workers of the trial.
        epoch: the number of the epoch, from 1.
        seconds: the wall-clock time of the epoch.
        first: whether it is the first epoch of an attempt, which includes building the network.
        metrics: the metrics that were reported after the epoch; empty if unknown.
    """

    trial: str
    workers: int
    epoch: int
    seconds: float
    first: bool
    metrics: Mapping[str, float] = EMPTY


@dataclass(frozen=True)
class MeasuredStartUp:
    """A measured start-up of a worker. Workers that start at the same time are one measurement.

    Attributes:
        workers: the number of threads of the worker, or of its data-parallel processes.
        seconds: the time from the start of the process to its first job.
    """

    workers: int
    seconds: float


@dataclass(frozen=True)
class Timings:
    """Measured durations.

    Attributes:
        epochs: the measured epochs, at least one.
        start_ups: the measured start-ups of workers; may be empty.
        unit: the unit of the workers: "threads" of a CPU, or "devices" with a data-parallel process each.
        source: the source of the durations, in words.
        notes: sentences for the reader of the plan.
    """

    epochs: tuple[MeasuredEpoch, ...]
    start_ups: tuple[MeasuredStartUp, ...] = ()
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
            epochs=tuple(
                MeasuredEpoch(**{**epoch, "metrics": _read_metrics(epoch["metrics"])}) for epoch in data["epochs"]
            ),
            start_ups=tuple(MeasuredStartUp(**start) for start in data["start_ups"]),
            unit=data["unit"],
            source=data["source"],
            notes=tuple(data["notes"]),
        )


def read_run_timings(state: State, source: str) -> Timings:
    """Return the durations in a run's journal: the epochs of its trials and the start-ups of its workers.

    The number of workers of a trial is the number of its data-parallel processes if there are several, or else the number of
    its worker's threads. The unit is "devices" only if trials had several processes in every session.

    Args:
        state: the state of the run.
        source: the run in words, for messages.

    Raises:
        JobError: no trial was computed, or the schedule varied a fidelity besides epochs.
    """
    fidelities = sorted({name for trial in state.trials.values() for name in trial.fidelity} - {"epochs"})
    if fidelities:
        raise JobError(
            f"{source}: its schedule varied {', '.join(fidelities)}, so its journal does not show how long a full epoch "
            "takes; without this source, durations are measured"
        )
    workers = [_count_workers(session) for session in state.sessions]
    epochs = _read_epochs(state, workers)
    if not epochs:
        raise JobError(f"{source}: no trial of this run was computed, so there are no durations to plan with")
    units = {"devices" if session.get("workers_per_trial", 1) > 1 else "threads" for session in state.sessions}
    unit = "devices" if units == {"devices"} else "threads"
    return Timings(tuple(epochs), tuple(_read_start_ups(state, workers)), unit, source)


def _read_epochs(state: State, workers: Sequence[int]) -> list[MeasuredEpoch]:
    """Return the epochs of all computed trials; `workers` are the workers per trial of each session."""
    session_begins = [interval.begin for interval in state.session_intervals]
    attempt_begins: dict[int, list[float]] = {}
    for attempt in state.attempt_intervals:
        attempt_begins.setdefault(attempt.trial, []).append(attempt.begin)
    epochs: list[MeasuredEpoch] = []
    for trial in state.trials.values():
        if trial.cached:
            continue
        # The begins of the attempts without a report so far.
        begins = list(attempt_begins.get(trial.id, ()))
        for report in trial.reports:
            # The first report after the begin of an attempt is the report of its first epoch.
            is_first = bool(begins) and report.time >= begins[0]
            while begins and report.time >= begins[0]:
                begins.pop(0)
            session_index = max((i for i, begin in enumerate(session_begins) if begin <= report.time), default=-1)
            if report.seconds > 0 and session_index >= 0:
                epochs.append(
                    MeasuredEpoch(
                        trial=f"{trial.id}",
                        workers=workers[session_index],
                        epoch=report.step,
                        seconds=report.seconds,
                        first=is_first,
                        metrics=dict(report.metrics),
                    )
                )
    return epochs


def _read_start_ups(state: State, workers: Sequence[int]) -> list[MeasuredStartUp]:
    """Return a start-up for each session: the median time from its begin to the first attempt of each worker."""
    start_ups = []
    for session, session_workers in zip(state.session_intervals, workers, strict=True):
        # By worker, in seconds after the begin of the session.
        first_attempts: dict[str, float] = {}
        for attempt in state.attempt_intervals:
            if session.begin <= attempt.begin <= session.end:
                first_attempts.setdefault(attempt.worker, attempt.begin - session.begin)
        if seconds := [second for second in first_attempts.values() if second > 0]:
            start_ups.append(MeasuredStartUp(session_workers, median(seconds)))
    return start_ups


def _count_workers(session: Mapping[str, Any]) -> int:
    """Return the number of workers that each trial of a session had."""
    per_trial = int(session.get("workers_per_trial", 1))
    return per_trial if per_trial > 1 else int(session.get("threads", 1))


def read_timings(path: Path) -> Timings:
    """Read the durations in a file: CSV with the columns `COLUMNS`, JSON with a list of such rows, or a plan as JSON.

    `trial` is any name, `workers` and `epoch` are whole numbers, and `seconds` is a number above 0. A row with epoch 0 is
    the start-up of a worker. Epoch 1 is the first epoch of an attempt. The optional column `unit` is one of `UNITS`
    ("threads" by default). Other columns are metrics if they hold numbers.

    Raises:
        JobError: the file cannot be read, or a row is wrong. The message names the row.
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
                raise JobError(f"{path} is not a plan in the format of `ogive plan --json`: {error!r}") from error
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
        rows: the rows of a file.
        source: the path of the file, for messages.

    Raises:
        JobError: a row is wrong, or no row is an epoch above 0.
    """
    epochs, start_ups, units = [], [], set()
    for number, row in enumerate(rows, 1):
        units.add(row.get("unit") or UNITS[0])
        workers, epoch = (
            _read_whole_number(row, name, low, f"{source}, row {number}")
            for name, low in (("workers", 1), ("epoch", 0))
        )
        seconds = _read_seconds(row, f"{source}, row {number}")
        if epoch == 0:
            start_ups.append(MeasuredStartUp(workers, seconds))
            continue
        trial = row.get("trial", row.get("architecture"))
        if trial in (None, ""):
            raise JobError(
                f"{source}, row {number}: no trial (or architecture); give each architecture a name of its own"
            )
        epochs.append(
            MeasuredEpoch(
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
    return Timings(tuple(epochs), tuple(start_ups), units.pop(), f"recorded in {source}")


def _read_whole_number(row: Mapping[str, Any], name: str, low: int, location: str) -> int:
    """Return the whole number in the column `name`, which must be at least `low`."""
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
    """Return the metrics of a row: all finite numbers in columns that are not in `NON_METRIC_COLUMNS`."""
    metrics = {}
    for name, value in row.items():
        try:
            number = math.nan if name in NON_METRIC_COLUMNS else float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            metrics[name] = number
    return metrics
