"""CSV: two tables in a folder, for spreadsheets and data frames.

`trials.csv` has a row for each trial: number, status, step, seconds, attempts, reason, a column for each metric and each
decision; it is written anew as the run goes on. `reports.csv` has a row for each metric of each report, in order: the
learning curves.
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
from ogive.sinks.rows import row, scalar

REPORTS = ("seq", "time", "trial", "step", "seconds", "metric", "value")
EVERY_SECONDS = 5.0
"""How often `trials.csv` is written anew while a run goes on."""


class Csv(Sink):
    """Writes the two tables in the folder `path`."""

    name = "csv"

    def __init__(self, folder: Path, path: str = "csv", clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = OwnFolder(folder / path, "trials.csv", "reports.csv")
        self.place = str(folder / path)
        self._clock = clock
        self._rows: list[list[Any]] = []
        self._state: State | None = None
        self._written = -EVERY_SECONDS
        self._seq = 0

    def open(self, created: Event) -> int:
        self._seq = self._folder.open(created)
        if self._seq == 0:
            self._append([REPORTS])
        return self._seq

    def write(self, entry: Entry) -> None:
        event, self._state = entry.event, entry.state
        self._seq = event.seq
        if event.kind is Kind.REPORTED:
            head = [event.seq, event.time, event.trial, event.step, event.data.get("seconds", 0.0)]
            self._rows += [[*head, name, value] for name, value in event.data["metrics"].items()]

    def flush(self) -> None:
        self._append(self._rows)
        self._rows = []
        if self._clock() - self._written >= EVERY_SECONDS:
            self._write_trials()
            self._written = self._clock()

    def close(self) -> None:
        self._write_trials()
        self._folder.close(self._seq)

    def _append(self, rows: Sequence[Sequence[Any]]) -> None:
        with (self._folder.path / "reports.csv").open("a", newline="") as file:
            csv.writer(file).writerows(rows)

    def _write_trials(self) -> None:
        if self._state is None:
            return
        rows = [row(trial) for trial in self._state.trials.values()]
        columns = list(dict.fromkeys(name for flat in rows for name in flat)) or ["trial", "status"]
        target = self._folder.path / "trials.csv"
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows({name: scalar(value) for name, value in flat.items()} for flat in rows)
        replace_text(target, text.getvalue())
