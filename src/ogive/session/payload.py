"""The payload of a run: the space and the estimator in the file from which workers load them."""

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


def write_payload(path: Path, space: Space, estimator: Estimator) -> None:
    """Write the space and the estimator. Code is stored by import path; code defined in `__main__` is stored by value.

    Raises:
        JobError: they cannot be pickled.
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
        replace_text(_import_paths_file(path), json.dumps([os.path.abspath(entry) for entry in sys.path]))
        replace_file(path, lambda file: file.write(data))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error


def load_payload(path: Path) -> tuple[Space, Estimator]:
    """Load what `write_payload` wrote. The import paths of the writing process are appended to those of this one.

    Raises:
        OSError, ImportError, AttributeError and what unpickling raises.
    """
    paths_file = _import_paths_file(path)
    if paths_file.exists():
        sys.path += [entry for entry in json.loads(paths_file.read_text()) if entry not in sys.path]
    return unpickle_payload(path)


def _import_paths_file(path: Path) -> Path:
    return path.with_suffix(".paths.json")
