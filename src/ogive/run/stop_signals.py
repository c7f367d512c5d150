"""How a session answers Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ogive.run import signal_handlers

GRACE_SECONDS = 30.0
"""How long running trials may take to reach their next report after SIGTERM."""

AGAIN_SECONDS = 0.01


@contextmanager
def signals(stop: Callable[[str], None], say: Callable[[str], None], busy: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C once, or SIGTERM: `stop` gracefully. Ctrl-C twice, or `GRACE_SECONDS` after SIGTERM: KeyboardInterrupt.

    KeyboardInterrupt waits while `busy()`: an interrupted transaction would hold its locks. Signals reach Python's main
    thread only; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False
    handlers: dict[signal.Signals, signal_handlers.Handler] = {}

    def handle(number: signal.Signals, handler: signal_handlers.Handler) -> None:
        handlers[number] = handler
        signal_handlers.install(number, handler)

    def arm(seconds: float) -> None:
        """The alarm is taken over only when it is needed: until then it may be the user's."""
        if signal.SIGALRM not in handlers:
            handle(signal.SIGALRM, at_once)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def tell(message: str) -> None:
        """From a thread: the signal may have come while this one was writing to the same stream."""
        threading.Thread(target=say, args=(message,), daemon=True).start()

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            at_once(number, frame)
            return
        asked = True
        tell("stopping: running trials go on to their next report and are put back; Ctrl-C again stops at once")
        stop("interrupted")

    def terminated(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        tell(f"stopping: running trials have {GRACE_SECONDS:g} s to reach their next report and are put back")
        stop("terminated")
        arm(GRACE_SECONDS)

    def at_once(number: int, frame: FrameType | None) -> None:
        if busy():
            arm(AGAIN_SECONDS)
        else:
            raise KeyboardInterrupt("interrupted at once; nothing that was reported is lost, and the same call goes on")

    handle(signal.SIGINT, interrupted)
    handle(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        if signal.SIGALRM in handlers:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal_handlers.uninstall(number, handler)
