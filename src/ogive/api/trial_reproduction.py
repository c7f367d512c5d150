"""The result of repeating a trial: the values that differ from those in the journal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ogive.trial import Step, TrialId


@dataclass(frozen=True)
class MetricDifference:
    """A value that differs between the journal and the repetition.

    Attributes:
        step: the step of the trial.
        metric: the name of the metric.
        journal: the value in the journal; None if the trial did not report it.
        again: the value in the repetition; None if the repetition did not report it.
    """

    step: Step
    metric: str
    journal: float | None
    again: float | None


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The comparison of a trial with its repetition.

    Attributes:
        trial: the number of the trial.
        environment: a sentence for each change in the environment since the trial ran.
        steps: the number of compared steps.
        values: the number of compared values.
        ignored: the metrics that were reported but not compared.
        differences: the values that are not equal, bit for bit.
        ended: how the trial and its repetition ended, if this differs; "" otherwise.
        folder: the folder with the output and the checkpoint of the repetition.
    """

    trial: TrialId
    environment: tuple[str, ...]
    steps: int
    values: int
    ignored: tuple[str, ...]
    differences: tuple[MetricDifference, ...]
    ended: str
    folder: str

    @property
    def same(self) -> bool:
        """Whether every compared value is equal, and the repetition ended like the trial."""
        return not self.differences and not self.ended

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        return {"same": self.same, **asdict(self)}
