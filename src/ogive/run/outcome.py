"""What an exception of an evaluation means."""

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
_DISK = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the disk is read-only; mount it writable and run the same command again",
}
KILLED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
MAX_TEXT = 20_000
"""Characters of a traceback that the journal keeps: the first and the last half."""


def classify(error: BaseException, seconds: float = 0.0) -> Outcome:
    """The outcome of an attempt that ended with `error`.

    PyTorch raises a plain RuntimeError when the CPU's memory is exhausted, and a subclass of it on a GPU; both are told
    by their text, also when another exception was raised from them.
    """
    message = _message(error)
    reason = clip(f"{type(error).__name__}: {message}".strip().rstrip(":"), 500)
    text = _traceback(error)
    if any(_memory(e) for e in _chain(error)):
        return Outcome(Status.OUT_OF_MEMORY, reason, text, seconds)
    if isinstance(error, Infeasible):
        return Outcome(Status.INFEASIBLE, message or reason, "", seconds)
    if isinstance(error, SystemExit):
        return Outcome(Status.EXITED, clip(f"the evaluation called sys.exit({error.code!r})", 500), text, seconds)
    return Outcome(Status.ERROR, reason, text, seconds)


def death(code: int, seconds: float, who: str = "the worker") -> Outcome:
    """The outcome of an attempt whose process ended with this exit code, below 0 for a signal; `who` is the process."""
    whom = "its worker" if who == "the worker" else who
    if code >= 0:
        return Outcome(Status.EXITED, f"the evaluation ended {whom} with exit code {code}", "", seconds)
    name = signal.Signals(-code).name
    if -code == signal.SIGKILL:
        name += ", perhaps by the system for lack of memory"
    if -code in KILLED_FROM_OUTSIDE:
        return Outcome(Status.KILLED, f"{who} was killed by {name}", "", seconds)
    return Outcome(Status.EXITED, f"the evaluation crashed {whom} ({name})", "", seconds)


def disk_fault(error: BaseException) -> str:
    """What is wrong with the disk where `error` comes from that, and the remedy; else "".

    Such an error is of the machine, not of the architecture: no trial should be marked as failed for it.
    """
    for e in _chain(error):
        if isinstance(e, OSError) and e.errno in _DISK:
            where = f" ({e.filename})" if e.filename else ""
            return f"{_DISK[e.errno]}{where}"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(_message(error)) is not None
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as other:  # noqa: BLE001 - the user's own __str__ may raise anything
        return f"(its message cannot be shown: {type(other).__name__})"


def _traceback(error: BaseException) -> str:
    try:
        return clip("".join(traceback.format_exception(error)), MAX_TEXT)
    except MemoryError:  # the frames still hold what has used it up
        return ""


def clip(text: str, limit: int) -> str:
    """`text`, or its first and last half where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n... {len(text) - limit} characters left out ...\n{text[-limit // 2 :]}"
