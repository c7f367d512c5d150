"""The network that a run delivers, with the metrics of the stage that trained its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.estimate.checkpoint import SavedCheckpoint, find_value_checkpoint
from ogive.estimate.full_training import TrainingRequest
from ogive.formatting import plural
from ogive.run.results import explain_no_best, find_best_trials, find_front
from ogive.run.state import State
from ogive.run.trial_folder import get_trial_folder
from ogive.run.trial_labels import FULL_TRAINING_SETTING
from ogive.run.unsaved_weights import find_unsaved_reason
from ogive.stages.full_training_result import (
    FULL_TRAINING_FOLDER,
    FullTrainingResult,
    TrainedNetwork,
    read_full_training,
)
from ogive.stages.stage_notes import list_winner_warnings
from ogive.stages.stage_states import read_stage_states
from ogive.stages.training_plan import ensure_search
from ogive.stages.weights_file import find_winner_weights
from ogive.trial import Status, Trial

SEARCH, FULL_TRAINING = "search", "full training"
"""The names of the stages."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A network with the weights and the metrics of one stage.

    Attributes:
        trial: the trial of the search; its number identifies the network.
        stage: `SEARCH` or `FULL_TRAINING`.
        training: the trial, in the stage's journal, that trained the weights. If the stage is the search, it is `trial`.
        state: the state of the stage's run.
        search: the state of the search.
        metrics: the metrics of the delivered weights.
        mean_metrics: the means of the metrics over the stage's seeds, by which the stage ranks the network. With a single
            training they are equal to `metrics`.
        test_metrics: the metrics of the delivered weights on the test split; empty if the test split was not read for
            this network.
        seeds: the seeds of all trainings of the network in this stage.
        seed: the seed with which the delivered weights were trained.
        settings: the settings, besides the architecture, with which the network was trained.
        checkpoint: the checkpoint of `training` from its best epoch if there is one, otherwise its newest checkpoint. If
            all were deleted, the file `final/weights.pt` if its weights are from `training`, or else None.
        is_winner: whether the network is a winner of the last stage that has a result.
    """

    trial: Trial
    stage: str
    training: Trial
    state: State
    search: State
    metrics: Mapping[str, float]
    mean_metrics: Mapping[str, float]
    test_metrics: Mapping[str, float]
    seeds: Sequence[int]
    seed: int
    settings: Mapping[str, Any]
    checkpoint: SavedCheckpoint | None
    is_winner: bool = False

    @property
    def title(self) -> str:
        """The network, its stage and its seeds, such as "trial 3, full training of 2 epochs, mean over 3 seeds"."""
        epochs = f" of {plural(self.training.step, 'epoch')}" if self.state.declaration["epochs"] else ""
        seeds = f", mean over {plural(len(self.seeds), 'seed')}" if len(self.seeds) > 1 else ""
        return f"trial {self.trial.id}, {self.stage}{epochs}{seeds}"

    @property
    def weights(self) -> Path | None:
        """The checkpoint with the weights; None if there is none."""
        return self.checkpoint.path if self.checkpoint is not None and self.checkpoint.has_model else None

    @property
    def step(self) -> int:
        """The step after which the weights were saved; the last step of the training if there is no checkpoint."""
        return self.training.step if self.checkpoint is None else self.training.step_offset + self.checkpoint.step

    @property
    def session(self) -> Mapping[str, Any]:
        """The journalled record of the session in which the training ended: the machine and the versions of packages."""
        last_report_time = self.training.reports[-1].time if self.training.reports else 0.0
        # The latest session that began before the last report.
        sessions = zip(self.state.session_intervals, self.state.sessions, strict=True)
        return next((session for interval, session in reversed([*sessions]) if interval.begin <= last_report_time), {})

    @property
    def missing_weights_reason(self) -> str | None:
        """The reason why there are no weights, and what to do; None if there are weights."""
        if self.weights is not None:
            return None
        if self.state.trains_models is False:
            return "the estimator reports metrics and keeps no model; use a train function, or the built-in trainer"
        unsaved = find_unsaved_reason(message for message, _ in self.state.warnings)
        if unsaved is not None:
            return unsaved
        if self.checkpoint is not None:
            return (
                f"its checkpoint has no weights under 'model', only {', '.join(self.checkpoint.keys or ())}; let the train "
                "function call trial.checkpoint(model=model.state_dict(), ...) and run `ogive finalize`, which trains the "
                "network again"
            )
        remedy = "`ogive finalize` trains the network in full and keeps the weights"
        if self.stage == FULL_TRAINING:
            remedy = "`ogive finalize --retrain` (retrain=True) trains the network again"
        elif self.trial.cached:
            return f"its result comes from the evaluation cache; {remedy}"
        elif not self.trial.reports:
            status = self.trial.status.value
            return f"the trial has not reported anything ({status}); choose another trial, see `ogive top`"
        elif self.trial.status is Status.STOPPED or self.trial.status.failed:
            status = self.trial.status.value
            return f"checkpoints of trials that ended early are deleted (this trial: {status}); {remedy}"
        return (
            "its checkpoint was deleted, or the train function never called trial.checkpoint(model=model.state_dict()); "
            f"{remedy}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the network, its stage, its metrics and its weights as JSON."""
        return {
            "trial": self.trial.id,
            "stage": self.stage,
            "winner": self.is_winner,
            "status": self.training.status.value,
            "metrics": dict(self.mean_metrics),
            "step": self.training.step,
            "seeds": list(self.seeds),
            "weights": None if self.weights is None else str(self.weights),
        }


@dataclass(frozen=True)
class Stages:
    """The stages of a run: the search, and full training if it was started.

    Attributes:
        state: the state of the search.
        folder: the run's folder; None for a run without a folder.
    """

    state: State
    folder: Path | None

    @cached_property
    def full_training_result(self) -> FullTrainingResult | None:
        """The result of full training; None if it has not ended."""
        return None if self.folder is None else read_full_training(self.folder)

    @cached_property
    def full_training_state(self) -> State | None:
        """The state of full training; None if it was not started."""
        return None if self.folder is None else read_stage_states(self.folder, self.state).get("final")

    @cached_property
    def winners(self) -> list[Delivery]:
        """The winners of the last stage that has a result, the best first.

        With one objective there is one winner; with several objectives there may be several winners.
        """
        if self.full_training_result is not None:
            return [
                self._deliver_finalist(self.full_training_result[name]) for name in self.full_training_result.winners
            ]
        return [self.make_search_delivery(self.state.trials[number]) for number in self.best_search_trials]

    def select_delivery(self, selection: str | int = "winner") -> Delivery:
        """Return one network.

        Args:
            selection: "winner" for the winner of the last stage that has a result; "best" for the best trial of the search,
                with the search's weights; or the number of a trial, which has the weights of the last stage that trained it.

        Raises:
            RunError: there is no such trial; no trial has a value; there are several winners, because there are several
                objectives; or the run is itself the full training of a search.
        """
        ensure_search(self.state, self.folder)
        if selection == "winner":
            return self._require_one(self.winners)
        if selection == "best":
            return self._require_one([self.make_search_delivery(self.state.trials[n]) for n in self.best_search_trials])
        trials = self.state.trials
        text = str(selection)
        if not text.isdigit() or int(text) not in trials:
            allowed = (
                f"a number from 0 to {len(trials) - 1} (`ogive top`)"
                if trials
                else "the number of a trial (none so far)"
            )
            raise RunError(f"trial: found {selection!r}; allowed: winner, best, or {allowed}")
        trial = trials[int(text)]
        network = self._finalists.get(trial.id)
        return self.make_search_delivery(trial) if network is None else self._deliver_finalist(network)

    def rank_networks(self, k: int) -> list[Delivery]:
        """Return the best `k` networks: the finalists by their rank in full training, then other trials of the search."""
        # All of these finalists have a rank; `or 0` is for the type checker.
        finalists = sorted(self._finalists.values(), key=lambda network: network.rank_after or 0)
        deliveries = [self._deliver_finalist(network) for network in finalists]
        best_trials = find_best_trials(self.state, k + len(deliveries))
        deliveries += [self.make_search_delivery(trial) for trial in best_trials if trial.id not in self._finalists]
        return deliveries[:k]

    @cached_property
    def warnings(self) -> list[str]:
        """The warnings about the winners that a user should read before using them, one sentence each."""
        return list_winner_warnings(self)

    @cached_property
    def best_search_trials(self) -> list[int]:
        """The numbers of the best trials of the search: a single trial, or with several objectives the Pareto front."""
        trials = find_front(self.state) if len(self.state.objectives) > 1 else find_best_trials(self.state, 1)
        return [trial.id for trial in trials]

    @cached_property
    def _finalists(self) -> dict[int, TrainedNetwork]:
        """The finalists with at least one successful training, by the number of their trial."""
        networks = self.full_training_result.finalists if self.full_training_result is not None else []
        return {n.trial: n for n in networks if n.seeds and n.trial is not None}

    def _require_one(self, deliveries: Sequence[Delivery]) -> Delivery:
        """Return the only element of `deliveries`.

        Raises:
            RunError: `deliveries` has several elements, or none.
        """
        if len(deliveries) == 1:
            return deliveries[0]
        if deliveries:
            metrics = ", ".join(objective.metric for objective in self.state.objectives)
            numbers = ", ".join(str(delivery.trial.id) for delivery in deliveries)
            raise RunError(
                f"with several objectives ({metrics}) there is no single winner: {deliveries[0].stage} selects trials "
                f"{numbers}, of which none is better in all objectives; give the number of one (`--trial N`, see "
                "`ogive front`)"
            )
        raise RunError(f"{self.folder}: {explain_no_best(self.state)}")

    def make_search_delivery(self, trial: Trial) -> Delivery:
        """Return a trial with the weights of the search."""
        saved, metrics = _find_weights(trial, self.folder)
        return Delivery(
            trial=trial,
            stage=SEARCH,
            training=trial,
            state=self.state,
            search=self.state,
            metrics=metrics,
            mean_metrics=metrics,
            test_metrics={},
            seeds=(trial.seed,),
            seed=trial.seed,
            settings=trial.proposal.settings,
            checkpoint=saved,
            is_winner=self.full_training_result is None and trial.id in self.best_search_trials,
        )

    def _deliver_finalist(self, network: TrainedNetwork) -> Delivery:
        """Return a finalist with the weights of its best seed in full training."""
        assert self.folder is not None
        assert self.full_training_result is not None
        assert network.trial is not None
        if self.full_training_state is None:
            raise RunError(
                f"{self.folder / FULL_TRAINING_FOLDER} has lost its journal; remove this folder and run "
                "`ogive finalize` again"
            )
        trial = self.state.trials[network.trial]
        index = self.full_training_result.find_best_index(network)
        training = _find_training(self.full_training_state, network, index)
        saved, metrics = _find_weights(training, self.folder / FULL_TRAINING_FOLDER)
        trial_settings = {
            name: value for name, value in training.proposal.settings.items() if name != FULL_TRAINING_SETTING
        }
        mean = {name: sum(values) / len(values) for name, values in network.values.items() if len(values)}
        return Delivery(
            trial=trial,
            stage=FULL_TRAINING,
            training=training,
            state=self.full_training_state,
            search=self.state,
            metrics={**trial.screened, **metrics},
            mean_metrics={**trial.screened, **mean},
            test_metrics={name: values[index] for name, values in network.test.items()},
            seeds=tuple(network.seeds),
            seed=network.seeds[index],
            settings={**trial_settings, **self.full_training_result.recipe.get("settings", {})},
            checkpoint=saved,
            is_winner=network.name in self.full_training_result.winners,
        )


def _find_training(final: State, network: TrainedNetwork, index: int) -> Trial:
    """Return the trial of full training that trained `network` with the seed `network.seeds[index]`."""
    if network.trainings:
        return final.trials[network.trainings[index]]
    # Results of earlier versions do not have the numbers of the trainings. Take the latest training with this seed.
    requests = {n: TrainingRequest.from_settings(trial.proposal.settings) for n, trial in final.trials.items()}
    key = network.name, network.seeds[index]
    return final.trials[max(n for n, request in requests.items() if (request.network, request.seed) == key)]


def _find_weights(training: Trial, stage_folder: Path | None) -> tuple[SavedCheckpoint | None, Mapping[str, float]]:
    """Return the checkpoint of a training, and the metrics at the step of the checkpoint.

    Later reports are ignored, because they describe weights that were not saved.

    Args:
        training: a trial of the stage.
        stage_folder: the folder of the stage's run; None if it has none.
    """
    saved = None
    if stage_folder is not None:
        saved = find_checkpoint(training, stage_folder) or find_winner_weights(training, stage_folder)
    if saved is None:
        return None, training.metrics
    step = training.step_offset + saved.step
    report = next((report for report in reversed(training.reports) if report.step <= step), None)
    return saved, {**training.screened, **(report.metrics if report is not None else {})}


def find_checkpoint(training: Trial, stage_folder: Path) -> SavedCheckpoint | None:
    """Return the checkpoint of a training's best epoch if there is one, otherwise its newest checkpoint; None without one.

    Args:
        training: a trial of the stage.
        stage_folder: the folder of the stage's run.
    """
    folder = get_trial_folder(stage_folder, training)
    return find_value_checkpoint(folder) if folder.is_dir() else None
