"""The suggested job for another search in a narrower space, created from the job and the results of a run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.job.job_folder import JOB_COPY, ORIGIN_FILE
from ogive.job.yaml_source import read_job_file
from ogive.trial import Trial

SUGGESTED_JOB_FILE = "suggested.yaml"
"""The name of the suggested job file, in the folder of the run."""
INITIAL_ARCHITECTURES = 3
"""The number of best architectures that the suggested job tries first."""
# A reference to an object in a file, such as space.py:space or prices.yaml:name.
_REFERENCE = re.compile(r"(?P<file>[^:]+\.(?:py|ya?ml)):(?P<name>\w+)")


def write_suggested(run: Path, only: Mapping[str, Sequence[Any]], best: Sequence[Trial]) -> Path | None:
    """Write `suggested.yaml` into a run's folder: the run's job with a narrower space, starting from its best trials.

    Args:
        run: the folder of the run.
        only: for some decisions, the labels to keep, or the two bounds of a range; see `Space.restricted`.
        best: the best trials whose architectures are in the narrower space.

    Returns:
        The path of the file; None if the run was started without a job.

    Raises:
        RunError: the record of the job cannot be read, or the file cannot be written.
    """
    if not (run / JOB_COPY).is_file() or not (run / ORIGIN_FILE).is_file():
        return None
    origin = _read_origin(run)
    job_folder = Path(origin["job"]).parent
    data = {**read_job_file(run / JOB_COPY).data, **origin["options"]}
    data = {
        key: _relocate_references(value, job_folder, run)
        for key, value in data.items()
        if key not in ("run", "initial", "warm_start")
    }
    data["only"] = {**data.get("only", {}), **{name: list(labels) for name, labels in only.items()}}
    data["initial"] = [trial.architecture.to_json() for trial in best[:INITIAL_ARCHITECTURES]]
    data["run"] = os.path.join("..", f"{run.resolve().name}-narrower")
    text = "# A search in a narrower space, suggested by the report on the run in this folder.\n"
    # With `default_flow_style=None`, lists and mappings of plain values are written on one line.
    text += yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110)
    path = run / SUGGESTED_JOB_FILE
    try:
        replace_text(path, text)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check the free space and the permissions") from error
    return path


def _read_origin(run: Path) -> dict[str, Any]:
    try:
        origin = json.loads((run / ORIGIN_FILE).read_text())
        return {"job": origin["job"], "options": dict(origin.get("options", {}))}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{run / ORIGIN_FILE}: cannot be read: {error}; run `ogive search` with the job file again to rewrite this file"
        ) from error


def _relocate_references(value: Any, old_folder: Path, new_folder: Path) -> Any:
    """Return a value of a job. References to files, which are relative to `old_folder`, become relative to `new_folder`."""
    if isinstance(value, dict):
        return {key: _relocate_references(item, old_folder, new_folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_relocate_references(item, old_folder, new_folder) for item in value]
    reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if reference is None:
        return value
    return f"{os.path.relpath(old_folder / reference['file'], new_folder.resolve())}:{reference['name']}"
