"""Signal handlers that forked children do not inherit.

A child of `os.fork` inherits the Python-level handlers of its parent. But CPython discards every signal that reaches the
child before its interpreter is ready (`PyOS_AfterFork_Child`). On a busy machine, `multiprocessing.Pool.terminate` can send
a signal to a child that has not run yet. The C-level handler records the signal, CPython clears the record, and the pool
waits for this child forever.

Therefore this module blocks the signals around each fork, and the child installs the handlers that were replaced before it
unblocks the signals. The kernel delivers a signal that arrives in between as soon as it is unblocked. It then has the same
effect as in a child of a process without these handlers.

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
"""For each signal and each installed handler, the handler that was replaced."""
_forking = threading.local()
"""The signal mask of each thread before its fork."""


def install(number: signal.Signals, handler: Handler) -> None:
    """Handle a signal in this process, but not in its children. Call this in the main thread.

    If user code has replaced the handler, a second call installs it again.
    """
    previous = signal.signal(number, handler)
    _replaced.setdefault((number, handler), signal.SIG_DFL if previous is None else previous)


def reinstall() -> None:
    """Install the handlers of all `install` calls again, if this is the main thread: user code may have replaced them."""
    if threading.current_thread() is threading.main_thread():
        # This is the order of installation, so the newest handler of a signal becomes active.
        for number, handler in _replaced:
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
        # Handlers of several `install` calls may have replaced each other. The child gets the handler before the first one.
        while (number, handler) in _replaced:
            handler = _replaced[number, handler]
        if handler is not inherited:
            signal.signal(number, handler)
    _replaced.clear()
    _after_fork()


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
