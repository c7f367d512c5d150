"""The contract of a benchmark problem: a space whose every architecture has a known value.

A problem answers from a table or a formula where a search would train::

    problem = og.bench.load("digits")
    for seen in problem.evaluate(architecture, {"epochs": 8}, seed=0):   # epoch by epoch, as training would
        seen.step, seen.metrics, seen.seconds
    problem.truth(architecture)          # what the report judges by; no search may look at it

What every problem guarantees:

- `evaluate` is a function of (architecture, fidelity, seed): the same again, in any process and any order.
- It shows validation only. Where a table has but one column, `split` says which, and reports repeat it.
- `truth` is without noise (the mean over a table's repetitions at the full fidelity). `bounds` holds the best and the
  worst truth that satisfies the constraints, so that regret is exact and never negative on what was searched.

`og.bench.estimator(problem)` makes it an estimator like any other: for `og.search`, jobs and the command line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ogive.errors import JobError
from ogive.hashing import hash_json
from ogive.objective import Constraint, Objective
from ogive.space import Architecture, Space
from ogive.trial import EMPTY, Fidelity, Step

TEST = "test_"
"""What the truths of the test split begin with: `test_accuracy`."""


@dataclass(frozen=True)
class Observation:
    """What an evaluation shows at one step.

    Attributes:
        step: epochs done.
        metrics: by name.
        seconds: of training since the observation before it, or since the start.
    """

    step: Step
    metrics: Mapping[str, float]
    seconds: float


class Bounds(NamedTuple):
    """The best and the worst truth of a metric, in the metric's own unit."""

    best: float
    worst: float


class Problem(ABC):
    """A space whose every architecture has a known value. See the module's docstring for what is guaranteed.

    Attributes:
        name: short, for tables and figures.
        space: what is searched.
        objectives: what is sought; the metrics are among those that `evaluate` reports.
        constraints: that a search of this problem has to satisfy.
        epochs: the full fidelity; None where there is only one way to evaluate.
        continuable: whether what is reported at a step does not depend on how far the evaluation goes.
        split: what the objectives were measured on: "validation", or "test" where the table has nothing else; "" where the
            values are a formula's.
        source: where the numbers come from, one line for the reader.
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    epochs: int | None = None
    continuable: bool = False
    split: str = "validation"
    source: str = ""

    @abstractmethod
    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        """Observations in order, the last at the fidelity's step.

        Raises:
            JobError: the problem does not know this fidelity.
            Infeasible: this architecture has no value.
        """

    @abstractmethod
    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        """Every metric that `bounds` knows, and those of the constraints: what a report judges this architecture by."""

    @property
    @abstractmethod
    def bounds(self) -> Mapping[str, Bounds]:
        """The best and the worst truth, by metric: of each objective, and of its test counterpart where there is one.

        Empty with several objectives, whose best is a front (`front`).
        """

    @property
    def front(self) -> list[Mapping[str, float]]:
        """The truths that no other dominates: what a problem with several objectives has instead of `bounds`.

        Raises:
            JobError: its class does not tell.
        """
        raise self._unwritten("front", "list[Mapping[str, float]]", "the truths that no other dominates")

    @property
    def reference(self) -> tuple[float, ...]:
        """The costs [m] that bound the hypervolume, one an objective; of what is maximised, the negative.

        Raises:
            JobError: its class does not tell.
        """
        raise self._unwritten(
            "reference", "tuple[float, ...]", "a cost for each objective, of what is maximised the negative"
        )

    @property
    def full_seconds(self) -> float:
        """What one full evaluation takes on average: the unit of cost."""
        return 1.0

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        """Metrics known before training."""
        return EMPTY

    def describe(self) -> dict[str, Any]:
        """All that the outcome of a search of this problem depends on, as JSON."""
        return {
            "name": self.name,
            "space": self.space.to_json()["decisions"],
            "objectives": [objective.to_json() for objective in self.objectives],
            "constraints": [asdict(constraint) for constraint in self.constraints],
            "epochs": self.epochs,
            "split": self.split,
        }

    def _unwritten(self, name: str, returns: str, what: str) -> JobError:
        return JobError(
            f"the problem {self.name!r} does not tell its {name}, which searches for several objectives are judged by: "
            f"write in its class {type(self).__qualname__} the property {name}, `def {name}(self) -> {returns}`, {what}"
        )

    @cached_property
    def fingerprint(self) -> str:
        """A hash of `describe()`; problems of one fingerprint may be compared."""
        return hash_json(self.describe())
