"""Comparing journals: what of a run is the same however often it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ogive.run.events import Event, of_a_session

VOLATILE = frozenset({"seconds", "epoch_seconds", "cached", "saved", "settings"})
"""What time, host and cost decide."""


def comparable_events(events: Iterable[Event]) -> list[tuple[str, int | None, int | None, str]]:
    """(kind, trial, step, data) of each event that an interruption must not change, without time, host and cost.

    With one worker the essence of a run's journal is the same, event by event, however often the run was killed and
    continued.
    """
    return [
        (event.kind.value, event.trial, event.step, json.dumps(_stable(dict(event.data)), sort_keys=True))
        for event in events
        if not of_a_session(event)
    ]


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(item) for key, item in value.items() if key not in VOLATILE}
    return value
