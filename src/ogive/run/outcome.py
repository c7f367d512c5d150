"""What an exception of an evaluation means."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

from ogive.errors import Infeasible
from ogive.run.executors.base import Outcome
from ogive.trial import Status

_OUT_OF_MEMORY = re.compile(
    r"out of memory|can(no|')t allocate memory|DefaultCPUAllocator|std::bad_alloc|CUBLAS_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
MAX_TEXT = 20_000
"""Characters of a traceback that the journal keeps: the first and the last half."""


def classify(error: BaseException, seconds: float = 0.0) -> Outcome:
    """The outcome of an attempt that ended with `error`.

    PyTorch raises a plain RuntimeError when the CPU's memory is exhausted, and a subclass of it on a GPU; both are told
    by their text, also when another exception was raised from them.
    """
    reason = clip(f"{type(error).__name__}: {error}".strip().rstrip(":"), 500)
    text = clip("".join(traceback.format_exception(error)), MAX_TEXT)
    if any(_memory(e) for e in _chain(error)):
        return Outcome(Status.OUT_OF_MEMORY, reason, text, seconds)
    if isinstance(error, Infeasible):
        return Outcome(Status.INFEASIBLE, str(error) or reason, "", seconds)
    if isinstance(error, SystemExit):
        return Outcome(Status.EXITED, f"the evaluation called sys.exit({error.code!r})", text, seconds)
    return Outcome(Status.ERROR, reason, text, seconds)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None
    )


def clip(text: str, limit: int) -> str:
    """`text`, or its first and last half where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n... {len(text) - limit} characters left out ...\n{text[-limit // 2 :]}"
