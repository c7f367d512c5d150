"""The folder of an export: written beside its place, and moved there when it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = (
    "model.pt2",
    "weights.safetensors",
    "architecture.json",
    "example.npz",
    "predict.py",
    "README.md",
    "build_model.py",
    "source",
)
"""What an export may consist of; those that a later export into the same folder does not have are removed."""


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """An empty folder on the disk of `folder`, removed in the end.

    Raises:
        OSError: it cannot be made.
    """
    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    place = Path(tempfile.mkdtemp(prefix=".ogive-export-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def move_into(place: Path, folder: Path) -> list[Path]:
    """Move the export in `place` into `folder`, over an earlier one there; what else it holds stays.

    Returns:
        the paths in `folder`.

    Raises:
        OSError: it cannot be written; `folder` is then as it was.
    """
    new = [name for name in NAMES if (place / name).exists()]
    missing = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    former, done = place / "former", list[tuple[Path, Path]]()
    try:
        former.mkdir()
        folder.mkdir(parents=True, exist_ok=True)
        old = [(folder / name, former / name) for name in NAMES if (folder / name).exists()]
        for source, target in [*old, *((place / name, folder / name) for name in new)]:
            os.replace(source, target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            os.replace(target, source)
        for path in missing:
            if path.is_dir():
                path.rmdir()
        raise
    return [folder / name for name in new]
