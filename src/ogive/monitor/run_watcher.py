"""Watching runs from another process: whether their controllers live, by the heartbeat of the lease.

A watcher needs nothing of the controller's: it reads the journal's lease. What it finds is journalled, where the lease is
free to be taken, so of each death there is one alert, however often a watcher looks.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ogive.errors import RunError
from ogive.formatting import plural
from ogive.run.alerts import Alert
from ogive.run.clock import WallClock
from ogive.run.journal import BEAT_SECONDS, Journal
from ogive.run.lease import LeaseHolder, process_start
from ogive.run.settings import Settings
from ogive.run.state import State

STALE_BEATS = 6
"""A controller whose heartbeat has stood still for so many beats does not respond."""


@dataclass
class RunWatcher:
    """One run under watch. `look` is to be called again and again.

    Attributes:
        journal: the path of its journal.
        clock: seconds that never go back.
    """

    journal: Path
    clock: Callable[[], float] = time.monotonic
    _beat: int | None = None
    _since: float = 0.0
    _state: State | None = None
    _local: bool = True
    _moved: bool = False
    _told: set[str] = field(default_factory=set)

    def look(self) -> Alert | None:
        """An alert where the controller has died or does not respond, once for each session; journalled where that can be.

        Raises:
            RunError: there is no journal, or it cannot be read.
        """
        journal = Journal(self.journal, writable=False)
        try:
            holder, beat = journal.holder()
            self._read(journal)
        finally:
            journal.close()
        state = self._known
        self._local = holder is None or holder.host == socket.gethostname()
        if beat != self._beat:
            self._moved = self._beat is not None
            self._beat, self._since = beat, self.clock()
        found = self._diagnosis(state, holder)
        if found is None or found.cause in state.alerted or found.cause in self._told:
            return None
        self._told.add(found.cause)
        return replace(found, time=WallClock().now())  # for files and webhooks; the journal has its own

    @property
    def _known(self) -> State:
        assert self._state is not None, "_read() comes first"
        return self._state

    @property
    def settings(self) -> Settings:
        """Those of the run, as of the last look."""
        return Settings.from_json(self._known.settings)

    @property
    def sure(self) -> bool:
        """Whether it is known by now if the controller lives: by its process on this machine, by its heartbeat elsewhere,
        which has moved by now or stood still for long enough.
        """
        still = self.clock() - self._since
        return self._local or not self._known.open or self._moved or still >= STALE_BEATS * BEAT_SECONDS

    @property
    def over(self) -> bool:
        """Whether the search has ended, and its session too: there is nothing left to watch."""
        return bool(self._known.ended) and not self._known.open

    def _read(self, journal: Journal) -> None:
        if self._state is None:
            self._state = State.of(journal.read())
        else:
            for event in journal.read(after=self._state.seq):
                self._state.apply(event)

    def _diagnosis(self, state: State, holder: LeaseHolder | None) -> Alert | None:
        if not state.open:
            return None
        session = len(state.sessions)
        ago = f"{plural(len(state.running), 'trial')} in flight; search again with the same call to go on"
        numbers: dict[str, float] = {"session": session, "running": len(state.running)}
        if holder is None:
            message = f"the controller has ended without saying why: {ago}"
            return Alert("critical", f"controller:died:{session}", message, numbers)
        if holder.host == socket.gethostname() and process_start(holder.pid) != holder.born:
            return Alert(
                "critical", f"controller:died:{session}", f"the controller ({holder}) has died: {ago}", numbers
            )
        still = self.clock() - self._since
        if still < STALE_BEATS * BEAT_SECONDS:
            return None
        numbers["still_seconds"] = still
        if holder.host == socket.gethostname():
            message = f"the controller ({holder}) does not respond: its process is there, its heartbeat stands still"
            return Alert("critical", f"controller:silent:{session}", message, numbers)
        message = f"the controller ({holder}) has died or cannot reach the journal: its heartbeat stands still"
        return Alert("critical", f"controller:died:{session}", message, numbers)

    def keep(self, alert: Alert) -> str:
        """Journal an alert; why that cannot be, "" where it can. The journal of a controller that lives is its own."""
        if alert.cause.startswith("controller:silent"):
            return ""
        try:
            journal = Journal(self.journal)
            try:
                journal.acquire()
                journal.append([alert.event()])
            finally:
                journal.close()
        except RunError as error:
            return str(error)
        return ""
