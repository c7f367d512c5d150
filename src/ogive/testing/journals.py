"""Comparison of the journals of runs, without the fields that depend on time, host and price."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ogive.run.events import Event, is_session_event

VOLATILE_FIELDS = frozenset({"seconds", "epoch_seconds", "cached", "saved", "settings"})
"""The fields of events whose values depend on time, host and price."""


def comparable_events(events: Iterable[Event]) -> list[tuple[str, int | None, int | None, str]]:
    """Return (kind, trial, step, data) of every event that an interruption must not change.

    Session events are left out, and so are fields that depend on time, host and price. With one worker, a run that was
    killed and continued any number of times has the same result as a run without interruptions.
    """
    return [
        (event.kind.value, event.trial, event.step, json.dumps(_remove_volatile(dict(event.data)), sort_keys=True))
        for event in events
        if not is_session_event(event)
    ]


def _remove_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _remove_volatile(item) for key, item in value.items() if key not in VOLATILE_FIELDS}
    return value
