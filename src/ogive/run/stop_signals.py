"""The signal handlers of a session, for Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ogive.run import signal_handlers

GRACE_SECONDS = 30.0
"""The time that running trials may take to reach their next report after SIGTERM, or after an error of the user's code."""

RETRY_SECONDS = 0.01
"""The time after which a delayed KeyboardInterrupt is tried again."""


@contextmanager
def handle_signals(
    stop: Callable[[str], None], print_message: Callable[[str], None], is_busy: Callable[[], bool]
) -> Iterator[None]:
    """Handle signals while the context is active.

    Ctrl-C and SIGTERM call `stop`, which lets running trials reach their next report. KeyboardInterrupt is raised by a
    Ctrl-C that follows another signal, or `GRACE_SECONDS` after SIGTERM. It is delayed while `is_busy()` is true, since an
    interrupted write would leave the journal's database locked. Python delivers signals to the main thread only; in another
    thread this context does nothing.

    Args:
        stop: a function that is called with the reason, "interrupted" or "terminated".
        print_message: a function that is called with a message for the user, from another thread.
        is_busy: a function that returns whether KeyboardInterrupt has to wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_stop_requested = False
    handlers: dict[signal.Signals, signal_handlers.Handler] = {}

    def install(number: signal.Signals, handler: signal_handlers.Handler) -> None:
        handlers[number] = handler
        signal_handlers.install(number, handler)

    def set_alarm(seconds: float) -> None:
        if signal.SIGALRM not in handlers:  # installed only when needed: until then, user code may use the alarm
            install(signal.SIGALRM, interrupt_now)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def print_from_thread(message: str) -> None:
        # The signal may have interrupted this thread while it was writing to the same stream.
        threading.Thread(target=print_message, args=(message,), daemon=True).start()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal is_stop_requested
        if is_stop_requested:
            interrupt_now(number, frame)
            return
        is_stop_requested = True
        print_from_thread(
            "stopping: running trials continue to their next report and can be resumed later; Ctrl-C again stops at once"
        )
        stop("interrupted")

    def on_terminate(number: int, frame: FrameType | None) -> None:
        nonlocal is_stop_requested
        is_stop_requested = True
        print_from_thread(
            f"stopping: running trials have {GRACE_SECONDS:g} s to reach their next report and can be resumed later"
        )
        stop("terminated")
        set_alarm(GRACE_SECONDS)

    def interrupt_now(number: int, frame: FrameType | None) -> None:
        if is_busy():
            set_alarm(RETRY_SECONDS)
        else:
            raise KeyboardInterrupt("interrupted at once; all reports are in the journal; repeat the call to continue")

    install(signal.SIGINT, on_interrupt)
    install(signal.SIGTERM, on_terminate)
    try:
        yield
    finally:
        if signal.SIGALRM in handlers:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal_handlers.uninstall(number, handler)
