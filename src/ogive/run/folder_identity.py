"""Check that the files of a run are still at their paths: a user may move, delete or replace them during a search."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ogive.errors import RunError

Identity = tuple[int, int]
"""Device and inode of a file; renaming the file does not change it."""


class FolderIdentity:
    """The identities of a run's files at the start of the session: folder, journal and write-ahead log.

    Args:
        journal: the path of the journal, which is open in this process.
        patience: the time that a file may be missing before `check` raises an error, in seconds. A replaced file is an error
            at once.
        clock: a function that returns seconds that never decrease.
    """

    def __init__(self, journal: Path, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._patience, self._clock = patience, clock
        log = journal.with_name(journal.name + "-wal")
        names = {journal.parent: "folder", journal: "journal", log: "write-ahead log"}
        self._files = {path: (name, get_identity(path)) for path, name in names.items()}
        self._missing_since: float | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether each path still has the original file."""
        return all(get_identity(path) == original for path, (_, original) in self._files.items())

    def check(self) -> None:
        """Check that each path still has the original file.

        Raises:
            RunError: a file was replaced, or has been missing for longer than `patience`.
        """
        if self.is_unchanged:
            self._missing_since = None
            return
        if any(get_identity(path) not in (None, original) for path, (_, original) in self._files.items()):
            self._missing_since = -math.inf  # a replaced file is an error at once
        elif self._missing_since is None:
            self._missing_since = self._clock()
        if self._clock() - self._missing_since >= self._patience and (problem := self.find_problem()) is not None:
            raise RunError(problem)

    def find_problem(self) -> str | None:
        """Return a message about a file that was moved, deleted or replaced, and what to do; None if all are unchanged."""
        for path, (name, original) in self._files.items():
            present = get_identity(path)
            if present != original:
                change = "moved or deleted" if present is None else "replaced by another one"
                return f"the run's {name} {path} was {change} while the search was running; {self._find_remedy()}"
        return None

    def _find_remedy(self) -> str:
        original = self._files[self._journal][1]
        if get_identity(self._journal) == original:
            return "its journal is in place and complete; run the same command again"
        path = None if original is None else find_open_file(original)
        if path is None:
            return "if it was moved, all reports are at its new path: move it back, or continue the run there"
        if path.name.endswith(" (deleted)"):
            return "its journal was deleted, with all reports: restore it from a backup, or begin a new run"
        return f"all reports are in {path}: move it back, or continue the run in {path.parent}"


def get_identity(path: Path) -> Identity | None:
    """Return the identity of the file at `path`; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def find_open_file(file: Identity) -> Path | None:
    """Return the present path of a file that this process has open; None if it cannot be determined.

    The path of a deleted file ends with " (deleted)".
    """
    folder = Path("/proc/self/fd")
    for descriptor in _list_names(folder):
        try:
            if get_identity(folder / descriptor) == file:
                return Path(os.readlink(folder / descriptor))
        except OSError:  # the file was closed meanwhile
            continue
    return None


def _list_names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()
