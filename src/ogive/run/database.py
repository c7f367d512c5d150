"""The file beneath a journal: opening it, giving it its name, and what its errors mean."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sql

_DRAFT = re.compile(r"\.[0-9a-f]+\.draft(-journal|-wal|-shm)?$")
WRITE_AHEAD = b"\x02\x02"
"""Bytes 18 and 19 of a database with a write-ahead log; file systems without shared memory have none."""
DAMAGED = "restore it from a backup, or try `sqlite3 journal.db .recover`"
_READ_ONLY = "the file or its folder is read-only; make it writable, or copy the run's folder elsewhere"
_HINTS = {
    "full": "free some space and run the same command again; nothing that was journalled is lost",
    "No space left": "free some space and run the same command again; nothing that was journalled is lost",
    "readonly": _READ_ONLY,
    "read-only": _READ_ONLY,
    "Read-only": _READ_ONLY,
    "unable to open": "the file or its folder is read-only, or the disk is full; mend that and run the same command again",
    "not a database": "the file was overwritten by something else; restore it from a backup",
    "malformed": f"the file is damaged; {DAMAGED}",
    "no such": f"the file is no journal of Ogive's, or damaged; {DAMAGED}",
    "disk I/O": "the disk does not answer, or is full; mend it and run the same command again",
    "locked": "another program holds the file; close it and run the same command again",
}


def is_draft(path: Path) -> bool:
    """Whether a file is a journal in the making, possibly of a controller that was killed meanwhile."""
    return _DRAFT.search(path.name) is not None


def publish(draft: Path, path: Path) -> None:
    """Give `draft` its name, unless another controller was quicker."""
    try:
        os.link(draft, path)  # unlike a renaming, this fails where there is a file
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):  # a file system without links, such as FAT
            raise
        os.replace(draft, path)


def engine(path: Path, synchronous: str, writable: bool, in_use: bool) -> sql.Engine:
    """Connections to the database at `path`, which is never created. To read it, it may be on a read-only disk. `in_use`:
    this process writes to it.
    """
    options: Mapping[str, Any] = {"timeout": 30, "check_same_thread": False}
    url = sql.URL.create(
        "sqlite", database=path.resolve().as_uri(), query={**_mode(path, writable, in_use), "uri": "true"}
    )
    made = sql.create_engine(url, connect_args=options)

    @sql.event.listens_for(made, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous}")  # of this connection, not of the file

    return made


def _mode(path: Path, writable: bool, in_use: bool) -> Mapping[str, str]:
    """How to open a database. One whose write-ahead log is not there is not written now; SQLite would create the log."""
    if writable:
        return {"mode": "rw"}
    if in_use or path.with_name(path.name + "-wal").exists():
        return {"mode": "ro"}
    with path.open("rb") as file:  # which would release this process's own locks, were it in use
        is_logged = file.read(20)[18:] == WRITE_AHEAD
    return {"immutable": "1"} if is_logged else {"mode": "ro"}


def cause(error: Exception) -> str:
    """What the database or the system said."""
    return str(getattr(error, "orig", None) or error)


def explain(error: Exception) -> str:
    """What the database or the system said, and the remedy where it is known."""
    said = cause(error)
    hint = next((text for word, text in _HINTS.items() if word in said), "")
    return f"{said}: {hint}" if hint else f"{said} ({type(error).__name__})"
