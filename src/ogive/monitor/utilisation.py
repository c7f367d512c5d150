"""The utilisation of the workers: the share of the reserved time in which they had a trial.

The *run time* counts only the time in which a controller ran. Gaps between sessions are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ogive.arrays import FloatArray
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.run.timeline import AttemptInterval, SessionInterval

if TYPE_CHECKING:
    from ogive.run.state import State


@dataclass(frozen=True)
class Utilisation:
    """The utilisation of the workers in n bins of run time.

    Attributes:
        hours: the edges [n + 1] of the bins, in hours of run time.
        share: the utilisation [n] in each bin, in [0, 1]; NaN where no worker was reserved.
        busy_hours: the worker-hours in which workers had a trial, in all bins together.
        reserved_hours: the worker-hours for which workers were reserved, in all bins together.
    """

    hours: FloatArray
    share: FloatArray
    busy_hours: float
    reserved_hours: float

    @property
    def mean(self) -> float:
        """The utilisation over all bins; 0 if no worker was reserved."""
        return self.busy_hours / self.reserved_hours if self.reserved_hours else 0.0


def compute_utilisation(
    state: State, bins: int = 60, now: float | None = None, last_seconds: float | None = None
) -> Utilisation:
    """Return the utilisation of the workers over the run time.

    Args:
        state: the state of the run.
        bins: the number of bins, of equal length.
        now: the clock's time, up to which running trials are counted; by default up to the last event.
        last_seconds: the length of the last part of the run time that is divided into bins; None for the whole run time.
    """
    sessions = _list_sessions(state, now)
    total = sum(session.seconds for session in sessions)
    edges = np.linspace(0.0 if last_seconds is None else max(0.0, total - last_seconds), total, bins + 1)
    reserved = np.interp(edges, *_sum_reserved_seconds(sessions)) if sessions else np.zeros(bins + 1)
    busy = _sum_busy_seconds(_convert_to_run_time(state.attempt_intervals, sessions), edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.diff(reserved) > 0, np.diff(busy) / np.diff(reserved), np.nan)
    return Utilisation(
        edges / SECONDS_PER_HOUR,
        np.clip(share, 0.0, 1.0),
        (busy[-1] - busy[0]) / SECONDS_PER_HOUR,
        (reserved[-1] - reserved[0]) / SECONDS_PER_HOUR,
    )


def _list_sessions(state: State, now: float | None) -> list[SessionInterval]:
    """Return the sessions; an open session is extended to `now`."""
    sessions = list(state.session_intervals)
    if sessions and state.is_open and now is not None and now > state.time:
        last = sessions[-1]
        sessions[-1] = SessionInterval(last.begin, last.end + now - state.time, last.workers)
    return sessions


def _sum_reserved_seconds(sessions: Sequence[SessionInterval]) -> tuple[FloatArray, FloatArray]:
    """Return the run time at 0 and at the end of each session, and the reserved worker-seconds up to these times."""
    seconds = np.array([session.seconds for session in sessions])
    workers = np.array([session.workers for session in sessions])
    return np.concatenate([[0.0], np.cumsum(seconds)]), np.concatenate([[0.0], np.cumsum(seconds * workers)])


def _convert_to_run_time(attempts: Sequence[AttemptInterval], sessions: Sequence[SessionInterval]) -> FloatArray:
    """Return the run times [n, 2] at which each of n attempts began and ended."""
    if not attempts or not sessions:
        return np.zeros((0, 2))
    last_end = max(session.end for session in sessions)
    # An attempt that has not ended is counted up to the end of the last session.
    begins = [attempt.begin for attempt in attempts]
    ends = [last_end if attempt.end is None else attempt.end for attempt in attempts]
    times = np.stack([begins, ends], axis=1)
    clock = np.array([[session.begin, session.end] for session in sessions])
    run_time_at_begin = np.concatenate([[0.0], np.cumsum(clock[:, 1] - clock[:, 0])])
    # The index of the session that contains each time. A time in a gap counts as the end of the session before the gap.
    index = np.maximum(0, np.searchsorted(clock[:, 0], times, side="right") - 1)
    since_begin = np.minimum(times, clock[index, 1]) - clock[index, 0]
    return np.asarray(run_time_at_begin[index] + np.maximum(0.0, since_begin))


def _sum_busy_seconds(attempts: FloatArray, times: FloatArray) -> FloatArray:
    """Return the busy seconds of all attempts together before each of `times`.

    Args:
        attempts: the times [n, 2] at which the attempts began and ended.
        times: the times up to which the busy seconds are added.
    """

    def sum_seconds_since(moments: FloatArray) -> FloatArray:
        """Return, for each t in `times`, the sum of t - moment over all moments before t."""
        ordered = np.sort(moments)
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        count = np.searchsorted(ordered, times)
        return np.asarray(count * times - sums[count])

    # The seconds since the attempts began, minus the seconds since they ended. The difference of an attempt that has ended
    # is its duration.
    return sum_seconds_since(attempts[:, 0]) - sum_seconds_since(attempts[:, 1])
