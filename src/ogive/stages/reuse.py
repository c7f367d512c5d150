"""The reuse of an earlier full training: which trainings are reused or repeated, and whether the code has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ogive.errors import RunError
from ogive.formatting import plural
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL, Journal
from ogive.run.state import State
from ogive.run.trial_labels import FULL_TRAINING_SETTING
from ogive.run.unsaved_weights import UNSAVED_PREFIX, find_unsaved_reason
from ogive.session.declaration_changes import check_unchanged
from ogive.session.run_declaration import RunSpec
from ogive.session.search_code import ESTIMATOR_PART, LAYERS_PART, SearchCode
from ogive.space import Space
from ogive.stages.delivery import find_checkpoint
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER
from ogive.stages.training_plan import Training, TrainingPlan, index_trainings, make_training_key, read_training
from ogive.trial import Trial

if TYPE_CHECKING:
    from ogive.session.stored_run import StoredRun

MessageFunction = Callable[[str], object]
"""A function that is called with a message for the user."""


def list_code_messages(run: StoredRun, plan: TrainingPlan, stored: State | None) -> Iterator[str]:
    """Yield messages on the user's code: which version full training uses, and whether it saves no weights.

    Args:
        run: the search.
        plan: the plan of full training.
        stored: the state of an earlier full training; None without one.
    """
    estimator, search_state = run.estimator, run.state
    code_hash = estimator.code_hash() or None
    if estimator.uses_stored_code:
        yield (
            "the train function cannot be imported, because it was defined in a script or inside a function: finalize uses "
            "the version that is stored with the run; run the script again to use its present version"
        )
    for change in _list_code_changes(run.space, estimator, search_state):
        yield (
            f"warning: {change} since the search, whose values were measured with the previous version: finalize uses the "
            "present version"
        )
    for state in (search_state, stored):
        # A warning that no weights were saved says nothing about other code.
        if state is None or state.code_hash != code_hash:
            continue
        # The prefix selects the warnings about complete trainings. Warnings about paused trials have another prefix; full
        # training pauses no trial.
        unsaved = find_unsaved_reason(
            message for message, _ in state.warnings if message.startswith(f"{UNSAVED_PREFIX}: ")
        )
        if unsaved is not None:
            yield f"warning: full training will save no weights either: {unsaved}"
            return


def find_reusable(folder: Path, plan: TrainingPlan, say: MessageFunction) -> State | None:
    """Return the state of the earlier full training that this call can continue; None without one.

    If the earlier full training had another recipe, other epochs or other code, or its journal is missing, its folder is
    renamed, and the result is None.

    Args:
        folder: the folder of full training.
        plan: the plan of full training.
        say: a function that is called with a message for the user if the folder is renamed.

    Raises:
        RunError: a controller is working on the earlier full training, or its folder cannot be renamed.
    """
    if not folder.exists():
        return None
    if not (folder / JOURNAL).exists():
        if any(folder.iterdir()):
            _move_aside(folder, "its folder holds no run", say)
        return None
    ensure_idle(folder)
    journal = Journal(folder / JOURNAL, writable=False)
    try:
        stored = State.from_events(journal.read(), plan.space)
    finally:
        journal.close()
    declaration = RunSpec.of(
        plan.space,
        plan.estimator,
        objectives=plan.objectives,
        constraints=(),
        strategy=plan.make_strategy(plan.list_trainings()),
        schedule=None,
        epochs=plan.epochs,
        seed=0,
    ).to_json()
    arguments = {name: declaration[name] for name in ("objectives", "epochs", "estimator", "fingerprints")}
    try:
        check_unchanged(stored.declaration, plan.space, arguments, folder=folder, recipe=declaration["recipe"])
    except RunError as error:
        # The lines of the message between the first and the last line are the differences.
        differences = [line.strip() for line in str(error).splitlines()[1:-1]]
        _move_aside(folder, "; ".join(differences), say)
        return None
    changes = _list_code_changes(plan.space, plan.estimator, stored)
    if changes:
        _move_aside(folder, "; ".join(changes), say)
        return None
    return stored


def _list_code_changes(space: Space, estimator: Estimator, state: State) -> list[str]:
    """Return a sentence for each change in the code of the layers and the train function since a run's last session."""
    session = state.sessions[-1] if state.sessions else {}
    return SearchCode.of(space, estimator).describe_changes(session, (LAYERS_PART, ESTIMATOR_PART))


def _move_aside(folder: Path, reason: str, say: MessageFunction) -> None:
    """Rename the folder of an earlier full training to `final-1`, `final-2`, ..., and pass the reason to `say`."""
    number = next(n for n in range(1, 10_000) if not folder.with_name(f"{FULL_TRAINING_FOLDER}-{n}").exists())
    target = folder.with_name(f"{FULL_TRAINING_FOLDER}-{number}")
    try:
        folder.rename(target)
    except OSError as error:
        raise RunError(
            f"the folder {folder} of the earlier full training cannot be renamed: {error}; move the folder yourself"
        ) from error
    say(f"nothing of the earlier full training is reused, because {reason}; its files are kept in {target.name}")


def list_repeats(
    folder: Path, plan: TrainingPlan, stored: State | None, *, retrain: bool, retry_failed: bool
) -> list[Training]:
    """Return the trainings to repeat.

    Args:
        folder: the folder of full training.
        plan: the plan of full training.
        stored: the state of an earlier full training; None without one.
        retrain: whether to repeat trainings without weights.
        retry_failed: whether to repeat trainings that failed.
    """
    from ogive.estimate.full_training import TrainingRequest

    stored_trials = {} if stored is None else index_trainings(stored)
    repeats: list[Training] = []
    for training in plan.list_trainings():
        trial = stored_trials.get(make_training_key(training))
        if trial is None or not trial.status.ended:
            continue
        if trial.status.failed:
            is_repeated = retry_failed
        else:
            is_repeated = retrain and plan.estimator.trains_models and not _has_weights(trial, folder)
        if is_repeated:
            labels, settings = read_training(trial)
            request = TrainingRequest.from_settings(settings)
            # The count makes the settings of the repetition differ from those of the trial that it repeats.
            request = replace(request, earlier_trainings=request.earlier_trainings + 1)
            repeats.append((labels, {**settings, FULL_TRAINING_SETTING: request.to_json()}))
    return repeats


def _has_weights(trial: Trial, folder: Path) -> bool:
    saved = find_checkpoint(trial, folder)
    return saved is not None and saved.has_model


def describe_reuse(stored_trials: Mapping[str, Trial], plan: TrainingPlan, repeats: Sequence[Training]) -> str:
    """Return a sentence on how many trainings are reused, and how many are repeated.

    Args:
        stored_trials: the trials of the earlier full training, by the key of their training.
        plan: the plan of full training.
        repeats: the trainings that are repeated.
    """
    ended = [
        trial
        for training in plan.list_trainings()
        if (trial := stored_trials.get(make_training_key(training))) and trial.status.ended
    ]
    repeated_failures = sum(stored_trials[make_training_key(training)].status.failed for training in repeats)
    without_weights = len(repeats) - repeated_failures
    text = f"{len(ended) - len(repeats)} of {len(plan.planned)} trainings are reused"
    text += f"; {without_weights} without weights are repeated" if without_weights else ""
    text += f"; {repeated_failures} that failed are repeated" if repeated_failures else ""
    failed = sum(trial.status.failed for trial in ended) - repeated_failures
    if failed:
        text += f"; {plural(failed, 'reused training')} failed: repeat with retry_failed=True (--retry-failed)"
    return text


def ensure_idle(folder: Path) -> None:
    """Check that no controller is working on the run in `folder`.

    Raises:
        RunError: a controller is working on the run.
    """
    journal = Journal(folder / JOURNAL, writable=False)
    try:
        journal.check_idle()
    finally:
        journal.close()
