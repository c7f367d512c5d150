"""A search declared in one YAML file: read, validated before anything runs, and run."""

from ogive.job.folders import add_code_of, place_of, run_folder
from ogive.job.job import Job, JobPhase, load_job, load_space
from ogive.job.start import baseline_of, finalize_of, run_funnel, run_job

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
