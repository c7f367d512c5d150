"""Run a job: its search, or its funnel; and what a run's job says about full training."""

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
from ogive.job.job import Job, JobPhase, baseline_in, finalize_arguments
from ogive.job.job_folder import job_of, keep_job
from ogive.job.key_validation import check_keys
from ogive.job.keys import JobKeys
from ogive.job.stored_plan import begun_with
from ogive.job.user_modules import Code
from ogive.job.yaml_source import Source, read
from ogive.run.journal import JOURNAL

if TYPE_CHECKING:
    from ogive.run.events import Event
    from ogive.run.observers import Observer
    from ogive.run.state import State

View = Callable[[], AbstractContextManager["Observer"]]
"""Makes what watches one search."""


def run_job(
    job: Job,
    observer: Observer | None = None,
    initial: Sequence[Mapping[str, Any]] = (),
    retry_failed: bool = False,
) -> Run:
    """Start the job's search, or continue it where it stopped; a copy of the job's file is kept in the run's folder.

    A run that was given more trials than the job says (by `--max-trials`) keeps them.

    Args:
        job: made by `load_job`; one with phases is for `run_funnel`.
        observer: as for `ogive.search`; None shows nothing.
        initial: architectures that a new run tries first, before those of the job.
        retry_failed: as for `ogive.search`.

    Raises:
        JobError, RunError: as `ogive.search`.
    """
    if job.phases:
        raise JobError(f"{job.path}: the job has phases; run them with run_funnel")
    given = job.settings.to_json()
    for name in ("threads", *(("workers", "workers_per_trial") if job.planned else ())):
        del given[name]  # the run's own, by the plan that it was begun with
    if (job.run / JOURNAL).is_file():
        stored = open_run(job.run).state
        if "max_trials" not in job.options:
            given["max_trials"] = max(given["max_trials"], stored.settings["max_trials"])
        same = given.get("workers") == stored.settings["workers"] and given["workers_per_trial"] == 1
        if same and any("plan" in data for data in stored.projected):
            del given["workers_per_trial"]  # as `begun_with` had it from the plan
    else:
        given["initial"] = [*initial, *job.initial]
        given["warm_start"] = search_parts.warm_start(job.source, job.keys)
        given |= begun_with(job)
    kept = False

    def keep_job_then_observe(state: State, event: Event | None) -> None:
        nonlocal kept
        if not kept:  # not before: the folder of a new run must be empty
            keep_job(job.run, job.path, job.options, job.folders)
            kept = True
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
        run=job.run,
        executor=job.keys.executor,
        cache=job.keys.cache,
        synchronous=job.keys.synchronous,
        observer=keep_job_then_observe,
        retry_failed=retry_failed,
        **given,
    )


def run_funnel(
    job: Job,
    view: View,
    watch: Callable[[str, PhaseVerdict | None], object],
    say: Callable[[str], object],
    retry_failed: bool = False,
) -> Funnel:
    """Go through the phases of a job, or go on where its funnel stands.

    Args:
        job: made by `load_job`, with phases.
        view: makes what watches a phase's search.
        watch: told the name of each phase when it begins, and its verdict when it ends.
        say: told what happens in full training.
        retry_failed: as for `ogive.search`, in the phase where the funnel stands.

    Raises:
        KeyboardInterrupt, JobError, RunError: as `ogive.api.funnel`.
    """
    return funnel([_phase(phase, job, view, say, retry_failed) for phase in job.phases], job.run, watch)


def _phase(phase: JobPhase, job: Job, view: View, say: Callable[[str], object], retry_failed: bool) -> Phase:
    if phase.job is not None:
        search_phase = functools.partial(_search_phase, phase.job, view, retry_failed)
        return Phase(phase.name, search_phase, start_from=phase.start_from, go=phase.go)
    given = {
        **phase.finalize,
        "baseline": job.baseline,
        "workers": None if job.planned else job.parallel_trials,
        "executor": job.keys.executor,
        "say": say,
        **({"retry_failed": True} if retry_failed else {}),
    }
    return Phase(phase.name, None, given, go=phase.go)


def _search_phase(
    job: Job, view: View, retry_failed: bool, run: Path, initial: Sequence[Mapping[str, Any]] = ()
) -> Run:
    with view() as observer:
        return run_job(job, observer, initial, retry_failed)


def baseline_of(run: Path) -> Callable[[], Any] | None:
    """The hand-drawn network that the job of a run names; None where it names none, or there was no job.

    Raises:
        JobError: the job's file is not where it was, or what it names cannot be loaded.
    """
    found = _job_keys(run)
    return None if found is None else baseline_in(*found, Code(found[0]))


def finalize_of(run: Path) -> dict[str, Any]:
    """What the job of a run says about full training, as arguments of `Run.finalize`; empty where it says nothing.

    Raises:
        JobError: the job's file is not where it was, or is no job any more.
    """
    found = _job_keys(run)
    if found is None:
        return {}
    keys = found[1]
    last = [phase.finalize for phase in (keys.phases or {}).values()][-1:]
    finalize = keys.finalize or (last[0] if last else None)
    return {} if finalize is None else finalize_arguments(finalize)


def _job_keys(run: Path) -> tuple[Source, JobKeys] | None:
    path = job_of(run)
    if path is None:
        return None
    source = read(path)
    return source, check_keys(source)
