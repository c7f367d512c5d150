"""Atomic writes: after a crash, and for concurrent readers, a file is either complete or absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

Writer = Callable[[IO[bytes]], object]
"""A function that writes the content to an open binary file."""


def write_flushed(path: Path, write: Writer) -> None:
    """Create the file at `path` and flush it to the disk. If that fails, the incomplete file is removed.

    Raises:
        OSError: the file cannot be written. Exceptions of `write` are passed on.
    """
    try:
        with path.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, write: Writer, draft: Path | None = None) -> None:
    """Write a draft in the same folder and rename it to `path`.

    Args:
        path: the file to create or replace.
        write: writes the content.
        draft: the path of the draft. Default: `path` with ".draft" appended. Processes that may write the same file at the
            same time need different drafts.

    Raises:
        OSError: the file cannot be written. Exceptions of `write` are passed on.
    """
    draft = draft or path.with_name(path.name + ".draft")
    write_flushed(draft, write)
    os.replace(draft, path)


def replace_text(path: Path, text: str) -> None:
    """Replace the file at `path` by `text` in UTF-8. Characters that UTF-8 cannot encode are written as `?`.

    Raises:
        OSError: the file cannot be written.
    """
    replace_file(path, lambda file: file.write(text.encode("utf-8", errors="replace")))


def flush_folder(folder: Path) -> None:
    """Flush the entries of `folder` to the disk, so that renames in it survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
