"""Signal handlers that forked children do not inherit.

A child of `os.fork` inherits the Python-level handlers of its parent. But CPython clears every signal that reaches the child
before its interpreter is ready (`PyOS_AfterFork_Child`). On a busy machine `multiprocessing.Pool.terminate` can send a
signal to a child that has not run yet: the C-level handler records the signal, CPython clears the record, and the pool waits
for this child forever.

Therefore the signals are blocked around each fork, and the child installs the former handlers before it unblocks them. The
kernel keeps a signal that arrives in between, and it then has the effect that it has in a child of plain Python.

Children of `subprocess` are not affected, since `exec` resets handlers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

_replaced: dict[tuple[int, Any], Any] = {}
"""For each signal and handler that is installed, the handler that it replaced."""
_forking = threading.local()


def install(number: signal.Signals, handler: Handler) -> None:
    """Handle a signal in this process, but not in its children. To be called in the main thread.

    A second call with the same handler installs it again, if something else has replaced it.
    """
    former = signal.signal(number, handler)
    _replaced.setdefault((number, handler), signal.SIG_DFL if former is None else former)


def reinstall() -> None:
    """Install all handlers of this module again, if this is the main thread: user code may have replaced them."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in _replaced:  # in the order of installation, so the last one of a signal is active
            signal.signal(number, handler)


def uninstall(number: signal.Signals, handler: Handler) -> None:
    """Restore the handler that `handler` replaced."""
    signal.signal(number, _replaced.pop((number, handler)))


def _before_fork() -> None:
    numbers = {number for number, _ in _replaced}
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _after_fork_in_child() -> None:
    for number in {number for number, _ in _replaced}:
        handler = inherited = signal.getsignal(number)
        # A handler of this module may have replaced another one of it; the child gets the one before all of them.
        while (number, handler) in _replaced:
            handler = _replaced[number, handler]
        if handler is not inherited:
            signal.signal(number, handler)
    _replaced.clear()
    _after_fork()


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
