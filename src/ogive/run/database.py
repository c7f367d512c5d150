"""The SQLite file of a journal: opening it, publishing a complete draft of it, and explaining its errors."""

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
"""Bytes 18 and 19 of a database with a write-ahead log. (Where SQLite cannot use such a log, they have another value.)"""
DAMAGE_REMEDY = "restore it from a backup, or try `sqlite3 journal.db .recover`"
_DISK_FULL = "free some space and run the same command again; nothing that was journalled is lost"
_READ_ONLY = "the file or its folder is read-only; make it writable, or copy the run's folder elsewhere"
_HINTS = {
    "full": _DISK_FULL,
    "No space left": _DISK_FULL,
    "readonly": _READ_ONLY,
    "read-only": _READ_ONLY,
    "Read-only": _READ_ONLY,
    "unable to open": "the file or its folder is read-only, or the disk is full; fix that and run the same command again",
    "not a database": "the file was overwritten by something else; restore it from a backup",
    "malformed": f"the file is damaged; {DAMAGE_REMEDY}",
    "no such": f"the file is not an Ogive journal, or is damaged; {DAMAGE_REMEDY}",
    "disk I/O": "the disk does not answer, or is full; fix that and run the same command again",
    "locked": "another program has locked the file; close it and run the same command again",
}
"""For each text that an error message may contain, the remedy."""


def is_draft(path: Path) -> bool:
    """Return whether a file is the draft of a journal: one that is being created, or that a killed controller left."""
    return _DRAFT.search(path.name) is not None


def publish(draft: Path, path: Path) -> None:
    """Make the file `draft` appear at `path`. The name `draft` may remain; the caller deletes it.

    Raises:
        FileExistsError: another controller has created `path` meanwhile.
        OSError: the file cannot be renamed.
    """
    try:
        os.link(draft, path)  # unlike renaming, this fails if `path` exists
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        os.replace(draft, path)  # the file system, such as FAT, has no hard links


def create_engine(path: Path, synchronous: str, writable: bool, in_use: bool) -> sql.Engine:
    """Return an engine for the database at `path`, which has to exist.

    Args:
        path: the file; it may be on a read-only disk unless `writable`.
        synchronous: SQLite's setting of this name, such as "NORMAL".
        writable: whether the connections may write to the file.
        in_use: whether this process has another connection that writes to the file.
    """
    # The heartbeat of a journal uses the engine from another thread.
    options: Mapping[str, Any] = {"timeout": 30, "check_same_thread": False}
    query = {**_choose_open_mode(path, writable, in_use), "uri": "true"}
    url = sql.URL.create("sqlite", database=path.resolve().as_uri(), query=query)
    engine = sql.create_engine(url, connect_args=options)

    @sql.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous}")  # a setting of the connection, not of the file

    return engine


def _choose_open_mode(path: Path, writable: bool, in_use: bool) -> Mapping[str, str]:
    """Return the URI parameters for opening a database.

    If the file of the write-ahead log is missing, no process is writing to the database. It is then opened as immutable,
    because SQLite would otherwise create that file.
    """
    if writable:
        return {"mode": "rw"}
    if in_use or path.with_name(path.name + "-wal").exists():
        return {"mode": "ro"}
    # This must not be done for a database in use: closing the file would release the locks that this process has on it.
    with path.open("rb") as file:
        uses_log = file.read(20)[18:] == WRITE_AHEAD
    return {"immutable": "1"} if uses_log else {"mode": "ro"}


def get_message(error: Exception) -> str:
    """Return the message of the database or of the operating system."""
    return str(getattr(error, "orig", None) or error)


def explain(error: Exception) -> str:
    """Return the message of the database or of the operating system, with a remedy if one is known."""
    message = get_message(error)
    hint = next((hint for text, hint in _HINTS.items() if text in message), None)
    return f"{message} ({type(error).__name__})" if hint is None else f"{message}: {hint}"
