"""The messages that workers and ranks send, and how they are checked before anything relies on them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ogive.executors.channel import ProtocolError
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import MAX_TEXT, clip
from ogive.trial import Status

_OUTCOME = {"status": str, "reason": str, "traceback": str, "seconds": float}
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "ready": {},  # the space and the estimator are loaded
    "broken": _OUTCOME,  # they cannot be loaded
    "report": {"step": int, "metrics": dict, "seconds": float},
    "end": _OUTCOME,  # of an assignment
    "fault": {"reason": str},  # of the machine: nothing can be written
}
"""The kinds of messages, with the types of their fields."""
_ENDS = {status.value for status in Status if status.failed or status in (Status.FINISHED, Status.WAITING)}


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """The fields of a message that tells an outcome."""
    return {
        "status": outcome.status.value,
        "reason": clip(outcome.reason, MAX_TEXT),
        "traceback": outcome.traceback,
        "seconds": float(outcome.seconds),
    }


def outcome_of(message: Mapping[str, Any]) -> Outcome:
    """The outcome that a message tells."""
    return Outcome(Status(message["status"]), message["reason"], message["traceback"], message["seconds"])


def rejected(error: ProtocolError, whose: str, seconds: float = 0.0) -> Outcome:
    """The outcome of an attempt whose process wrote something else than messages; `whose` channel it is.

    It is the evaluation's own fault, which another attempt would not change.
    """
    return Outcome(
        Status.EXITED, f"the evaluation wrote something else than messages to {whose} channel: {error}", "", seconds
    )


def check_message(message: Mapping[str, Any], expected: Collection[str], assignment: Assignment | None = None) -> None:
    """Check the kind of a message, and the types and ranges of its fields.

    Raises:
        ProtocolError: it is not one of the `expected` messages.
    """
    kind: Any = message.get("is")
    if kind not in expected:
        raise ProtocolError(f"found a message {_clipped(kind)}; expected: {', '.join(expected) or 'none'}")
    for name, expected_type in _FIELDS[kind].items():
        if type(message.get(name)) is not expected_type:
            raise _wrong(message, name, f"a {expected_type.__name__}")
    if not 0 <= message.get("seconds", 0.0) < math.inf:
        raise _wrong(message, "seconds", "a finite number, at least 0")
    if message.get("status", Status.FINISHED) not in _ENDS:
        raise _wrong(message, "status", "one with which a trial can end")
    last = None if assignment is None else assignment.last_step({})
    if kind == "report" and last is not None and not 1 <= message["step"] <= last:
        raise _wrong(message, "step", f"1 to {last}")
    if any(type(value) is not float for value in message.get("metrics", {}).values()):
        raise _wrong(message, "metrics", "numbers")


def _wrong(message: Mapping[str, Any], name: str, expected: str) -> ProtocolError:
    return ProtocolError(
        f"found {name}={_clipped(message.get(name))} in a message {message['is']!r}; expected {expected}"
    )


def _clipped(value: object) -> str:
    return clip(repr(value), 100)
