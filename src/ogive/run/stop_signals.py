"""What Ctrl-C and SIGTERM do to a session."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ogive.run import signal_handlers

GRACE_SECONDS = 30.0
"""How long running trials may take to reach their next report after SIGTERM."""

RETRY_SECONDS = 0.01
"""The time after which an interrupt that had to wait is tried again."""


@contextmanager
def handle_signals(stop: Callable[[str], None], say: Callable[[str], None], busy: Callable[[], bool]) -> Iterator[None]:
    """Handle signals while the context is active.

    Ctrl-C, or SIGTERM, calls `stop`, which lets running trials reach their next report. A second Ctrl-C, or `GRACE_SECONDS`
    after SIGTERM, raises KeyboardInterrupt. It waits while `busy()` is true, since an interrupted transaction would keep its
    locks. Python delivers signals to the main thread only; in another thread this context does nothing.

    Args:
        stop: called with the reason, "interrupted" or "terminated".
        say: called with a message for the user, from another thread.
        busy: returns whether KeyboardInterrupt has to wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop_requested = False
    handlers: dict[signal.Signals, signal_handlers.Handler] = {}

    def handle(number: signal.Signals, handler: signal_handlers.Handler) -> None:
        handlers[number] = handler
        signal_handlers.install(number, handler)

    def set_alarm(seconds: float) -> None:
        if signal.SIGALRM not in handlers:  # only when it is needed: until then, user code may use the alarm
            handle(signal.SIGALRM, interrupt_now)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def say_from_thread(message: str) -> None:
        # The signal may have interrupted this thread while it was writing to the same stream.
        threading.Thread(target=say, args=(message,), daemon=True).start()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal stop_requested
        if stop_requested:
            interrupt_now(number, frame)
            return
        stop_requested = True
        say_from_thread(
            "stopping: running trials continue to their next report and can be resumed later; Ctrl-C again stops at once"
        )
        stop("interrupted")

    def on_terminate(number: int, frame: FrameType | None) -> None:
        nonlocal stop_requested
        stop_requested = True
        say_from_thread(
            f"stopping: running trials have {GRACE_SECONDS:g} s to reach their next report and can be resumed later"
        )
        stop("terminated")
        set_alarm(GRACE_SECONDS)

    def interrupt_now(number: int, frame: FrameType | None) -> None:
        if busy():
            set_alarm(RETRY_SECONDS)
        else:
            raise KeyboardInterrupt("interrupted at once; all reports are in the journal, and the same call continues")

    handle(signal.SIGINT, on_interrupt)
    handle(signal.SIGTERM, on_terminate)
    try:
        yield
    finally:
        if signal.SIGALRM in handlers:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal_handlers.uninstall(number, handler)
