"""The hours and money that a search has spent so far, in total and by device.

There are three kinds of hours. `hours` is the wall-clock time of the sessions. `worker_hours` is the time for which workers
are reserved, busy or not; processes that train a trial together count as one worker here. `compute_hours` is the time in
which trials were computed.

Money is billed for the whole time of a session: for each process (also if several train a trial together), or for the
machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ogive.run.prices import Price
from ogive.run.timeline import SessionInterval

if TYPE_CHECKING:
    from ogive.run.state import State

SECONDS_PER_HOUR = 3600.0
"""The number of seconds in an hour."""


@dataclass(frozen=True, kw_only=True)
class Spending:
    """The hours and money that one stage has spent on one device.

    Attributes:
        stage: the name of the stage.
        device: the name of the device or machine; "all" for all devices together.
        workers: the number of trials that were trained at a time in the last session.
        hours: the wall-clock hours of the sessions.
        worker_hours: the hours of the sessions, each multiplied by its number of trials that were trained at a time.
        compute_hours: the hours in which trials were computed, summed over the trials.
        money: the money spent; None if there is no price.
        currency: the currency of `money`; "" if it is unknown.
    """

    stage: str
    device: str
    workers: int
    hours: float
    worker_hours: float
    compute_hours: float
    money: float | None
    currency: str = ""


def compute_spending(
    state: State, now: float | None = None, price: Price | None = None, stage: str = "search"
) -> Spending:
    """Return the spending of a run, all sessions together.

    Args:
        state: the state of the run.
        now: the present time on the clock of the events, in seconds, up to which an open session counts; by default the time
            of the last event.
        price: a price that replaces the prices of the sessions; None to use these.
        stage: the name of the stage, for the result.
    """
    return _sum_intervals(state, _get_intervals(state, now), price, stage=stage, device="all")


def compute_spending_by_device(
    stages: Mapping[str, State], now: float | None = None, price: Price | None = None
) -> list[Spending]:
    """Return the spending for each stage and device.

    Args:
        stages: the states of the runs, by stage, such as {"search": ..., "final": ...}.
        now: see `compute_spending`.
        price: see `compute_spending`.
    """
    rows = []
    for stage, state in stages.items():
        groups: dict[str, list[SessionInterval]] = {}
        for interval in _get_intervals(state, now):
            groups.setdefault(interval.device, []).append(interval)
        rows += [_sum_intervals(state, group, price, stage=stage, device=device) for device, group in groups.items()]
    return rows


def _get_intervals(state: State, now: float | None) -> list[SessionInterval]:
    """Return the intervals of all sessions; an open session ends at `now`."""
    intervals = list(state.session_intervals)
    if intervals and state.is_open and now is not None and now > state.time:
        intervals[-1] = replace(intervals[-1], end=intervals[-1].end + now - state.time)
    return intervals


def _sum_intervals(
    state: State, intervals: Sequence[SessionInterval], price: Price | None, *, stage: str, device: str
) -> Spending:
    # A session without a price is billed at the price of the last session that had one.
    prices = [(interval, price or interval.price or state.price) for interval in intervals]
    money = sum(
        p.compute_hourly_cost(interval.process_count) * interval.seconds / SECONDS_PER_HOUR
        for interval, p in prices
        if p
    )
    has_price = any(p for _, p in prices)
    return Spending(
        stage=stage,
        device=device,
        workers=intervals[-1].workers if intervals else 0,
        hours=sum(interval.seconds for interval in intervals) / SECONDS_PER_HOUR,
        worker_hours=sum(interval.seconds * interval.workers for interval in intervals) / SECONDS_PER_HOUR,
        compute_hours=sum(interval.compute_seconds for interval in intervals) / SECONDS_PER_HOUR,
        money=money if has_price else None,
        currency=next((p.currency for _, p in prices if p), ""),
    )
