"""The folder of a run is moved, deleted or replaced during a search: it stops with a clear error and creates nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import events, finish, left_running, start, state, wait_for
from staged import SPACE, Staged

import ogive as og
from ogive.errors import RunError
from ogive.run.events import Kind
from ogive.run.folder_identity import FolderIdentity
from ogive.run.journal import Journal
from ogive.trial import Status


def search_until(folder: Path, cause_fault: Callable[[], object], workers: int = 1) -> str:
    """Start a search of long trials, cause a fault after a report, and return the error of the search."""
    process = start(folder, workers, pause=0.3)
    wait_for(process, "reported")
    cause_fault()
    code, _, err = finish(process)
    assert code == 1, err
    assert left_running(folder) == []
    return err


@pytest.mark.parametrize("workers", [0, 1], ids=["inline", "processes"])
def test_a_run_that_is_moved_stops_and_can_be_continued_at_its_new_path(tmp_path: Path, workers: int) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved"
    err = search_until(folder, lambda: folder.rename(moved), workers)
    assert f"the run's folder {folder} was moved or deleted while the search was running" in err
    assert f"all reports are in {moved}/journal.db: move it back, or continue the run in {moved}" in err
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]
    stopped = state(moved)
    assert (stopped.is_open, stopped.failed_count, stopped.end_reason) == (False, 0, None)
    code, _, err = finish(start(moved, 1, pause=0.0))
    assert code == 0, err
    assert state(moved).status_counts[Status.FINISHED] == 60


def test_a_run_that_is_deleted_stops_and_is_not_created_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    err = search_until(folder, lambda: shutil.rmtree(folder))
    assert f"the run's folder {folder} was moved or deleted" in err
    assert "its journal was deleted, with all reports" in err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_replaced_by_another_run_does_not_change_the_other(tmp_path: Path) -> None:
    folder, moved, other = tmp_path / "run", tmp_path / "moved", tmp_path / "other"
    og.search(SPACE, Staged(0.0), run=other, strategy="random", max_trials=2, executor="inline")
    # The folder of the running trial is left out, since its evaluation writes to it by its path.
    files = [path for path in other.rglob("*") if path.is_file() and "000000" not in path.parts]
    before = {path: path.read_bytes() for path in files}

    def replace() -> None:
        folder.rename(moved)
        other.rename(folder)

    err = search_until(folder, replace)
    assert f"the run's folder {folder} was replaced by another one" in err
    assert str(moved) in err
    assert {path: (folder / path.relative_to(other)).read_bytes() for path in before} == before
    assert not state(moved).is_open


def test_a_journal_that_is_restored_from_a_backup_during_a_search_stops_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def restore() -> None:
        shutil.copy(folder / "journal.db", folder / "backup")
        (folder / "backup").rename(folder / "journal.db")

    err = search_until(folder, restore)
    assert f"the run's journal {folder}/journal.db was replaced by another one" in err
    assert "its journal was deleted, with all reports" in err


def test_a_search_whose_log_is_deleted_stops_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    err = search_until(folder, (folder / "journal.db-wal").unlink)
    assert f"the run's write-ahead log {folder}/journal.db-wal was moved or deleted" in err
    assert "its journal is in place and complete; run the same command again" in err
    assert [event.kind for event in events(folder)].count(Kind.REPORTED) > 0
    code, _, err = finish(start(folder, 1, pause=0.0))
    assert code == 0, err


def test_a_folder_may_be_missing_for_less_than_a_heartbeat(tmp_path: Path) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved"
    folder.mkdir()
    (folder / "journal.db").touch()
    seconds = 0.0
    files = FolderIdentity(folder / "journal.db", 5.0, lambda: seconds)
    for absence in (1.0, 5.0):
        folder.rename(moved)
        files.check()
        seconds += absence
        if absence < 5.0:
            files.check()
        else:
            with pytest.raises(RunError, match="was moved or deleted"):
                files.check()
        moved.rename(folder)
        files.check()
    assert files.is_unchanged


def test_a_reader_changes_nothing_and_cannot_append(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    og.search(SPACE, Staged(0.0), run=folder, strategy="random", max_trials=2, executor="inline")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.rglob("*")]}
    reader = Journal(folder / "journal.db", writable=False)
    with pytest.raises(RunError, match="was opened for reading"):
        reader.acquire()
    reader.check_idle()
    assert len(list(reader.read())) > 5
    reader.close()
    assert og.open_run(folder).ended
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.rglob("*")]} == before
    for missing in (tmp_path / "none/journal.db", tmp_path / "journal.db"):
        with pytest.raises(RunError, match="there is no journal at"):
            Journal(missing, writable=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_reader_sees_whether_a_controller_is_alive_and_does_not_disturb_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=0.05)
    wait_for(process, "reported")
    reader = Journal(folder / "journal.db", writable=False)
    with pytest.raises(RunError, match=rf"another controller \(process {process.pid} on"):
        reader.check_idle()
    reader.close()
    process.kill()
    process.communicate()
    names = {path.name for path in folder.iterdir()}
    reader = Journal(folder / "journal.db", writable=False)
    reader.check_idle()
    assert len(list(reader.read())) > 3
    reader.close()
    assert {path.name for path in folder.iterdir()} == names, "a reader leaves the log of a killed controller"
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
