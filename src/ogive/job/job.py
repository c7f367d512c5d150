"""A job: one search, or a funnel of searches, declared in one YAML file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.api.funnel import START_FROM, Go
from ogive.errors import Infeasible, JobError
from ogive.job import environment, estimator_parts, search_parts
from ogive.job.job_folder import run_of
from ogive.job.key_validation import check_keys
from ogive.job.keys import AUTO, FinalizeKeys, JobKeys, PhaseKeys
from ogive.job.user_modules import Code, blame, describe
from ogive.job.yaml_source import Source, blamed, read
from ogive.objective import Constraint, Objective
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL
from ogive.run.manifest import cores
from ogive.run.settings import Settings
from ogive.seeds import generator
from ogive.session.search_checks import check_hard_constraints
from ogive.space import Architecture, Space
from ogive.trial import Pending
from ogive.user_code import RAISED

if TYPE_CHECKING:
    from ogive.task import Task

DRAWN = 5
"""Architectures of which one must be buildable where no preflight can tell."""

_NOTHING_BEFORE: Mapping[str, Any] = {"initial": [], "warm_start": None}
"""What is for the first phase only: the others begin with the best of the former one."""

NOT_OF_SEARCH = ("start_from", "go", "finalize")
"""Keys of a phase that are not keys of a job."""


@dataclass(frozen=True)
class Job:
    """A valid job, with all that it names loaded. Made by `load_job`.

    Attributes:
        source: the file.
        keys: what it says.
        task: what the built-in trainer learns; None where there is a train function.
        criteria: success.
        strategy, schedule: {name: options}.
        epochs: how far a trial is trained; None where the estimator has no epochs.
        initial: architectures to try first.
        price: as the run's settings take it.
        baseline: makes a network drawn by hand, to be compared with what is found; None where the job has none.
        run: the run's folder.
        folders: where the user's code was imported from.
        options: what the command line has overridden, by key.
        phases: of the funnel; empty where the job is one search.
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
    run: Path
    folders: tuple[str, ...]
    options: Mapping[str, Any]
    phases: tuple[JobPhase, ...] = ()

    @property
    def path(self) -> Path:
        """Of the file, as the user wrote it."""
        return self.source.path

    @property
    def planned(self) -> bool:
        """Whether a plan decides how many trials run at a time: `parallel_trials: auto`."""
        return self.keys.parallel_trials == AUTO

    @property
    def parallel_trials(self) -> int:
        """Trials at a time; as many as there are cores where a plan decides and has not yet."""
        given = self.keys.parallel_trials
        return given if isinstance(given, int) else cores()

    @property
    def settings(self) -> Settings:
        """What may change while the run is continued."""
        k = self.keys
        return Settings(
            max_trials=k.max_trials,
            workers=self.parallel_trials,
            workers_per_trial=k.workers_per_trial,
            max_failed_trials=k.max_failed_trials,
            retries=k.retries,
            time_limit=k.time_limit,
            memory_limit=k.memory_limit,
            startup_limit=k.startup_limit,
            budget=None if k.budget is None else k.budget.model_dump(exclude_none=True),
            price=self.price,
            stop=k.stop,
            criteria=self.criteria,
            patience=k.patience,
            alerts=tuple(k.alerts),
            sinks=tuple(k.sinks),
        )


@dataclass(frozen=True)
class JobPhase:
    """A phase of a job.

    Attributes:
        name: of the phase, and of its folder.
        job: what it searches: the whole job with what the phase changes; None for the full training of the best.
        finalize: arguments of full training, where there is no job.
        start_from: how many of the former phase's best it begins with.
        go: when the next phase begins.
    """

    name: str
    job: Job | None
    finalize: Mapping[str, Any]
    start_from: int
    go: Go


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
    environment.check_machine(source, keys)
    environment.check_routes(source, keys)
    strategy = search_parts.named(source, "strategy", keys.strategy)
    search_parts.named(source, "schedule", keys.schedule)
    schedule = search_parts.with_its_schedule(source, keys, "schedule" in keys.model_fields_set)
    search_parts.make_objectives(source, keys)
    search_parts.make_constraints(source, keys)
    search_parts.make_criteria(source, keys)
    code = Code(source)
    space = search_parts.make_space(source, keys, code)
    search_parts.check_joint(source, keys, space)
    task = estimator_parts.make_task(source, keys, code, space)
    baseline = baseline_in(source, keys, code)
    given = _Given(code, space, task, baseline, run_of(source, keys), dict(options or {}))
    job = _search(source, replace_named(keys, strategy, schedule), given)
    _check_feasible(source, job)
    if keys.finalize is not None:
        estimator_parts.check_finalize(source, keys.finalize, job.estimator, "finalize")
    return replace(job, phases=_phases(source, keys, given)) if keys.phases is not None else job


def replace_named(keys: JobKeys, strategy: Mapping[str, Any], schedule: Mapping[str, Any]) -> JobKeys:
    """The same keys with a strategy and a schedule that were seen to exist."""
    return keys.model_copy(update={"strategy": strategy, "schedule": schedule})


@dataclass(frozen=True)
class _Given:
    """What all phases of a job have in common."""

    code: Code
    space: Space
    task: Task | None
    baseline: Callable[[], Any] | None
    run: Path
    options: Mapping[str, Any]


def _search(source: Source, keys: JobKeys, given: _Given) -> Job:
    """One search, with everything that it names made once."""
    objectives, constraints = search_parts.make_objectives(source, keys), search_parts.make_constraints(source, keys)
    estimator = estimator_parts.make_estimator(source, keys, given.code, given.task, given.space)
    epochs = keys.epochs if keys.task is None else keys.epochs or estimator_parts.make_recipe(source, keys).epochs
    estimator_parts.check_metrics(source, keys, estimator)
    sought: dict[str, Any] = {"objectives": objectives, "constraints": constraints}
    make_strategy = functools.partial(strategies.create, space=given.space, **sought)
    search_parts.try_options(source, "strategy", keys.strategy, make_strategy)
    make_schedule = functools.partial(schedules.create, epochs=epochs, **sought)
    search_parts.try_options(source, "schedule", keys.schedule, make_schedule)
    estimator_parts.check_carried_out(source, keys, estimator, given.space, make_schedule)
    if not (given.run / JOURNAL).is_file():
        search_parts.check_warm_start(source, keys, given.space, objectives, constraints)
    return Job(
        source,
        keys,
        given.space,
        given.task,
        estimator,
        objectives,
        constraints,
        search_parts.make_criteria(source, keys),
        keys.strategy,
        keys.schedule,
        epochs,
        search_parts.make_initial(source, keys, given.space),
        environment.price_of(source, keys),
        given.baseline,
        given.run,
        tuple(given.code.folders),
        given.options,
    )


def _phases(source: Source, keys: JobKeys, given: _Given) -> tuple[JobPhase, ...]:
    """The phases, each with the job that it is."""
    assert keys.phases is not None
    environment.check_phases(source, keys)
    made: list[JobPhase] = []
    for name, own in keys.phases.items():
        there = source.inside(("phases", name), own.model_fields_set)
        go = search_parts.make_go(there, name, own.go, given.task)
        if own.finalize is not None:
            searched = made[-1].job
            assert searched is not None  # `check_phases` has seen to it
            estimator_parts.check_finalize(source, own.finalize, searched.estimator, "phases", name, "finalize")
            made.append(JobPhase(name, None, finalize_arguments(own.finalize), 0, go))
            continue
        changed = {key: getattr(own, key) for key in own.model_fields_set if key not in NOT_OF_SEARCH}
        phase_keys = keys.model_copy(update={**changed, **(_NOTHING_BEFORE if made else {})})
        for kind in {"strategy", "schedule"} & changed.keys():
            search_parts.named(there, kind, changed[kind])
        schedule = search_parts.with_its_schedule(there, phase_keys, "schedule" in {*changed, *keys.model_fields_set})
        phase_keys = phase_keys.model_copy(update={"schedule": schedule})
        searched = _search(there, phase_keys, replace(given, run=given.run / name))
        for constraint in go.best:
            estimator_parts.check_metric(there, ("phases", name, "go", "best"), constraint.metric, searched.estimator)
        made.append(JobPhase(name, searched, {}, _start_from(own), go))
    return tuple(made)


def _start_from(own: PhaseKeys) -> int:
    return START_FROM if own.start_from is None else own.start_from


def finalize_arguments(keys: FinalizeKeys) -> dict[str, Any]:
    """The arguments of `Run.finalize` that a job's `finalize` means."""
    given = keys.model_dump(exclude_none=True)
    return {**given, "seeds": tuple(range(given["seeds"]))}


def load_space(job_or_reference: str) -> Space:
    """The space of a job's file, or the one that "file.py:name" or "package.module:name" names.

    Raises:
        JobError: it cannot be found, or is none.
    """
    if ":" not in job_or_reference:
        source = read(Path(job_or_reference))
        return search_parts.make_space(source, check_keys(source), Code(source))
    where, _, name = job_or_reference.rpartition(":")
    path = Path(where)
    data = {"space": f"{path.name if where.endswith('.py') else where}:{name}", "train": "unused:unused"}
    source = Source(path if where.endswith(".py") else Path("the command line"), data, {})
    return search_parts.make_space(source, check_keys(source), Code(source))


def baseline_in(source: Source, keys: JobKeys, code: Code) -> Callable[[], Any] | None:
    """The network drawn by hand that a job names; None where it names none."""
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


def _check_feasible(source: Source, job: Job) -> None:
    """Draw architectures as a search would, so that a space or constraints which nothing satisfies are told at once."""
    with blamed(source, "space"):
        rng = generator(job.keys.seed, "check")
        drawn = [job.space.sample(rng) for _ in range(DRAWN)]
        if job.space.example_input is None and estimator_parts.builds_models(
            job.estimator
        ):  # else the preflight can tell
            _check_any(drawn, lambda architecture: architecture.build(seed=0), "built", job.folders)
    if any(constraint.hard for constraint in job.constraints):
        strategy = strategies.create("random", job.space, job.objectives, job.constraints)
        screened = strategies.Constrained(strategies.Deduplicated(strategy), job.estimator.screen)
        with blamed(source, "constraints"):
            _check_any(drawn, job.estimator.screen, "screened", job.folders)
            check_hard_constraints(job.space, job.estimator, job.constraints, job.keys.seed)
            screened.ask(generator(job.keys.seed, "check"), Pending(), {})


def _check_any(
    drawn: Sequence[Architecture], attempt: Callable[[Architecture], object], done: str, folders: Sequence[str]
) -> None:
    """See that one of the architectures can be built or screened: a search survives some that cannot, but not all.

    Raises:
        JobError: none can; says what is wrong with the first that is not infeasible on purpose.
    """
    wrong: list[BaseException] = []
    for architecture in drawn:
        try:
            attempt(architecture)
            return
        except Infeasible:
            continue
        except RAISED as error:  # of a factory of the user's, reported below
            wrong.append(error)
    if wrong:
        raise JobError(f"an architecture cannot be {done}: {blame(wrong[0], folders)}") from wrong[0]
