"""A search declared in one YAML file: read, validated before anything runs, and run.

To find a job's run loads no more than that takes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ogive.job.job_folder import add_code_of, place_of, run_folder

if TYPE_CHECKING:
    from ogive.job.execution import baseline_of as baseline_of
    from ogive.job.execution import finalize_of as finalize_of
    from ogive.job.execution import run_funnel as run_funnel
    from ogive.job.execution import run_job as run_job
    from ogive.job.job import Job as Job
    from ogive.job.job import JobPhase as JobPhase
    from ogive.job.job import load_job as load_job
    from ogive.job.job import load_space as load_space

_HOME = {
    **dict.fromkeys(("Job", "JobPhase", "load_job", "load_space"), "job"),
    **dict.fromkeys(("baseline_of", "finalize_of", "run_funnel", "run_job"), "execution"),
}

__all__ = [
    "Job",
    "JobPhase",
    "add_code_of",
    "baseline_of",
    "finalize_of",
    "load_job",
    "load_space",
    "place_of",
    "run_folder",
    "run_funnel",
    "run_job",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ogive.job.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ogive.job' has no attribute {name!r}; it has {', '.join(__all__)}")
