"""The journal: complete transactions, one writer, and clear errors for files that are not journals."""

from __future__ import annotations

import gc
import os
import random
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory import declare
from staged import SPACE, Staged

import ogive as og
from ogive.errors import RunError
from ogive.gc_pause import pause_gc
from ogive.run.clock import WallClock
from ogive.run.events import Event, Kind
from ogive.run.journal import Journal, LeaseLost
from ogive.run.lease import LeaseHolder, find_process_start, is_alive
from ogive.run.state import State
from ogive.run.stop_signals import handle_signals


def warning(number: int) -> Event:
    return Event(Kind.WARNING, data={"message": str(number)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a%20b?c#" / "journal.db"  # characters with a meaning in URLs
    path.parent.mkdir()
    Journal.create(path, [declare()])
    return path


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    journal.acquire()
    yield journal
    journal.close()


def test_events_are_read_in_the_order_in_which_they_were_appended(journal: Journal) -> None:
    appended = journal.append([warning(0), Event(Kind.STARTED, 3, data={"worker": "ü\udc80"})])
    appended += journal.append([Event(Kind.REPORTED, 3, 1, {"metrics": {"loss": float("inf")}})])
    assert [event.seq for event in appended] == [2, 3, 4]
    assert list(journal.read(after=1)) == appended
    assert journal.append([]) == []


def test_a_step_can_be_reported_only_once(journal: Journal) -> None:
    report = Event(Kind.REPORTED, 0, 1, {"metrics": {}})
    journal.append([report])
    with pytest.raises(RunError, match="has this event already"):
        journal.append([warning(1), report])
    assert [event.seq for event in journal.append([warning(2)])] == [3], (
        "no event of the refused transaction was written"
    )


def test_a_second_interrupt_at_any_moment_leaves_complete_transactions(journal: Journal) -> None:
    rng = random.Random(3)

    def write() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(rng.uniform(0, 0.005), os.kill, [os.getpid(), signal.SIGINT]).start()
        while True:
            journal.append([warning(1), warning(2)])
            time.sleep(0.001)

    for _ in range(40):
        with (
            pytest.raises(KeyboardInterrupt),
            handle_signals(lambda reason: None, lambda text: None, lambda: journal.is_writing),
        ):
            write()
    events = list(journal.read())
    assert len(events) > 100
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_a_journal_cannot_be_created_twice(path: Path) -> None:
    with pytest.raises(RunError, match="exists already"):
        Journal.create(path, [declare(seed=7)])
    assert State.from_events(Journal(path, writable=False).read()).declaration["seed"] == 5
    assert [file.name for file in path.parent.iterdir() if "draft" in file.name] == []


def test_a_second_writer_is_refused_until_the_first_gives_the_lease_back(path: Path, journal: Journal) -> None:
    other = Journal(path)
    with pytest.raises(RunError, match=r"another controller \(process \d+ on"):
        other.acquire()
    journal.close()
    other.acquire()
    other.append([warning(1)])
    other.close()


def test_a_writer_that_has_lost_the_lease_cannot_append(path: Path, journal: Journal) -> None:
    _pretend_holder(path, LeaseHolder("another-host", 1, "then"))
    successor = Journal(path)
    successor.acquire(patience=0.5)
    with pytest.raises(LeaseLost, match="another controller has taken over this run"):
        journal.append([warning(1)])
    journal.close()
    successor.append([warning(2)])
    successor.close()
    events = list(Journal(path, writable=False).read(after=1))
    assert [event.data["message"] for event in events] == ["2"]


def _pretend_holder(path: Path, holder: LeaseHolder) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lease SET holder = ?", [holder.to_json()])
    connection.close()


def test_a_holder_on_another_host_is_alive_while_it_renews_the_lease() -> None:
    other_host = LeaseHolder("another-host", 1, "then")
    beats = iter([5, 5, 6])
    assert is_alive(other_host, lambda: next(beats), 5, patience=10, wait=lambda seconds: None)
    assert not is_alive(other_host, lambda: 5, 5, patience=10, wait=lambda seconds: None)


def test_a_holder_on_this_host_is_alive_while_its_process_is() -> None:
    def never() -> int:
        raise AssertionError("the heartbeat is not needed")

    mine = LeaseHolder.this_process()
    assert is_alive(mine, never, 0, patience=10)
    reused = LeaseHolder(socket.gethostname(), mine.pid, "another process had this number")
    assert not is_alive(reused, never, 0, patience=10)
    assert find_process_start(2**22 + 1) is None


@pytest.mark.parametrize("keep", [0, 1, 50, 100, 4096, 5000, 20_000, -4096])
def test_a_truncated_journal_is_refused_and_left_unchanged(tmp_path: Path, keep: int) -> None:
    run = og.search(SPACE, Staged(0.0), run=tmp_path / "run", strategy="random", max_trials=40, executor="inline")
    path = run.folder / "journal.db"
    content = path.read_bytes()
    assert len(content) > 30_000
    path.write_bytes(content[:keep])
    before = path.read_bytes()
    with pytest.raises(RunError, match="backup"):
        og.open_run(run.folder)
    with pytest.raises(RunError, match="backup"):
        og.search(SPACE, Staged(0.0), run=run.folder, executor="inline")
    assert path.read_bytes() == before


def test_a_truncated_write_ahead_log_loses_only_its_last_events(tmp_path: Path, journal: Journal) -> None:
    for number in range(20):
        journal.append([warning(number)])
    for cut in (1, 100, 5000, 20_000):
        copy = tmp_path / f"cut-{cut}"
        copy.mkdir()
        shutil.copy(journal.path, copy / "journal.db")
        log = journal.path.with_name("journal.db-wal").read_bytes()
        (copy / "journal.db-wal").write_bytes(log[:-cut])
        messages = [e.data["message"] for e in Journal(copy / "journal.db", writable=False).read(after=1)]
        assert len(messages) < 20
        assert messages == [str(number) for number in range(len(messages))]


def test_files_that_are_not_journals_are_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with pytest.raises(RunError, match=r"there is no journal at .*give the folder of a run"):
        og.open_run(tmp_path)
    path.write_text("# Notes\n" * 1000)
    check_refused(path, "not a database: the file was overwritten by something else; restore")
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE meta (owner TEXT)")
    connection.close()
    check_refused(path, "is not an Ogive journal")


def test_an_unknown_schema_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET schema = 99")
    connection.close()
    check_refused(
        path, "schema version 99, but this version of Ogive reads version 1; use the version of Ogive that wrote it"
    )


def check_refused(path: Path, match: str) -> None:
    before = path.read_bytes()
    with pytest.raises(RunError, match=match):
        Journal(path, writable=False)
    with pytest.raises(RunError, match=match):
        Journal(path)
    assert path.read_bytes() == before


def test_a_reader_follows_a_journal_without_a_write_ahead_log(path: Path) -> None:
    """Some file systems do not support a write-ahead log."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        reader = Journal(path, writable=False)
        assert len(list(reader.read())) == 1
        connection.execute("INSERT INTO events VALUES (2, 0.0, 'warning', NULL, NULL, '{}')")
        connection.commit()
        assert len(list(reader.read())) == 2
        reader.close()
    connection.close()
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def test_the_error_names_an_event_that_was_damaged(path: Path, journal: Journal) -> None:
    journal.append([warning(1)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET data = '{' WHERE seq = 2")
    connection.close()
    with pytest.raises(RunError, match="event 2 cannot be read"):
        list(journal.read())


class ClockSetBack:
    """A clock that is set back by an hour at every reading."""

    def __init__(self) -> None:
        self.seconds = 1e9

    def now(self) -> float:
        self.seconds -= 3600
        return self.seconds

    def monotonic(self) -> float:
        return 0.0


def test_setting_the_clock_back_changes_neither_the_order_nor_the_lease(path: Path) -> None:
    journal = Journal(path, clock=ClockSetBack())
    journal.acquire()
    opened = Event(Kind.OPENED, data={})
    events = journal.append([opened]) + journal.append([warning(1)]) + journal.append([warning(2)])
    assert [event.time for event in events] == sorted((event.time for event in events), reverse=True)
    state = State.from_events(journal.read())
    assert [message for message, _ in state.warnings] == ["1", "2"]
    assert state.elapsed_seconds == 0.0, "time that runs backwards does not count towards the budget"
    journal.close()


def test_setting_the_clock_during_a_session_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, real = WallClock(), time.time
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: real() + 1e6)
    assert 0 <= clock.now() - before < 1000, "setting the clock forward would use up a budget"
    assert WallClock().now() - before > 1e5, "a later session uses the new time"


def test_objects_that_a_program_has_frozen_stay_frozen_when_a_run_is_read() -> None:
    gc.freeze()
    try:
        with pause_gc():
            assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.isenabled()
    finally:
        gc.unfreeze()
