"""The messages that workers and ranks send, and the checks of such a message before it is used."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ogive.executors.channel import ProtocolError
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import MAX_TEXT, clip
from ogive.trial import Status

_OUTCOME_FIELDS = {"status": str, "reason": str, "traceback": str, "seconds": float}
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "ready": {},  # space and estimator are loaded
    "broken": _OUTCOME_FIELDS,  # space or estimator cannot be loaded
    "report": {"step": int, "metrics": dict, "seconds": float},
    "end": _OUTCOME_FIELDS,  # an assignment has ended
    "fault": {"reason": str},  # a fault of the machine: files cannot be written
}
"""The kinds of messages, with the types of their fields. The field "is" has the kind of a message. "leaving" may be added to
the last message about an assignment: whether the worker is about to exit.
"""
_END_STATUSES = {status.value for status in Status if status.failed or status in (Status.FINISHED, Status.WAITING)}


def make_outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """Return the fields of a message that contain an outcome."""
    return {
        "status": outcome.status.value,
        "reason": clip(outcome.reason, MAX_TEXT),
        "traceback": outcome.traceback,
        "seconds": float(outcome.seconds),
    }


def parse_outcome(message: Mapping[str, Any]) -> Outcome:
    """Return the outcome in a message."""
    return Outcome(Status(message["status"]), message["reason"], message["traceback"], message["seconds"])


def make_rejected_outcome(error: ProtocolError, owner: str, seconds: float = 0.0) -> Outcome:
    """Return the outcome of an attempt whose process wrote bytes to its channel that are not a message.

    The evaluation is the cause, so another attempt would not help.

    Args:
        error: the error of the channel.
        owner: the owner of the channel in the possessive, such as "its worker's".
        seconds: compute time since the last report.
    """
    reason = f"the evaluation wrote bytes to {owner} channel that are not a message: {error}"
    return Outcome(Status.EXITED, reason, seconds=seconds)


def check_message(message: Mapping[str, Any], expected: Collection[str], assignment: Assignment | None = None) -> None:
    """Check the kind of a message, and the types and ranges of its fields.

    Args:
        message: the message.
        expected: the kinds of messages that the sender may send now.
        assignment: the assignment that the sender is carrying out, which limits the step of a report; None without one.

    Raises:
        ProtocolError: the message is not an expected one, or a field has a wrong type or value.
    """
    kind: Any = message.get("is")
    if kind not in expected:
        raise ProtocolError(f"found a message {_clip_repr(kind)}; expected: {', '.join(expected) or 'none'}")
    for name, expected_type in _FIELDS[kind].items():
        if type(message.get(name)) is not expected_type:  # not `isinstance`: a bool is no int
            raise _make_field_error(message, name, f"a {expected_type.__name__}")
    if not 0 <= message.get("seconds", 0.0) < math.inf:
        raise _make_field_error(message, "seconds", "a finite number, at least 0")
    if message.get("status", Status.FINISHED) not in _END_STATUSES:
        raise _make_field_error(message, "status", "one with which a trial can end")
    # Given no metrics, get_last_step returns the highest limit.
    last_step = None if assignment is None else assignment.get_last_step({})
    if kind == "report" and last_step is not None and not 1 <= message["step"] <= last_step:
        raise _make_field_error(message, "step", f"1 to {last_step}")
    if any(type(value) is not float for value in message.get("metrics", {}).values()):
        raise _make_field_error(message, "metrics", "numbers")


def _make_field_error(message: Mapping[str, Any], name: str, expected: str) -> ProtocolError:
    value = _clip_repr(message.get(name))
    return ProtocolError(f"found {name}={value} in a message {message['is']!r}; expected {expected}")


def _clip_repr(value: object) -> str:
    return clip(repr(value), 100)
