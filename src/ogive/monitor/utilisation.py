"""How busy the workers were: the share of the time for which they were held in which they had a trial."""

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
    """The busy share over time; stretches in which no controller ran are left out.

    Attributes:
        hours: [n + 1] edges of the bins, in hours of the run's own time.
        share: [n] in [0, 1] for each bin; NaN where no worker was held.
        busy_hours, held_hours: of all workers together.
    """

    hours: FloatArray
    share: FloatArray
    busy_hours: float
    held_hours: float

    @property
    def mean(self) -> float:
        """The share over the whole time; 0 where no worker was held."""
        return self.busy_hours / self.held_hours if self.held_hours else 0.0


def utilisation(state: State, bins: int = 60, now: float | None = None, last: float | None = None) -> Utilisation:
    """The busy share of the workers over the run's time.

    Args:
        state: of the run.
        bins: of equal length.
        now: the time until which running trials are counted; by default that of the last event.
        last: seconds to look back; by default to the beginning.
    """
    stretches = _until(state, now)
    total = sum(stretch.seconds for stretch in stretches)
    edges = np.linspace(0.0 if last is None else max(0.0, total - last), total, bins + 1)
    held = np.interp(edges, *_held(stretches)) if stretches else np.zeros(bins + 1)
    busy = _busy(_own_time(state.spans, stretches), edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.diff(held) > 0, np.diff(busy) / np.diff(held), np.nan)
    return Utilisation(edges / 3600, np.clip(share, 0.0, 1.0), (busy[-1] - busy[0]) / 3600, (held[-1] - held[0]) / 3600)


def _until(state: State, now: float | None) -> list[SessionInterval]:
    """The stretches; the last one, if its session goes on, until `now`."""
    stretches = list(state.stretches)
    if stretches and state.open and now is not None and now > state.time:
        last = stretches[-1]
        stretches[-1] = SessionInterval(last.begin, last.end + now - state.time, last.workers)
    return stretches


def _held(stretches: Sequence[SessionInterval]) -> tuple[FloatArray, FloatArray]:
    """The run's own time at the ends of the stretches, and the worker-seconds held until then."""
    seconds = np.array([stretch.seconds for stretch in stretches])
    workers = np.array([stretch.workers for stretch in stretches])
    return np.concatenate([[0.0], np.cumsum(seconds)]), np.concatenate([[0.0], np.cumsum(seconds * workers)])


def _own_time(spans: Sequence[AttemptInterval], stretches: Sequence[SessionInterval]) -> FloatArray:
    """[n, 2] begin and end of the attempts in the run's own time, without the gaps between sessions."""
    if not spans or not stretches:
        return np.zeros((0, 2))
    end = max(stretch.end for stretch in stretches)
    begins, ends = [span.begin for span in spans], [end if span.end is None else span.end for span in spans]
    given = np.stack([begins, ends], axis=1)
    clock = np.array([[stretch.begin, stretch.end] for stretch in stretches])
    own = np.concatenate([[0.0], np.cumsum(clock[:, 1] - clock[:, 0])])
    before = np.maximum(0, np.searchsorted(clock[:, 0], given, side="right") - 1)
    inside = np.minimum(given, clock[before, 1]) - clock[before, 0]
    return np.asarray(own[before] + np.maximum(0.0, inside))


def _busy(spans: FloatArray, at: FloatArray) -> FloatArray:
    """The seconds of all attempts together that lie before each of the times `at`."""

    def passed(moments: FloatArray) -> FloatArray:
        ordered = np.sort(moments)
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        count = np.searchsorted(ordered, at)
        return np.asarray(count * at - sums[count])

    return passed(spans[:, 0]) - passed(spans[:, 1])
