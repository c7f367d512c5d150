"""The comparison of what was found with a hand-drawn baseline under the same recipe, over the same seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.stats.paired import paired_difference

EQUAL = 1e-9
"""What differs by less differs by rounding."""
FILE = "comparison.json"
"""Its name in a run's folder."""


@dataclass(frozen=True)
class ComparedNetwork:
    """One side of a comparison.

    Attributes:
        name: for the reader, such as "trial 41" or "hand-drawn CNN".
        metrics: for each metric its values, one for each seed.
        parameters: number of trainable parameters; None where unknown.
    """

    name: str
    metrics: Mapping[str, Sequence[float]]
    parameters: int | None = None


@dataclass(frozen=True)
class PairedDifference:
    """found minus baseline: the mean over the seeds and its confidence interval [low, high].

    The bounds are infinite where nothing is known of the spread: with a single seed, or the same difference in all.
    """

    mean: float
    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class RandomReference:
    """Values of one metric from a random search on the same space with the same recipe, one for each trial."""

    metric: str
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class BaselineComparison:
    """Two networks trained alike, and what sets them apart.

    Attributes:
        split: what the metrics were measured on, such as "test" or "validation".
        seeds: of the trainings; the i-th value of every metric belongs to the i-th seed, on both sides.
        differences: for each metric that both sides have.
        random_reference: None where no separate random search was made.

    Raises:
        RunError: a metric has not one value for each seed.
    """

    found: ComparedNetwork
    baseline: ComparedNetwork
    seeds: Sequence[int]
    split: str
    differences: Mapping[str, PairedDifference] = field(default_factory=dict)
    random_reference: RandomReference | None = None

    def __post_init__(self) -> None:
        for network in (self.found, self.baseline):
            for metric, values in network.metrics.items():
                if len(values) != len(self.seeds):
                    raise RunError(
                        f"the comparison: {metric} of {network.name} has {len(values)} values for {len(self.seeds)} seeds; "
                        "give one for each seed, in their order"
                    )

    @staticmethod
    def of(
        found: ComparedNetwork,
        baseline: ComparedNetwork,
        seeds: Sequence[int],
        split: str,
        random_reference: RandomReference | None = None,
        confidence: float = 0.95,
    ) -> BaselineComparison:
        """The comparison with its paired differences, for every metric that both sides have."""
        bare = BaselineComparison(found, baseline, tuple(seeds), split)  # checks that values and seeds go together
        differences = {
            metric: PairedDifference(
                *_with_spread(*paired_difference(values, baseline.metrics[metric], confidence)), confidence
            )
            for metric, values in found.metrics.items()
            if metric in baseline.metrics
        }
        return BaselineComparison(bare.found, bare.baseline, bare.seeds, split, differences, random_reference)

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back. An infinite bound is written as null."""
        data = asdict(self)
        for difference in data["differences"].values():
            difference.update({side: _finite(difference[side]) for side in ("low", "high")})
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> BaselineComparison:
        """What `to_json` wrote.

        Raises:
            RunError: something is missing or is not what it should be.
        """
        try:
            reference = data.get("random_reference")
            return BaselineComparison(
                ComparedNetwork(**data["found"]),
                ComparedNetwork(**data["baseline"]),
                tuple(data["seeds"]),
                str(data["split"]),
                {name: _difference(item) for name, item in data["differences"].items()},
                RandomReference(**reference) if reference else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"the comparison is not one of Ogive's: {type(error).__name__}: {error}") from error


def write_comparison(comparison: BaselineComparison, folder: Path) -> Path:
    """Write it where `write_report` finds it: `comparison.json` in the run's folder."""
    path = folder / FILE
    replace_text(path, json.dumps(comparison.to_json(), indent=1) + "\n")
    return path


def read_comparison(folder: Path) -> BaselineComparison | None:
    """The comparison of the run in `folder`; None where there is none.

    Raises:
        RunError: it cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return BaselineComparison.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RunError) as error:
        raise RunError(f"{path} cannot be read: {error}; write it again, or remove it") from error


def _with_spread(mean: float, low: float, high: float) -> tuple[float, float, float]:
    """No interval where all differences are equal, as those of an accuracy on few examples may be: that is no certainty."""
    return (mean, low, high) if high - low > EQUAL else (mean, -math.inf, math.inf)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _difference(data: Mapping[str, Any]) -> PairedDifference:
    low, high = data["low"], data["high"]
    return PairedDifference(
        data["mean"],
        -math.inf if low is None else low,
        math.inf if high is None else high,
        data.get("confidence", 0.95),
    )
