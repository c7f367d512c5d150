"""The contract of a sink: WHERE ELSE A RUN IS SHOWN.

A sink reads the journal and writes what it finds there into another form: a file, or another tool's store. It decides
nothing and nobody waits for it. It is fed event by event, live or from a finished journal, which is the same to it::

    seq = sink.open(created)             # make the target, or find it again; the last event that it holds, 0 for none
    sink.write(entry)                    # the events after `seq`, in order
    sink.flush()                         # at the end of every batch: what was written can be seen by others
    sink.close()                         # after a last flush

What every implementation guarantees, and `ogive.testing.check_sink` checks:

- A target that was closed after any event, or whose writer was killed, and is then opened again and given the rest, shows
  what it would have shown had it been written in one go: nothing twice, nothing left out.
- A target of another run is refused and left as it is.
- What goes wrong is raised. The caller drops the sink; the run goes on, and the journal has everything.
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
from ogive.sinks.rows import AT_REST
from ogive.trial import Trial

BATCH = 500
"""Events after which a sink is flushed at the latest."""


@dataclass(frozen=True)
class Entry:
    """An event, and what it has led to.

    Attributes:
        state: after the event; read it in `write`, it changes with the next one.
        trial: the record of the event's trial after it; None where it names none.
        best: the best so far: one trial, or those that no other dominates.
        improved: whether this event changed `best`.
        rests: how often a trial has come to rest so far: ended, or paused at a rung. Only grows.
    """

    event: Event
    state: State
    trial: Trial | None
    best: tuple[Trial, ...]
    improved: bool
    rests: int


class Sink(ABC):
    """Shows a run elsewhere. See the module's docstring for what implementations guarantee.

    Attributes:
        name: by which it is registered, for messages.
        place: what it writes to; no two sinks of a run share one.
    """

    name: str = "sink"
    place: str = ""

    @abstractmethod
    def open(self, created: Event) -> int:
        """Make the target of the run that began with `created`, or find it again.

        Returns:
            the number of the last event that it holds, 0 for none; the next one is written next.

        Raises:
            RunError: it holds something else.
        """

    @abstractmethod
    def write(self, entry: Entry) -> None:
        """Take an event, in order; may keep it until `flush`."""

    @abstractmethod
    def flush(self) -> None:
        """Bring what was taken to its target."""

    @abstractmethod
    def close(self) -> None:
        """Leave the target as complete up to the last event; comes after `flush`."""


class Feed:
    """Feeds one sink: folds the events it is given and hands on those that the sink lacks."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.seq = 0  # the last event that was read
        self._state: State | None = None
        self._held = self._rests = 0
        self._tally = Progress()

    def give(self, events: Iterable[Event]) -> None:
        """Take further events, the first of all being that which created the run; ends with a flush.

        Raises:
            Exception: whatever the sink raises.
        """
        written = 0
        for event in events:
            entry = self._entry(event)
            self.seq = event.seq
            if event.seq > self._held:
                self.sink.write(entry)
                written += 1
            if written >= BATCH:
                self.sink.flush()
                written = 0
        if written:
            self.sink.flush()

    def _entry(self, event: Event) -> Entry:
        if self._state is None:
            self._held = self.sink.open(event)
            self._state, trial = State.of([event]), None
        else:
            trial = self._state.apply(event)
        state, before = self._state, self._tally.best
        self._tally.note(state, event)
        if trial is None and event.trial is not None:
            trial = state.trials.get(event.trial)
        best = self._tally.best
        self._rests += event.kind in AT_REST
        return Entry(event, state, trial, tuple(best), best is not before and bool(best), self._rests)

    def close(self) -> None:
        """End the feeding; the sink's target is complete. Not to be called where `give` has raised."""
        if self._state is not None:
            self.sink.close()


def feed(sink: Sink, events: Iterable[Event]) -> None:
    """All that becomes of a sink where the events are there already, the first of a run being the first of all."""
    feeding = Feed(sink)
    feeding.give(events)
    feeding.close()


@contextmanager
def locked(sink: Sink, run: Path) -> Iterator[None]:
    """See that no other process writes to the sink's place for this run.

    Raises:
        RunError: another one does, or the run's folder cannot be written.
    """
    digest = hash_text(sink.place, digits=8)
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
                f"another process is writing {sink.place}, most likely the search itself; wait until that ends, or "
                "name another place"
            ) from error
        yield


def identity(created: Event) -> str:
    """What tells the run that began with `created` from every other: 16 hexadecimal digits."""
    parts = [created.time, created.data["seed"], created.data["space"]]
    return hash_json(parts)


class OwnFolder:
    """The folder of a sink that cannot tell by its files what they hold: a mark beside them does, once it was closed.

    A target whose writer was killed has no such mark and is written anew; the journal has everything.

    Args:
        path: the folder.
        contents: patterns of what the sink makes in it.
    """

    MARK = "ogive-sink.json"

    def __init__(self, path: Path, *contents: str) -> None:
        self.path = path
        self._contents = contents
        self._run = ""

    def open(self, created: Event) -> int:
        """Make the folder, or find it again; the last event that it holds, 0 where it was emptied.

        Raises:
            RunError: it is of another run, or holds files of another origin.
        """
        self._run, mark = identity(created), self.path / self.MARK
        self.path.mkdir(parents=True, exist_ok=True)
        stored = self._stored(mark)
        if stored.get("run", self._run) != self._run:
            raise RunError(f"{self.path} shows another run; name another folder, or delete this one")
        if not stored and any(self.path.iterdir()):
            raise RunError(f"{self.path} holds files of something else; name another folder, or an empty one")
        seq = int(stored.get("seq", 0))
        self._write(mark, 0)
        if seq == 0:
            self._empty()
        return seq

    def _stored(self, mark: Path) -> dict[str, Any]:
        if not mark.is_file():
            return {}
        try:
            stored = json.loads(mark.read_text())
            return {"run": str(stored["run"]), "seq": int(stored["seq"])}
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{mark} cannot be read: {error}; delete {self.path} to have it written anew") from error

    def _empty(self) -> None:
        for pattern in self._contents:
            for path in self.path.rglob(pattern):
                path.unlink()

    def close(self, seq: int) -> None:
        """Mark that all events up to `seq` are in the folder."""
        self._write(self.path / self.MARK, seq)

    def _write(self, mark: Path, seq: int) -> None:
        replace_text(mark, json.dumps({"run": self._run, "seq": seq}))
