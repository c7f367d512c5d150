"""The utilisation of the workers: the share of the reserved time in which they had a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ogive.arrays import FloatArray
from ogive.run.timeline import AttemptInterval, SessionInterval

if TYPE_CHECKING:
    from ogive.run.state import State


@dataclass(frozen=True)
class Utilisation:
    """The utilisation over time, in the run's own time, which leaves out the gaps between sessions.

    Attributes:
        hours: [n + 1], the edges of the bins.
        share: [n], in [0, 1], for each bin; NaN where no worker was reserved.
        busy_hours, reserved_hours: the busy and the reserved worker-hours.
    """

    hours: FloatArray
    share: FloatArray
    busy_hours: float
    reserved_hours: float

    @property
    def mean(self) -> float:
        """The share over the whole time; 0 if no worker was reserved."""
        return self.busy_hours / self.reserved_hours if self.reserved_hours else 0.0


def utilisation(state: State, bins: int = 60, now: float | None = None, last: float | None = None) -> Utilisation:
    """Return the utilisation of the workers over the run's own time.

    Args:
        state: of the run.
        bins: the number of bins, of equal length.
        now: the clock's time, up to which running trials are counted; by default up to the last event.
        last: seconds to look back; by default up to the beginning.
    """
    sessions = _sessions_until(state, now)
    total = sum(session.seconds for session in sessions)
    edges = np.linspace(0.0 if last is None else max(0.0, total - last), total, bins + 1)
    reserved = np.interp(edges, *_reserved_seconds(sessions)) if sessions else np.zeros(bins + 1)
    busy = _busy_seconds(_in_own_time(state.attempt_intervals, sessions), edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.diff(reserved) > 0, np.diff(busy) / np.diff(reserved), np.nan)
    return Utilisation(
        edges / 3600, np.clip(share, 0.0, 1.0), (busy[-1] - busy[0]) / 3600, (reserved[-1] - reserved[0]) / 3600
    )


def _sessions_until(state: State, now: float | None) -> list[SessionInterval]:
    """Return the sessions; an open one is extended to `now`."""
    sessions = list(state.session_intervals)
    if sessions and state.is_open and now is not None and now > state.time:
        last = sessions[-1]
        sessions[-1] = SessionInterval(last.begin, last.end + now - state.time, last.workers)
    return sessions


def _reserved_seconds(sessions: Sequence[SessionInterval]) -> tuple[FloatArray, FloatArray]:
    """Return the run's own time at the ends of the sessions, and the reserved worker-seconds up to each of them."""
    seconds = np.array([session.seconds for session in sessions])
    workers = np.array([session.workers for session in sessions])
    return np.concatenate([[0.0], np.cumsum(seconds)]), np.concatenate([[0.0], np.cumsum(seconds * workers)])


def _in_own_time(attempts: Sequence[AttemptInterval], sessions: Sequence[SessionInterval]) -> FloatArray:
    """Return [n, 2], the begin and the end of each attempt in the run's own time."""
    if not attempts or not sessions:
        return np.zeros((0, 2))
    last_end = max(session.end for session in sessions)
    begins = [attempt.begin for attempt in attempts]
    ends = [last_end if attempt.end is None else attempt.end for attempt in attempts]
    times = np.stack([begins, ends], axis=1)
    clock = np.array([[session.begin, session.end] for session in sessions])
    own_begins = np.concatenate([[0.0], np.cumsum(clock[:, 1] - clock[:, 0])])
    # The session in which each time lies, or the last one before it; a time in a gap counts as the end of that session.
    index = np.maximum(0, np.searchsorted(clock[:, 0], times, side="right") - 1)
    since_begin = np.minimum(times, clock[index, 1]) - clock[index, 0]
    return np.asarray(own_begins[index] + np.maximum(0.0, since_begin))


def _busy_seconds(attempts: FloatArray, at: FloatArray) -> FloatArray:
    """Return the seconds of all attempts [n, 2] together before each of the times `at`."""

    def seconds_after(moments: FloatArray) -> FloatArray:
        """Return for each time t in `at` the sum of t - moment over all earlier moments."""
        ordered = np.sort(moments)
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        count = np.searchsorted(ordered, at)
        return np.asarray(count * at - sums[count])

    return seconds_after(attempts[:, 0]) - seconds_after(attempts[:, 1])
