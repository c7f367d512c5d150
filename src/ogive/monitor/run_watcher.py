"""A watcher of runs, in another process: it tells from the heartbeat of the lease whether a controller lives.

The watcher needs nothing but the journal. It journals the alert that a controller has died, if it can take the lease, so
that there is one alert for each death, however often a watcher looks.
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
from ogive.run.lease import LeaseHolder, find_process_start
from ogive.run.settings import Settings
from ogive.run.state import State

STALE_BEATS = 6
"""A controller that has missed this many heartbeats does not respond."""


@dataclass
class RunWatcher:
    """A watched run. `look` is to be called again and again.

    Attributes:
        journal: the path of its journal.
        clock: a monotonic clock, in seconds.
    """

    journal: Path
    clock: Callable[[], float] = time.monotonic
    _beat: int | None = None  # the number of the last heartbeat
    _beat_since: float = 0.0  # when it was first seen, by the clock
    _beat_has_changed: bool = False
    _is_local: bool = True  # whether the controller is on this machine
    _last_state: State | None = None
    _raised: set[str] = field(default_factory=set)  # the causes of the alerts that were returned

    def look(self) -> Alert | None:
        """Return an alert if the controller has died or does not respond, once for each session.

        Raises:
            RunError: there is no journal, or it cannot be read.
        """
        journal = Journal(self.journal, writable=False)
        try:
            holder, beat = journal.find_holder()
            self._read(journal)
        finally:
            journal.close()
        self._is_local = holder is None or holder.host == socket.gethostname()
        if beat != self._beat:
            self._beat_has_changed = self._beat is not None
            self._beat, self._beat_since = beat, self.clock()
        alert = self._diagnose(self._state, holder)
        if alert is None or alert.cause in self._state.alert_causes or alert.cause in self._raised:
            return None
        self._raised.add(alert.cause)
        return replace(alert, time=WallClock().now())  # for files and webhooks; the journal adds its own time

    @property
    def _state(self) -> State:
        assert self._last_state is not None, "_read() comes first"
        return self._last_state

    @property
    def settings(self) -> Settings:
        """The settings of the run, as of the last look."""
        return Settings.from_json(self._state.settings)

    @property
    def is_certain(self) -> bool:
        """Whether it is certain by now if the controller lives.

        On this machine the process shows it at once. On another machine the heartbeat must have changed, or must have
        stopped for long enough.
        """
        return (
            self._is_local
            or not self._state.is_open
            or self._beat_has_changed
            or self._seconds_without_beat() >= STALE_BEATS * BEAT_SECONDS
        )

    @property
    def is_over(self) -> bool:
        """Whether the search and its session have ended, so that there is nothing left to watch."""
        return bool(self._state.end_reason) and not self._state.is_open

    def _seconds_without_beat(self) -> float:
        return self.clock() - self._beat_since

    def _read(self, journal: Journal) -> None:
        if self._last_state is None:
            self._last_state = State.from_events(journal.read())
        else:
            for event in journal.read(after=self._last_state.seq):
                self._last_state.apply(event)

    def _diagnose(self, state: State, holder: LeaseHolder | None) -> Alert | None:
        if not state.is_open:
            return None
        session = len(state.sessions)
        died, silent = f"controller:died:{session}", f"controller:silent:{session}"
        consequence = (
            f"{plural(len(state.running_attempts), 'trial')} pending; the same call of the search continues it"
        )
        numbers: dict[str, float] = {"session": session, "running": len(state.running_attempts)}
        if holder is None:
            message = f"the controller has ended without closing its session: {consequence}"
            return Alert("critical", died, message, numbers)
        if holder.host == socket.gethostname() and find_process_start(holder.pid) != holder.born:
            message = f"the controller ({holder}) has died: {consequence}"
            return Alert("critical", died, message, numbers)
        seconds = self._seconds_without_beat()
        if seconds < STALE_BEATS * BEAT_SECONDS:
            return None
        numbers["still_seconds"] = seconds
        if holder.host == socket.gethostname():
            message = f"the controller ({holder}) does not respond: its process exists, but its heartbeat has stopped"
            return Alert("critical", silent, message, numbers)
        message = f"the controller ({holder}) has died or cannot reach the journal: its heartbeat has stopped"
        return Alert("critical", died, message, numbers)

    def journal_alert(self, alert: Alert) -> str | None:
        """Journal an alert.

        Returns:
            Why it could not be journalled; None if it was. An alert about a controller that may live is not journalled,
            because only that controller may write.
        """
        if alert.cause.startswith("controller:silent"):
            return None
        try:
            journal = Journal(self.journal)
            try:
                journal.acquire()
                journal.append([alert.to_event()])
            finally:
                journal.close()
        except RunError as error:
            return str(error)
        return None
