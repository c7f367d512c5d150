"""The sink `csv`: two tables in a folder, for spreadsheets and data frames.

`trials.csv` has a row for each trial, with its number, status, step, seconds, attempts, reason, metrics and decisions. The
file is replaced every few seconds while the run continues. `reports.csv` holds the learning curves: a row for each metric
of each report, in the order of the reports.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ogive.files import replace_text
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.sinks.base import Entry, Sink, SinkFolder
from ogive.sinks.rows import scalar, trial_row

REPORT_COLUMNS = ("seq", "time", "trial", "step", "seconds", "metric", "value")
MIN_SECONDS_BETWEEN_WRITES = 5.0
"""`trials.csv` is written at most once in this time while a run continues."""


class Csv(Sink):
    """Writes the two tables to the folder `path`."""

    name = "csv"

    def __init__(self, folder: Path, path: str = "csv", clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = SinkFolder(folder / path, "trials.csv", "reports.csv")
        self.target = str(folder / path)
        self._clock = clock
        self._unwritten_reports: list[list[Any]] = []  # rows of reports.csv
        self._state: State | None = None
        # The time of the clock at which trials.csv was last written; at the start, long enough ago for a write.
        self._trials_written_at = -MIN_SECONDS_BETWEEN_WRITES
        self._seq = 0  # the number of the last event

    def open(self, created: Event) -> int:
        self._seq = self._folder.open(created)
        if self._seq == 0:
            self._append_reports([REPORT_COLUMNS])
        return self._seq

    def write(self, entry: Entry) -> None:
        event, self._state = entry.event, entry.state
        self._seq = event.seq
        if event.kind is Kind.REPORTED:
            first_columns = [event.seq, event.time, event.trial, event.step, event.data.get("seconds", 0.0)]
            self._unwritten_reports += [[*first_columns, name, value] for name, value in event.data["metrics"].items()]

    def flush(self) -> None:
        self._append_reports(self._unwritten_reports)
        self._unwritten_reports = []
        if self._clock() - self._trials_written_at >= MIN_SECONDS_BETWEEN_WRITES:
            self._write_trials()
            self._trials_written_at = self._clock()

    def close(self) -> None:
        self._write_trials()
        self._folder.close(self._seq)

    def _append_reports(self, rows: Sequence[Sequence[Any]]) -> None:
        with (self._folder.path / "reports.csv").open("a", newline="") as file:
            csv.writer(file).writerows(rows)

    def _write_trials(self) -> None:
        if self._state is None:
            return
        rows = [trial_row(trial) for trial in self._state.trials.values()]
        # All columns of all rows, in the order in which they first occur.
        columns = list(dict.fromkeys(name for cells in rows for name in cells)) or ["trial", "status"]
        target = self._folder.path / "trials.csv"
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows({name: scalar(value) for name, value in cells.items()} for cells in rows)
        replace_text(target, text.getvalue())
