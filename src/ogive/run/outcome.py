"""The outcome of an attempt that ended with an exception, or whose process has ended."""

from __future__ import annotations

import errno
import re
import signal
import traceback
from collections.abc import Iterator

from ogive.errors import Infeasible
from ogive.run.executor import Outcome
from ogive.trial import Status

_OUT_OF_MEMORY = re.compile(
    r"out of memory|can(no|')t allocate memory|DefaultCPUAllocator|std::bad_alloc|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
_DISK_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the disk is read-only; mount it writable and run the same command again",
}
KILLED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""Signals that a process usually receives from another process. Other signals mean that it crashed."""
MAX_TEXT = 20_000
"""A text in the journal, such as a traceback, has at most about this many characters; see `clip`."""
MAX_REASON = 500
"""A reason in the journal has at most about this many characters; see `clip`."""


def classify(error: BaseException, seconds: float = 0.0) -> Outcome:
    """Return the outcome of an attempt that ended with an exception.

    PyTorch raises a RuntimeError if it runs out of CPU memory, and a subclass of RuntimeError for GPU memory. Both are
    recognized by their messages, also if another exception was raised from them.

    Args:
        error: the exception.
        seconds: compute time since the last report.
    """
    message = _get_message(error)
    reason = clip(f"{type(error).__name__}: {message}".strip().rstrip(":"), MAX_REASON)
    text = _format_traceback(error)
    if any(_is_out_of_memory(e) for e in _iterate_causes(error)):
        return Outcome(Status.OUT_OF_MEMORY, reason, text, seconds)
    if isinstance(error, Infeasible):
        return Outcome(Status.INFEASIBLE, message or reason, seconds=seconds)
    if isinstance(error, SystemExit):
        return Outcome(
            Status.EXITED, clip(f"the evaluation called sys.exit({error.code!r})", MAX_REASON), text, seconds
        )
    return Outcome(Status.ERROR, reason, text, seconds)


def classify_exit(code: int, seconds: float, rank_name: str | None = None) -> Outcome:
    """Return the outcome of an attempt whose process has ended.

    Args:
        code: the exit code. It is negative if a signal ended the process: -9 for SIGKILL.
        seconds: compute time since the last report.
        rank_name: the name of the process if it is one of several ranks, such as "rank 1 of 2"; None for the only process.
    """
    if code >= 0:
        return Outcome(
            Status.EXITED, f"the evaluation ended {rank_name or 'its worker'} with exit code {code}", seconds=seconds
        )
    name = signal.Signals(-code).name
    if -code == signal.SIGKILL:
        name += ", perhaps by the operating system for lack of memory"
    if -code in KILLED_FROM_OUTSIDE:
        return Outcome(Status.KILLED, f"{rank_name or 'the worker'} was killed by {name}", seconds=seconds)
    return Outcome(Status.EXITED, f"the evaluation crashed {rank_name or 'its worker'} ({name})", seconds=seconds)


def find_disk_fault(error: BaseException) -> str | None:
    """Return a description of the disk problem that caused `error`, with a remedy; None if `error` has another cause.

    A disk problem is a fault of the machine and not of the architecture, so no trial should fail because of it.
    """
    for e in _iterate_causes(error):
        if isinstance(e, OSError) and e.errno in _DISK_REMEDIES:
            location = f" ({e.filename})" if e.filename else ""
            return f"{_DISK_REMEDIES[e.errno]}{location}"
    return None


def _iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, and then the exceptions that it was raised from."""
    seen_ids: set[int] = set()  # exceptions may be raised from each other in a circle
    while error is not None and id(error) not in seen_ids:
        seen_ids.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(_get_message(error)) is not None
    )


def _get_message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as other:  # noqa: BLE001 - the user's own __str__ may raise anything
        return f"(its message cannot be shown: {type(other).__name__})"


def _format_traceback(error: BaseException) -> str:
    try:
        return clip("".join(traceback.format_exception(error)), MAX_TEXT)
    except MemoryError:  # the frames of the traceback keep the objects alive that have used up the memory
        return ""


def clip(text: str, limit: int) -> str:
    """Return `text`. If it is longer than `limit` characters, leave out its middle: keep `limit // 2` from each end."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n... {len(text) - limit} characters left out ...\n{text[-limit // 2 :]}"
