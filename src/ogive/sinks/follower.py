"""Sinks of a running search: each follows the journal in a thread of its own, and none can hurt the run.

The journal is the queue between the controller and its sinks: a sink that is slow lags behind, one that was restarted
goes on where it was, and no event waits in memory. A sink that raises is dropped; one that hangs is left behind.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ogive.run.events import Event
from ogive.run.journal import Journal
from ogive.run.state import State
from ogive.sinks.base import Feed, Sink, locked

PAUSE_SECONDS = 0.25
"""The shortest time between two looks at the journal."""
CLOSE_SECONDS = 20.0
"""How long all sinks together may take to write what they lack when a session ends."""


class Followers:
    """The sinks of one session. It is an observer of the controller; `failures` is to be asked now and then.

    Args:
        journal: the run's, which is read and never written.
        sinks: made by `ogive.sinks.create`.
        close_seconds: how long `close` waits for all of them together.
    """

    def __init__(self, journal: Path, sinks: Sequence[Sink], close_seconds: float = CLOSE_SECONDS) -> None:
        self._failed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._close_seconds = close_seconds
        self._threads = [_Follower(journal, sink, self._failed) for sink in sinks]
        for thread in self._threads:
            thread.start()

    def __call__(self, state: State, event: Event | None) -> None:
        """Let the sinks know that the journal has grown; never waits for them."""
        if event is not None:
            for thread in self._threads:
                thread.news.set()

    def failures(self) -> list[str]:
        """What has gone wrong since this was last asked, a message for each sink that was dropped."""
        found = []
        while not self._failed.empty():
            found.append(self._failed.get())
        return found

    def close(self) -> list[str]:
        """Let the sinks write what the journal has now, and end them; what went wrong, as `failures` tells it."""
        until = time.monotonic() + self._close_seconds
        for thread in self._threads:
            thread.ending.set()
            thread.news.set()
        late = []
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                late.append(_dropped(thread.sink, f"it was not done {self._close_seconds:g} s after the search"))
        self._threads = []
        return self.failures() + late


class _Follower(threading.Thread):
    """Feeds one sink from the journal until it is told to end, and then to the journal's end."""

    def __init__(self, journal: Path, sink: Sink, failed: queue.SimpleQueue[str]) -> None:
        super().__init__(name=f"ogive-sink-{sink.name}", daemon=True)  # one that hangs must not keep the program alive
        self.sink = sink
        self.news = threading.Event()
        self.ending = threading.Event()
        self._journal = journal
        self._failed = failed

    def run(self) -> None:
        try:
            with locked(self.sink, self._journal.parent), closing(Journal(self._journal, writable=False)) as journal:
                self._follow(journal)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of anybody's code; told to the controller
            text = " ".join(str(error).split())[:300]
            self._failed.put(_dropped(self.sink, f"{type(error).__name__}: {text}"))

    def _follow(self, journal: Journal) -> None:
        feed = Feed(self.sink)
        while True:
            ending = self.ending.is_set()  # before the last look
            self.news.clear()
            feed.give(journal.read(after=feed.seq))
            if ending:
                feed.close()
                return
            self.ending.wait(PAUSE_SECONDS)
            self.news.wait()


def _dropped(sink: Sink, why: str) -> str:
    """The warning for the journal."""
    again = f"; the journal has everything: `ogive log RUN --to {sink.name}` writes it later"
    return f"the sink {sink.name!r} ({sink.place}) was dropped: {why}{again}"
