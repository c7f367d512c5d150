"""The payload of a run: a file with the space and the estimator, which workers load."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cloudpickle

from ogive.errors import JobError, RunError
from ogive.executors.worker import unpickle_payload
from ogive.files import replace_file, replace_text
from ogive.run.estimator import Estimator
from ogive.space import Space

PAYLOAD = "payload.pkl"
"""The file in a run's folder."""


def write_payload(path: Path, space: Space, estimator: Estimator) -> None:
    """Write the space and the estimator to the file `path`.

    Functions and classes that are defined in `__main__` are stored by value; all others are stored by import path.

    Raises:
        JobError: the space or the estimator cannot be pickled.
        RunError: the file cannot be written.
    """
    try:
        data = cloudpickle.dumps((space, estimator))
    except Exception as error:
        raise JobError(
            f"the space or the estimator cannot be sent to the workers: {error}; define functions and classes at the top "
            "of a module, and open files and connections inside them"
        ) from error
    try:
        replace_text(_name_import_paths_file(path), json.dumps([os.path.abspath(entry) for entry in sys.path]))
        replace_file(path, lambda file: file.write(data))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error


def load_payload(path: Path) -> tuple[Space, Estimator]:
    """Load the space and the estimator that `write_payload` wrote.

    The import paths of the process that wrote the file are appended to `sys.path`.

    Raises:
        OSError, ImportError, AttributeError, and any exception that unpickling raises.
    """
    paths_file = _name_import_paths_file(path)
    if paths_file.exists():
        sys.path += [entry for entry in json.loads(paths_file.read_text()) if entry not in sys.path]
    return unpickle_payload(path)


def _name_import_paths_file(path: Path) -> Path:
    """Return the path of the file beside a payload that holds the import paths."""
    return path.with_suffix(".paths.json")
