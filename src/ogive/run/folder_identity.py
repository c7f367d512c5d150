"""Whether the files of a run are still where they were: somebody may move, delete or replace them during a search."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ogive.errors import RunError

Identity = tuple[int, int]
"""Device and number of a file; it goes along when the file is renamed."""


class FolderIdentity:
    """The paths of a run with the files that were there at first: its folder, its journal, the journal's log.

    Args:
        journal: the path of the journal, which is open in this process.
        patience: seconds that a file may be away; what replaces it is noticed at once.
    """

    def __init__(self, journal: Path, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._patience, self._clock = patience, clock
        log = journal.with_name(journal.name + "-wal")
        names = {journal.parent: "folder", journal: "journal", log: "write-ahead log"}
        self._files = {path: (name, identity(path)) for path, name in names.items()}
        self._away_since: float | None = None

    @property
    def unchanged(self) -> bool:
        """Whether every file is where it was."""
        return all(identity(path) == former for path, (_, former) in self._files.items())

    def check(self) -> None:
        """Check that the files are where they were.

        Raises:
            RunError: one was replaced, or is away for longer than `patience`.
        """
        if self.unchanged:
            self._away_since = None
            return
        if any(identity(path) not in (None, former) for path, (_, former) in self._files.items()):
            self._away_since = -math.inf
        elif self._away_since is None:
            self._away_since = self._clock()
        if self._clock() - self._away_since >= self._patience and (problem := self.problem()):
            raise RunError(problem)

    def problem(self) -> str | None:
        """Which file was moved, deleted or replaced, and where the journal is now; None where all are in place."""
        for path, (name, former) in self._files.items():
            now = identity(path)
            if now != former:
                happened = "moved or deleted" if now is None else "replaced by another one"
                return f"the run's {name} {path} was {happened} while the search was running; {self._remedy()}"
        return None

    def _remedy(self) -> str:
        former = self._files[self._journal][1]
        if identity(self._journal) == former:
            return "its journal is there and complete; run the same command again"
        path = None if former is None else open_path(former)
        if path is None:
            return "if it was moved, all that was reported is at the new place: move it back, or continue it there"
        if path.name.endswith(" (deleted)"):
            return "its journal was deleted, with all that was reported: restore it from a backup, or begin a new run"
        return f"all that was reported is in {path}: move it back, or continue the run in {path.parent}"


def identity(path: Path) -> Identity | None:
    """Which file is at `path`; None for none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_path(file: Identity) -> Path | None:
    """The present path of a file that this process has open, " (deleted)" at its end where it has none; None where the
    system does not say.
    """
    folder = Path("/proc/self/fd")
    for descriptor in _names(folder):
        try:
            if identity(folder / descriptor) == file:
                return Path(os.readlink(folder / descriptor))
        except OSError:  # closed meanwhile
            continue
    return None


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()
