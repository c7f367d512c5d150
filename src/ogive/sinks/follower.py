"""Sinks of a running search: each follows the journal in a thread of its own, and none can disturb the search.

The journal is the queue between the controller and its sinks. A slow sink falls behind, a restarted sink continues where it
stopped, and no event is kept in memory. A sink that raises an exception is dropped. A sink that hangs is abandoned when the
session ends.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ogive.formatting import duration
from ogive.run.events import Event
from ogive.run.journal import Journal
from ogive.run.state import State
from ogive.sinks.base import EventFeeder, Sink, lock_target

PAUSE_SECONDS = 0.25
"""The journal is read at most once in this time."""
MAX_REASON = 300
"""The message of an exception has at most this many characters in a warning."""
CLOSE_SECONDS = 20.0
"""The time in which all sinks together must have written the rest of the journal when a session ends."""


class Followers:
    """The sinks of one session: a subscriber of the controller (see `ogive.run.observers.Subscriber`).

    Args:
        journal: the file of the run's journal; it is only read.
        sinks: the sinks, as `ogive.sinks.create_sinks` returns them.
        close_seconds: the time for which `close` waits for all sinks together.
    """

    def __init__(self, journal: Path, sinks: Sequence[Sink], close_seconds: float = CLOSE_SECONDS) -> None:
        self._messages: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._close_seconds = close_seconds
        self._threads = [_Follower(journal, sink, self._messages) for sink in sinks]
        for thread in self._threads:
            thread.start()

    def __call__(self, state: State, event: Event | None) -> None:
        """Notify the sinks that the journal has grown, without waiting for them."""
        if event is not None:
            for thread in self._threads:
                thread.new_events.set()

    def collect_failures(self) -> list[str]:
        """Return a message for each sink that was dropped since the last call."""
        messages = []
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages

    def close(self) -> list[str]:
        """Let the sinks write the rest of the journal, and end them; return messages like `collect_failures`."""
        deadline = time.monotonic() + self._close_seconds
        for thread in self._threads:
            thread.ending.set()
            thread.new_events.set()
        unfinished = []
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                unfinished.append(
                    _format_dropped(
                        thread.sink, f"it had not written all events {duration(self._close_seconds)} after the search"
                    )
                )
        self._threads = []
        return self.collect_failures() + unfinished


class _Follower(threading.Thread):
    """Passes the events of the journal to one sink until `ending` is set, and then up to the journal's last event.

    Attributes:
        sink: the sink.
        new_events: set when the journal has grown, and when the session ends.
        ending: set when the session ends.
    """

    def __init__(self, journal: Path, sink: Sink, messages: queue.SimpleQueue[str]) -> None:
        # The thread is a daemon, because a sink that hangs must not keep the program alive.
        super().__init__(name=f"ogive-sink-{sink.name}", daemon=True)
        self.sink = sink
        self.new_events = threading.Event()
        self.ending = threading.Event()
        self._journal = journal
        self._messages = messages

    def run(self) -> None:
        try:
            with (
                lock_target(self.sink, self._journal.parent),
                closing(Journal(self._journal, writable=False)) as journal,
            ):
                self._follow(journal)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any code may raise; the controller reports it
            text = " ".join(str(error).split())[:MAX_REASON]
            self._messages.put(_format_dropped(self.sink, f"{type(error).__name__}: {text}"))

    def _follow(self, journal: Journal) -> None:
        """Pass events to the sink until the session has ended."""
        feeder = EventFeeder(self.sink)
        while True:
            # Read the flag before the journal, so that the last read of the journal returns all events.
            is_ending = self.ending.is_set()
            self.new_events.clear()
            feeder.feed(journal.read(after=feeder.seq))
            if is_ending:
                feeder.close()
                return
            self.ending.wait(PAUSE_SECONDS)  # a pause, which the end of the session cuts short
            self.new_events.wait()


def _format_dropped(sink: Sink, reason: str) -> str:
    """Return the warning that a sink was dropped, which is written to the journal."""
    remedy = f"the journal has all events: `ogive log RUN --to {sink.name}` writes them later"
    return f"the sink {sink.name!r} ({sink.target}) was dropped: {reason}; {remedy}"
