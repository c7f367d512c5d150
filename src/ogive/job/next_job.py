"""The job of a next search in a narrower space, made from the job and the results of a run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ogive.errors import RunError
from ogive.job.job_folder import JOB_COPY, ORIGIN
from ogive.job.yaml_source import read
from ogive.trial import Trial

SUGGESTED = "suggested.yaml"
"""Its name in the folder of the run that it comes from."""
STARTS = 3
"""As many of the best are tried first."""
_REFERENCE = re.compile(r"(?P<file>[^:]+\.(?:py|ya?ml)):(?P<name>\w+)")


def write_suggested(run: Path, only: Mapping[str, Sequence[Any]], best: Sequence[Trial]) -> Path | None:
    """Write `suggested.yaml` into a run's folder: its job, in a space of which `only` is left, starting from its best.

    Args:
        run: the folder.
        only: what is left of some decisions; see `Space.restricted`.
        best: trials whose architectures lie in the narrower space.

    Returns:
        Its path; None where the run was not started with a job.

    Raises:
        RunError: what the run's folder says about its job cannot be read, or the file cannot be written.
    """
    if not (run / JOB_COPY).is_file() or not (run / ORIGIN).is_file():
        return None
    origin = _origin(run)
    home = Path(origin["job"]).parent
    data = {**read(run / JOB_COPY).data, **origin["options"]}
    data = {key: _moved(value, home, run) for key, value in data.items() if key not in ("run", "initial", "warm_start")}
    data["only"] = {**data.get("only", {}), **{name: list(left) for name, left in only.items()}}
    data["initial"] = [trial.architecture.to_json() for trial in best[:STARTS]]
    data["run"] = os.path.join("..", f"{run.resolve().name}-narrower")
    text = "# A search in a narrower space, suggested by the report on the run in this folder.\n"
    text += yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110)
    path = run / SUGGESTED
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
    return path


def _origin(run: Path) -> dict[str, Any]:
    try:
        origin = json.loads((run / ORIGIN).read_text())
        return {"job": origin["job"], "options": dict(origin.get("options", {}))}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{run / ORIGIN}: cannot be read: {error}; search again with the job to write it anew"
        ) from error


def _moved(value: Any, home: Path, to: Path) -> Any:
    """A value of a job in `home`, as it reads in a job in the folder `to`: files are named from there."""
    if isinstance(value, dict):
        return {key: _moved(item, home, to) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, home, to) for item in value]
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    return f"{os.path.relpath(home / found['file'], to.resolve())}:{found['name']}"
