"""What a run delivers: a network of its last stage, with that stage's metrics beside that stage's weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.estimate.checkpoint import SavedCheckpoint, of_value
from ogive.estimate.full_training import TrainingOrder
from ogive.formatting import number, plural
from ogive.run.results import front, top, why_none
from ogive.run.state import State
from ogive.run.trial_folder import trial_folder
from ogive.run.trial_labels import STAGE
from ogive.run.unsaved_weights import why_unsaved
from ogive.stages.finalize_request import read_request
from ogive.stages.full_training_result import FOLDER, FullTrainingResult, TrainedNetwork, read_full_training
from ogive.stages.stage_states import stage_states
from ogive.stages.weights_file import kept_weights
from ogive.trial import Status, Trial

SEARCH, FULL = "search", "full training"
"""The stages."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One network as one stage trained it.

    Attributes:
        trial: of the search, by whose number the network is known.
        stage: `SEARCH` or `FULL`.
        training: the training that left the weights, as the stage's journal has it; in the search it is the trial.
        state: of the stage's run.
        search: the state of the search.
        metrics: of these weights.
        mean: means over the stage's seeds, by which it ranks the network; `metrics` where there is one training.
        test: metrics of these weights on the test split; empty where that was not read for them.
        seeds: of all trainings of the network in this stage.
        seed: of the training that left the weights.
        settings: beside the architecture, that the network was trained with.
        saved: the newest checkpoint of `training`, or `final/weights.pt` where that is of it; None where there is neither.
        is_winner: whether the stage is the last one with a result and the network a winner of it.
    """

    trial: Trial
    stage: str
    training: Trial
    state: State
    search: State
    metrics: Mapping[str, float]
    mean: Mapping[str, float]
    test: Mapping[str, float]
    seeds: Sequence[int]
    seed: int
    settings: Mapping[str, Any]
    saved: SavedCheckpoint | None
    is_winner: bool = False

    @property
    def title(self) -> str:
        """`trial 3, full training of 2 epochs, mean over 3 seeds`: what `mean` is of."""
        epochs = f" of {plural(self.training.step, 'epoch')}" if self.state.created["epochs"] else ""
        seeds = f", mean over {plural(len(self.seeds), 'seed')}" if len(self.seeds) > 1 else ""
        return f"trial {self.trial.id}, {self.stage}{epochs}{seeds}"

    @property
    def weights(self) -> Path | None:
        """The checkpoint with the weights; None where there is none."""
        return self.saved.path if self.saved is not None and self.saved.has_model else None

    @property
    def step(self) -> int:
        """The epochs that the network was trained: of its weights, where there are some."""
        return self.training.step if self.saved is None else self.training.began + self.saved.step

    @property
    def session(self) -> Mapping[str, Any]:
        """The session of the stage's controller in which the training ended."""
        last = self.training.reports[-1].time if self.training.reports else 0.0
        sessions = zip(self.state.stretches, self.state.sessions, strict=True)
        return next((session for stretch, session in reversed([*sessions]) if stretch.begin <= last), {})

    @property
    def missing(self) -> str | None:
        """Why there are no weights, and what to do; None where there are."""
        if self.weights is not None:
            return None
        if self.state.trains_models is False:
            return "the estimator reports metrics and keeps no model; use a train function, or the built-in trainer"
        unsaved = why_unsaved(message for message, _ in self.state.warnings)
        if unsaved is not None:
            return unsaved
        if self.saved is not None:
            return (
                f"its checkpoint holds no weights under 'model', but {', '.join(self.saved.keys or ())}; let the train "
                "function call trial.checkpoint(model=model.state_dict(), ...), then `ogive finalize` trains it again"
            )
        again = "`ogive finalize` trains it in full and keeps the weights"
        if self.stage == FULL:
            again = "`ogive finalize --retrain` (retrain=True) trains it again"
        elif self.trial.cached:
            return f"its result comes from the evaluation cache; {again}"
        elif not self.trial.reports:
            return f"it has not reported anything ({self.trial.status.value}); choose another trial, see `ogive top`"
        elif self.trial.status is Status.STOPPED or self.trial.status.failed:
            return f"checkpoints of trials that ended early are deleted (it is {self.trial.status.value}); {again}"
        return (
            "its checkpoint was deleted, or the train function never called trial.checkpoint(model=model.state_dict()); "
            f"{again}"
        )

    def to_json(self) -> dict[str, Any]:
        """For scripts: which network, of which stage, how good."""
        return {
            "trial": self.trial.id,
            "stage": self.stage,
            "winner": self.is_winner,
            "status": self.training.status.value,
            "metrics": dict(self.mean),
            "step": self.training.step,
            "seeds": list(self.seeds),
            "weights": None if self.weights is None else str(self.weights),
        }


@dataclass(frozen=True)
class Stages:
    """A run's search and what followed it, as far as the folder tells; `folder` is None where there is none."""

    state: State
    folder: Path | None

    @cached_property
    def result(self) -> FullTrainingResult | None:
        """Of full training; None where none has come to its end."""
        return None if self.folder is None else read_full_training(self.folder)

    @cached_property
    def final(self) -> State | None:
        """Full training as a run of its own, where it was begun."""
        return None if self.folder is None else stage_states(self.folder, self.state).get("final")

    @cached_property
    def winners(self) -> list[Delivery]:
        """What the last stage with a result chose, the best first: several where objectives are several."""
        if self.result is not None:
            return [self._trained(self.result[name]) for name in self.result.winners]
        return [self.searched(self.state.trials[number]) for number in self._chosen]

    def delivery(self, which: str | int = "winner") -> Delivery:
        """One network.

        Args:
            which: "winner" of the last stage that has one; "best" of the search, as the search left it; or a trial's
                number, as the last stage that trained it left it.

        Raises:
            RunError: there is no such trial; none has a value; several objectives leave several to choose from; or the run
                is itself the full training of a search.
        """
        if any(STAGE in trial.proposal.settings for trial in self.state.trials.values()):
            raise RunError(
                f"{self.folder} is the full training of a search: give the search's folder, the one above it"
            )
        if which == "winner":
            return self._only(self.winners)
        if which == "best":
            return self._only([self.searched(self.state.trials[number]) for number in self._chosen])
        trials = self.state.trials
        text = str(which)
        if not text.isdigit() or int(text) not in trials:
            there = (
                f"a number from 0 to {len(trials) - 1} (`ogive top`)" if trials else "numbers, once there are trials"
            )
            raise RunError(f"trial: found {which!r}; allowed: winner, best, or {there}")
        trial = trials[int(text)]
        network = self._finalists.get(trial.id)
        return self.searched(trial) if network is None else self._trained(network)

    def ranked(self, k: int) -> list[Delivery]:
        """The best `k` networks: those that were trained in full by their rank there, then those of the search."""
        finalists = sorted(self._finalists.values(), key=lambda network: network.rank_after or 0)
        found = [self._trained(network) for network in finalists]
        searched = [trial for trial in top(self.state, k + len(found)) if trial.id not in self._finalists]
        return [*found, *(self.searched(trial) for trial in searched)][:k]

    @cached_property
    def notes(self) -> list[str]:
        """What to know before the winner is used: full training that has not ended, trainings that failed, a search that
        went on, a baseline that is better, a constraint that it violates, weights of another epoch than its value.
        """
        return [
            *self._unfinished(),
            *self._failed(),
            *self._later(),
            *self._beaten(),
            *self._violating(),
            *self._of_another_epoch(),
        ]

    # -- one network of a stage ------------------------------------------------------------------------------------

    @cached_property
    def _chosen(self) -> list[int]:
        """The numbers of the trials that are best in the search: one, or the front of several objectives."""
        trials = front(self.state) if len(self.state.objectives) > 1 else top(self.state, 1)
        return [trial.id for trial in trials]

    @cached_property
    def _finalists(self) -> dict[int, TrainedNetwork]:
        """The networks that have a result of full training, by the number of their trial."""
        networks = self.result.finalists if self.result is not None else []
        return {n.trial: n for n in networks if n.seeds and n.trial is not None}

    def _only(self, found: Sequence[Delivery]) -> Delivery:
        if len(found) == 1:
            return found[0]
        if found:
            sought = ", ".join(objective.metric for objective in self.state.objectives)
            numbers = ", ".join(str(delivery.trial.id) for delivery in found)
            raise RunError(
                f"with several objectives ({sought}) there is no single winner: {found[0].stage} leaves trials {numbers}, "
                "of which none is better in all of them; give the number of one (`--trial N`, see `ogive front`)"
            )
        raise RunError(f"{self.folder}: {why_none(self.state)}")

    def searched(self, trial: Trial) -> Delivery:
        """A trial as the search left it."""
        saved, metrics = self._left_by(trial, self.folder)
        return Delivery(
            trial=trial,
            stage=SEARCH,
            training=trial,
            state=self.state,
            search=self.state,
            metrics=metrics,
            mean=metrics,
            test={},
            seeds=(trial.seed,),
            seed=trial.seed,
            settings=trial.proposal.settings,
            saved=saved,
            is_winner=self.result is None and trial.id in self._chosen,
        )

    def _trained(self, network: TrainedNetwork) -> Delivery:
        assert self.folder is not None
        assert self.result is not None
        assert network.trial is not None
        if self.final is None:
            raise RunError(f"{self.folder / FOLDER} has lost its journal; remove it and run `ogive finalize` again")
        trial = self.state.trials[network.trial]
        place = self.result.best_seed(network)
        training = self._training(self.final, network, place)
        saved, metrics = self._left_by(training, self.folder / FOLDER)
        own = {name: value for name, value in training.proposal.settings.items() if name != STAGE}
        mean = {name: sum(values) / len(values) for name, values in network.values.items() if len(values)}
        return Delivery(
            trial=trial,
            stage=FULL,
            training=training,
            state=self.final,
            search=self.state,
            metrics={**trial.screened, **metrics},
            mean={**trial.screened, **mean},
            test={name: values[place] for name, values in network.test.items()},
            seeds=tuple(network.seeds),
            seed=network.seeds[place],
            settings={**own, **self.result.recipe.get("settings", {})},
            saved=saved,
            is_winner=network.name in self.result.winners,
        )

    @staticmethod
    def _training(final: State, network: TrainedNetwork, place: int) -> Trial:
        """The training with a network's seed at `place`; records of earlier versions do not number it."""
        if network.trainings:
            return final.trials[network.trainings[place]]
        orders = {number: TrainingOrder.of(trial.proposal.settings) for number, trial in final.trials.items()}
        wanted = network.name, network.seeds[place]
        return final.trials[max(n for n, order in orders.items() if (order.network, order.seed) == wanted)]

    @staticmethod
    def _left_by(training: Trial, run: Path | None) -> tuple[SavedCheckpoint | None, Mapping[str, float]]:
        """The checkpoint that a training left, and the metrics at its step: those of a later step are of other weights."""
        saved = (saved_by(training, run) or kept_weights(training, run)) if run is not None else None
        if saved is None:
            return None, training.metrics
        step = training.began + saved.step
        report = next((report for report in reversed(training.reports) if report.step <= step), None)
        return saved, {**training.screened, **(report.metrics if report is not None else {})}

    # -- what to know ----------------------------------------------------------------------------------------------

    @property
    def _again(self) -> str:
        """The command that repeats the last request for full training."""
        request = read_request(self.folder)
        return f"`{request.command if request is not None else 'ogive finalize'}`"

    def _unfinished(self) -> Sequence[str]:
        """Whether full training was begun and not judged, and what is delivered meanwhile."""
        final, result = self.final, self.result
        if final is None:
            return []
        left = final.total - final.done
        later = result is not None and 0 < result.judged < final.done
        if left <= 0 and result is not None and not later:
            return []
        if left <= 0 and final.failed == final.done:
            return ["no training of the best in full succeeded: the winner is still that of the search"]
        if final.ended_by_failures and left > 0:
            return [f"full training was ended by failures, so the winner is not of it: {final.ended}"]
        stage = f"{plural(left, 'training')} left" if left > 0 else "its trainings are not judged"
        now = "the winner is still that of the search" if result is None else "the winner is that of the former ones"
        aside = [path.name for path in sorted((self.folder or Path()).glob(f"{FOLDER}-*"))]
        kept = f" (an earlier full training is kept in {', '.join(aside)})" if aside and result is None else ""
        return [f"full training has not ended, {stage}: {now}{kept}; {self._again} goes on"]

    def _failed(self) -> Iterator[str]:
        """Which trainings of networks failed that others gave a value, so that fewer seeds count for them."""
        for network in self.result.networks if self.result is not None else ():
            if network.seeds and network.failures:
                trained = len(network.seeds) + len(network.failures)
                yield (
                    f"{len(network.failures)} of {plural(trained, 'training')} of {network.name} failed "
                    f"({network.failures[0]}), so its values are of {plural(len(network.seeds), 'seed')} only; "
                    "`ogive finalize --retry-failed` repeats them"
                )

    def _later(self) -> Sequence[str]:
        """Whether the search, which went on, has found better than what was trained in full."""
        if self.result is None or len(self.state.objectives) > 1 or not self._chosen:
            return []
        best, metric = self.state.trials[self._chosen[0]], self.state.objectives[0].metric
        if any(network.trial == best.id for network in self.result.finalists):
            return []
        return [
            f"the search went on after full training: its best is now trial {best.id} ({metric} "
            f"{number(best.metrics[metric])}), which was not trained in full; `ogive finalize` trains it too"
        ]

    def _violating(self) -> Iterator[str]:
        """Which constraints a winner violates: full training may change what the search had measured."""
        for winner in self.winners:
            missed = [constraint for constraint in self.state.constraints if constraint.violation(winner.mean) > 0]
            values = ", ".join(f"{c.metric} {number(winner.mean.get(c.metric, math.nan))}, not {c}" for c in missed)
            if missed:
                yield f"the winner, {winner.title}, violates a constraint: {values}; no network that was trained keeps all"

    def _of_another_epoch(self) -> Iterator[str]:
        """Whether the weights of a winner are of another epoch than its value."""
        for winner in self.winners:
            report = winner.training.value_report
            if winner.weights is not None and report is not None and report.step != winner.step:
                yield (
                    f"the value of {winner.title} is of epoch {report.step}, but its weights are of epoch {winner.step}, "
                    "the nearest that was saved; let the train function call trial.checkpoint(...) in every epoch"
                )

    def _beaten(self) -> Sequence[str]:
        """Whether the hand-drawn baseline, which never is a winner, is better than the winner."""
        result = self.result
        if result is None or result.baseline is None or len(self.state.objectives) > 1:
            return []
        objective = self.state.objectives[0]
        drawn, own = result.baseline.mean(objective.metric), result.winner.mean(objective.metric)
        if drawn is None or own is None:
            return []
        if objective.cost({objective.metric: drawn}) >= objective.cost({objective.metric: own}):
            return []
        return [
            f"the hand-drawn baseline is better than the winner: {objective.metric} {number(drawn)} against {number(own)} "
            "on the validation data"
        ]


def saved_by(training: Trial, run: Path) -> SavedCheckpoint | None:
    """The checkpoint whose weights have a training's value, in the folder `run` of its stage; None where there is none."""
    folder = trial_folder(run, training)
    return of_value(folder) if folder.is_dir() else None
