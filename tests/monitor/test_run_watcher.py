"""The watcher: a controller that is killed is told of once, journalled, and by the routes of the run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from faults import eventually, finish, start, state, wait_for

from ogive.cli.main import main
from ogive.monitor.run_watcher import STALE_BEATS, RunWatcher
from ogive.run.journal import BEAT_SECONDS, Journal
from ogive.run.lease import LeaseHolder


def ogive(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(["watch", *arguments])
    return int(left.value.code or 0), capsys.readouterr().out


def test_a_killed_controller_is_told_of_once_and_journalled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = tmp_path / "run", tmp_path / "alerts.jsonl"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    assert ogive(capsys, str(folder), "--once") == (0, ""), "it lives"
    process.kill()
    eventually(lambda: not _lives(folder))
    code, out = ogive(capsys, str(folder), "--once", "--file", str(file))
    assert code == 1
    assert f"the controller (process {process.pid} on " in out
    assert "has died: 1 trial in flight" in out
    (alert,) = state(folder).alerts
    assert (alert.severity, alert.cause) == ("critical", "controller:died:1")
    told = json.loads(file.read_text())
    assert told["cause"] == "controller:died:1"
    assert told["time"] == pytest.approx(alert.time, abs=60), "as in the journal"
    assert ogive(capsys, str(folder), "--once", "--file", str(file)) == (0, ""), "once for each death"
    elapsed = state(folder).elapsed
    process.communicate()
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
    assert state(folder).ended
    assert state(folder).elapsed < elapsed + 300
    assert ogive(capsys, str(folder)) == (0, ""), "nothing is left to watch, so it leaves"


def _lives(folder: Path) -> bool:
    watched = RunWatcher(folder / "journal.db")
    return watched.look() is None


def test_a_controller_that_stands_still_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    now = [0.0]
    watched = RunWatcher(folder / "journal.db", clock=lambda: now[0])
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert watched.look() is None
        now[0] += STALE_BEATS * BEAT_SECONDS - 1
        assert watched.look() is None
        now[0] += 2
        alert = watched.look()
        assert alert is not None
        assert alert.cause == "controller:silent:1"
        assert watched.look() is None
    finally:
        process.kill()
        process.communicate()


def test_a_controller_elsewhere_is_judged_by_its_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    elsewhere = LeaseHolder("elsewhere", process.pid, "long ago")
    holder = Journal.holder
    monkeypatch.setattr(Journal, "holder", lambda self: (elsewhere, holder(self)[1]))
    now = [0.0]
    watched = RunWatcher(folder / "journal.db", clock=lambda: now[0])
    assert watched.look() is None
    assert not watched.sure
    first = watched._beat
    eventually(lambda: watched.look() is None and watched._beat != first)
    assert watched.sure
    process.kill()
    process.communicate()
    watched.look()
    now[0] += STALE_BEATS * BEAT_SECONDS
    alert = watched.look()
    assert alert is not None
    assert alert.cause == "controller:died:1"


def test_what_is_no_run_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["watch", str(tmp_path / "none"), "--once"])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: there is no ")
