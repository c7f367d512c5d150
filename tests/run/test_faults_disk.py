"""Runs on disks that are full or read-only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults import events, fill, left_running, remount, state, tmpfs
from staged import SPACE, Staged

import ogive as og
from ogive.errors import RunError
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.testing.journals import comparable_events


class Bulky(Staged):
    """Needs an additional megabyte of disk space, so that it runs out of space before the journal does."""

    def evaluate(self, evaluation: object) -> None:
        with (evaluation.folder / "bulk").open("wb") as file:  # type: ignore[attr-defined]
            os.posix_fallocate(file.fileno(), 0, 1_000_000)  # all or nothing, so that the journal still has space
            file.truncate(0)
        super().evaluate(evaluation)  # type: ignore[arg-type]


def search(folder: Path, estimator: Staged, observer: object = None, executor: str = "processes") -> og.Run:
    return og.search(
        SPACE,
        estimator,
        run=folder,
        strategy="random",
        epochs=3,
        max_trials=12,
        executor=executor,
        observer=observer or (lambda state, event: None),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("executor", ["inline", "processes"])
@pytest.mark.parametrize(
    ("estimator", "spare"), [(Staged(0.0), 0), (Bulky(0.0), 500_000)], ids=["the journal", "a trial"]
)
def test_a_full_disk_stops_the_search_which_continues_when_there_is_space(
    tmp_path: Path, estimator: Staged, spare: int, executor: str
) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:

        def fill_disk(state: State, event: Event | None) -> None:
            if event and event.kind is Kind.FINISHED and event.trial == 4:
                fill(disk, spare)

        with pytest.raises(RunError, match=r"full.*free some space and run the same command again"):
            search(disk / "run", estimator, fill_disk, executor)
        assert left_running(disk / "run") == []
        assert state(disk / "run").failed_count == 0, "a full disk is no fault of an architecture"
        with pytest.raises(RunError, match=r"free some space"):  # still full
            search(disk / "run", estimator, None, executor)
        (disk / "filler").unlink()
        search(disk / "run", estimator, None, executor)
        uninterrupted = search(tmp_path / "uninterrupted", estimator, None, "inline")
        assert comparable_events(events(disk / "run")) == comparable_events(events(uninterrupted.folder))


def test_a_new_run_on_a_full_disk_is_refused_and_leaves_no_files(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        folder = disk / "run"
        folder.mkdir()
        fill(disk)
        with pytest.raises(RunError, match=r"cannot write a journal at .*free some space"):
            search(folder, Staged(0.0))
        assert list(folder.iterdir()) == []


def test_a_run_on_a_read_only_disk_can_be_read_but_not_continued(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "8m") as disk:
        run = search(disk / "run", Staged(0.0))
        metrics = [trial.metrics for trial in run.trials]
        remount(disk, "ro")
        with pytest.raises(RunError, match=r"read-?only"):
            search(disk / "run", Staged(0.0))
        with pytest.raises(RunError, match=r"(?i)read-only"):
            search(disk / "other", Staged(0.0))
        assert [trial.metrics for trial in og.open_run(disk / "run").trials] == metrics
        remount(disk, "rw")
        assert search(disk / "run", Staged(0.0)).ended
