"""Signal handlers that forked children do not inherit.

A child of `os.fork` inherits the Python-level handlers of its parent, but CPython clears in it every signal that arrived
before the interpreter was ready (`PyOS_AfterFork_Child`). On a busy machine `multiprocessing.Pool.terminate` signals
a child that has not run yet; the C-level handler marks the signal, the mark is cleared, and the pool waits for that child
for ever. Here the signals are blocked around each fork, and the child gets the former handlers before they are unblocked: a
signal that arrives in between is kept by the kernel, and does what it would do in a child of plain Python.

`subprocess` needs no help: `exec` resets handlers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

_former: dict[tuple[int, Any], Any] = {}
"""For each signal and handler that is installed, the handler that it replaced."""
_forking = threading.local()


def install(number: signal.Signals, handler: Handler) -> None:
    """Handle a signal in this process alone. To be called in the main thread; a second call with the same handler puts it
    back where something else has replaced it.
    """
    replaced = signal.signal(number, handler)
    _former.setdefault((number, handler), signal.SIG_DFL if replaced is None else replaced)


def put_back() -> None:
    """Install the handlers of this module again where something else has replaced them, in the main thread."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in _former:  # the last one that was installed for a signal counts
            signal.signal(number, handler)


def uninstall(number: signal.Signals, handler: Handler) -> None:
    """Restore the handler that `handler` replaced."""
    signal.signal(number, _former.pop((number, handler)))


def _before_fork() -> None:
    numbers = {number for number, _ in _former}
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _after_fork_in_child() -> None:
    for number in {number for number, _ in _former}:
        handler = inherited = signal.getsignal(number)
        while (number, handler) in _former:
            handler = _former[number, handler]
        if handler is not inherited:
            signal.signal(number, handler)
    _former.clear()
    _after_fork()


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
