"""How a session answers signals, and that it leaves the process as it found it."""

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
from ogive.run.stop_signals import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


def test_a_termination_stops_gracefully_and_after_the_grace_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_signals, "GRACE_SECONDS", 0.2)
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


def test_handlers_that_an_evaluation_sets_end_with_it(tmp_path: Path) -> None:
    before = []

    def judge(architecture: Any) -> dict[str, float]:
        before.append(signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return {"accuracy": 0.5}

    space = og.Space(og.layer(dict, a=og.integer(0, 9, name="a")))
    og.search(space, og.estimate.function(judge), max_trials=3, executor="inline", run=tmp_path / "run", cache=False)
    assert len(set(before)) == 1
    assert before[0] is not signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_in_another_thread_signals_are_left_alone() -> None:
    seen: list[object] = []

    def look() -> None:
        with signals(lambda why: None, print, lambda: False):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
