"""How a session answers signals, and that it leaves the process as it found it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ogive.run import session
from ogive.run.session import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


def test_a_termination_stops_gracefully_and_after_the_grace_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GRACE_SECONDS", 0.2)
    former = [signal.getsignal(number) for number in NUMBERS]
    stopped: list[str] = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped == ["terminated"]
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), signals(stopped.append, print, lambda: False):
        work()
    assert [signal.getsignal(number) for number in NUMBERS] == former
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_second_interrupt_waits_for_the_transaction() -> None:
    stopped: list[str] = []
    busy = True

    def work() -> None:
        nonlocal busy
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # nothing has been raised so far
        busy = False
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), signals(stopped.append, print, lambda: busy):
        work()
    assert stopped == ["interrupted"]


def test_in_another_thread_signals_are_left_alone() -> None:
    seen: list[object] = []

    def look() -> None:
        with signals(lambda why: None, print, lambda: False):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
