"""The run of full training, in the folder `final/` of the search. It carries out the trainings that have not ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.formatting import duration, number
from ogive.monitor.live_view import is_terminal
from ogive.run.events import Event, Kind
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.stages.reuse import describe_reuse
from ogive.stages.training_plan import Training, TrainingPlan, index_trainings, make_training_key, read_training
from ogive.trial import Status

if TYPE_CHECKING:
    from ogive.run.observers import Observer
    from ogive.session.stored_run import StoredRun

MessageFunction = Callable[[str], object]


def run_trainings(
    run: StoredRun,
    folder: Path,
    plan: TrainingPlan,
    stored: State | None,
    *,
    repeated: Sequence[Training],
    workers: int | None,
    executor: str,
    say: MessageFunction,
    observer: Observer | None,
    settings: Mapping[str, Any],
) -> State:
    """Carry out the trainings that have not ended, and return the state of full training.

    Args:
        run: the search.
        folder: the folder of full training.
        plan: the plan of full training.
        stored: the state of an earlier full training that this call continues; None without one.
        repeated: trainings that ended and are carried out a second time.
        workers: the number of parallel trainings; None for the stored number of the earlier full training or, without one,
            the number of the search's parallel trials.
        executor: the name of the executor.
        say: receives messages on the progress.
        observer: the observer of the run; None for a live view on a terminal, or messages to `say` otherwise.
        settings: further arguments of `ogive.search`. They replace the settings that full training takes from the search.
    """
    from ogive.session.start import search

    previous = [] if stored is None else list(stored.trials.values())
    stored_trials = {} if stored is None else index_trainings(stored)
    # A continued run keeps its list of trainings; new trainings follow, then the repetitions.
    trainings = [read_training(trial) for trial in previous]
    trainings += [training for training in plan.list_trainings() if make_training_key(training) not in stored_trials]
    trainings += repeated
    ended = [trial for trial in previous if trial.status.ended]
    if stored is not None and previous:
        say(describe_reuse(stored_trials, plan, repeated))
    if stored is not None and len(ended) == len(trainings):
        return stored
    search_settings = Settings.from_json(run.state.settings)
    inherited = {name: getattr(search_settings, name) for name in ("retries", "price", "startup_limit")}
    options = {**inherited, **settings} if stored is None else dict(settings)
    if workers is not None or stored is None:
        options["workers"] = workers or (1 if executor == "inline" else search_settings.workers)
        options["workers_per_trial"] = 1 if executor == "inline" else search_settings.workers_per_trial
    count = max(len(trainings), 0 if stored is None else stored.settings["max_trials"])
    with _reword_interruption(folder):
        done = search(
            plan.space,
            plan.estimator,
            objectives=plan.objectives,
            strategy=plan.make_strategy(trainings),
            schedule="full",
            epochs=plan.epochs,
            max_trials=count,
            # No number of failures ends full training, except that all trainings have failed.
            max_failed_trials=count,
            run=folder,
            executor=executor,
            # Results from the evaluation cache have no weights.
            cache=False,
            observer=observer or (None if is_terminal(sys.stderr) else _ProgressMessages(say)),
            **options,
        )
    return done.state


@contextmanager
def _reword_interruption(folder: Path) -> Iterator[None]:
    """Replace the message of an interruption, because the message of `search` would call full training a search."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"full training in {folder} was interrupted; the same call continues it") from error


class _ProgressMessages:
    """An observer that sends each warning, and a message for each training that ends, for output that is not a terminal."""

    def __init__(self, say: MessageFunction) -> None:
        self.say = say

    def __call__(self, state: State, event: Event | None) -> None:
        from ogive.estimate.full_training import TrainingRequest

        if event is not None and event.kind is Kind.WARNING:
            self.say(f"warning: {event.data['message']}")
        if event is None or event.trial is None or event.kind not in (Kind.FINISHED, Kind.FAILED):
            return
        trial = state.trials[event.trial]
        request = TrainingRequest.from_settings(trial.proposal.settings)
        name = f"{request.network}, seed {request.seed}"
        if trial.status is Status.FINISHED:
            values = ", ".join(f"{o.metric} {number(trial.metrics[o.metric])}" for o in state.objectives)
            self.say(f"{name}: trained in {duration(trial.seconds)}, {values}")
        else:
            self.say(f"{name}: {trial.status}: {trial.reason}")
