"""CSV: two tables in a folder, for spreadsheets and data frames.

`trials.csv` has a row for each trial: number, status, step, seconds, attempts, reason, and a column for each metric and
each decision. It is replaced every few seconds while the run continues. `reports.csv` has a row for each metric of each
report, in order: the learning curves.
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
from ogive.sinks.base import Entry, OwnFolder, Sink
from ogive.sinks.rows import scalar, trial_row

REPORTS = ("seq", "time", "trial", "step", "seconds", "metric", "value")
EVERY_SECONDS = 5.0
"""The shortest time between two writes of `trials.csv` while a run continues."""


class Csv(Sink):
    """Writes the two tables to the folder `path`."""

    name = "csv"

    def __init__(self, folder: Path, path: str = "csv", clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = OwnFolder(folder / path, "trials.csv", "reports.csv")
        self.target = str(folder / path)
        self._clock = clock
        self._reports: list[list[Any]] = []  # rows of reports.csv that are not written yet
        self._state: State | None = None
        self._trials_written = -EVERY_SECONDS  # when trials.csv was written last, on the clock
        self._seq = 0

    def open(self, created: Event) -> int:
        self._seq = self._folder.open(created)
        if self._seq == 0:
            self._append_reports([REPORTS])
        return self._seq

    def write(self, entry: Entry) -> None:
        event, self._state = entry.event, entry.state
        self._seq = event.seq
        if event.kind is Kind.REPORTED:
            head = [event.seq, event.time, event.trial, event.step, event.data.get("seconds", 0.0)]
            self._reports += [[*head, name, value] for name, value in event.data["metrics"].items()]

    def flush(self) -> None:
        self._append_reports(self._reports)
        self._reports = []
        if self._clock() - self._trials_written >= EVERY_SECONDS:
            self._write_trials()
            self._trials_written = self._clock()

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
        columns = list(dict.fromkeys(name for cells in rows for name in cells)) or ["trial", "status"]
        target = self._folder.path / "trials.csv"
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows({name: scalar(value) for name, value in cells.items()} for cells in rows)
        replace_text(target, text.getvalue())
