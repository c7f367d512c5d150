"""A search declared in one YAML file: read, validated before anything runs, and run."""

from ogive.job.job import Job, add_code_of, baseline_of, load_job, load_space, run_folder, run_job

__all__ = ["Job", "add_code_of", "baseline_of", "load_job", "load_space", "run_folder", "run_job"]
