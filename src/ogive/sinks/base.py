"""The contract of sinks: destinations of a run's metrics beside the journal.

A sink reads the events of the journal and writes them in another form: to a file, or to the store of another tool. It
decides nothing, and the controller never waits for it. It receives the events one by one. The events come from a running
search or from a finished journal; the calls are the same in both cases::

    seq = sink.open(created)             # create or reopen the target; return the number of its last event, 0 for none
    sink.write(entry)                    # once for each event after `seq`, in order
    sink.flush()                         # after each batch of events: other programs can now read what was written
    sink.close()                         # after the last flush

Every implementation guarantees, and `ogive.testing.check_sink` checks:

- A target may be closed after any event, or its writer may be killed. If the target is opened again and receives the
  remaining events, its content is the same as if all events had been written without an interruption.
- `open` raises an error for the target of another run, and does not change that target.
- Errors are raised. The caller then drops the sink; the run continues, and the journal has all events.
"""

from __future__ import annotations

import fcntl
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.hashing import hash_json, hash_text
from ogive.monitor.progress import Progress
from ogive.run.events import Event
from ogive.run.state import State
from ogive.sinks.rows import RESULT_KINDS
from ogive.trial import Trial

MAX_UNFLUSHED = 500
"""A sink is flushed after this many events, and when there are no further events."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An event, and the state after it.

    Attributes:
        event: the event.
        state: the state after the event. Read it in `write`: it changes with the next event.
        trial: the record of the event's trial after the event; None for an event without a trial.
        best: the best trials so far: one, or with several objectives the Pareto front.
        is_improvement: whether this event changed `best`.
        inactive_count: how many times a trial has been paused or has ended so far.
    """

    event: Event
    state: State
    trial: Trial | None
    best: tuple[Trial, ...]
    is_improvement: bool
    inactive_count: int


class Sink(ABC):
    """A destination of a run's metrics. The module's docstring lists what implementations guarantee.

    Attributes:
        name: the name in the registry, for messages.
        target: the file, folder or store that the sink writes to; no two sinks of a run may have the same target.
    """

    name: str = "sink"
    target: str = ""

    @abstractmethod
    def open(self, created: Event) -> int:
        """Create or reopen the target of the run whose first event is `created`.

        Returns:
            The number of the last event in the target, 0 for none. The first call of `write` gets the event after it.

        Raises:
            RunError: the target holds another run, or files that no sink wrote.
        """

    @abstractmethod
    def write(self, entry: Entry) -> None:
        """Accept the next event; it may be buffered until `flush`."""

    @abstractmethod
    def flush(self) -> None:
        """Write all buffered events to the target."""

    @abstractmethod
    def close(self) -> None:
        """Complete the target; called after a last `flush`."""


class EventFeeder:
    """Passes the events of a journal to one sink, except those that its target holds already."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.seq = 0  # the number of the last event that was read
        self._state: State | None = None
        self._written_seq = 0  # the number of the last event in the target when it was opened
        self._inactive_count = 0
        self._progress = Progress()

    def feed(self, events: Iterable[Event]) -> None:
        """Pass further events to the sink, then flush it. The very first event must be the one that created the run.

        Raises:
            Exception: any exception of the sink.
        """
        unflushed = 0
        for event in events:
            # All events change the state, also those that the target holds already.
            entry = self._apply(event)
            self.seq = event.seq
            if event.seq > self._written_seq:
                self.sink.write(entry)
                unflushed += 1
            if unflushed >= MAX_UNFLUSHED:
                self.sink.flush()
                unflushed = 0
        if unflushed:
            self.sink.flush()

    def _apply(self, event: Event) -> Entry:
        """Apply an event to the state and the progress, and return the entry of the event."""
        if self._state is None:
            self._written_seq = self.sink.open(event)
            self._state, trial = State.from_events([event]), None
        else:
            trial = self._state.apply(event)
        state, previous_best = self._state, self._progress.best
        self._progress.record_event(state, event)
        if trial is None and event.trial is not None:
            trial = state.trials.get(event.trial)
        best = self._progress.best
        self._inactive_count += int(event.kind in RESULT_KINDS)
        return Entry(
            event=event,
            state=state,
            trial=trial,
            best=tuple(best),
            # `Progress` creates a new list whenever the best trials change.
            is_improvement=best is not previous_best and bool(best),
            inactive_count=self._inactive_count,
        )

    def close(self) -> None:
        """Complete the sink's target. It must not be called after `feed` has raised an exception."""
        if self._state is not None:
            self.sink.close()


def feed_events(sink: Sink, events: Iterable[Event]) -> None:
    """Open a sink, pass all events of a run to it, and close it."""
    feeder = EventFeeder(sink)
    feeder.feed(events)
    feeder.close()


@contextmanager
def lock_target(sink: Sink, run: Path) -> Iterator[None]:
    """Hold a lock inside the run's folder, so that no other process writes this run to the target of the sink.

    Raises:
        RunError: another process holds the lock, or the run's folder cannot be written.
    """
    digest = hash_text(sink.target, digits=8)
    path = run / "sinks" / f".{sink.name}-{digest}.lock"
    try:
        path.parent.mkdir(exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                f"another process is writing {sink.target}, most likely the search itself; wait until the search ends, or "
                "choose another target"
            ) from error
        yield


def run_identity(created: Event) -> str:
    """Return 16 hexadecimal digits that identify the run whose first event is `created`."""
    parts = [created.time, created.data["seed"], created.data["space"]]
    return hash_json(parts)


class SinkFolder:
    """A folder for a sink whose files do not say which events they contain.

    A file `ogive-sink.json` in the folder holds the run's identity and the number of the last event. This number is 0 until
    the sink is closed. So if the writer is killed, the folder is written again from the first event.

    Args:
        path: the folder.
        contents: patterns of the files that the sink creates in it.
    """

    MARK_FILE = "ogive-sink.json"

    def __init__(self, path: Path, *contents: str) -> None:
        self.path = path
        self._contents = contents
        self._run: str | None = None  # the identity of the run

    def open(self, created: Event) -> int:
        """Create or reopen the folder, and return the number of the last event in it.

        If this number is 0, the files of the sink in the folder have been deleted.

        Raises:
            RunError: the folder belongs to another run, or holds other files.
        """
        self._run, mark = run_identity(created), self.path / self.MARK_FILE
        self.path.mkdir(parents=True, exist_ok=True)
        stored = self._read_mark(mark)
        if stored.get("run", self._run) != self._run:
            raise RunError(f"{self.path} holds the files of another run; name another folder, or delete this one")
        if not stored and any(self.path.iterdir()):
            raise RunError(
                f"{self.path} holds files that this sink did not write; name another folder, or an empty folder"
            )
        seq = int(stored.get("seq", 0))
        # From now on the folder is incomplete, until `close` records the last event.
        self._write_mark(mark, 0)
        if seq == 0:
            self._delete_contents()
        return seq

    def _read_mark(self, mark: Path) -> dict[str, Any]:
        """Return the content of the mark file: the run's identity and the last event; empty if there is no such file."""
        if not mark.is_file():
            return {}
        try:
            stored = json.loads(mark.read_text())
            return {"run": str(stored["run"]), "seq": int(stored["seq"])}
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{mark} cannot be read: {error}; delete the folder {self.path}, and it is written again"
            ) from error

    def _delete_contents(self) -> None:
        for pattern in self._contents:
            for path in self.path.rglob(pattern):
                path.unlink()

    def close(self, seq: int) -> None:
        """Record that the folder is complete up to the event `seq`."""
        self._write_mark(self.path / self.MARK_FILE, seq)

    def _write_mark(self, mark: Path, seq: int) -> None:
        replace_text(mark, json.dumps({"run": self._run, "seq": seq}))
