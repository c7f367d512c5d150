"""Full training: the best trials of a search are trained for all epochs, evaluated on new examples, and ranked again.

Full training is a separate run in the folder `final/` of the search. It has a controller and a journal, like a search: it
can be interrupted and continued, its trials have limits and retries, and its time and money are counted.

The test split does not influence any selection. It is read once, after everything else, for the winner and the baseline. The
reading is an event in the search's journal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.formatting import duration, plural
from ogive.run.events import Event, Kind
from ogive.run.journal import JOURNAL, Journal
from ogive.space.fingerprints import describes_same_space
from ogive.stages.baseline_comparison import BaselineComparison, ComparedNetwork, RandomReference, write_comparison
from ogive.stages.evaluation import evaluate_finalists
from ogive.stages.finalize_request import FinalizeRequest, read_request, write_request
from ogive.stages.full_training_result import (
    FULL_TRAINING_FOLDER,
    FullTrainingResult,
    TrainedNetwork,
    write_full_training,
)
from ogive.stages.full_training_run import run_trainings
from ogive.stages.reuse import ensure_idle, find_reusable, list_code_messages, list_repeats
from ogive.stages.training_plan import ensure_search, make_training_plan
from ogive.stages.winner_files import write_winner
from ogive.trial import Status, select_comparable

if TYPE_CHECKING:
    from ogive.run.observers import Observer
    from ogive.session.stored_run import StoredRun

MessageFunction = Callable[[str], object]


def print_to_stderr(message: str) -> None:
    """Print a message to standard error."""
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
    say: MessageFunction = print_to_stderr,
    observer: Observer | None = None,
    **settings: Any,
) -> FullTrainingResult:
    """Train the best trials of the search for all epochs, rank them again, and test the winner.

    `ogive.api.run.Run.finalize` documents the arguments; `run` is the search.

    Raises:
        KeyboardInterrupt: interrupted by Ctrl-C or SIGTERM; the same call continues full training.
        JobError: an argument is wrong, or no trial of the search has a value.
        RunError: no training succeeded, not all trainings were carried out, or files are missing.
    """
    ensure_search(run.state, run.folder)
    arguments = {"top": top, "seeds": seeds, "epochs": epochs, "recipe": recipe, "from_weights": from_weights}
    request = _complete_request(run, {name: value for name, value in arguments.items() if value is not None}, say)
    plan = make_training_plan(run, request, baseline)
    if not run.ended:
        say(
            "warning: the search has not ended; the test split is read now, so it will not be a fair test of networks that "
            "the search finds later"
        )
        ensure_idle(run.folder)
    folder = run.folder / FULL_TRAINING_FOLDER
    stored = find_reusable(folder, plan, say)
    for line in list_code_messages(run, plan, stored):
        say(line)
    write_request(request, run.folder)
    final = run_trainings(
        run,
        folder,
        plan,
        stored,
        repeated=list_repeats(folder, plan, stored, retrain=retrain, retry_failed=retry_failed),
        workers=workers,
        executor=executor,
        say=say,
        observer=observer,
        settings=settings,
    )
    result = evaluate_finalists(run, plan, final, on_read=lambda split: _record_reading(run, split, say), say=say)
    write_full_training(result, run.folder)
    _write_comparison(run, result, random)
    write_winner(run, plan, result, say)
    return result


def _complete_request(run: StoredRun, arguments: Mapping[str, Any], say: MessageFunction) -> FinalizeRequest:
    """Return the request of this call. Missing arguments are taken from the last call or, without one, from the defaults."""
    defaults = FinalizeRequest()
    previous = asdict(read_request(run.folder) or defaults)
    completed = {name: value for name, value in previous.items() if name not in arguments}
    not_default = [f"{name}={value!r}" for name, value in completed.items() if value != getattr(defaults, name)]
    if not_default:
        say(f"as in the last call: {', '.join(not_default)}")
    return FinalizeRequest(**{**completed, **arguments})


def _write_comparison(run: StoredRun, result: FullTrainingResult, random_search: StoredRun | None) -> None:
    """Write the comparison of the winner with the baseline, on the test split if it was read.

    Nothing is written if there is no baseline, or if the two networks have no seed in common.
    """
    winner, baseline = result.winner, result.baseline
    if baseline is None:
        return
    seeds = [seed for seed in winner.seeds if seed in baseline.seeds]
    if not seeds:
        return
    on_test = bool(winner.test and baseline.test)

    def select_common_seeds(network: TrainedNetwork) -> ComparedNetwork:
        values = network.test if on_test else network.values
        indices = [list(network.seeds).index(seed) for seed in seeds]
        metrics = {name: [values[name][index] for index in indices] for name in values if _is_compared(name)}
        return ComparedNetwork(network.name, metrics, network.parameters)

    reference = _make_random_reference(run, random_search) if random_search is not None else None
    split = "test" if on_test else "second validation" if result.new_validation else "validation"
    comparison = BaselineComparison.of(
        select_common_seeds(winner), select_common_seeds(baseline), seeds, split, random_reference=reference
    )
    write_comparison(comparison, run.folder)


def _is_compared(metric: str) -> bool:
    """Return whether a metric is part of the comparison. Times, parameters and the training loss are not."""
    return not metric.endswith("seconds") and metric not in ("parameters", "train_loss")


def _make_random_reference(run: StoredRun, random_search: StoredRun) -> RandomReference:
    """Return the values of a random search at the step that the best trial of `run` has reached.

    Raises:
        JobError: `random_search` is not a random search of the same space.
    """
    is_random = random_search.state.declaration["strategy"]["name"] == "random"
    if not is_random or not describes_same_space(random_search.state.space, run.space):
        raise JobError(f"random={random_search!r}: expected a run of the same space with strategy='random'")
    metric = run.state.objectives[0].metric
    step, _ = select_comparable(run.top(1), at_least=1)
    trials = [trial for trial in random_search.trials if trial.status is Status.FINISHED and trial.has_reached(step)]
    count = plural(len(trials), "random architecture")
    note = f"{count}, each trained in full; {duration(random_search.state.compute_seconds)} of training"
    return RandomReference(metric, [trial.metrics_at(step)[metric] for trial in trials], note)


def _record_reading(run: StoredRun, split: str, say: MessageFunction) -> None:
    """Append an event to the journal that the test split is read, with a warning if it was read before.

    Choices that were made after the first reading may depend on its result, so the test split is not a fair test of them.
    """
    earlier_reads = run.state.test_reads
    journal = Journal(run.folder / JOURNAL)
    try:
        journal.acquire()
        events = [Event(Kind.TEST_READ, data={"split": split, "by": "finalize"})]
        if earlier_reads:
            times = plural(earlier_reads, "time")
            message = (
                f"the test split has been read before ({times}), so it is not a fair test of choices made since then"
            )
            events.append(Event(Kind.WARNING, data={"message": message}))
            say(f"warning: {message}")
        journal.append(events)
    finally:
        journal.close()
