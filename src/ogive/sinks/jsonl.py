"""The sink `jsonl` (JSON lines): every event of the journal as one line of strict JSON, in order.

A line has `seq`, `time` (seconds since 1970), `kind`, `trial` and `step` (null for an event without them) and `data`, as in
the journal. If the event ended or paused a trial, `result` has the trial's status, metrics, decisions and seconds. If the
event changed the best trials so far, `best` lists them with their metrics.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from ogive.errors import RunError
from ogive.run.events import Event
from ogive.sinks.base import Entry, Sink
from ogive.sinks.rows import RESULT_KINDS, decisions_and_settings, tags, to_strict_json
from ogive.trial import Trial

BEGIN = b'{"seq": '
"""The beginning of every line."""


class JsonLines(Sink):
    """Writes the file `path`. An incomplete last line, left by a killed writer, is removed when the file is opened again."""

    name = "jsonl"

    def __init__(self, folder: Path, path: str = "events.jsonl") -> None:
        self._path = folder / path
        self.target = str(self._path)
        self._file: IO[bytes] | None = None

    def open(self, created: Event) -> int:
        if self._path.exists() and not self._path.is_file():
            raise RunError(f"{self._path} is not a file; name another path")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+b")
        last_seq = _prepare_file(self._file, self._path, created)
        self._file.seek(0, os.SEEK_END)
        return last_seq

    def write(self, entry: Entry) -> None:
        assert self._file is not None, "call open() first"
        self._file.write((json.dumps(to_strict_json(_make_line(entry)), allow_nan=False) + "\n").encode())

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _prepare_file(file: IO[bytes], path: Path, created: Event) -> int:
    """Check that the file belongs to the run, and truncate it after its last complete line.

    Args:
        file: the open file.
        path: the path of the file, for messages.
        created: the first event of the run.

    Returns:
        The `seq` of the event in the last complete line; 0 for an empty file.

    Raises:
        RunError: the file holds events of another run, or something else than events.
    """
    file.seek(0)
    lines = file.readlines()
    complete = [line for line in lines if line.endswith(b"\n")]
    try:
        # The first line may be incomplete, so it is compared with the same number of bytes of BEGIN.
        if lines and not BEGIN.startswith(lines[0][: len(BEGIN)]):
            raise ValueError("its first line is not an event")
        # (seq, time) of the first and of the last complete event.
        events = [(event["seq"], event["time"]) for event in map(json.loads, complete[:1] + complete[-1:])]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} holds something else than the events of a run ({error}); name another file, or delete this one"
        ) from error
    if events and events[0] != (created.seq, created.time):
        raise RunError(f"{path} holds the events of another run; name another file, or delete this one")
    file.truncate(sum(map(len, complete)))
    return int(events[-1][0]) if events else 0


def _make_line(entry: Entry) -> dict[str, Any]:
    """Return the content of the line of an event; the module's docstring describes it."""
    event = entry.event
    line: dict[str, Any] = {"seq": event.seq, "time": event.time, "kind": event.kind.value}
    line |= {"trial": event.trial, "step": event.step, "data": dict(event.data)}
    if entry.trial is not None and event.kind in RESULT_KINDS:
        line["result"] = _make_result(entry.trial)
    if entry.is_improvement:
        line["best"] = [{"trial": trial.id, "metrics": dict(trial.metrics)} for trial in entry.best]
    return line


def _make_result(trial: Trial) -> dict[str, Any]:
    """Return the entry `result` of a line."""
    return {
        "step": trial.step,
        "metrics": dict(trial.metrics),
        "decisions": decisions_and_settings(trial),
        "seconds": trial.seconds,
        **tags(trial),
    }
