"""The folder of an export: written beside its place, and moved there when it is complete."""

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
"""The forms of an export."""
ABOUT = "architecture.json"
_ALWAYS = ("weights.safetensors", ABOUT, "example.npz", "predict.py", "README.md")
_OF_FORM = {PROGRAM: ("model.pt2", *_ALWAYS), SOURCE: ("build_model.py", "source", *_ALWAYS)}
NAMES = tuple(dict.fromkeys([*_OF_FORM[PROGRAM], *_OF_FORM[SOURCE]]))
"""What an export may consist of; those that a later export into the same folder does not have are removed."""
_PREFIX = ".ogive-export-"
_FORMER, _MOVING = "former", "moving.json"
"""In a draft: the export that it replaces, and the record of moves that are not completed."""


def form_of(about: Path) -> str | None:
    """The form of the exported model that an `architecture.json` tells of, "" where of none; None if it is not Ogive's."""
    try:
        content = json.loads(about.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("architecture"), dict) or "id" not in content:
        return None
    form = str(content.get("form", ""))
    return form if form in _OF_FORM else "" if "provenance" in content else None


def check_free(folder: Path) -> None:
    """Check that an export into `folder` replaces nothing but an earlier export.

    Raises:
        RunError: it would.
    """
    form = form_of(folder / ABOUT)
    own = () if form is None else _OF_FORM.get(form, (ABOUT,))
    found = [name for name in NAMES if name not in own and os.path.lexists(folder / name)]
    if found:
        raise RunError(
            f"{folder} holds {', '.join(found)}, which no export has written there, and an export would replace; "
            "choose another folder with -o (output=)"
        )


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """An empty folder on the disk of `folder`, removed in the end. Those of exports that were killed are tidied up before.

    Raises:
        OSError: it cannot be made.
        RunError: as for `check_free`.
    """
    _tidy(folder)
    check_free(folder)
    place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_existing(folder)))
    with _locked(place):
        try:
            yield place
        finally:
            if not (place / _MOVING).exists():  # else it holds the former export, which the next one moves back
                shutil.rmtree(place, ignore_errors=True)


def move_into(place: Path, folder: Path) -> list[Path]:
    """Move the export in `place` into `folder`, over an earlier one there; what else it holds stays.

    Returns:
        the paths in `folder`.

    Raises:
        OSError: it cannot be written. After this and any other exception, Ctrl-C included, `folder` is as it was.
        RunError: as for `check_free`.
    """
    check_free(folder)
    new = [name for name in NAMES if (place / name).exists()]
    missing = [str(path) for path in (folder.absolute(), *folder.absolute().parents) if not path.exists()]
    (place / _FORMER).mkdir()
    try:
        (place / _MOVING).write_text(json.dumps([str(folder.absolute()), new, missing]), encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        _move(NAMES, folder, place / _FORMER)
        _move(new, place, folder)
        (place / _MOVING).unlink()
    except BaseException:
        _move_back(place)
        raise
    return [folder / name for name in new]


def _move(names: Sequence[str], source: Path, target: Path) -> None:
    for name in names:
        if os.path.lexists(source / name):
            os.replace(source / name, target / name)


def _move_back(place: Path) -> None:
    """Undo moves that were begun and not completed. The disk tells which, so what was broken off may be called again."""
    try:
        folder, new, missing = json.loads((place / _MOVING).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none were begun
        return
    _move([name for name in new if not os.path.lexists(place / name)], Path(folder), place)
    _move(NAMES, place / _FORMER, Path(folder))
    for path in missing:
        with suppress(OSError):  # never made, or no longer empty
            os.rmdir(path)
    (place / _MOVING).unlink()


def _tidy(folder: Path) -> None:
    """Remove the drafts beside and in `folder` whose exports were killed; what they had begun to move is moved back."""
    for parent in {_existing(folder), _existing(folder.absolute().parent)}:
        for place in sorted(parent.glob(f"{_PREFIX}*")):
            with suppress(OSError), _locked(place) as free:
                if free:
                    _move_back(place)
                    shutil.rmtree(place)


def _existing(folder: Path) -> Path:
    """`folder`, or the nearest above it that exists; absolute, since the export is run from elsewhere."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


@contextmanager
def _locked(place: Path) -> Iterator[bool]:
    """Whether this process alone holds the folder `place`, until it dies; never on a file system without locks."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
