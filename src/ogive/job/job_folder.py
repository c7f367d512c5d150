"""Where a job's run is, and what is kept there for whoever reads it later."""

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
from ogive.job.yaml_source import Source, read
from ogive.run.journal import JOURNAL

JOB_COPY = "job.yaml"
ORIGIN = "job.json"


def run_of(source: Source, keys: JobKeys) -> Path:
    """The run's folder: as the job says, relative to the job's file, or `runs/<name of the job>` beside it.

    On the command line it is relative to the working directory.
    """
    if keys.run is not None:
        return Path(keys.run) if "run" in source.options else source.path.parent / keys.run
    return source.path.parent / "runs" / source.path.stem


def run_folder(run_or_job: str | Path) -> Path:
    """The run's folder: `run_or_job` itself, or what the job's file of that name says. Loads no code of the user's.

    Of a funnel it is the run of the furthest phase.

    Raises:
        JobError: it is a file that is no job.
        RunError: it is neither, or the job has no run yet.
    """
    folder = place_of(run_or_job)
    if (folder / JOURNAL).is_file():
        return folder
    funnel = open_funnel(folder)
    if funnel is not None:
        return funnel.run.folder
    given = Path(run_or_job)
    if given.is_dir():
        there = ", ".join(str(path.parent) for path in sorted(given.glob(f"**/{JOURNAL}"))[:5])
        remedy = f"inside it there are {there}" if there else "give a run's folder, or the job's file"
        raise RunError(f"{given} holds no run; {remedy}")
    raise RunError(f"{given} has no run in {folder} yet; start it: ogive search {given}")


def place_of(run_or_job: str | Path) -> Path:
    """The folder of a run or of a funnel: `run_or_job` itself, or what the job's file of that name says.

    Raises:
        JobError: it is a file that is no job.
        RunError: it is neither.
    """
    given = Path(run_or_job)
    if given.is_dir():
        return given
    if not given.is_file():
        raise RunError(f"there is no {given}; give a run's folder, or the job's file that it belongs to")
    source = read(given)
    return run_of(source, check_keys(source))


def job_of(run: Path) -> Path | None:
    """The job's file that a run was started with; None where there was none.

    Raises:
        RunError: what the run's folder says about it cannot be read.
    """
    origin = _origin(run)
    return None if origin is None else Path(origin["job"])


def keep_job(run: Path, job: Path, options: Mapping[str, Any], folders: Sequence[str]) -> None:
    """Keep the job's file, and where it was, what was overridden and where its code is, for whoever reads the run later."""
    origin = {"job": str(job.resolve()), "options": dict(options), "folders": list(folders)}
    try:
        shutil.copyfile(job, run / JOB_COPY)
        replace_text(run / ORIGIN, json.dumps(origin, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"the job's file cannot be copied into {run}: {error}; check space and permissions") from error


def add_code_of(run: Path) -> None:
    """Let this process import the code that the run's job named, as far as it is known; needed to build its models.

    Raises:
        RunError: what the run's folder says about it cannot be read.
    """
    origin = _origin(run)
    for folder in reversed(origin["folders"] if origin else []):  # else modules are imported as they are there
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _origin(run: Path) -> dict[str, Any] | None:
    """Where a run came from; None for a run of `ogive.search`."""
    path = run / ORIGIN
    try:
        origin = json.loads(path.read_text())
        return {"job": origin["job"], "folders": list(origin["folders"])}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot be read: {error}; search again with the job to write it anew") from error
