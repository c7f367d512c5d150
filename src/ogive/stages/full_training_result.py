"""The record of a second stage: what the search had promised of each network, and what full training made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.stages.full_training_text import rows, sentences
from ogive.stats.paired import paired_difference
from ogive.stats.rank_correlation import Correlation

FOLDER = "final"
"""Of the second stage, in a run's folder."""
FILE = "result.json"

Values = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class TrainedNetwork:
    """One network of the second stage.

    Attributes:
        name: "trial 12", or "baseline".
        trial: of the search; None for the baseline.
        parameters: trainable ones; None where unknown.
        searched: its metrics in the search; empty for the baseline.
        epochs: trained in the search; 0 for the baseline.
        rank_before, rank_after: from 1, equals share the best of their places; in the search, by the mean over seeds. None
            for the baseline, and after where no training succeeded.
        seeds: of the trainings that succeeded.
        values: for each metric the values on the second stage's validation part, one for each of `seeds`.
        weights: files below the run's folder, one for each of `seeds`; "" where a train function saved none.
        trainings: trials of the second stage's journal, one for each of `seeds`; empty in records of earlier versions.
        failures: how its other trainings failed.
        probability: that its true value is the best of all finalists; None where that cannot be told.
        test: metrics on the test split, one for each of `seeds`; empty where it was not read for this network.
        seconds: of all its trainings together; `search_seconds` of its trial in the search.
    """

    name: str
    trial: int | None
    parameters: int | None
    searched: Mapping[str, float]
    epochs: int
    rank_before: int | None
    rank_after: int | None
    seeds: Sequence[int]
    values: Values
    weights: Sequence[str]
    failures: Sequence[str] = field(default_factory=list)
    probability: float | None = None
    test: Values = field(default_factory=dict)
    seconds: float = 0.0
    search_seconds: float = 0.0
    trainings: Sequence[int] = field(default_factory=list)

    def mean(self, metric: str) -> float | None:
        """The mean of a metric over seeds; None where it was not measured."""
        values = self.values.get(metric, ())
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Agreement:
    """How far the search's values of one metric predict those of full training: both rank correlations over finalists.

    `note` says why there are none, or over which finalists they are.
    """

    metric: str
    kendall: Correlation | None
    spearman: Correlation | None
    note: str = ""


@dataclass(frozen=True)
class Bias:
    """Mean difference b - a over networks or seeds with its 95 % interval; None where a single pair tells no spread."""

    metric: str
    mean: float
    low: float | None
    high: float | None
    pairs: int

    @staticmethod
    def of(metric: str, a: Sequence[float], b: Sequence[float]) -> Bias:
        mean, low, high = paired_difference(b, a)
        bounds = [value if math.isfinite(value) else None for value in (low, high)]
        return Bias(metric, mean, bounds[0], bounds[1], len(a))


@dataclass(frozen=True, repr=False)
class FullTrainingResult:
    """What came of a second stage.

    Attributes:
        objectives: metric and goal of each, the first one leading.
        networks: the finalists in the order of the search, the baseline last.
        agreement: for each objective that training changes.
        probability: that the search's best is the true best of the finalists; None where it cannot be told.
        probability_note: what it counts, or why there is none.
        winners: names; one with a single objective, with several those that no other dominates.
        bias: full training on the second validation part minus the search's value on the first, over finalists.
        chosen_bias: test minus second validation of the first winner, over seeds; None where the test was not read.
        recipe: of full training, with its `epochs`; of a train function without a recipe its replaced `settings` alone.
        new_validation: validated on other examples than the search did.
        splits: fingerprints of the parts: `search`, `second`; empty where only a train function knows.
        cost_ratio: compute time of one full training over that of one training in the search, means over finalists; None
            where the search's came from the cache.
        judged: how many trainings had ended when it was written; 0 in records of earlier versions.
    """

    objectives: Sequence[tuple[str, str]]
    networks: Sequence[TrainedNetwork]
    agreement: Sequence[Agreement]
    probability: float | None
    probability_note: str
    winners: Sequence[str]
    bias: Sequence[Bias]
    chosen_bias: Sequence[Bias]
    recipe: Mapping[str, Any]
    new_validation: bool
    splits: Mapping[str, str]
    cost_ratio: float | None = None
    judged: int = 0

    def __repr__(self) -> str:
        return f"<TwoStage: {', '.join(self.winners)} of {len(self.finalists)} finalists>"

    def __str__(self) -> str:
        """The networks as a table, and what there is to say of them."""
        head, body = rows(self)
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in [head, *body]]
        return "\n".join([*lines, "", *sentences(self)])

    @property
    def finalists(self) -> list[TrainedNetwork]:
        """All networks but the baseline."""
        return [network for network in self.networks if network.trial is not None]

    @property
    def winner(self) -> TrainedNetwork:
        """The first winner."""
        return self[self.winners[0]]

    @property
    def baseline(self) -> TrainedNetwork | None:
        """The hand-drawn network; None where there was none."""
        return next((network for network in self.networks if network.trial is None), None)

    def best_seed(self, network: TrainedNetwork) -> int:
        """The place in `network.seeds` of the training with the best value of the first objective, chosen by validation."""
        metric, goal = self.objectives[0]
        values = list(network.values.get(metric, ()))
        return values.index((max if goal == "maximize" else min)(values)) if values else 0

    def __getitem__(self, name: str) -> TrainedNetwork:
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(f"{name!r}; there are {', '.join(network.name for network in self.networks)}")

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FullTrainingResult:
        """What `to_json` wrote.

        Raises:
            RunError: something is missing or is not what it should be.
        """
        try:
            return FullTrainingResult(
                **{
                    **data,
                    "objectives": [(metric, goal) for metric, goal in data["objectives"]],
                    "networks": [TrainedNetwork(**item) for item in data["networks"]],
                    "agreement": [_agreement(item) for item in data["agreement"]],
                    "bias": [Bias(**item) for item in data["bias"]],
                    "chosen_bias": [Bias(**item) for item in data["chosen_bias"]],
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"this is no second stage of Ogive's: {type(error).__name__}: {error}") from error


def write_full_training(result: FullTrainingResult, run: Path) -> Path:
    """Write it where the report finds it: `final/result.json` in the run's folder."""
    path = run / FOLDER / FILE
    try:
        replace_text(path, json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
    return path


def read_full_training(run: Path) -> FullTrainingResult | None:
    """The second stage of the run in `run`; None where none has come to its end.

    Raises:
        RunError: it cannot be read.
    """
    path = run / FOLDER / FILE
    if not path.exists():
        return None
    try:
        return FullTrainingResult.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RunError) as error:
        raise RunError(f"{path} cannot be read: {error}; run `ogive finalize` again, which writes it anew") from error


def _agreement(data: Mapping[str, Any]) -> Agreement:
    found = {name: Correlation(**data[name]) if data[name] else None for name in ("kendall", "spearman")}
    return Agreement(**{**data, **found})
