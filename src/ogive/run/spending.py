"""What a search has spent so far: hours and money, in total and by device.

There are three kinds of hours. `hours` is the wall-clock time of the sessions. `worker_hours` is the time for which workers
are reserved; they are billed for it, idle time included. `compute_hours` is the time in which trials were computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ogive.run.prices import Price
from ogive.run.timeline import SessionInterval

if TYPE_CHECKING:
    from ogive.run.state import State

HOUR = 3600.0
"""Seconds of an hour."""


@dataclass(frozen=True)
class Spending:
    """What was spent in one stage on one device.

    Attributes:
        money: None where there is no price.
    """

    stage: str
    device: str
    workers: int
    hours: float
    worker_hours: float
    compute_hours: float
    money: float | None
    currency: str = ""


def spend(state: State, now: float | None = None, price: Price | None = None, stage: str = "search") -> Spending:
    """What a run has taken so far, all sessions together.

    Args:
        state: of the run.
        stage: its name in the result.
        now: the clock's time, to count the open session up to it; by default up to the last event.
        price: instead of the one that was paid.
    """
    return _sum(stage, "all", state, _stretches(state, now), price)


def spend_by(stages: Mapping[str, State], now: float | None = None, price: Price | None = None) -> list[Spending]:
    """The same by stage (each a run of its own, such as {"search": ..., "final": ...}) and device."""
    lines = []
    for stage, state in stages.items():
        groups: dict[str, list[SessionInterval]] = {}
        for stretch in _stretches(state, now):
            groups.setdefault(stretch.device, []).append(stretch)
        lines += [_sum(stage, device, state, group, price) for device, group in groups.items()]
    return lines


def _stretches(state: State, now: float | None) -> list[SessionInterval]:
    stretches = list(state.stretches)
    if stretches and state.open and now is not None and now > state.time:
        stretches[-1] = replace(stretches[-1], end=stretches[-1].end + now - state.time)
    return stretches


def _sum(stage: str, device: str, state: State, stretches: Sequence[SessionInterval], price: Price | None) -> Spending:
    seconds = sum(stretch.seconds for stretch in stretches)
    held = sum(stretch.seconds * stretch.workers for stretch in stretches)
    paid = [(stretch, price or stretch.price or state.price) for stretch in stretches]
    money = sum(p.rate(stretch.paid) * stretch.seconds / HOUR for stretch, p in paid if p)
    compute = sum(stretch.compute for stretch in stretches)
    currency = next((p.currency for _, p in paid if p), "")
    workers = stretches[-1].workers if stretches else 0
    priced = any(p for _, p in paid)
    return Spending(
        stage, device, workers, seconds / HOUR, held / HOUR, compute / HOUR, money if priced else None, currency
    )
