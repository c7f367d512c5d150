"""The plan of full training: its networks, seeds and starting weights, and the estimator that trains them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ogive.errors import JobError, RunError
from ogive.objective import Objective
from ogive.run.results import explain_no_best
from ogive.run.state import State
from ogive.run.trial_labels import FULL_TRAINING_SETTING
from ogive.session.executor_config import SIMULATED
from ogive.space import Space
from ogive.stages.finalize_request import FinalizeRequest
from ogive.stages.full_training_result import TrainedNetwork
from ogive.strategy.listed import Listed
from ogive.trial import Trial

if TYPE_CHECKING:
    from ogive.estimate import Classifier
    from ogive.estimate.full_training import FullTraining, TrainingRequest
    from ogive.session.stored_run import StoredRun

Training = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A training as it is journalled: the labels of an architecture, and the settings of the proposal to train it."""


class PlannedTraining(NamedTuple):
    """One training of the plan: an architecture, the settings of its trial in the search, and how it is trained in full."""

    labels: Mapping[str, Any]
    settings: Mapping[str, Any]
    request: TrainingRequest


def is_full_training(state: State) -> bool:
    """Return whether a run is the full training of a search, and not a search."""
    return any(FULL_TRAINING_SETTING in trial.proposal.settings for trial in state.trials.values())


def ensure_search(state: State, folder: Path | None) -> None:
    """Raise RunError if the run in `folder` is the full training of a search."""
    if is_full_training(state):
        raise RunError(f"{folder} is the full training of a search: give the folder of the search, which contains it")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The trainings of full training.

    Attributes:
        space: the search's space.
        finalists: the best trials of the search, the best first.
        seeds: each network is trained once with each of these seeds.
        estimator: the estimator that carries out the trainings.
        epochs: the epochs of each training; None if the estimator has no epochs.
        objectives: the objectives of the search that are measured by training.
        planned: all trainings, in the order in which they are carried out.
    """

    space: Space
    finalists: tuple[Trial, ...]
    seeds: tuple[int, ...]
    estimator: FullTraining
    epochs: int | None
    objectives: tuple[Objective, ...]
    planned: tuple[PlannedTraining, ...]

    def list_trainings(self) -> list[Training]:
        """Return the trainings in the form in which they are read from a journal, so that both can be compared."""
        trainings: list[Training] = []
        for labels, settings, request in self.planned:
            labels, settings = json.loads(json.dumps([labels, {**settings, FULL_TRAINING_SETTING: request.to_json()}]))
            trainings.append((labels, settings))
        return trainings

    @property
    def classifier(self) -> Classifier | None:
        """The built-in trainer, with the splits of full training; None if a user's train function trains."""
        from ogive.estimate import Classifier

        return self.estimator.estimator if isinstance(self.estimator.estimator, Classifier) else None

    def build(self, network: TrainedNetwork, seed: int, run: StoredRun) -> Any:
        """Return an untrained model of a network.

        Args:
            network: a finalist or the baseline.
            seed: the seed for the initial weights.
            run: the search.
        """
        from ogive.estimate.full_training import BaselineNetwork

        if network.trial is None:
            return BaselineNetwork(self.estimator.baseline).build(seed)
        return run.state.trials[network.trial].architecture.build(seed)

    def make_strategy(self, trainings: Sequence[Training]) -> Listed:
        """Return a strategy that proposes the trainings in their order."""
        architectures, settings = zip(*trainings, strict=True)
        return Listed(self.space, self.objectives, architectures=architectures, settings=settings)


def read_training(trial: Trial) -> Training:
    """Return the training that a trial of full training carries out or has carried out."""
    return trial.architecture.to_json(), dict(trial.proposal.settings)


def make_training_key(training: Training) -> str:
    """Return a key of a training. A repetition has the same key, because the count of repetitions is left out."""
    labels, settings = training
    # "again" is the key under which a request stores the count of repetitions.
    request = {name: value for name, value in settings[FULL_TRAINING_SETTING].items() if name != "again"}
    return json.dumps([labels, {**settings, FULL_TRAINING_SETTING: request}], sort_keys=True)


def index_trainings(state: State) -> dict[str, Trial]:
    """Return the trials of full training by the key of their training; for a repeated training, the last trial."""
    return {make_training_key(read_training(trial)): trial for trial in state.trials.values()}


def make_training_plan(run: StoredRun, request: FinalizeRequest, baseline: Callable[[], Any] | None) -> TrainingPlan:
    """Check all arguments, before anything is written, and return the plan of full training.

    Args:
        run: the search.
        request: the arguments of `run.finalize`.
        baseline: a function that returns a hand-drawn model; None without a baseline.

    Raises:
        JobError: an argument is wrong, or there is nothing to train.
        RunError: `request.from_weights` is true, but a finalist has no weights.
    """
    from ogive.estimate import Classifier
    from ogive.estimate.full_training import BaselineNetwork, FullTraining

    seeds, epochs = request.seeds, request.epochs
    _check_arguments(request.top, seeds, epochs)
    if any(SIMULATED in session for session in run.state.sessions):
        raise JobError(f"the search in {run.folder} was simulated: there is nothing to train in full")
    search_estimator = run.estimator
    finalists = run.top(request.top)
    if not finalists:
        raise JobError(f"there is nothing to train in full in {run.folder}: {explain_no_best(run.state)}")
    if baseline is not None:
        # The model is not needed yet. An error in `baseline` is raised now instead of during full training.
        BaselineNetwork(baseline).build(0)
    changes = dict(request.recipe or {})
    if isinstance(search_estimator, Classifier):
        trainer = search_estimator.full_training({**changes, **({} if epochs is None else {"epochs": epochs})})
        estimator = FullTraining(trainer, baseline, {})
        max_epochs: int | None = trainer.epochs
    else:
        estimator = FullTraining(search_estimator, baseline, changes)
        max_epochs = epochs or run.state.declaration["epochs"]
    # Metrics that are known before training are not in the reports.
    objectives = [
        objective for objective in run.state.objectives if objective.metric in finalists[0].reports[-1].metrics
    ]
    if not objectives:
        raise JobError(
            "no objective of this search is measured by training, so full training would not change any of them"
        )
    return TrainingPlan(
        space=run.space,
        finalists=tuple(finalists),
        seeds=tuple(seeds),
        estimator=estimator,
        epochs=max_epochs,
        objectives=tuple(objectives),
        planned=tuple(_list_planned(run, finalists, seeds, from_weights=request.from_weights, baseline=baseline)),
    )


def _check_arguments(top: int, seeds: Sequence[int], epochs: int | None) -> None:
    # `epochs` may be None; 1 passes the check.
    for name, value in (("top", top), ("epochs", 1 if epochs is None else epochs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise JobError(f"{name}={value!r}: expected a whole number, at least 1")
    if not seeds or len(set(seeds)) < len(seeds) or not all(isinstance(s, int) and s >= 0 for s in seeds):
        raise JobError(f"seeds={list(seeds)!r}: expected different whole numbers, at least 0, one or more of them")


def _list_planned(
    run: StoredRun,
    finalists: Sequence[Trial],
    seeds: Sequence[int],
    *,
    from_weights: bool,
    baseline: Callable[[], Any] | None,
) -> list[PlannedTraining]:
    """Return all trainings: first all networks with the first seed, then all networks with the second seed, and so on."""
    from ogive.estimate.full_training import BASELINE, BaselineNetwork, TrainingRequest

    starts = {trial.id: _find_starting_weights(run, trial) if from_weights else None for trial in finalists}
    planned: list[PlannedTraining] = []
    for seed in seeds:
        for trial in finalists:
            request = TrainingRequest(f"trial {trial.id}", trial.id, seed, starts[trial.id])
            planned.append(PlannedTraining(trial.architecture.to_json(), trial.proposal.settings, request))
        if baseline is not None:
            # A trial needs an architecture, but the baseline is not in the space. The architecture of the first finalist is
            # a placeholder.
            request = TrainingRequest(BASELINE, None, seed, baseline_hash=BaselineNetwork(baseline).hash)
            planned.append(PlannedTraining(finalists[0].architecture.to_json(), {}, request))
    return planned


def _find_starting_weights(run: StoredRun, trial: Trial) -> tuple[str, int]:
    """Return the folder of a trial of the search, relative to the run's folder, and the step of its newest checkpoint.

    Raises:
        RunError: the trial has no weights.
        JobError: the search trained the trial as a proxy, whose weights do not fit the network.
    """
    from ogive.estimate import Classifier
    from ogive.estimate.checkpoint import find_newest_checkpoint
    from ogive.run.trial_folder import get_trial_folder

    folder = get_trial_folder(run.folder, trial)
    saved = find_newest_checkpoint(folder) if folder.is_dir() else None
    if saved is None:
        reason = (
            "its result came from the evaluation cache" if trial.cached else "its checkpoint was deleted or never saved"
        )
        raise RunError(
            f"trial {trial.id} has no weights in {folder} to start from: {reason}; train from scratch (without "
            "from_weights)"
        )
    if isinstance(run.estimator, Classifier) and (
        proxy := run.estimator.find_incompatible_shares(trial.architecture, trial.fidelity)
    ):
        shares = " and ".join(f"{name} {share:g}" for name, share in proxy.items())
        raise JobError(
            f"the search trained trial {trial.id} as a proxy of {shares}, whose weights do not fit the full network: train "
            f"from scratch (without from_weights), or search with the full network (without {' and '.join(proxy)}, or with "
            "a schedule whose last rung has the full network)"
        )
    return str(folder.relative_to(run.folder)), saved.step
