"""The reaction of a session to signals; the handlers are restored at its end."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.run import stop_signals
from ogive.run.stop_signals import handle_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


def test_sigterm_stops_gracefully_and_immediately_after_the_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_signals, "GRACE_SECONDS", 0.2)
    previous = [signal.getsignal(number) for number in NUMBERS]
    stopped: list[str] = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped == ["terminated"]
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), handle_signals(stopped.append, print, lambda: False):
        work()
    assert [signal.getsignal(number) for number in NUMBERS] == previous
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_second_interrupt_waits_for_the_transaction() -> None:
    stopped: list[str] = []
    busy = True

    def work() -> None:
        nonlocal busy
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # nothing is raised while the transaction is open
        busy = False
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), handle_signals(stopped.append, print, lambda: busy):
        work()
    assert stopped == ["interrupted"]


def test_signal_handlers_of_an_evaluation_are_removed_after_it(tmp_path: Path) -> None:
    handlers = []

    def evaluate(architecture: Any) -> dict[str, float]:
        handlers.append(signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return {"accuracy": 0.5}

    space = og.Space(og.layer(dict, a=og.integer(0, 9, name="a")))
    og.search(space, og.estimate.function(evaluate), max_trials=3, executor="inline", run=tmp_path / "run", cache=False)
    assert len(set(handlers)) == 1
    assert handlers[0] is not signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_signals_are_not_handled_in_another_thread() -> None:
    handlers: list[object] = []

    def record_handler() -> None:
        with handle_signals(lambda reason: None, print, lambda: False):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=record_handler)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
