"""The second stage: the best of a search trained in full, and judged on examples that the search did not choose by.

It is a run of its own in `final/` of the run's folder, with the same controller and journal: it can be killed and continued,
its trials have limits and retries, its cost is counted. The test split chooses nothing: it is read once, after all else, for
the winner and the baseline, and the reading is an event of the search's journal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, RunError
from ogive.formatting import number
from ogive.monitor.live_view import is_terminal
from ogive.run.events import Event, Kind
from ogive.run.journal import JOURNAL, Journal
from ogive.run.results import why_none
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.session.executor_config import SIMULATED
from ogive.space.fingerprints import is_same
from ogive.stages.baseline_comparison import BaselineComparison, RandomReference, write_comparison
from ogive.stages.baseline_comparison import ComparedNetwork as Side
from ogive.stages.evaluation import Training, TrainingPlan, evaluate_finalists, training_key, training_of, trainings
from ogive.stages.finalize_request import FinalizeRequest, read_request, write_request
from ogive.stages.full_training_result import FOLDER, FullTrainingResult, write_full_training
from ogive.stages.reuse import about_code, ensure_idle, former_stage, listed, reused, to_repeat
from ogive.stages.winner_files import write_winner
from ogive.trial import Status, Trial, comparable

if TYPE_CHECKING:
    from ogive.estimate.full_training import TrainingOrder
    from ogive.run.observers import Observer
    from ogive.session.stored_run import StoredRun

Say = Callable[[str], object]


def to_stderr(message: str) -> None:
    """Print to standard error."""
    print(message, file=sys.stderr, flush=True)


def finalize(
    run: StoredRun,
    top: int | None = None,
    *,
    seeds: Sequence[int] | None = None,
    epochs: int | None = None,
    recipe: Mapping[str, Any] | None = None,
    from_weights: bool | None = None,
    retrain: bool = False,
    retry_failed: bool = False,
    baseline: Callable[[], Any] | None = None,
    random: StoredRun | None = None,
    workers: int | None = None,
    executor: str = "processes",
    say: Say = to_stderr,
    observer: Observer | None = None,
    **settings: Any,
) -> FullTrainingResult:
    """Train the best `top` trials in full, rank them anew, and read the test split for the winner.

    With the built-in trainer they are trained on all but the test split and a second validation part, which the search did
    not validate on and which now chooses the winner. A train function is called as in the search, with these epochs, seeds
    and settings; only it knows its data.

    What is trained already is not trained again, as long as epochs and recipe are the same; with others the former second
    stage is kept aside as `final-1`, `final-2`, ... So it is where the code of layers or train function has changed. What is
    left out (None) of `top`, `seeds`, `epochs`, `recipe` and `from_weights` is as in the last call, where its full training
    is in the run's folder.

    A train function is used as it can be imported now. One that was defined in a script cannot be imported: then the version
    that is stored with the run is used, unless `run` was returned by `ogive.search` in this very process. Where that is not
    the version that searched, or cannot be known to be, `say` is told.

    Args:
        run: the search.
        top: how many, in the order of `run.top`: with several objectives the front first, then the next fronts. Default: 10.
        seeds: each network is trained once with each. Default: 0.
        epochs: of full training. Default: those of the search's recipe.
        recipe: what replaces values of the search's recipe, such as `{"flip": True}`; of a train function: `trial.settings`.
        from_weights: start from the weights that the search left, not from scratch; a train function finds them in
            `trial.inherited()`.
        retrain: repeat trainings that left no weights, or whose weights were deleted.
        retry_failed: repeat trainings that failed.
        baseline: makes a hand-drawn model to compare with, such as `og.zoo.baselines.small_cnn`.
        random: a random search of the same space with the same estimator; the report shows what it would have found.
        workers: trainings at a time; as in the search where None.
        executor: as for `ogive.search`.
        say: called with each sentence on what happens; prints to standard error by default.
        observer: as for `ogive.search`.
        settings: as for `ogive.search`, what may change while a run is continued: `budget`, `time_limit`, `retries`, ...

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the same call goes on.
        JobError: an argument is wrong, or no trial of the search has a value.
        RunError: no training succeeded, not all were carried out, or files are missing.
    """
    named = {"top": top, "seeds": seeds, "epochs": epochs, "recipe": recipe, "from_weights": from_weights}
    request = _request(run, {name: value for name, value in named.items() if value is not None}, say)
    stage = _stage(run, request, baseline)
    if not run.ended:
        say("warning: the search has not ended; what it finds later is not judged by this reading of the test split")
        ensure_idle(run.folder)
    folder = run.folder / FOLDER
    stored = former_stage(folder, stage, say)
    for line in about_code(run, stage, stored):
        say(line)
    write_request(request, run.folder)
    trained = _train(
        run,
        folder,
        stage,
        stored,
        repeated=to_repeat(folder, stage, stored, retrain, retry_failed),
        workers=workers,
        executor=executor,
        say=say,
        observer=observer,
        settings=settings,
    )
    result = evaluate_finalists(run, stage, trained, lambda split: _record_reading(run, split, say), say)
    write_full_training(result, run.folder)
    _compare(run, result, random)
    write_winner(run, stage, result, say)
    return result


def _request(run: StoredRun, named: Mapping[str, Any], say: Say) -> FinalizeRequest:
    """What is asked for: what is not named as in the last call, which `say` is told, else the defaults."""
    last = read_request(run.folder)
    kept = {name: value for name, value in asdict(last or FinalizeRequest()).items() if name not in named}
    unusual = [f"{name}={value!r}" for name, value in kept.items() if value != getattr(FinalizeRequest(), name)]
    if unusual:
        say(f"as in the last call: {', '.join(unusual)}")
    return FinalizeRequest(**{**kept, **named})


def _stage(run: StoredRun, request: FinalizeRequest, baseline: Callable[[], Any] | None) -> TrainingPlan:
    """What is to be trained, and how; everything that can be wrong with the arguments is told here."""
    from ogive.estimate import Classifier
    from ogive.estimate.full_training import DrawnBaseline, FullTraining

    seeds, epochs = request.seeds, request.epochs
    _check_arguments(request.top, seeds, epochs)
    if any(SIMULATED in session for session in run.state.sessions):
        raise JobError(f"the search in {run.folder} was simulated: there is nothing to train in full")
    judge = run.estimator
    finalists = run.top(request.top)
    if not finalists:
        raise JobError(f"there is nothing to train in full in {run.folder}: {why_none(run.state)}")
    if baseline is not None:
        DrawnBaseline(baseline).build(0)
    replaced = dict(request.recipe or {})
    if isinstance(judge, Classifier):
        full = judge.full_training({**replaced, **({} if epochs is None else {"epochs": epochs})})
        estimator = FullTraining(full, baseline, {})
        horizon: int | None = full.epochs
    else:
        estimator = FullTraining(judge, baseline, replaced)
        horizon = epochs or run.state.created["epochs"]
    metrics = [objective for objective in run.state.objectives if objective.metric in finalists[0].reports[-1].metrics]
    if not metrics:
        raise JobError("no objective of this search comes from training, so full training could tell nothing new")
    orders = _orders(run, finalists, seeds, request.from_weights, baseline)
    return TrainingPlan(run.space, tuple(finalists), tuple(seeds), estimator, horizon, tuple(metrics), tuple(orders))


def _check_arguments(top: int, seeds: Sequence[int], epochs: int | None) -> None:
    for name, value in (("top", top), ("epochs", 1 if epochs is None else epochs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise JobError(f"{name}={value!r}: a whole number, at least 1")
    if not seeds or len(set(seeds)) < len(seeds) or not all(isinstance(s, int) and s >= 0 for s in seeds):
        raise JobError(f"seeds={list(seeds)!r}: whole numbers from 0, at least one, none of them twice")


def _orders(
    run: StoredRun,
    finalists: Sequence[Trial],
    seeds: Sequence[int],
    from_weights: bool,
    baseline: Callable[[], Any] | None,
) -> list[tuple[Mapping[str, Any], Mapping[str, Any], TrainingOrder]]:
    """Choices, the searched trial's settings and the order, network by network, the first seed of all first."""
    from ogive.estimate.full_training import BASELINE, DrawnBaseline, TrainingOrder

    starts = {trial.id: _start(run, trial) if from_weights else None for trial in finalists}
    found: list[tuple[Mapping[str, Any], Mapping[str, Any], TrainingOrder]] = []
    for seed in seeds:
        for trial in finalists:
            order = TrainingOrder(f"trial {trial.id}", trial.id, seed, starts[trial.id])
            found.append((trial.architecture.to_json(), trial.proposal.settings, order))
        if baseline is not None:
            # a trial has an architecture; this one stands for a network that is none of the space
            order = TrainingOrder(BASELINE, None, seed, drawn=DrawnBaseline(baseline).hash)
            found.append((finalists[0].architecture.to_json(), {}, order))
    return found


def _start(run: StoredRun, trial: Trial) -> tuple[str, int]:
    """Where the weights of a searched trial are, below the run's folder, and of which step."""
    from ogive.estimate import Classifier
    from ogive.estimate.checkpoint import newest
    from ogive.run.trial_folder import trial_folder

    folder = trial_folder(run.folder, trial)
    saved = newest(folder) if folder.is_dir() else None
    if saved is None:
        why = (
            "its result came from the evaluation cache" if trial.cached else "its checkpoint is gone or was never made"
        )
        raise RunError(
            f"trial {trial.id} left no weights in {folder} to start from: {why}; train from scratch (without from_weights)"
        )
    if isinstance(run.estimator, Classifier) and (
        proxy := run.estimator.other_weights(trial.architecture, trial.fidelity)
    ):
        shares = " and ".join(f"{name} {share:g}" for name, share in proxy.items())
        raise JobError(
            f"the search trained trial {trial.id} as a proxy of {shares}, whose weights do not fit the network in full: "
            f"train from scratch (without from_weights), or search with the network in full (without "
            f"{' and '.join(proxy)}, or with a schedule whose last rung has the network in full)"
        )
    return str(folder.relative_to(run.folder)), saved.step


# -- the run in final/ -------------------------------------------------------------------------------------------------


def _train(
    run: StoredRun,
    folder: Path,
    stage: TrainingPlan,
    stored: State | None,
    *,
    repeated: Sequence[Training],
    workers: int | None,
    executor: str,
    say: Say,
    observer: Observer | None,
    settings: Mapping[str, Any],
) -> State:
    """Carry out the trainings that are not done; the state of their run afterwards."""
    from ogive.session.start import search

    former = [] if stored is None else list(stored.trials.values())
    known = {} if stored is None else trainings(stored)
    items = [training_of(trial) for trial in former]
    items += [item for item in stage.items() if training_key(item) not in known]
    items += repeated
    ended = [trial for trial in former if trial.status.ended]
    if stored is not None and former:
        say(reused(known, stage, repeated))
    if stored is not None and len(ended) == len(items):
        return stored
    searched = Settings.from_json(run.state.settings)
    kept = {name: getattr(searched, name) for name in ("retries", "price", "startup_limit")}
    options = {**kept, **settings} if stored is None else dict(settings)
    if workers is not None or stored is None:
        options["workers"] = workers or (1 if executor == "inline" else searched.workers)
        options["workers_per_trial"] = 1 if executor == "inline" else searched.workers_per_trial
    count = max(len(items), 0 if stored is None else stored.settings["max_trials"])
    with _interrupted_here(folder):
        done = search(
            stage.space,
            stage.estimator,
            objectives=stage.objectives,
            strategy=listed(stage, items),
            schedule="full",
            epochs=stage.epochs,
            max_trials=count,
            max_failed_trials=count,
            run=folder,
            executor=executor,
            cache=False,  # whose results have no weights
            observer=observer or (None if is_terminal(sys.stderr) else _Teller(say)),
            **options,
        )
    return done.state


@contextmanager
def _interrupted_here(folder: Path) -> Iterator[None]:
    """Say what was interrupted: to its user this run is no search."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"full training in {folder} was interrupted; the same call goes on") from error


class _Teller:
    """Says what has been trained, where no live view shows it."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def __call__(self, state: State, event: Event | None) -> None:
        from ogive.estimate.full_training import TrainingOrder

        if event is not None and event.kind is Kind.WARNING:
            self.say(f"warning: {event.data['message']}")
        if event is None or event.trial is None or event.kind not in (Kind.FINISHED, Kind.FAILED):
            return
        trial = state.trials[event.trial]
        order = TrainingOrder.of(trial.proposal.settings)
        name = f"{order.network}, seed {order.seed}"
        if trial.status is Status.FINISHED:
            values = ", ".join(f"{o.metric} {number(trial.metrics[o.metric])}" for o in state.objectives)
            self.say(f"{name}: trained in {trial.seconds:.1f} s, {values}")
        else:
            self.say(f"{name}: {trial.status}: {trial.reason}")


# -- what follows from it ----------------------------------------------------------------------------------------------


def _compare(run: StoredRun, result: FullTrainingResult, random: StoredRun | None) -> None:
    """The winner beside the baseline, seed by seed; on the test split where it was read."""
    found, drawn = result.winner, result.baseline
    if drawn is None:
        return
    seeds = [seed for seed in found.seeds if seed in drawn.seeds]
    if not seeds:
        return
    on_test = bool(found.test and drawn.test)

    def side(network: Any) -> Side:
        values = network.test if on_test else network.values
        places = [list(network.seeds).index(seed) for seed in seeds]
        metrics = {name: [own[place] for place in places] for name, own in values.items() if _tells(name)}
        return Side(network.name, metrics, network.parameters)

    reference = _reference(run, random) if random is not None else None
    split = "test" if on_test else "second validation" if result.new_validation else "validation"
    write_comparison(BaselineComparison.of(side(found), side(drawn), seeds, split, reference), run.folder)


def _tells(metric: str) -> bool:
    """Whether a comparison of this metric says something of networks: not the clock's, nor what the training data gave."""
    return not metric.endswith("seconds") and metric not in ("parameters", "train_loss")


def _reference(run: StoredRun, random: StoredRun) -> RandomReference:
    """The values that a random search found where its trials were trained as far as the best of the search."""
    if random.state.created["strategy"]["name"] != "random" or not is_same(random.state.space, run.space):
        raise JobError(f"random={random!r}: a run of the same space with strategy='random'")
    metric = run.state.objectives[0].metric
    step, _ = comparable(run.top(1), at_least=1)
    alike = [trial for trial in random.trials if trial.status is Status.FINISHED and trial.reaches(step)]
    note = f"{len(alike)} random architectures, each trained in full; {random.state.seconds:.0f} s of training"
    return RandomReference(metric, [trial.at(step)[metric] for trial in alike], note)


def _record_reading(run: StoredRun, split: str, say: Say) -> None:
    """Journal that the test split is read; from the second time on with a warning, since choices may follow the first."""
    before = run.state.test_reads
    journal = Journal(run.folder / JOURNAL)
    try:
        journal.acquire()
        events = [Event(Kind.TEST_READ, data={"split": split, "by": "finalize"})]
        if before:
            message = f"the test split has been read before ({before}x): what was chosen since then is not tested by it"
            events.append(Event(Kind.WARNING, data={"message": message}))
            say(f"warning: {message}")
        journal.append(events)
    finally:
        journal.close()
