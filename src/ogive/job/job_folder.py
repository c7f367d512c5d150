"""The folder of a job's run, and the copy of the job in this folder."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ogive.api.funnel import open_funnel
from ogive.errors import RunError
from ogive.files import replace_text
from ogive.job.key_validation import check_keys
from ogive.job.keys import JobKeys
from ogive.job.yaml_source import Source, read_job_file
from ogive.run.journal import JOURNAL

JOB_COPY = "job.yaml"
"""The name of the copy of the job file in a run's folder."""
ORIGIN_FILE = "job.json"
"""The file that records the original path of the job file, the overrides, and the folders of the job's code."""


def get_declared_run_folder(source: Source, keys: JobKeys) -> Path:
    """Return the folder of the job's run: the value of `run`, or by default `runs/<name of the job>` beside the job file.

    In the job file, the value is relative to the folder of the file. On the command line, it is relative to the working
    directory.
    """
    if keys.run is not None:
        return Path(keys.run) if "run" in source.options else source.path.parent / keys.run
    return source.path.parent / "runs" / source.path.stem


def find_run_folder(run_or_job: str | Path) -> Path:
    """Return the folder of a run, given this folder or a job file. No code of the user is imported.

    For a funnel, it is the folder of the last phase that has a run.

    Raises:
        JobError: the file is not a valid job.
        RunError: there is no such folder or file, the folder holds no run, or the job has no run yet.
    """
    folder = find_run_or_funnel_folder(run_or_job)
    if (folder / JOURNAL).is_file():
        return folder
    funnel = open_funnel(folder)
    if funnel is not None:
        return funnel.run.folder
    path = Path(run_or_job)
    if path.is_dir():
        inside = ", ".join(str(journal.parent) for journal in sorted(path.glob(f"**/{JOURNAL}"))[:5])
        remedy = f"runs inside this folder: {inside}" if inside else "give the folder of a run, or a job file"
        raise RunError(f"{path} holds no run; {remedy}")
    raise RunError(f"{path} has no run in {folder} yet; start it: ogive search {path}")


def find_run_or_funnel_folder(run_or_job: str | Path) -> Path:
    """Return the folder of a run or of a funnel, given this folder or a job file.

    A given folder need not hold a run. The folder of a job file need not exist yet.

    Raises:
        JobError: the file is not a valid job.
        RunError: there is no such folder or file.
    """
    path = Path(run_or_job)
    if path.is_dir():
        return path
    if not path.is_file():
        raise RunError(f"there is no {path}; give the folder of a run, or the job file that it belongs to")
    source = read_job_file(path)
    return get_declared_run_folder(source, check_keys(source))


def find_original_job_file(run: Path) -> Path | None:
    """Return the path of the job file that a run was started with; None for a run without a job.

    Raises:
        RunError: the record in the run's folder cannot be read.
    """
    origin = _read_origin(run)
    return None if origin is None else Path(origin["job"])


def save_job_copy(run: Path, job: Path, options: Mapping[str, Any], folders: Sequence[str]) -> None:
    """Copy the job file into the run's folder, and record its path, its overrides and the folders of its code.

    Raises:
        RunError: the files cannot be written.
    """
    origin = {"job": str(job.resolve()), "options": dict(options), "folders": list(folders)}
    try:
        shutil.copyfile(job, run / JOB_COPY)
        replace_text(run / ORIGIN_FILE, json.dumps(origin, indent=2) + "\n")
    except OSError as error:
        raise RunError(
            f"the job file cannot be copied into {run}: {error}; check the free space and the permissions"
        ) from error


def add_code_folders(run: Path) -> None:
    """Add the folders of the job's code to `sys.path`, so that models of the run can be built in this process.

    For a run without a job this does nothing; its code must be importable already.

    Raises:
        RunError: the record in the run's folder cannot be read.
    """
    origin = _read_origin(run)
    for folder in reversed(origin["folders"] if origin else []):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _read_origin(run: Path) -> dict[str, Any] | None:
    """Return the record of the job; None for a run that was started with `ogive.search`."""
    path = run / ORIGIN_FILE
    try:
        origin = json.loads(path.read_text())
        return {"job": origin["job"], "folders": list(origin["folders"])}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: cannot be read: {error}; run `ogive search` with the job file again to rewrite this file"
        ) from error
