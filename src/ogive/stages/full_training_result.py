"""The result of full training: each network's metrics in the search and after full training, and the winners."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.stages.full_training_text import list_conclusions, make_table
from ogive.stats.paired import paired_difference
from ogive.stats.rank_correlation import Correlation

FULL_TRAINING_FOLDER = "final"
"""The folder of full training in a run's folder."""
RESULT_FILE = "result.json"
"""The file in the folder of full training that holds the result."""

Values = Mapping[str, Sequence[float]]
"""For each metric, one value for each seed."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network of full training.

    Attributes:
        name: the name of the network, such as "trial 12", or "baseline".
        trial: the number of the network's trial in the search; None for the baseline.
        parameters: the number of trainable parameters; None if unknown.
        searched: the metrics of the network in the search; empty for the baseline.
        epochs: the number of epochs for which the search trained the network; 0 for the baseline.
        rank_before: the rank of the network in the search, from 1; None for the baseline.
        rank_after: the rank of the network by its means over seeds, from 1; equal networks share the best of their ranks.
            None for the baseline, and if no training succeeded.
        seeds: the seeds of the trainings that succeeded.
        values: for each metric, the values on the validation data of full training, one for each of `seeds`. The built-in
            trainer has a second validation split for full training.
        weights: the files with the weights, relative to the run's folder, one for each of `seeds`; "" if the train function
            saved none.
        failures: a sentence for each training that failed.
        probability: the probability that the network's true value is the best of all finalists; None if unknown.
        test: for each metric, the values on the test split, one for each of `seeds`; empty if the test split was not read
            for this network.
        seconds: the compute time of all trainings of the network together.
        search_seconds: the compute time of the network's trial in the search.
        trainings: the numbers of the trials in the journal of full training, one for each of `seeds`; empty in results of
            earlier versions.
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
        """Return the mean of a metric over seeds; None if the metric was not measured."""
        values = self.values.get(metric, ())
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Agreement:
    """The rank correlations, over the finalists, of a metric in the search and after full training.

    Attributes:
        metric: the name of the metric.
        kendall: Kendall's tau; None if it cannot be computed.
        spearman: Spearman's rho; None if it cannot be computed.
        note: the reason why the correlations are missing, or which finalists they leave out; "" otherwise.
    """

    metric: str
    kendall: Correlation | None
    spearman: Correlation | None
    note: str = ""


@dataclass(frozen=True)
class Bias:
    """The mean difference b - a of a metric over pairs of values (a, b), one pair for each network or seed.

    Attributes:
        metric: the name of the metric.
        mean: the mean of the differences.
        low: the lower bound of the 95% interval of the mean; None with a single pair.
        high: the upper bound; None with a single pair.
        pairs: the number of pairs.
    """

    metric: str
    mean: float
    low: float | None
    high: float | None
    pairs: int

    @staticmethod
    def of(metric: str, a: Sequence[float], b: Sequence[float]) -> Bias:
        """Return the mean difference b - a over the pairs of `a` and `b`."""
        mean, low, high = paired_difference(b, a)
        bounds = [value if math.isfinite(value) else None for value in (low, high)]
        return Bias(metric=metric, mean=mean, low=bounds[0], high=bounds[1], pairs=len(a))


@dataclass(frozen=True, kw_only=True, repr=False)
class FullTrainingResult:
    """The result of full training.

    Attributes:
        objectives: the metric and the goal of each objective, in the order of the search.
        networks: the finalists by their rank in the search, then the baseline.
        agreement: the rank correlation of the values in the search with those in full training, for each objective whose
            values full training changed.
        probability: the probability that the search's best trial is the true best of the finalists; None if unknown.
        probability_note: what the probability accounts for, or why it is unknown.
        winners: the names of the winners. With several objectives, they are the finalists that satisfy all constraints and
            are not dominated by another one of these. With one objective, or if no finalist satisfies the constraints, there
            is one winner: the finalist with the best rank.
        bias: for each objective whose values full training changed, the mean over finalists of the value in full training
            minus the value in the search, both on validation data.
        chosen_bias: for each metric of the first winner, the mean over seeds of the value on the test split minus its entry
            in `values`; empty if the test split was not read.
        recipe: the recipe of full training, with its `epochs`; for a train function without a recipe, only the changed
            `settings`.
        new_validation: whether the validation examples differ from the validation examples of the search.
        splits: the fingerprints of the splits `search` and `second`; empty if only a train function knows the data.
        cost_ratio: the mean compute time of a full training divided by the mean compute time of a finalist's trial in the
            search; None if the search's results came from the cache.
        judged: the number of trainings that had ended when the result was computed; 0 in results of earlier versions.
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
        return f"<FullTrainingResult: {', '.join(self.winners)} of {len(self.finalists)} finalists>"

    def __str__(self) -> str:
        """Return the networks as a table, followed by the conclusions."""
        head, body = make_table(self)
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in [head, *body]]
        return "\n".join([*lines, "", *list_conclusions(self)])

    @property
    def finalists(self) -> list[TrainedNetwork]:
        """The networks except the baseline."""
        return [network for network in self.networks if network.trial is not None]

    @property
    def winner(self) -> TrainedNetwork:
        """The first winner."""
        return self[self.winners[0]]

    @property
    def baseline(self) -> TrainedNetwork | None:
        """The hand-drawn network; None without one."""
        return next((network for network in self.networks if network.trial is None), None)

    def find_best_index(self, network: TrainedNetwork) -> int:
        """Return the index in `network.seeds` of the training with the best validation value of the first objective."""
        metric, goal = self.objectives[0]
        values = list(network.values.get(metric, ()))
        return values.index((max if goal == "maximize" else min)(values)) if values else 0

    def __getitem__(self, name: str) -> TrainedNetwork:
        """Return the network with a name.

        Raises:
            KeyError: there is no network with this name.
        """
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(f"{name!r}; known networks: {', '.join(network.name for network in self.networks)}")

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON; `from_json` is the inverse."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FullTrainingResult:
        """Return the result that `to_json` wrote.

        Raises:
            RunError: something is missing or has a wrong type.
        """
        try:
            return FullTrainingResult(
                **{
                    **data,
                    "objectives": [(metric, goal) for metric, goal in data["objectives"]],
                    "networks": [TrainedNetwork(**item) for item in data["networks"]],
                    "agreement": [_read_agreement(item) for item in data["agreement"]],
                    "bias": [Bias(**item) for item in data["bias"]],
                    "chosen_bias": [Bias(**item) for item in data["chosen_bias"]],
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"the data is not a result of full training by Ogive: {type(error).__name__}: {error}"
            ) from error


def write_full_training(result: FullTrainingResult, run: Path) -> Path:
    """Write a result to `final/result.json` in the folder `run`, and return the path.

    Raises:
        RunError: the file cannot be written.
    """
    path = run / FULL_TRAINING_FOLDER / RESULT_FILE
    try:
        replace_text(path, json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
    return path


def read_full_training(run: Path) -> FullTrainingResult | None:
    """Return the result that is stored in the folder `run`; None if there is none.

    Raises:
        RunError: the file cannot be read.
    """
    path = run / FULL_TRAINING_FOLDER / RESULT_FILE
    if not path.exists():
        return None
    try:
        return FullTrainingResult.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RunError) as error:
        raise RunError(
            f"{path} cannot be read: {error}; run `ogive finalize` again, which writes the file again"
        ) from error


def _read_agreement(data: Mapping[str, Any]) -> Agreement:
    correlations = {name: Correlation(**data[name]) if data[name] else None for name in ("kendall", "spearman")}
    return Agreement(**{**data, **correlations})
