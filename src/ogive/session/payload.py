"""What travels to the workers: the space and the estimator."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cloudpickle

from ogive.errors import JobError, RunError
from ogive.executors.worker import load
from ogive.files import replace_file, replace_text
from ogive.run.estimator import Estimator
from ogive.space import Space

PAYLOAD = "payload.pkl"


def write_payload(path: Path, space: Space, estimator: Estimator) -> None:
    """The space and the estimator for the workers: by import path, or by value for what is defined in `__main__`."""
    try:
        data = cloudpickle.dumps((space, estimator))
    except Exception as error:
        raise JobError(
            f"the space or the estimator cannot travel to the workers: {error}; define functions and classes at the top "
            "of a module, and open files and connections inside them"
        ) from error
    try:
        replace_text(_paths(path), json.dumps([os.path.abspath(entry) for entry in sys.path]))
        replace_file(path, lambda file: file.write(data))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error


def load_payload(path: Path) -> tuple[Space, Estimator]:
    """What `write_payload` wrote. Modules are found where they were found then, after where this process looks.

    Raises:
        OSError, ImportError, AttributeError and what unpickling raises.
    """
    if _paths(path).exists():
        sys.path += [entry for entry in json.loads(_paths(path).read_text()) if entry not in sys.path]
    return load(path)


def _paths(path: Path) -> Path:
    return path.with_suffix(".paths.json")
