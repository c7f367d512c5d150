"""A watcher of a run in another process. It detects whether the controller is alive, by the heartbeat of the lease.

The watcher only needs the journal. If a controller has died and the watcher can take the lease, it writes an alert to the
journal. Other watchers read this alert, so that a session has only one alert even with several watchers.
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

MAX_MISSED_BEATS = 6
"""After this many missed heartbeats, a controller is assumed not to respond."""


@dataclass
class RunWatcher:
    """A watcher of one run. Call `look` at regular intervals.

    Attributes:
        journal: the path of the run's journal.
        clock: a monotonic clock, in seconds.
    """

    journal: Path
    clock: Callable[[], float] = time.monotonic
    _beat: int | None = None  # the number of the last heartbeat
    _beat_read_at: float = 0.0  # the clock's time at the call of `look` that first read this heartbeat
    _has_beat_changed: bool = False  # whether the heartbeat has changed since the first call of `look`
    _is_local: bool = True  # whether the controller is on this machine
    _last_state: State | None = None
    _raised_causes: set[str] = field(default_factory=set)  # the causes of the alerts that were returned

    def look(self) -> Alert | None:
        """Return an alert if the controller has died or does not respond, each at most once for each session.

        Raises:
            RunError: there is no journal, or the journal cannot be read.
        """
        journal = Journal(self.journal, writable=False)
        try:
            holder, beat = journal.find_holder()
            self._update_state(journal)
        finally:
            journal.close()
        self._is_local = holder is None or holder.host == socket.gethostname()
        if beat != self._beat:
            self._has_beat_changed = self._beat is not None
            self._beat, self._beat_read_at = beat, self.clock()
        alert = self._diagnose(self._state, holder)
        if alert is None or alert.cause in self._state.alert_causes or alert.cause in self._raised_causes:
            return None
        self._raised_causes.add(alert.cause)
        # The time is for files and webhooks. The journal gives its events the time at which they are appended.
        return replace(alert, time=WallClock().now())

    @property
    def _state(self) -> State:
        assert self._last_state is not None, "_update_state() comes first"
        return self._last_state

    @property
    def settings(self) -> Settings:
        """The settings of the run at the last call of `look`."""
        return Settings.from_json(self._state.settings)

    @property
    def is_certain(self) -> bool:
        """Whether the watcher knows by now if the controller is alive.

        If the controller is on this machine, its process is checked, so the watcher knows at once. If the controller is on
        another machine, the watcher waits until the heartbeat has changed, or has stopped for long enough.
        """
        return (
            self._is_local
            or not self._state.is_open
            or self._has_beat_changed
            or self._count_seconds_without_beat() >= MAX_MISSED_BEATS * BEAT_SECONDS
        )

    @property
    def is_over(self) -> bool:
        """Whether the search and its session have ended, so that the watcher can end too."""
        return bool(self._state.end_reason) and not self._state.is_open

    def _count_seconds_without_beat(self) -> float:
        return self.clock() - self._beat_read_at

    def _update_state(self, journal: Journal) -> None:
        """Apply the events that were added since the last call of `look`."""
        if self._last_state is None:
            self._last_state = State.from_events(journal.read())
        else:
            for event in journal.read(after=self._last_state.seq):
                self._last_state.apply(event)

    def _diagnose(self, state: State, holder: LeaseHolder | None) -> Alert | None:
        """Return an alert if the controller of the open session has died or does not respond.

        Args:
            state: the state of the run.
            holder: the process that holds the lease; None if no process does.
        """
        if not state.is_open:
            return None
        session = len(state.sessions)
        # The causes contain the session's number, so that each session can raise its own alert.
        died_cause, silent_cause = f"controller:died:{session}", f"controller:silent:{session}"
        consequence = (
            f"{plural(len(state.running_attempts), 'trial')} pending; the same call of the search continues it"
        )
        numbers: dict[str, float] = {"session": session, "running": len(state.running_attempts)}
        if holder is None:
            message = f"the controller has ended without closing its session: {consequence}"
            return Alert("critical", died_cause, message, numbers)
        # The start of the process is compared, because another process may have got the same number.
        if holder.host == socket.gethostname() and find_process_start(holder.pid) != holder.born:
            message = f"the controller ({holder}) has died: {consequence}"
            return Alert("critical", died_cause, message, numbers)
        seconds = self._count_seconds_without_beat()
        if seconds < MAX_MISSED_BEATS * BEAT_SECONDS:
            return None
        numbers["still_seconds"] = seconds
        if holder.host == socket.gethostname():
            message = f"the controller ({holder}) does not respond: its process exists, but its heartbeat has stopped"
            return Alert("critical", silent_cause, message, numbers)
        message = f"the controller ({holder}) has died or cannot reach the journal: its heartbeat has stopped"
        return Alert("critical", died_cause, message, numbers)

    def journal_alert(self, alert: Alert) -> str | None:
        """Write an alert to the journal. Nothing is written if the controller may be alive: then only it may write.

        Returns:
            The reason if the alert could not be written; otherwise None.
        """
        # A controller that does not respond may be alive.
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
