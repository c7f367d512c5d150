"""What travels to the workers: the space and the estimator."""

from __future__ import annotations

import os
from pathlib import Path

import cloudpickle

from ogive.errors import JobError, RunError
from ogive.run.estimator import Estimator
from ogive.space import Space

PAYLOAD = "payload.pkl"


def write_payload(path: Path, space: Space, estimator: Estimator) -> None:
    """The space and the estimator for the workers: by import path, or by value for what is defined in `__main__`."""
    draft = path.with_suffix(".draft")
    try:
        data = cloudpickle.dumps((space, estimator))
    except Exception as error:
        raise JobError(
            f"the space or the estimator cannot travel to the workers: {error}; define functions and classes at the top "
            "of a module, and open files and connections inside them"
        ) from error
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error
