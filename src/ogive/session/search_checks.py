"""The checks of a search before anything is written, and the warnings at the start of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ogive.errors import JobError, RunError
from ogive.formatting import plural
from ogive.objective import Constraint
from ogive.run.estimator import Estimator, name_estimator
from ogive.run.events import Event, Kind
from ogive.run.executor import STARTUP_SECONDS
from ogive.run.manifest import count_cores
from ogive.run.prices import Price, find_price
from ogive.run.settings import Settings
from ogive.schedule.base import Schedule, Start
from ogive.seeds import generator
from ogive.session.executor_config import ExecutorConfig, check_simulated_times
from ogive.session.run_declaration import RunSpec
from ogive.session.search_code import SearchCode
from ogive.space import Space
from ogive.space.training_decisions import training_decisions
from ogive.user_code import USER_EXCEPTIONS

TEST_WAS_READ = (
    "the test split of this run has been read already, so it is not a fair test of networks that the search finds later"
)
"""The warning of a search that continues after its test split was read."""


def convert_to_estimator(estimator: Estimator | Callable[..., Any]) -> Estimator:
    """Return an estimator. A train function `f(model, trial)` is converted to one.

    Raises:
        JobError: `estimator` is neither an estimator nor a function.
    """
    if isinstance(estimator, Estimator):
        return estimator
    if callable(estimator):
        from ogive.estimate import train

        return train(estimator)
    raise JobError(
        f"estimator={estimator!r}: expected a train function f(model, trial), or an estimator of ogive.estimate"
    )


def check_hard_constraints(space: Space, estimator: Estimator, constraints: Iterable[Constraint], seed: int) -> None:
    """Check that the estimator knows the metrics of hard constraints before training.

    Args:
        space: the space of the search, from which one architecture is sampled for the check.
        estimator: the estimator.
        constraints: the constraints of the search.
        seed: the seed of the search.

    Raises:
        JobError: the estimator does not know a metric before training.
    """
    hard = [constraint.metric for constraint in constraints if constraint.hard]
    if not hard:
        return
    try:
        screened = estimator.screen(space.sample(generator(seed, "screen")))
    except USER_EXCEPTIONS:
        # This is not an error of the declaration: the search records such an architecture as a failed trial.
        return
    missing = [metric for metric in hard if metric not in screened]
    if missing:
        name = missing[0]
        similar_names = get_close_matches(name, {*screened, "parameters"} - {name}, n=1)
        remedy = f"did you mean {similar_names[0]!r}? Otherwise " if similar_names else ""
        remedy += "make the constraint soft (leave `hard` out)"
        if name == "parameters":
            remedy += ", or let the estimator be og.estimate.train(f, count_parameters=True)"
        raise JobError(
            f"the constraint on {name!r} is hard, but the estimator does not know {name!r} before training (known metrics: "
            f"{', '.join(screened) or 'none'}): {remedy}"
        )


def find_current_price(settings: Settings) -> Price | None:
    """Return the present price of a worker-hour; None without a price.

    Raises:
        JobError: the price is not in the price file, or there is a budget of money without a price.
    """
    price = find_price(settings.price)
    if settings.money is not None and price is None:
        raise JobError(
            f"budget={settings.budget!r} limits the money, but there is no price; give price= as money per worker-hour, "
            "or as a name in the price file"
        )
    return price


def check_executor(config: ExecutorConfig, settings: Settings, estimator: Estimator) -> None:
    """Check that the executor can run the trials of this estimator with these settings.

    Raises:
        JobError: the executor cannot run the trials, or does not support a setting.
    """
    check_simulated_times(config, estimator)
    workers_per_trial = settings.workers_per_trial
    if workers_per_trial > 1 and not estimator.parallel:
        raise JobError(
            f"workers_per_trial={workers_per_trial}, but {name_estimator(estimator)} evaluates in one process; give 1, or "
            "use the built-in trainer or a train function f(model, trial)"
        )
    if workers_per_trial > 1 and config.name == "inline":
        raise JobError(
            f"workers_per_trial={workers_per_trial}, but executor='inline' has only one process; use executor='processes'"
        )
    check_capacity(estimator, settings.workers, workers_per_trial)
    has_limits = settings.time_limit or settings.memory_limit or settings.startup_limit not in (None, STARTUP_SECONDS)
    if config.name == "inline" and (has_limits or settings.workers > 1):
        raise JobError(
            "executor='inline' has only one worker, and it does not support a time, memory or startup limit; use "
            "executor='processes'"
        )
    if config.is_simulated and has_limits:
        raise JobError(
            "executor='simulated' trains nothing, so it does not support a time, memory or startup limit; leave the limit "
            "out"
        )


def check_capacity(estimator: Estimator, parallel_trials: int, workers_per_trial: int) -> None:
    """Check that the machine has a core or a GPU for each process of data-parallel trials.

    The processes of a trial wait for each other at every batch, so two processes on one core would slow each other down.

    Args:
        estimator: the estimator.
        parallel_trials: the number of trials that are trained at a time.
        workers_per_trial: the number of processes of each trial.

    Raises:
        JobError: there are too few cores or GPUs.
    """
    from ogive.estimate import Classifier

    if workers_per_trial == 1:
        return
    available, unit = count_cores(), "core"
    if isinstance(estimator, Classifier) and (gpus := estimator.count_gpus()):
        available, unit = gpus, "GPU"
    if parallel_trials * workers_per_trial > available:
        max_parallel_trials = available // workers_per_trial
        remedy = (
            f"at most {plural(max_parallel_trials, 'trial')} at a time"
            if max_parallel_trials
            else f"workers_per_trial={available} or less"
        )
        raise JobError(
            f"workers_per_trial: found {workers_per_trial} processes for each of {plural(parallel_trials, 'trial')} at "
            f"a time, and {plural(available, unit)}; each process needs one: give {remedy}"
        )


def list_new_run_warnings(run_spec: RunSpec, estimator: Estimator) -> list[str]:
    """Return the warnings about the space and the estimator of a new run."""
    names = training_decisions(run_spec.space)
    warnings = [
        f"the space holds decisions about training ({', '.join(names)}): each architecture is evaluated with its own "
        "training settings, and its result may not hold with others"
    ]
    return (warnings if names else []) + list(estimator.warnings())


def list_continued_run_warnings(
    events: Sequence[Event], estimator: Estimator, code: SearchCode, *, previous: Settings, settings: Settings
) -> list[str]:
    """Return the warnings about changes since the last session, and about a test split that has been read.

    Args:
        events: the events of the earlier sessions.
        estimator: the estimator of this session.
        code: the code of this session.
        previous: the settings of the last session.
        settings: the settings of this session.
    """
    warnings = []
    # Trials are numbered from 0, so this is the number of the next trial too.
    next_trial = sum(event.kind is Kind.PROPOSED for event in events)
    before, now = previous.workers_per_trial, settings.workers_per_trial
    if before != now and not estimator.rank_invariant:
        warnings.append(
            f"workers_per_trial was {before} and is {now}: unless the train function divides the same batches among its "
            f"processes, trials before {next_trial} were trained with another batch size"
        )
    sessions = [event.data for event in events if event.kind is Kind.OPENED]
    warnings += code.list_warnings(sessions[-1], next_trial) if sessions else []
    if any(event.kind is Kind.TEST_READ for event in events):
        warnings.append(TEST_WAS_READ)
    return warnings


def list_example_input_warnings(stored: Mapping[str, Any], space: Space, events: Sequence[Event]) -> list[str]:
    """Return a warning if `space` has an example input and the stored space has none. A run has this warning only once.

    `check_unchanged` has raised an error for all other differences between the two spaces.

    Args:
        stored: the space of the run, as JSON.
        space: the space of this session.
        events: the events of the earlier sessions.
    """
    if stored["fingerprint"] == space.fingerprint:
        return []
    message = (
        "the space was given an example_input after the run was started; its architectures and results are the same"
    )
    is_journalled = any(event.kind is Kind.WARNING and event.data["message"] == message for event in events)
    return [] if is_journalled else [message]


def check_fidelities(schedule: Schedule, estimator: Estimator, space: Space) -> None:
    """Check that the estimator supports the fidelities of the schedule, and can carry out the schedule's first job.

    Raises:
        JobError: the estimator does not support a fidelity or the first job.
    """
    unknown = [name for name in schedule.fidelities if name not in estimator.fidelities]
    if unknown:
        similar_names = get_close_matches(unknown[0], estimator.fidelities, n=1)
        remedy = (
            f"did you mean {similar_names[0]!r}?"
            if similar_names
            else f"leave it out, or, if your train function uses trial.fidelity[{unknown[0]!r}], give "
            f"og.estimate.train(f, fidelities=({unknown[0]!r},))"
        )
        raise JobError(
            f"the schedule varies the fidelity {unknown[0]!r}, which the estimator does not support (it supports "
            f"{', '.join(('epochs', *estimator.fidelities))}); {remedy}"
        )
    first_job = schedule.next_job(generator(0, "check"))
    if isinstance(first_job, Start):
        estimator.check(space, first_job.fidelity, first_job.settings)


def check_warm_start(stored: Mapping[str, Any] | None, earlier: Path, folder: Path) -> None:
    """Check that a call that continues a run has the same warm start as the run.

    Args:
        stored: the journalled record of the run's warm start; None without one.
        earlier: the folder of the earlier run that this call names.
        folder: the folder of the run that is continued.

    Raises:
        RunError: the run had no warm start, or one from another earlier run.
    """
    if stored is None or Path(stored["run"]) != earlier:
        original = "without a warm start" if stored is None else f"with a warm start from {stored['run']}"
        raise RunError(
            f"the run in {folder} was started {original}, not from {earlier}; leave warm_start out, or start a new run"
        )
