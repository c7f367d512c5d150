"""What of a second stage is there already: reused, repeated since it left no weights, or put aside; which code trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import RunError
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL, Journal
from ogive.run.state import State
from ogive.run.unsaved_weights import UNSAVED, why_unsaved
from ogive.session.declaration_changes import check_unchanged
from ogive.session.run_declaration import RunSpec
from ogive.session.search_code import ESTIMATOR, LAYERS, SearchCode
from ogive.space import Space
from ogive.stages.delivery import saved_by
from ogive.stages.evaluation import Training, TrainingPlan, training_key, training_of, trainings
from ogive.stages.full_training_result import FOLDER
from ogive.strategy.listed import Listed
from ogive.trial import Trial

if TYPE_CHECKING:
    from ogive.session.stored_run import StoredRun

Say = Callable[[str], object]


def about_code(run: StoredRun, stage: TrainingPlan, stored: State | None) -> Iterator[str]:
    """Which version of the user's code trains, where that is not evident; and whether it is known to save no weights."""
    judge, searched = run.estimator, run.state
    code = judge.code() or None
    if judge.is_stored:
        yield (
            "the train function cannot be imported, since it was defined in a script or inside a function: finalize uses "
            "the version that is stored with the run; run the script again to use its present version"
        )
    for change in _changes(run.space, judge, searched):
        yield f"warning: {change} since the search, whose values are those of the former: finalize uses the present version"
    for state in (searched, stored):
        notes = [] if state is None else [message for message, _ in state.warnings]
        unsaved = why_unsaved(note for note in notes if note.startswith(f"{UNSAVED}: "))  # of each whole training
        if state is not None and unsaved is not None and state.code == code:
            yield f"warning: full training will leave no weights either: {unsaved}"
            return


def former_stage(folder: Path, stage: TrainingPlan, say: Say) -> State | None:
    """The state of a former second stage that this one continues; one made otherwise is put aside."""
    if not folder.exists():
        return None
    if not (folder / JOURNAL).exists():
        if any(folder.iterdir()):
            _put_aside(folder, "it holds no run", say)
        return None
    ensure_idle(folder)
    journal = Journal(folder / JOURNAL, writable=False)
    try:
        stored = State.of(journal.read(), stage.space)
    finally:
        journal.close()
    declared = RunSpec.of(
        stage.space, stage.estimator, stage.objectives, (), listed(stage, stage.items()), None, stage.epochs, 0
    ).to_json()
    wanted = {name: declared[name] for name in ("objectives", "epochs", "estimator", "fingerprints")}
    try:
        check_unchanged(stored.created, stage.space, wanted, folder, declared["recipe"])
    except RunError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:-1]]
        _put_aside(folder, "; ".join(lines), say)
        return None
    changes = _changes(stage.space, stage.estimator, stored)
    if changes:
        _put_aside(folder, "; ".join(changes), say)
        return None
    return stored


def _changes(space: Space, judge: Estimator, state: State) -> list[str]:
    """What of the code of layers and train function has changed since the last session of a run."""
    session = state.sessions[-1] if state.sessions else {}
    return SearchCode.of(space, judge).sentences(session, (LAYERS, ESTIMATOR))


def _put_aside(folder: Path, why: str, say: Say) -> None:
    number = next(n for n in range(1, 10_000) if not folder.with_name(f"{FOLDER}-{n}").exists())
    aside = folder.with_name(f"{FOLDER}-{number}")
    try:
        folder.rename(aside)
    except OSError as error:
        raise RunError(f"the former second stage {folder} cannot be put aside: {error}; move it yourself") from error
    say(f"nothing of the former second stage is reused, since {why}; it is kept in {aside.name}")


def listed(stage: TrainingPlan, items: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Listed:
    choices, settings = zip(*items, strict=True)
    return Listed(stage.space, stage.objectives, architectures=choices, settings=settings)


def to_repeat(
    folder: Path, stage: TrainingPlan, stored: State | None, retrain: bool, retry_failed: bool
) -> list[Training]:
    """Trainings to repeat where it is asked for: those that left no weights (`retrain`), and those that failed."""
    from ogive.estimate.full_training import TrainingOrder
    from ogive.run.trial_labels import STAGE

    known = {} if stored is None else trainings(stored)
    repeated: list[Training] = []
    for item in stage.items():
        trial = known.get(training_key(item))
        if trial is None or not trial.status.ended:
            continue
        without_weights = retrain and stage.estimator.trains_models and not _has_weights(trial, folder)
        if retry_failed if trial.status.failed else without_weights:
            choices, settings = training_of(trial)
            order = TrainingOrder.of(settings)
            repeated.append((choices, {**settings, STAGE: replace(order, again=order.again + 1).to_json()}))
    return repeated


def _has_weights(trial: Trial, folder: Path) -> bool:
    saved = saved_by(trial, folder)
    return saved is not None and saved.has_model


def reused(known: Mapping[str, Trial], stage: TrainingPlan, repeated: Sequence[Training]) -> str:
    """What is there already, what is repeated, and what failed and is not tried again."""
    there = [trial for item in stage.items() if (trial := known.get(training_key(item))) and trial.status.ended]
    failed_again = sum(known[training_key(item)].status.failed for item in repeated)
    without_weights = len(repeated) - failed_again
    text = f"{len(there) - len(repeated)} of {len(stage.orders)} trainings are there already"
    text += f"; {without_weights} that left no weights are repeated" if without_weights else ""
    text += f"; {failed_again} that failed are repeated" if failed_again else ""
    failed = sum(trial.status.failed for trial in there) - failed_again
    if failed:
        text += f"; {failed} of them failed, and are repeated with retry_failed=True (--retry-failed) only"
    return text


def ensure_idle(folder: Path) -> None:
    """Check that no controller works on the run in `folder`.

    Raises:
        RunError: one does.
    """
    journal = Journal(folder / JOURNAL, writable=False)
    try:
        journal.check_idle()
    finally:
        journal.close()
