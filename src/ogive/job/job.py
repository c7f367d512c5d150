"""A job: one search, declared in one YAML file."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api import Run, open_run, search
from ogive.api.result import JOURNAL
from ogive.errors import Infeasible, JobError, RunError
from ogive.job import parts
from ogive.job.code import Code, blame, describe
from ogive.job.model import JobKeys, check_keys
from ogive.job.source import Source, read
from ogive.objective import Constraint, Objective
from ogive.run.estimator import Estimator
from ogive.run.executors.processes import cores
from ogive.run.settings import Settings
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.trial import Pending

if TYPE_CHECKING:
    from ogive.run.controller import Observer
    from ogive.run.events import Event
    from ogive.run.state import State

JOB_COPY = "job.yaml"
ORIGIN = "job.json"
DRAWN = 5
"""Architectures of which one must be buildable where no preflight can tell."""


@dataclass(frozen=True)
class Job:
    """A valid job, with all that it names loaded. Made by `load_job`.

    Attributes:
        path: of the file.
        keys: what it says.
        strategy, schedule: {name: options}.
        epochs: how far a trial is trained; None where the estimator has no epochs.
        baseline: makes a network drawn by hand, to be compared with what is found; None where the job has none.
        run: the run's folder.
        folders: where the user's code was imported from.
        options: what the command line has overridden, by key.
    """

    path: Path
    keys: JobKeys
    space: Space
    estimator: Estimator
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    strategy: Mapping[str, Mapping[str, Any]]
    schedule: Mapping[str, Mapping[str, Any]]
    epochs: int | None
    baseline: Callable[[], Any] | None
    run: Path
    folders: tuple[str, ...]
    options: Mapping[str, Any]

    @property
    def settings(self) -> Settings:
        """What may change while the run is continued."""
        k = self.keys
        return Settings(k.max_trials, k.workers, k.max_failed_trials, k.retries, k.time_limit, k.memory_limit, k.budget)


def load_job(path: str | Path, options: Mapping[str, Any] | None = None) -> Job:
    """Read a job and see that it can run; loads what it names, trains nothing and writes nothing.

    Args:
        path: of the YAML file.
        options: keys to override, as from a command line; errors then name `--key`.

    Raises:
        JobError: something is wrong; one line for each thing: file, line, key, what was found, what is allowed.
    """
    source = read(Path(path)).with_options(options or {})
    keys = check_keys(source)
    _check_places(source, keys)
    strategy = parts.named(source, "strategy", keys.strategy)
    schedule = parts.named(source, "schedule", keys.schedule)
    objectives = parts.make_objectives(source, keys)
    constraints = parts.make_constraints(source, keys)
    code = Code(source)
    space = parts.make_space(source, keys, code)
    estimator = parts.make_estimator(source, keys, code, space)
    epochs = keys.epochs if keys.task is None else keys.epochs or parts.make_recipe(source, keys).epochs
    parts.check_metrics(source, keys, estimator)
    sought: dict[str, Any] = {"objectives": objectives, "constraints": constraints}
    make_strategy = functools.partial(strategies.create, space=space, **sought)
    parts.try_options(source, "strategy", strategy, make_strategy)
    parts.try_options(source, "schedule", schedule, functools.partial(schedules.create, epochs=epochs, **sought))
    baseline = _baseline(source, keys, code)
    job = Job(
        source.path, keys, space, estimator, objectives, constraints, strategy, schedule, epochs, baseline,
        run_of(source, keys), tuple(code.folders), dict(options or {}),
    )  # fmt: skip
    _check_feasible(source, job)
    return job


def run_of(source: Source, keys: JobKeys) -> Path:
    """The run's folder: as the job says, relative to the job's file, or `runs/<name of the job>` beside it.

    On the command line it is relative to the working directory.
    """
    if keys.run is not None:
        return Path(keys.run) if "run" in source.options else source.path.parent / keys.run
    return source.path.parent / "runs" / source.path.stem


def run_folder(run_or_job: str | Path) -> Path:
    """The run's folder: `run_or_job` itself, or what the job's file of that name says. Loads no code of the user's.

    Raises:
        JobError: it is a file that is no job.
        RunError: it is neither, or the job has no run yet.
    """
    given = Path(run_or_job)
    if given.is_dir():
        if not (given / JOURNAL).is_file():
            there = ", ".join(str(path.parent) for path in sorted(given.glob(f"**/{JOURNAL}"))[:5])
            remedy = f"inside it there are {there}" if there else "give a run's folder, or the job's file"
            raise RunError(f"{given} holds no run; {remedy}")
        return given
    if not given.is_file():
        raise RunError(f"there is no {given}; give a run's folder, or the job's file that it belongs to")
    source = read(given)
    folder = run_of(source, check_keys(source))
    if not (folder / JOURNAL).is_file():
        raise RunError(f"{given} has no run in {folder} yet; start it: ogive search {given}")
    return folder


def load_space(job_or_reference: str) -> Space:
    """The space of a job's file, or the one that "file.py:name" or "package.module:name" names.

    Raises:
        JobError: it cannot be found, or is none.
    """
    if ":" not in job_or_reference:
        source = read(Path(job_or_reference))
        return parts.make_space(source, check_keys(source), Code(source))
    where, _, name = job_or_reference.rpartition(":")
    path = Path(where)
    data = {"space": f"{path.name if where.endswith('.py') else where}:{name}", "train": "unused:unused"}
    source = Source(path if where.endswith(".py") else Path("the command line"), data, {})
    return parts.make_space(source, check_keys(source), Code(source))


def _check_places(source: Source, keys: JobKeys) -> None:
    """See that the machine and the executor can give what is asked for."""
    if keys.workers > cores():
        raise source.error(
            ("workers",), f"found {keys.workers} workers for {cores()} cores; give at most {cores()}, each needs one"
        )
    if keys.executor == "inline":
        for name, off in (("workers", 1), ("time_limit", None), ("memory_limit", None)):
            if getattr(keys, name) != off:
                raise source.error(
                    (name,), "`executor: inline` has one worker and no limits; use `executor: processes`"
                )


def _baseline(source: Source, keys: JobKeys, code: Code) -> Callable[[], Any] | None:
    if keys.baseline is None:
        return None
    found: Any = code.resolve(("baseline",), keys.baseline)
    if not callable(found):
        raise source.error(
            ("baseline",),
            f"{keys.baseline} is {describe(found)}; allowed: a function without arguments that makes a network",
        )
    factory: Callable[[], Any] = found
    return factory


def baseline_of(run: Path) -> Callable[[], Any] | None:
    """The hand-drawn network that the job of a run names; None where it names none, or there was no job.

    Raises:
        JobError: the job's file is not where it was, or what it names cannot be loaded.
    """
    origin = run / ORIGIN
    if not origin.is_file():
        return None
    source = read(Path(json.loads(origin.read_text())["job"]))
    return _baseline(source, check_keys(source), Code(source))


def _check_feasible(source: Source, job: Job) -> None:
    """Draw architectures as a search would, so that a space or constraints which nothing satisfies are told at once."""
    with parts.blamed(source, "space"):
        rng = generator(job.keys.seed, "check")
        drawn = [job.space.sample(rng) for _ in range(DRAWN)]
        if job.space.example_input is None and parts.builds_models(job.estimator):  # else the preflight can tell
            _check_any(drawn, lambda architecture: architecture.build(seed=0), "built", job.folders)
    if any(constraint.hard for constraint in job.constraints):
        strategy = strategies.create("random", job.space, job.objectives, job.constraints)
        screened = strategies.Constrained(strategies.Deduplicated(strategy), job.estimator.screen)
        with parts.blamed(source, "constraints"):
            _check_any(drawn, job.estimator.screen, "screened", job.folders)
            screened.ask(generator(job.keys.seed, "check"), Pending(), {})


def _check_any(
    drawn: Sequence[Architecture], attempt: Callable[[Architecture], object], done: str, folders: Sequence[str]
) -> None:
    """See that one of the architectures can be built or screened: a search survives some that cannot, but not all.

    Raises:
        JobError: none can; says what is wrong with the first that is not infeasible on purpose.
    """
    wrong: list[Exception] = []
    for architecture in drawn:
        try:
            attempt(architecture)
            return
        except Infeasible:
            continue
        except Exception as error:  # noqa: BLE001 - of a factory of the user's, told below
            wrong.append(error)
    if wrong:
        raise JobError(f"an architecture cannot be {done}: {blame(wrong[0], folders)}") from wrong[0]


def run_job(job: Job, observer: Observer | None = None) -> Run:
    """Start the job's search, or continue it where it stopped; a copy of the job's file is kept in the run's folder.

    A run that was given more trials than the job says (by `--max-trials`) keeps them.

    Args:
        job: made by `load_job`.
        observer: as for `ogive.search`; None shows nothing.

    Raises:
        JobError, RunError: as `ogive.search`.
    """
    settings = job.settings.to_json()
    if (job.run / JOURNAL).is_file():
        stored = open_run(job.run).state
        if "max_trials" not in job.options:
            settings["max_trials"] = max(settings["max_trials"], stored.settings["max_trials"])
    kept = False

    def keep_job_then_observe(state: State, event: Event | None) -> None:
        nonlocal kept
        if not kept:  # not before: the folder of a new run must be empty
            _keep_job(job)
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
        **settings,
    )


def _keep_job(job: Job) -> None:
    """Keep the job's file, and where it was, what was overridden and where its code is, for whoever reads the run later."""
    origin = {"job": str(job.path.resolve()), "options": dict(job.options), "folders": list(job.folders)}
    try:
        shutil.copyfile(job.path, job.run / JOB_COPY)
        (job.run / ORIGIN).write_text(json.dumps(origin, indent=2) + "\n")
    except OSError as error:
        raise RunError(
            f"the job's file cannot be copied into {job.run}: {error}; check space and permissions"
        ) from error


def add_code_of(run: Path) -> None:
    """Let this process import the code that the run's job named, as far as it is known; needed to build its models."""
    try:
        folders = json.loads((run / ORIGIN).read_text())["folders"]
    except FileNotFoundError:  # a run of `ogive.search`: its modules are imported as they are there
        return
    except (ValueError, KeyError) as error:
        raise RunError(
            f"{run / ORIGIN}: cannot be read: {error}; search again with the job to write it anew"
        ) from error
    for folder in reversed(folders):
        if folder not in sys.path:
            sys.path.insert(0, folder)
