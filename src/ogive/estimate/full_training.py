"""Full training as an estimator: it trains the finalists and the baseline, each with fixed seeds.

It wraps the estimator of the search. Each trial of the stage has a training request in its settings, under the name
`FULL_TRAINING_SETTING`. The request names the network to train, the seed, and the checkpoint to start from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ogive.errors import JobError
from ogive.hashing import hash_json
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.trial_labels import FULL_TRAINING_SETTING
from ogive.source import identify_code
from ogive.trial import Step
from ogive.user_code import convert_user_errors

BASELINE = "baseline"
"""`TrainingRequest.network` of the baseline."""


@dataclass(frozen=True)
class TrainingRequest:
    """The instruction to train one network with one seed.

    Attributes:
        network: "trial 12", or `BASELINE`.
        trial: the trial of the search; None for the baseline.
        seed: the seed of all randomness.
        checkpoint: the checkpoint to start from: the folder of its trial, relative to the folder of the run, and its step.
            None to train from scratch.
        baseline_hash: a hash of the code of the baseline, so that a changed baseline is trained again; None for a trial.
        earlier_trainings: the number of earlier trainings of the same network with the same seed that this one repeats,
            because they failed or saved no weights.
    """

    network: str
    trial: int | None
    seed: int
    checkpoint: tuple[str, Step] | None = None
    baseline_hash: str | None = None
    earlier_trainings: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON, without the optional fields that have their default values."""
        data: dict[str, Any] = {"network": self.network, "trial": self.trial, "seed": self.seed}
        if self.checkpoint is not None:
            data["start"] = list(self.checkpoint)
        optional = {"drawn": self.baseline_hash, "again": self.earlier_trainings}
        return data | {name: value for name, value in optional.items() if value}

    @staticmethod
    def from_settings(settings: Mapping[str, Any]) -> TrainingRequest:
        """Return the request in the settings of a proposal."""
        data = settings[FULL_TRAINING_SETTING]
        checkpoint = (data["start"][0], data["start"][1]) if "start" in data else None
        return TrainingRequest(
            data["network"], data["trial"], data["seed"], checkpoint, data.get("drawn"), data.get("again", 0)
        )


class FullTraining(Estimator):
    """Carries out training requests with another estimator.

    Args:
        estimator: the estimator that trains; for the built-in trainer, the result of `Classifier.full_training`.
        baseline: a function that returns a hand-drawn network; None if no request is for the baseline.
        settings: settings that override the settings of the search.
    """

    def __init__(self, estimator: Estimator, baseline: Callable[[], Any] | None, settings: Mapping[str, Any]) -> None:
        self.estimator = estimator
        self.baseline = baseline
        self.settings = dict(settings)
        self.epochs = estimator.epochs
        self.continuable = estimator.continuable
        self.parallel, self.rank_invariant = estimator.parallel, estimator.rank_invariant
        self.trains_models, self.uses_stored_code = estimator.trains_models, estimator.uses_stored_code

    def prepare(self) -> None:
        self.estimator.prepare()

    def evaluate(self, evaluation: Evaluation) -> None:
        request = TrainingRequest.from_settings(evaluation.settings)
        search_settings = {name: value for name, value in evaluation.settings.items() if name != FULL_TRAINING_SETTING}
        inherit_from = None
        if request.checkpoint is not None:
            run_folder = evaluation.folder.parents[2]  # the folder of a trial is <run>/final/trials/000003
            trial_folder, step = request.checkpoint
            inherit_from = run_folder / trial_folder, step
        # A baseline has no architecture. A `BaselineNetwork` takes its place, because estimators only call `build`.
        network: Any = evaluation.architecture if request.trial is not None else BaselineNetwork(self.baseline)
        settings = {**search_settings, **self.settings}
        # The seed is that of the request, not of the trial: all networks are trained with the same seeds, for paired tests.
        self.estimator.evaluate(
            replace(evaluation, architecture=network, seed=request.seed, settings=settings, inherit_from=inherit_from)
        )

    def recipe(self) -> Mapping[str, Any] | None:
        recipe = self.estimator.recipe()
        return None if recipe is None else {**recipe, "settings": self.settings}

    def sources(self) -> Sequence[tuple[str, Any]]:
        return self.estimator.sources()

    def fingerprints(self) -> Mapping[str, str]:
        return {**self.estimator.fingerprints(), "settings": hash_json(self.settings)}


class BaselineNetwork:
    """A hand-drawn network, which is built from a seed like an architecture.

    Args:
        factory: a function without arguments that returns the network.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    @property
    def hash(self) -> str:
        """A hash of the code of the factory and of the code that it uses."""
        return identify_code([("baseline", self.factory)]).hash

    def build(self, seed: int | None = None) -> Any:
        """Return the network, with weights initialized from `seed`; PyTorch's random state is restored afterwards.

        Raises:
            JobError: the factory is not a function without arguments that returns a network.
            UserCodeError: the factory raised an error.
        """
        import torch

        network = None
        with torch.random.fork_rng(devices=()):
            if seed is not None:
                torch.manual_seed(seed)
            if callable(self.factory) and not isinstance(self.factory, torch.nn.Module):
                with convert_user_errors("baseline", self.factory):
                    network = self.factory()
        if not isinstance(network, torch.nn.Module):
            raise JobError(
                f"baseline is {self.factory!r}, but must be a function without arguments that returns a network "
                "(torch.nn.Module)"
            )
        return network
