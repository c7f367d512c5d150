"""The second stage as an estimator: chosen networks trained from scratch, each with a seed of its own.

It is the search's own estimator, which is told which seed to use, what to start from, and now and then to train a network
that a person drew instead of the architecture. What it is told travels in the proposal's settings, under `STAGE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ogive.errors import JobError
from ogive.hashing import hash_json
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.trial_labels import STAGE
from ogive.source import identity
from ogive.trial import Step
from ogive.user_code import blaming

BASELINE = "baseline"


@dataclass(frozen=True)
class TrainingOrder:
    """What is to be trained.

    Attributes:
        network: "trial 12", or `BASELINE`.
        trial: of the search; None for the baseline.
        seed: of all randomness.
        start: folder of the searched trial, below the run's, and the step of its checkpoint whose weights to start from;
            None to start from scratch.
        drawn: a hash of the baseline's source, so that another baseline is another order; "" for a trial.
        again: how often it was trained before without leaving weights.
    """

    network: str
    trial: int | None
    seed: int
    start: tuple[str, Step] | None = None
    drawn: str = ""
    again: int = 0

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"network": self.network, "trial": self.trial, "seed": self.seed}
        if self.start is not None:
            data["start"] = list(self.start)
        optional = {"drawn": self.drawn, "again": self.again}
        return data | {name: value for name, value in optional.items() if value}

    @staticmethod
    def of(settings: Mapping[str, Any]) -> TrainingOrder:
        """The order in a proposal's settings."""
        data = settings[STAGE]
        start = (data["start"][0], data["start"][1]) if "start" in data else None
        return TrainingOrder(
            data["network"], data["trial"], data["seed"], start, data.get("drawn", ""), data.get("again", 0)
        )


class FullTraining(Estimator):
    """Carries out orders of the second stage with another estimator.

    Args:
        judge: trains and reports; for the built-in trainer, what `Classifier.full_training` made.
        baseline: makes a hand-drawn network; None where no order is for one.
        settings: the trials' settings, which override those of the search.
    """

    def __init__(self, judge: Estimator, baseline: Callable[[], Any] | None, settings: Mapping[str, Any]) -> None:
        self.judge = judge
        self.baseline = baseline
        self.settings = dict(settings)
        self.epochs = judge.epochs
        self.continuable = judge.continuable
        self.parallel, self.rank_invariant = judge.parallel, judge.rank_invariant
        self.trains_models, self.is_stored = judge.trains_models, judge.is_stored

    def prepare(self) -> None:
        self.judge.prepare()

    def evaluate(self, evaluation: Evaluation) -> None:
        order = TrainingOrder.of(evaluation.settings)
        own = {name: value for name, value in evaluation.settings.items() if name != STAGE}
        inherit = None
        if order.start is not None:
            run = evaluation.folder.parents[2]  # <run>/final/trials/000003
            inherit = run / order.start[0], order.start[1]
        network: Any = evaluation.architecture if order.trial is not None else DrawnBaseline(self.baseline)
        settings = {**own, **self.settings}
        self.judge.evaluate(
            replace(evaluation, architecture=network, seed=order.seed, settings=settings, inherit=inherit)
        )

    def recipe(self) -> Mapping[str, Any] | None:
        recipe = self.judge.recipe()
        return None if recipe is None else {**recipe, "settings": self.settings}

    def sources(self) -> Sequence[tuple[str, Any]]:
        return self.judge.sources()

    def fingerprints(self) -> Mapping[str, str]:
        return {**self.judge.fingerprints(), "settings": hash_json(self.settings)}


class DrawnBaseline:
    """A hand-drawn network that is built from a seed, as an architecture is.

    Attributes:
        hash: of its code and of what that uses.

    Raises:
        JobError: `factory` is no function without arguments that makes a network.
        UserCodeError: it raised.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    @property
    def hash(self) -> str:
        return identity([("baseline", self.factory)]).hash

    def build(self, seed: int | None = None) -> Any:
        import torch

        made = None
        with torch.random.fork_rng(devices=()):
            if seed is not None:
                torch.manual_seed(seed)
            if callable(self.factory) and not isinstance(self.factory, torch.nn.Module):
                with blaming("baseline", self.factory):
                    made = self.factory()
        if not isinstance(made, torch.nn.Module):
            raise JobError(
                f"baseline={self.factory!r}: a function without arguments that makes a network, not a network itself"
            )
        return made
