"""A job: one search, or a funnel of searches, declared in one YAML file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api.funnel import DEFAULT_START_FROM, Go
from ogive.job import environment, estimator_parts, search_parts
from ogive.job.feasibility import check_feasible
from ogive.job.job_folder import get_declared_run_folder
from ogive.job.key_types import AUTO
from ogive.job.key_validation import check_keys
from ogive.job.keys import FinalizeKeys, JobKeys
from ogive.job.user_modules import CodeImporter, describe_object
from ogive.job.yaml_source import Source, read_job_file
from ogive.objective import Constraint, Objective
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL
from ogive.run.manifest import count_cores
from ogive.run.settings import Settings
from ogive.space import Space

if TYPE_CHECKING:
    from ogive.task import Task

_LATER_PHASE_VALUES: Mapping[str, Any] = {"initial": [], "warm_start": None}
"""The values, in later phases, of the keys that only the first phase uses. (Later phases start from the previous best.)"""

KEYS_OF_PHASES_ONLY = ("start_from", "go", "finalize")
"""The keys of a phase that do not change a key of the job."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A valid job, with all code and data that it refers to; created by `load_job`.

    Attributes:
        source: the job file.
        keys: the keys of the job file.
        space: the search space.
        task: the task of the built-in trainer; None if the job has a train function.
        estimator: the estimator that evaluates architectures.
        objectives: the objectives of the search.
        constraints: the bounds that a result has to satisfy.
        criteria: the constraints that define a success.
        strategy: the strategy as {name: {option: value}}.
        schedule: the schedule as {name: {option: value}}.
        epochs: the number of epochs of a fully trained trial; None if the estimator has no epochs.
        initial: the architectures to try first.
        price: the price in the form of `Settings.price`.
        baseline: a function that returns a hand-drawn network, for comparison with the winner; None if the job has no
            baseline.
        run_folder: the folder of the run.
        folders: the folders from which the user's code was imported.
        options: the keys that the command line overrides, with their values.
        phases: the phases of the funnel; empty if the job is one search.
    """

    source: Source
    keys: JobKeys
    space: Space
    task: Task | None
    estimator: Estimator
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    criteria: tuple[Constraint, ...]
    strategy: Mapping[str, Mapping[str, Any]]
    schedule: Mapping[str, Mapping[str, Any]]
    epochs: int | None
    initial: tuple[Mapping[str, Any], ...]
    price: float | str | None
    baseline: Callable[[], Any] | None
    run_folder: Path
    folders: tuple[str, ...]
    options: Mapping[str, Any]
    phases: tuple[JobPhase, ...] = ()

    @property
    def path(self) -> Path:
        """The path of the job file, as the user wrote it."""
        return self.source.path

    @property
    def is_planned(self) -> bool:
        """Whether a plan decides how many trials run at a time: `parallel_trials: auto`."""
        return self.keys.parallel_trials == AUTO

    @property
    def parallel_trials(self) -> int:
        """The number of trials that run at a time. If a plan will decide it, the number of cores."""
        count = self.keys.parallel_trials
        return count if isinstance(count, int) else count_cores()

    @property
    def settings(self) -> Settings:
        """The settings of the run, which may change when the run is continued."""
        keys = self.keys
        return Settings(
            max_trials=keys.max_trials,
            workers=self.parallel_trials,
            workers_per_trial=keys.workers_per_trial,
            max_failed_trials=keys.max_failed_trials,
            retries=keys.retries,
            time_limit=keys.time_limit,
            memory_limit=keys.memory_limit,
            startup_limit=keys.startup_limit,
            budget=None if keys.budget is None else keys.budget.model_dump(exclude_none=True),
            price=self.price,
            stop=keys.stop,
            criteria=self.criteria,
            patience=keys.patience,
            alerts=tuple(keys.alerts),
            sinks=tuple(keys.sinks),
        )


@dataclass(frozen=True, kw_only=True)
class JobPhase:
    """A phase of a job: a search, or the full training of the best trials.

    Attributes:
        name: the name of the phase and of its folder.
        job: the search: the job with the changes of the phase; None for full training.
        finalize: the arguments of `Run.finalize`; empty for a search.
        start_from: the number of best trials of the previous phase that the search tries first.
        go: the conditions for starting the next phase.
    """

    name: str
    job: Job | None
    finalize: Mapping[str, Any]
    start_from: int
    go: Go


def load_job(path: str | Path, options: Mapping[str, Any] | None = None) -> Job:
    """Read a job and check that it can run. This imports its code and reads its data; it trains and writes nothing.

    Args:
        path: the path of the YAML file.
        options: keys whose values override those of the file, such as from a command line. Errors about these keys name the
            option `--key`.

    Raises:
        JobError: the job is invalid. Each line of the message names the file, line and key, the value that was found, and
            the allowed values.
    """
    source = read_job_file(Path(path)).with_options(options or {})
    keys = check_keys(source)
    # Cheap checks come first. Code is imported and data is read only after they have passed.
    environment.check_machine(source, keys)
    environment.check_routes(source, keys)
    strategy = search_parts.check_names(source, "strategy", keys.strategy)
    search_parts.check_names(source, "schedule", keys.schedule)  # called only for the check
    schedule = search_parts.choose_schedule(source, keys, "schedule" in keys.model_fields_set)
    # These results are not needed yet: the calls check the keys. `_make_search` makes these parts again for each phase.
    search_parts.make_objectives(source, keys)
    search_parts.make_constraints(source, keys)
    search_parts.make_criteria(source, keys)
    code = CodeImporter(source)
    space = search_parts.make_space(source, keys, code)
    search_parts.check_training_decisions(source, keys, space)
    task = estimator_parts.make_task(source, keys, code, space)
    shared = _SharedParts(
        code=code,
        space=space,
        task=task,
        baseline=resolve_baseline(source, keys, code),
        run_folder=get_declared_run_folder(source, keys),
        options=dict(options or {}),
    )
    job = _make_search(source, keys.model_copy(update={"strategy": strategy, "schedule": schedule}), shared)
    check_feasible(source, job)
    if keys.finalize is not None:
        estimator_parts.check_finalize(source, keys.finalize, job.estimator, "finalize")
    return replace(job, phases=_make_phases(source, keys, shared)) if keys.phases is not None else job


@dataclass(frozen=True, kw_only=True)
class _SharedParts:
    """The parts that all phases of a job have in common, except `run_folder`, which is replaced for each phase."""

    code: CodeImporter
    space: Space
    task: Task | None
    baseline: Callable[[], Any] | None
    run_folder: Path
    options: Mapping[str, Any]


def _make_search(source: Source, keys: JobKeys, shared: _SharedParts) -> Job:
    """Return the job of one search, after checking the options of its strategy, schedule and estimator."""
    objectives, constraints = search_parts.make_objectives(source, keys), search_parts.make_constraints(source, keys)
    estimator = estimator_parts.make_estimator(source, keys, shared.code, task=shared.task, space=shared.space)
    epochs = keys.epochs if keys.task is None else keys.epochs or estimator_parts.make_recipe(source, keys).epochs
    estimator_parts.check_metrics(source, keys, estimator)
    objective_arguments: dict[str, Any] = {"objectives": objectives, "constraints": constraints}
    make_strategy = functools.partial(strategies.create, space=shared.space, **objective_arguments)
    search_parts.check_options(source, "strategy", keys.strategy, make_strategy)
    make_schedule = functools.partial(schedules.create, epochs=epochs, **objective_arguments)
    search_parts.check_options(source, "schedule", keys.schedule, make_schedule)
    estimator_parts.check_execution(source, keys, estimator, space=shared.space, make_schedule=make_schedule)
    if not (shared.run_folder / JOURNAL).is_file():
        search_parts.check_warm_start(source, keys, shared.space, **objective_arguments)
    return Job(
        source=source,
        keys=keys,
        space=shared.space,
        task=shared.task,
        estimator=estimator,
        objectives=objectives,
        constraints=constraints,
        criteria=search_parts.make_criteria(source, keys),
        strategy=keys.strategy,
        schedule=keys.schedule,
        epochs=epochs,
        initial=search_parts.make_initial(source, keys, shared.space),
        price=environment.resolve_price(source, keys),
        baseline=shared.baseline,
        run_folder=shared.run_folder,
        folders=tuple(shared.code.folders),
        options=shared.options,
    )


def _make_phases(source: Source, keys: JobKeys, shared: _SharedParts) -> tuple[JobPhase, ...]:
    """Return the phases of a funnel, in order. Each search has a separate folder inside the run folder of the job."""
    assert keys.phases is not None
    environment.check_phases(source, keys)
    phases: list[JobPhase] = []
    for name, phase in keys.phases.items():
        phase_source = source.in_section(("phases", name), phase.model_fields_set)
        go = search_parts.make_go(phase_source, name, phase.go, shared.task)
        if phase.finalize is not None:
            search = phases[-1].job
            assert search is not None  # by `check_phases`: full training follows a search
            estimator_parts.check_finalize(source, phase.finalize, search.estimator, "phases", name, "finalize")
            arguments = make_finalize_arguments(phase.finalize)
            phases.append(JobPhase(name=name, job=None, finalize=arguments, start_from=0, go=go))
            continue
        changes = {key: getattr(phase, key) for key in phase.model_fields_set if key not in KEYS_OF_PHASES_ONLY}
        phase_keys = keys.model_copy(update={**changes, **(_LATER_PHASE_VALUES if phases else {})})
        for kind in {"strategy", "schedule"} & changes.keys():
            # The result is not needed: the call raises an error for an unknown name.
            search_parts.check_names(phase_source, kind, changes[kind])
        is_declared = "schedule" in changes or "schedule" in keys.model_fields_set
        schedule = search_parts.choose_schedule(phase_source, phase_keys, is_declared)
        phase_keys = phase_keys.model_copy(update={"schedule": schedule})
        search = _make_search(phase_source, phase_keys, replace(shared, run_folder=shared.run_folder / name))
        for constraint in go.best:
            key = ("phases", name, "go", "best")
            estimator_parts.check_metric(phase_source, key, constraint.metric, search.estimator)
        start_from = DEFAULT_START_FROM if phase.start_from is None else phase.start_from
        phases.append(JobPhase(name=name, job=search, finalize={}, start_from=start_from, go=go))
    return tuple(phases)


def make_finalize_arguments(keys: FinalizeKeys) -> dict[str, Any]:
    """Return the arguments of `Run.finalize` that the key `finalize` declares."""
    arguments = keys.model_dump(exclude_none=True)
    return {**arguments, "seeds": tuple(range(arguments["seeds"]))}


def load_space(job_or_reference: str) -> Space:
    """Return the space of a job file, or the one that "file.py:name" or "package.module:name" refers to.

    Raises:
        JobError: the file or the object does not exist, or the object is not a space.
    """
    if ":" not in job_or_reference:
        source = read_job_file(Path(job_or_reference))
        return search_parts.make_space(source, check_keys(source), CodeImporter(source))
    module, _, name = job_or_reference.rpartition(":")
    path = Path(module)
    # A job needs `train` or `task`. The code that this placeholder names is never imported.
    data = {"space": f"{path.name if module.endswith('.py') else module}:{name}", "train": "unused:unused"}
    source = Source(path if module.endswith(".py") else Path("the command line"), data, {})
    return search_parts.make_space(source, check_keys(source), CodeImporter(source))


def resolve_baseline(source: Source, keys: JobKeys, code: CodeImporter) -> Callable[[], Any] | None:
    """Return the function that builds the hand-drawn network of a job; None if the job has no `baseline`.

    Raises:
        JobError: `baseline` does not refer to a function.
    """
    if keys.baseline is None:
        return None
    value: Any = code.resolve(("baseline",), keys.baseline)
    if not callable(value):
        raise source.error(
            ("baseline",),
            f"{keys.baseline} is {describe_object(value)}; allowed: a function without arguments that returns a network",
        )
    return cast("Callable[[], Any]", value)
