"""Writing files in one step: a reader or a crash never sees half of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

Write = Callable[[IO[bytes]], object]


def write_flushed(path: Path, write: Write) -> None:
    """Write a new file and flush it to the disk; remove it where that fails.

    Raises:
        OSError: the file cannot be written; and what `write` raises.
    """
    try:
        with path.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, write: Write, draft: Path | None = None) -> None:
    """Write a file beside `path` and move it there. `draft`: the name beside it, where several processes may write.

    Raises:
        OSError: the file cannot be written; and what `write` raises.
    """
    draft = draft or path.with_name(path.name + ".draft")
    write_flushed(draft, write)
    os.replace(draft, path)


def replace_text(path: Path, text: str) -> None:
    """Replace the file at `path` by a text in UTF-8; characters that UTF-8 cannot hold become `?`.

    Raises:
        OSError: the file cannot be written.
    """
    replace_file(path, lambda file: file.write(text.encode("utf-8", errors="replace")))


def flush_folder(folder: Path) -> None:
    """Make renames in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
