"""The folder of an export. It is written as a draft next to its destination, and moved there when it is complete."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ogive.errors import RunError

PROGRAM, SOURCE = "program", "source"
"""The forms of an exported model: a traced program, or weights and source code."""
ARCHITECTURE_ONLY = ""
"""The form of an export without a model: the architecture and its metrics as JSON."""
ABOUT = "architecture.json"
_COMMON_FILES = ("weights.safetensors", ABOUT, "example.npz", "predict.py", "README.md")
_FILES = {PROGRAM: ("model.pt2", *_COMMON_FILES), SOURCE: ("build_model.py", "source", *_COMMON_FILES)}
ALL_FILES = tuple(dict.fromkeys([*_FILES[PROGRAM], *_FILES[SOURCE]]))
"""All files and folders that an export may contain. A later export removes those that it does not contain itself."""
_DRAFT_PREFIX = ".ogive-export-"
_REPLACED_FOLDER = "former"
"""The folder in a draft that contains the files of the earlier export while the new files are moved into place."""
_MOVES_FILE = "moving.json"
"""The file in a draft that records the moves. It exists only while the moves are incomplete."""


def read_export_form(about: Path) -> str | None:
    """Return the form of the export, from its `architecture.json`; None if Ogive has not written this file."""
    try:
        content = json.loads(about.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("architecture"), dict) or "id" not in content:
        return None
    form = str(content.get("form", ""))
    if form in _FILES:
        return form
    # An export without a model has no entry `form`, but the origin of its architecture.
    return ARCHITECTURE_ONLY if "provenance" in content else None


def check_free(folder: Path) -> None:
    """Check that an export into `folder` replaces only files of an earlier export.

    Raises:
        RunError: the export would replace other files.
    """
    form = read_export_form(folder / ABOUT)
    replaceable = () if form is None else _FILES.get(form, (ABOUT,))
    other_files = [name for name in ALL_FILES if name not in replaceable and os.path.lexists(folder / name)]
    if other_files:
        raise RunError(
            f"{folder} contains {', '.join(other_files)}; an export would replace these files, which are not those of an "
            "earlier export; choose another folder with -o (output=)"
        )


@contextmanager
def create_draft(folder: Path) -> Iterator[Path]:
    """Provide an empty folder on the same disk as `folder`, and remove it at the end.

    Drafts that killed exports have left are removed first.

    Raises:
        OSError: the draft cannot be created.
        RunError: an export would replace other files in `folder`.
    """
    _clean_up_drafts(folder)
    check_free(folder)
    draft_folder = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=_find_nearest_existing(folder)))
    with _lock(draft_folder):
        try:
            yield draft_folder
        finally:
            # A draft with incomplete moves holds files of the earlier export; the next export moves them back.
            if not (draft_folder / _MOVES_FILE).exists():
                shutil.rmtree(draft_folder, ignore_errors=True)


def move_into(draft_folder: Path, folder: Path) -> list[Path]:
    """Move the export in a draft into `folder`, and replace an earlier export there. Other files in `folder` stay.

    Returns:
        The new paths of the exported files.

    Raises:
        OSError: a file cannot be written. After any exception, including KeyboardInterrupt, `folder` is unchanged.
        RunError: the export would replace other files in `folder`.
    """
    check_free(folder)
    new_files = [name for name in ALL_FILES if (draft_folder / name).exists()]
    new_folders = [str(path) for path in (folder.absolute(), *folder.absolute().parents) if not path.exists()]
    (draft_folder / _REPLACED_FOLDER).mkdir()
    try:
        moves = json.dumps([str(folder.absolute()), new_files, new_folders])
        (draft_folder / _MOVES_FILE).write_text(moves, encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        _move(ALL_FILES, folder, draft_folder / _REPLACED_FOLDER)
        _move(new_files, draft_folder, folder)
        (draft_folder / _MOVES_FILE).unlink()
    except BaseException:
        _undo_moves(draft_folder)
        raise
    return [folder / name for name in new_files]


def _move(names: Sequence[str], source: Path, target: Path) -> None:
    """Move the files and folders with these names, as far as they exist, from one folder to another."""
    for name in names:
        if os.path.lexists(source / name):
            os.replace(source / name, target / name)


def _undo_moves(draft_folder: Path) -> None:
    """Undo incomplete moves.

    The files on the disk show which moves were carried out, so this can be called again after an interruption.
    """
    try:
        folder, new_files, new_folders = json.loads((draft_folder / _MOVES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no move was started
        return
    _move([name for name in new_files if not os.path.lexists(draft_folder / name)], Path(folder), draft_folder)
    _move(ALL_FILES, draft_folder / _REPLACED_FOLDER, Path(folder))
    for path in new_folders:
        with suppress(OSError):  # the folder was not created, or contains other files by now
            os.rmdir(path)
    (draft_folder / _MOVES_FILE).unlink()


def _clean_up_drafts(folder: Path) -> None:
    """Remove the drafts of killed exports in `folder` and in its parent folder, and undo their incomplete moves."""
    for parent in {_find_nearest_existing(folder), _find_nearest_existing(folder.absolute().parent)}:
        for draft_folder in sorted(parent.glob(f"{_DRAFT_PREFIX}*")):
            with suppress(OSError), _lock(draft_folder) as is_locked:
                if is_locked:
                    _undo_moves(draft_folder)
                    shutil.rmtree(draft_folder)


def _find_nearest_existing(folder: Path) -> Path:
    """Return the absolute path of `folder`, or of its nearest parent that exists.

    The path is absolute, because the export is run in another working directory.
    """
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Lock a folder until the block or the process ends; provide whether the lock was acquired.

    On a file system without locks, the lock is never acquired.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
