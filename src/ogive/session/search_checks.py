"""What is seen to before a search writes anything, and what its user is warned of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ogive.errors import JobError, RunError
from ogive.formatting import plural
from ogive.objective import Constraint
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.executor import STARTUP_SECONDS
from ogive.run.manifest import cores
from ogive.run.prices import Price, find_price
from ogive.run.settings import Settings
from ogive.schedule.base import Schedule, Start
from ogive.seeds import generator
from ogive.session.executor_config import ExecutorConfig, check_simulated_times
from ogive.session.run_declaration import RunSpec
from ogive.session.search_code import SearchCode
from ogive.space import Space
from ogive.space.training_decisions import training_decisions
from ogive.user_code import RAISED

TEST_WAS_READ = "the test split of this run has been read: what the search chooses from now on is not tested by it"


def as_estimator(estimator: Estimator | Callable[..., Any]) -> Estimator:
    """An estimator as it is; a train function `f(model, trial)` wrapped."""
    if isinstance(estimator, Estimator):
        return estimator
    if callable(estimator):
        from ogive.estimate import train

        return train(estimator)
    raise JobError(f"estimator={estimator!r}: a train function f(model, trial), or an estimator of ogive.estimate")


def check_hard_constraints(space: Space, estimator: Estimator, constraints: Iterable[Constraint], seed: int) -> None:
    """See that what hard constraints are about is known before training.

    Raises:
        JobError: the estimator does not know it.
    """
    hard = [constraint.metric for constraint in constraints if constraint.hard]
    if not hard:
        return
    try:
        known = estimator.screen(space.sample(generator(seed, "screen")))
    except RAISED:  # an architecture that cannot be screened becomes a failed trial
        return
    missing = [metric for metric in hard if metric not in known]
    if missing:
        name = missing[0]
        close = get_close_matches(name, {*known, "parameters"} - {name}, n=1)
        remedy = f"did you mean {close[0]!r}? Else " if close else ""
        remedy += "make it soft (leave `hard` out)"
        if name == "parameters":
            remedy += ", or let the estimator be og.estimate.train(f, count_parameters=True)"
        raise JobError(
            f"the constraint on {name!r} is hard, but the estimator does not know {name!r} before training (it knows "
            f"{', '.join(known) or 'nothing'}): {remedy}"
        )


def current_price(settings: Settings) -> Price | None:
    """What an hour costs, looked up now: the price file may change before the run is read."""
    price = find_price(settings.price)
    if settings.money is not None and price is None:
        raise JobError(
            f"budget={settings.budget!r}: money, but no price; give price= as money per worker-hour, or a name in the price "
            "file"
        )
    return price


def check_executor(where: ExecutorConfig, settings: Settings, estimator: Estimator) -> None:
    """See that trials can be carried out as the settings say.

    Raises:
        JobError: they cannot.
    """
    check_simulated_times(where, estimator)
    together = settings.workers_per_trial
    if together > 1 and not estimator.parallel:
        raise JobError(
            f"workers_per_trial={together}, but a {type(estimator).__name__} evaluates in one process: give 1, or use the "
            "built-in trainer or a train function f(model, trial)"
        )
    if together > 1 and where.name == "inline":
        raise JobError(f"workers_per_trial={together}, but executor='inline' has one process; use 'processes'")
    check_capacity(estimator, settings.workers, together)
    limited = settings.time_limit or settings.memory_limit or settings.startup_limit not in (None, STARTUP_SECONDS)
    if where.name == "inline" and (limited or settings.workers > 1):
        raise JobError("executor='inline' has one worker and no time, memory or startup limit; use 'processes'")
    if where.simulated and limited:
        raise JobError("executor='simulated' trains nothing, so it has no time, memory or startup limit; leave it out")


def check_capacity(estimator: Estimator, at_a_time: int, together: int) -> None:
    """See that processes which train together have a core each, or a GPU: they wait for each other at every batch.

    Raises:
        JobError: there are too few.
    """
    from ogive.estimate import Classifier

    if together == 1:
        return
    there, what = cores(), "core"
    if isinstance(estimator, Classifier) and (gpus := estimator.gpus()):
        there, what = gpus, "GPU"
    if at_a_time * together > there:
        remedy = f"at most {plural(there // together, 'trial')} at a time" if together <= there else f"at most {there}"
        raise JobError(
            f"workers_per_trial: found {together} processes for each of {plural(at_a_time, 'trial')} at a time, and "
            f"{plural(there, what)}; each process needs one: give {remedy}"
        )


def new_run_warnings(declared: RunSpec, estimator: Estimator) -> list[str]:
    """What a user who begins this run should know."""
    names = training_decisions(declared.space)
    joint = [
        f"the space holds decisions about training ({', '.join(names)}): architectures are found together with them, and "
        "are good with them only"
    ]
    return (joint if names else []) + list(estimator.warnings())


def continued_run_warnings(
    events: Sequence[Event], estimator: Estimator, code: SearchCode, former: Settings, settings: Settings
) -> list[str]:
    """What a user who continues this run, with `settings` instead of the `former` ones, should know."""
    doubts = []
    number = sum(event.kind is Kind.PROPOSED for event in events)
    before, now = former.workers_per_trial, settings.workers_per_trial
    if before != now and not estimator.rank_invariant:
        doubts.append(
            f"workers_per_trial was {before} and is {now}: unless the train function shares the same batches out among its "
            f"processes, trials before {number} were trained with batches of another size"
        )
    earlier = [event.data for event in events if event.kind is Kind.OPENED]
    doubts += code.warnings(earlier[-1], number) if earlier else []
    if any(event.kind is Kind.TEST_READ for event in events):
        doubts.append(TEST_WAS_READ)
    return doubts


def added_example_warnings(stored: Mapping[str, Any], space: Space, events: Sequence[Event]) -> list[str]:
    """A notice that `space` has an example input, which the space of the run (`stored`, as JSON) was begun without; once."""
    if stored["fingerprint"] == space.fingerprint:
        return []
    message = "the space was given an example_input after the run had begun; its architectures and results are the same"
    known = any(event.kind is Kind.WARNING and event.data["message"] == message for event in events)
    return [] if known else [message]


def check_fidelities(schedule: Schedule, estimator: Estimator, space: Space) -> None:
    """See that the estimator knows the fidelities that the schedule names, and can do what its first job asks for.

    Raises:
        JobError: it does not, or cannot.
    """
    unknown = [name for name in schedule.fidelities if name not in estimator.fidelities]
    if unknown:
        close = get_close_matches(unknown[0], estimator.fidelities, n=1)
        remedy = (
            f"did you mean {close[0]!r}?"
            if close
            else f"leave it out, or for a train function that obeys trial.fidelity[{unknown[0]!r}] say "
            f"og.estimate.train(f, fidelities=({unknown[0]!r},))"
        )
        raise JobError(
            f"the schedule varies the fidelity {unknown[0]!r}, which the estimator does not know (it knows "
            f"{', '.join(('epochs', *estimator.fidelities))}); {remedy}"
        )
    first = schedule.next_job(generator(0, "check"))
    if isinstance(first, Start):
        estimator.check(space, first.fidelity, first.settings)


def check_warm_start(stored: Mapping[str, Any] | None, earlier: Path, folder: Path) -> None:
    """What was taken over stays as it was journalled; another run to take over from is refused."""
    if stored is None or Path(stored["run"]) != earlier:
        began = "without a warm start" if stored is None else f"from {stored['run']}"
        raise RunError(
            f"the run in {folder} was begun {began}, not from {earlier}; leave warm_start out, or start a new run"
        )
