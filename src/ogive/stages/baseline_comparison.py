"""The comparison of a network of the search with a hand-drawn baseline, trained with the same recipe and seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.stats.paired import paired_difference

ROUNDING_ERROR = 1e-9
"""If an interval is not wider than this, its width is due to rounding errors only, and all differences are equal."""

FILE = "comparison.json"
"""The file in a run's folder that holds its comparison."""


@dataclass(frozen=True)
class ComparedNetwork:
    """One of the two networks of a comparison.

    Attributes:
        name: a name for the reader, such as "trial 41" or "hand-drawn CNN".
        metrics: for each metric, a list of values, one for each seed.
        parameters: the number of trainable parameters; None if unknown.
    """

    name: str
    metrics: Mapping[str, Sequence[float]]
    parameters: int | None = None


@dataclass(frozen=True)
class PairedDifference:
    """The mean difference of a metric between two networks that were trained with the same seeds.

    A difference is the value of the search's network minus the value of the baseline with the same seed.

    Attributes:
        mean: the mean of the differences over the seeds.
        low: the lower bound of the confidence interval.
        high: the upper bound. Both bounds are infinite if the spread is unknown: with a single seed, or if all differences
            are equal.
        confidence: the confidence level of the interval, in (0, 1).
    """

    mean: float
    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class RandomReference:
    """The result of a random search of the same space with the same recipe.

    Attributes:
        metric: the name of the compared metric.
        values: the metric of each trial of the random search that was trained in full.
        note: a sentence for the reader of the report; "" without one.
    """

    metric: str
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class BaselineComparison:
    """A comparison of two networks that were trained with the same recipe and seeds.

    Attributes:
        winner: the network of the search.
        baseline: the hand-drawn network.
        seeds: the seeds of the trainings; the i-th value of every metric belongs to the i-th seed, for both networks.
        split: the split on which the metrics were measured, such as "test" or "validation".
        differences: the paired difference of each metric that both networks have.
        random_reference: the result of a random search; None if there was no separate random search.

    Raises:
        RunError: a metric does not have one value for each seed.
    """

    winner: ComparedNetwork
    baseline: ComparedNetwork
    seeds: Sequence[int]
    split: str
    differences: Mapping[str, PairedDifference] = field(default_factory=dict)
    random_reference: RandomReference | None = None

    def __post_init__(self) -> None:
        for network in (self.winner, self.baseline):
            for metric, values in network.metrics.items():
                if len(values) != len(self.seeds):
                    raise RunError(
                        f"the comparison: {metric} of {network.name} has {len(values)} values for {len(self.seeds)} seeds; "
                        "give one value for each seed, in the order of the seeds"
                    )

    @staticmethod
    def of(
        searched: ComparedNetwork,
        baseline: ComparedNetwork,
        seeds: Sequence[int],
        split: str,
        random_reference: RandomReference | None = None,
        confidence: float = 0.95,
    ) -> BaselineComparison:
        """Return the comparison, with the paired difference of every metric that both networks have.

        Args:
            searched: the network of the search.
            baseline: the hand-drawn network.
            seeds: the seeds of the trainings, in the order of the values.
            split: the split on which the metrics were measured.
            random_reference: the result of a separate random search; None without one.
            confidence: the confidence level of the intervals, in (0, 1).

        Raises:
            RunError: a metric does not have one value for each seed.
        """
        checked = BaselineComparison(searched, baseline, tuple(seeds), split)
        differences = {
            metric: PairedDifference(
                *_widen_if_equal(*paired_difference(values, baseline.metrics[metric], confidence)), confidence
            )
            for metric, values in searched.metrics.items()
            if metric in baseline.metrics
        }
        return replace(checked, differences=differences, random_reference=random_reference)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON; infinite bounds become null. `from_json` is the inverse."""
        data = asdict(self)
        for difference in data["differences"].values():
            difference.update({side: _finite_or_none(difference[side]) for side in ("low", "high")})
        # "found" is the key of the searched network in files of all versions.
        return {"found": data.pop("winner"), **data}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> BaselineComparison:
        """Return the comparison that `to_json` wrote.

        Raises:
            RunError: something is missing or has a wrong type.
        """
        try:
            reference = data.get("random_reference")
            return BaselineComparison(
                winner=ComparedNetwork(**data["found"]),
                baseline=ComparedNetwork(**data["baseline"]),
                seeds=tuple(data["seeds"]),
                split=str(data["split"]),
                differences={name: _read_difference(item) for name, item in data["differences"].items()},
                random_reference=RandomReference(**reference) if reference else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"the comparison was not written by Ogive: {type(error).__name__}: {error}") from error


def write_comparison(comparison: BaselineComparison, folder: Path) -> Path:
    """Write a comparison to `comparison.json` in the run's folder, where `write_report` reads it; return the path."""
    path = folder / FILE
    replace_text(path, json.dumps(comparison.to_json(), indent=1) + "\n")
    return path


def read_comparison(folder: Path) -> BaselineComparison | None:
    """Return the comparison of the run in `folder`, or None if there is none.

    Raises:
        RunError: the file exists, but cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return BaselineComparison.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RunError) as error:
        raise RunError(f"{path} cannot be read: {error}; write the comparison again, or remove the file") from error


def _widen_if_equal(mean: float, low: float, high: float) -> tuple[float, float, float]:
    """Return a mean and its interval. The interval becomes infinite if all differences are equal.

    With few test examples, the accuracies of all seeds can differ by the same amount by chance. An interval of width 0 would
    then claim a certainty that the data do not give.
    """
    return (mean, low, high) if high - low > ROUNDING_ERROR else (mean, -math.inf, math.inf)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read_difference(data: Mapping[str, Any]) -> PairedDifference:
    low, high = data["low"], data["high"]
    return PairedDifference(
        data["mean"],
        -math.inf if low is None else low,
        math.inf if high is None else high,
        data.get("confidence", 0.95),
    )
