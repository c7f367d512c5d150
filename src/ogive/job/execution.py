"""Run the search or the funnel of a job. Also read the settings for full training that the job of a run declares."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.api import Funnel, Phase, Run, open_run, search
from ogive.api.funnel import PhaseVerdict, funnel
from ogive.errors import JobError
from ogive.job import search_parts
from ogive.job.job import Job, JobPhase, make_finalize_arguments, resolve_baseline
from ogive.job.job_folder import find_original_job_file, save_job_copy
from ogive.job.key_validation import check_keys
from ogive.job.keys import JobKeys
from ogive.job.stored_plan import make_worker_arguments
from ogive.job.user_modules import CodeImporter
from ogive.job.yaml_source import Source, read_job_file
from ogive.run.journal import JOURNAL

if TYPE_CHECKING:
    from ogive.run.events import Event
    from ogive.run.observers import Observer
    from ogive.run.state import State

ViewFactory = Callable[[], AbstractContextManager["Observer"]]
"""A function that returns a context manager, which provides the observer of one search."""


def run_job(
    job: Job,
    observer: Observer | None = None,
    initial: Sequence[Mapping[str, Any]] = (),
    retry_failed: bool = False,
) -> Run:
    """Start the job's search, or continue it where it stopped. Store a copy of the job file in the run's folder.

    If the run was continued with a larger `--max-trials` than the job declares, it keeps the larger number.

    Args:
        job: a job without phases. (`run_funnel` runs jobs with phases.)
        observer: the observer of `ogive.search`; None for none.
        initial: architectures that a new run tries before those of the job's key `initial`.
        retry_failed: whether to repeat failed trials; see `ogive.search`.

    Raises:
        JobError: the job is invalid; see `ogive.search`.
        RunError: the run cannot be started or continued; see `ogive.search`.
    """
    if job.phases:
        raise JobError(f"{job.path}: the job has phases; run them with run_funnel")
    arguments = job.settings.to_json()
    # A run keeps the threads of the plan with which it was started, and also the split with `parallel_trials: auto`.
    for name in ("threads", *(("workers", "workers_per_trial") if job.is_planned else ())):
        del arguments[name]
    if (job.run_folder / JOURNAL).is_file():
        stored = open_run(job.run_folder).state
        if "max_trials" not in job.options:
            arguments["max_trials"] = max(arguments["max_trials"], stored.settings["max_trials"])
        is_same_split = arguments.get("workers") == stored.settings["workers"] and arguments["workers_per_trial"] == 1
        if is_same_split and any("plan" in data for data in stored.projections):
            # The run was started with a plan (see `make_worker_arguments`), and keeps the workers per trial of the plan.
            del arguments["workers_per_trial"]
    else:
        arguments["initial"] = [*initial, *job.initial]
        arguments["warm_start"] = search_parts.make_warm_start_argument(job.source, job.keys)
        arguments |= make_worker_arguments(job)
    is_saved = False

    def save_job_then_observe(state: State, event: Event | None) -> None:
        nonlocal is_saved
        if not is_saved:  # the folder of a new run must be empty before the first event
            save_job_copy(job.run_folder, job.path, job.options, job.folders)
            is_saved = True
        if observer is not None:
            observer(state, event)

    return search(
        job.space,
        job.estimator,
        objectives=job.objectives,
        constraints=job.constraints,
        strategy=job.strategy,
        schedule=job.schedule,
        epochs=job.epochs,
        seed=job.keys.seed,
        run=job.run_folder,
        executor=job.keys.executor,
        cache=job.keys.cache,
        synchronous=job.keys.synchronous,
        observer=save_job_then_observe,
        retry_failed=retry_failed,
        **arguments,
    )


def run_funnel(
    job: Job,
    make_view: ViewFactory,
    report_phase: Callable[[str, PhaseVerdict | None], object],
    print_message: Callable[[str], object],
    retry_failed: bool = False,
) -> Funnel:
    """Run the phases of a job in order, or continue its funnel where it stopped.

    Args:
        job: a job with phases.
        make_view: a function that returns the context manager of each search, which provides its observer.
        report_phase: a function that is called with the name of each phase and None when it starts, and with its name and
            verdict when it ends.
        print_message: a function that is called with messages about full training.
        retry_failed: whether to repeat failed trials in the phase that is continued.

    Raises:
        KeyboardInterrupt: the user has interrupted a search.
        JobError: a phase is invalid; see `ogive.api.funnel`.
        RunError: a phase cannot be started or continued; see `ogive.api.funnel`.
    """
    make_phase = functools.partial(
        _make_phase, job=job, make_view=make_view, print_message=print_message, retry_failed=retry_failed
    )
    return funnel([make_phase(phase) for phase in job.phases], job.run_folder, report_phase)


def _make_phase(
    phase: JobPhase, *, job: Job, make_view: ViewFactory, print_message: Callable[[str], object], retry_failed: bool
) -> Phase:
    """Return the phase of a funnel that runs a phase of the job."""
    if phase.job is not None:
        search_phase = functools.partial(_run_search_phase, phase.job, make_view, retry_failed)
        return Phase(phase.name, search_phase, start_from=phase.start_from, go=phase.go)
    arguments = {
        **phase.finalize,
        "baseline": job.baseline,
        "workers": None if job.is_planned else job.parallel_trials,
        "executor": job.keys.executor,
        "say": print_message,
        **({"retry_failed": True} if retry_failed else {}),
    }
    return Phase(phase.name, None, arguments, go=phase.go)


def _run_search_phase(
    job: Job, make_view: ViewFactory, retry_failed: bool, run: Path, initial: Sequence[Mapping[str, Any]] = ()
) -> Run:
    """Run the search of a phase. `run` is the folder that the funnel expects, which is the run folder of `job`."""
    with make_view() as observer:
        return run_job(job, observer, initial, retry_failed)


def load_baseline(run: Path) -> Callable[[], Any] | None:
    """Return the function that builds the hand-drawn network of a run's job; None if there is no job or no baseline.

    Raises:
        JobError: the job file no longer exists, or the function cannot be imported.
    """
    job = _read_job_of_run(run)
    if job is None:
        return None
    source, keys = job
    return resolve_baseline(source, keys, CodeImporter(source))


def load_finalize_arguments(run: Path) -> dict[str, Any]:
    """Return the arguments of `Run.finalize` that a run's job declares; empty if there is no job or no declaration.

    Raises:
        JobError: the job file no longer exists, or is no longer valid.
    """
    job = _read_job_of_run(run)
    if job is None:
        return {}
    _, keys = job
    phases = list((keys.phases or {}).values())
    finalize = keys.finalize or (phases[-1].finalize if phases else None)
    return {} if finalize is None else make_finalize_arguments(finalize)


def _read_job_of_run(run: Path) -> tuple[Source, JobKeys] | None:
    """Return the job file with which a run was started, and its keys; None for a run without a job."""
    path = find_original_job_file(run)
    if path is None:
        return None
    source = read_job_file(path)
    return source, check_keys(source)
