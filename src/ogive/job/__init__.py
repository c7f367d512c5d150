"""Jobs: searches that are declared in one YAML file. A job is read, checked before anything runs, and then run.

Names are imported when they are first used, so that finding the folder of a run stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.job.job_folder import add_code_folders, find_run_folder, find_run_or_funnel_folder
from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.job.execution import load_baseline as load_baseline
    from ogive.job.execution import load_finalize_arguments as load_finalize_arguments
    from ogive.job.execution import run_funnel as run_funnel
    from ogive.job.execution import run_job as run_job
    from ogive.job.job import Job as Job
    from ogive.job.job import JobPhase as JobPhase
    from ogive.job.job import load_job as load_job
    from ogive.job.job import load_space as load_space

_MODULES = {
    **dict.fromkeys(("Job", "JobPhase", "load_job", "load_space"), "job.job"),
    **dict.fromkeys(("load_baseline", "load_finalize_arguments", "run_funnel", "run_job"), "job.execution"),
}
"""The module of each name that is imported on first use."""

__all__ = [
    "Job",
    "JobPhase",
    "add_code_folders",
    "find_run_folder",
    "find_run_or_funnel_folder",
    "load_baseline",
    "load_finalize_arguments",
    "load_job",
    "load_space",
    "run_funnel",
    "run_job",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
