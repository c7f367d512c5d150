"""The watcher: the death of a controller is reported once, in the journal and by the routes of the run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from faults import eventually, finish, start, state, wait_for

from ogive.cli.main import main
from ogive.monitor.run_watcher import MAX_MISSED_BEATS, RunWatcher
from ogive.run.journal import BEAT_SECONDS, Journal
from ogive.run.lease import LeaseHolder


def ogive(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as exit_info:
        main(["watch", *arguments])
    return int(exit_info.value.code or 0), capsys.readouterr().out


def test_a_killed_controller_is_reported_once_and_journalled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "run", tmp_path / "alerts.jsonl"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    assert ogive(capsys, str(folder), "--once") == (0, ""), "it lives"
    process.kill()
    eventually(lambda: not _lives(folder))
    code, out = ogive(capsys, str(folder), "--once", "--file", str(file))
    assert code == 1
    assert f"the controller (process {process.pid} on " in out
    assert "has died: 1 trial pending" in out
    (alert,) = state(folder).alerts
    assert (alert.severity, alert.cause) == ("critical", "controller:died:1")
    written = json.loads(file.read_text())
    assert written["cause"] == "controller:died:1"
    assert written["time"] == pytest.approx(alert.time, abs=60), "as in the journal"
    assert ogive(capsys, str(folder), "--once", "--file", str(file)) == (0, ""), "once for each death"
    elapsed = state(folder).elapsed_seconds
    process.communicate()
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
    assert state(folder).end_reason
    assert state(folder).elapsed_seconds < elapsed + 300
    assert ogive(capsys, str(folder)) == (0, ""), "there is nothing left to watch"


def _lives(folder: Path) -> bool:
    watched = RunWatcher(folder / "journal.db")
    return watched.look() is None


def test_a_controller_that_does_not_respond_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    now = [0.0]
    watched = RunWatcher(folder / "journal.db", clock=lambda: now[0])
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert watched.look() is None
        now[0] += MAX_MISSED_BEATS * BEAT_SECONDS - 1
        assert watched.look() is None
        now[0] += 2
        alert = watched.look()
        assert alert is not None
        assert alert.cause == "controller:silent:1"
        assert watched.look() is None
    finally:
        process.kill()
        process.communicate()


def test_a_controller_on_another_machine_is_checked_by_its_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    other_machine = LeaseHolder("elsewhere", process.pid, "long ago")
    find_holder = Journal.find_holder
    monkeypatch.setattr(Journal, "find_holder", lambda self: (other_machine, find_holder(self)[1]))
    now = [0.0]
    watched = RunWatcher(folder / "journal.db", clock=lambda: now[0])
    assert watched.look() is None
    assert not watched.is_certain
    first = watched._beat
    eventually(lambda: watched.look() is None and watched._beat != first)
    assert watched.is_certain
    process.kill()
    process.communicate()
    watched.look()
    now[0] += MAX_MISSED_BEATS * BEAT_SECONDS
    alert = watched.look()
    assert alert is not None
    assert alert.cause == "controller:died:1"


def test_a_folder_without_a_run_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["watch", str(tmp_path / "none"), "--once"])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.startswith("error: there is no ")
