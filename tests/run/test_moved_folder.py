"""The run's folder is moved, deleted or replaced during a search: it stops, says what happened, and makes nothing new."""

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


def search_until(folder: Path, hurt: Callable[[], object], workers: int = 1) -> str:
    """Start a search of long trials, hurt its folder after a report, and return its error."""
    process = start(folder, workers, pause=0.3)
    wait_for(process, "reported")
    hurt()
    code, _, err = finish(process)
    assert code == 1, err
    assert left_running(folder) == []
    return err


@pytest.mark.parametrize("workers", [0, 1], ids=["inline", "processes"])
def test_a_moved_run_stops_and_goes_on_at_its_new_place(tmp_path: Path, workers: int) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved"
    err = search_until(folder, lambda: folder.rename(moved), workers)
    assert f"the run's folder {folder} was moved or deleted while the search was running" in err
    assert f"all reports are in {moved}/journal.db: move it back, or continue the run in {moved}" in err
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]
    stopped = state(moved)
    assert (stopped.open, stopped.failed, stopped.ended) == (False, 0, "")
    code, _, err = finish(start(moved, 1, pause=0.0))
    assert code == 0, err
    assert state(moved).count[Status.FINISHED] == 60


def test_a_deleted_run_stops_and_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    err = search_until(folder, lambda: shutil.rmtree(folder))
    assert f"the run's folder {folder} was moved or deleted" in err
    assert "its journal was deleted, with all reports" in err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_replaced_by_another_leaves_the_other_alone(tmp_path: Path) -> None:
    folder, moved, other = tmp_path / "run", tmp_path / "moved", tmp_path / "other"
    og.search(SPACE, Staged(0.0), run=other, strategy="random", max_trials=2, executor="inline")
    # but the folder of the trial that is in flight at that moment, to which its evaluation writes by its path
    files = [path for path in other.rglob("*") if path.is_file() and "000000" not in path.parts]
    before = {path: path.read_bytes() for path in files}

    def replace() -> None:
        folder.rename(moved)
        other.rename(folder)

    err = search_until(folder, replace)
    assert f"the run's folder {folder} was replaced by another one" in err
    assert str(moved) in err
    assert {path: (folder / path.relative_to(other)).read_bytes() for path in before} == before
    assert not state(moved).open


def test_a_journal_that_is_restored_from_a_backup_during_a_search_stops_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def restore() -> None:
        shutil.copy(folder / "journal.db", folder / "backup")
        (folder / "backup").rename(folder / "journal.db")

    err = search_until(folder, restore)
    assert f"the run's journal {folder}/journal.db was replaced by another one" in err
    assert "its journal was deleted, with all reports" in err


def test_a_log_that_is_deleted_during_a_search_stops_it_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    err = search_until(folder, (folder / "journal.db-wal").unlink)
    assert f"the run's write-ahead log {folder}/journal.db-wal was moved or deleted" in err
    assert "its journal is in place and complete; run the same command again" in err
    assert [event.kind for event in events(folder)].count(Kind.REPORTED) > 0
    code, _, err = finish(start(folder, 1, pause=0.0))
    assert code == 0, err


def test_a_folder_that_is_back_within_a_heartbeat_was_never_away(tmp_path: Path) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved"
    folder.mkdir()
    (folder / "journal.db").touch()
    seconds = 0.0
    place = FolderIdentity(folder / "journal.db", 5.0, lambda: seconds)
    for at in (1.0, 5.0):
        folder.rename(moved)
        place.check()
        seconds += at
        if at < 5.0:
            place.check()
        else:
            with pytest.raises(RunError, match="was moved or deleted"):
                place.check()
        moved.rename(folder)
        place.check()
    assert place.unchanged


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


def test_a_reader_sees_whether_a_controller_lives_and_takes_nothing_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=0.05)
    wait_for(process, "reported")
    reader = Journal(folder / "journal.db", writable=False)
    with pytest.raises(RunError, match=rf"another controller \(process {process.pid} on"):
        reader.check_idle()
    reader.close()
    process.kill()
    process.communicate()
    left = {path.name for path in folder.iterdir()}
    reader = Journal(folder / "journal.db", writable=False)
    reader.check_idle()
    assert len(list(reader.read())) > 3
    reader.close()
    assert {path.name for path in folder.iterdir()} == left, "the log of a killed controller is left to the next one"
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
