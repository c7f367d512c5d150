"""The contract of a benchmark problem: a search space in which the metrics of every architecture are known.

A problem replaces training by a table or a formula::

    problem = og.bench.load("digits")
    for result in problem.evaluate(architecture, {"epochs": 8}, seed=0):   # one result per epoch
        result.step, result.metrics, result.seconds
    problem.truth(architecture)          # noise-free metrics, for the report only

Every problem guarantees:

- `evaluate` is deterministic: equal (architecture, fidelity, seed) give equal results, in any process and in any order.
- `evaluate` returns validation metrics only. Exception: if a table has test metrics only, `evaluate` returns those,
  `split` is "test", and reports say so.
- `truth` is free of noise. For a table it is the mean over the repetitions at full fidelity. A search must not call `truth`.
- `bounds` holds the best and the worst true value among the architectures that satisfy the constraints. Therefore the
  regret of such an architecture is exact, and not negative.

To write a problem of your own, subclass `Problem`: set `name`, `space` and `objectives`, and implement `evaluate`, `truth`
and `bounds`. With several objectives, implement `front` and `reference`, and let `bounds` be empty.

`og.bench.estimator(problem)` turns a problem into an estimator, for `og.search`, jobs and the command line.
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

TEST_PREFIX = "test_"
"""Prefix of the names of test metrics in `Problem.truth` and `Problem.bounds`: `test_accuracy`."""


@dataclass(frozen=True)
class StepResult:
    """The metrics of an evaluation at one step.

    Attributes:
        step: the number of epochs trained, from 1.
        metrics: the value of each metric, by name.
        seconds: the training time since the previous result; for the first result, since the start of the evaluation.
    """

    step: Step
    metrics: Mapping[str, float]
    seconds: float


class Bounds(NamedTuple):
    """The best and the worst true value of a metric, in the unit of the metric."""

    best: float
    worst: float


class Problem(ABC):
    """A search space in which the metrics of every architecture are known. The module docstring lists the guarantees.

    Attributes:
        name: a short name, for tables and figures.
        space: the search space.
        objectives: one or several objectives; `evaluate` reports their metrics.
        constraints: the constraints that a search of this problem must satisfy.
        epochs: the number of epochs of the full fidelity; None if the problem has a single fidelity.
        continuable: whether an evaluation can be continued at a higher fidelity. If it can, the metrics at a step are the
            same for every fidelity.
        split: the split that the objectives were measured on: "validation", or "test" if the table has no other values;
            "" for a formula.
        source: the origin of the values, in one line.
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
    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        """Yield the metrics at each step in ascending order, up to the step of `fidelity`.

        A problem that is not continuable may yield the last step only.

        Args:
            architecture: an architecture of `space`.
            fidelity: the fidelity, such as `{"epochs": 8}`; without the key `epochs`, the full fidelity.
            seed: the seed that selects the repetition of a table, or the noise.

        Raises:
            JobError: the problem has no values at this fidelity.
            Infeasible: the architecture has no values.
        """

    @abstractmethod
    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        """Return the noise-free metrics at full fidelity: those in `bounds`, and those of the constraints."""

    @property
    @abstractmethod
    def bounds(self) -> Mapping[str, Bounds]:
        """The best and the worst true value of the objective and, if known, of the objective on the test split.

        Empty if there are several objectives: then the optimum is a Pareto front (see `front`).
        """

    @property
    def front(self) -> list[Mapping[str, float]]:
        """The true metrics of the architectures on the Pareto front; required with several objectives.

        Raises:
            JobError: the class does not implement it.
        """
        raise self._make_missing_property_error(
            "front", "list[Mapping[str, float]]", "the true metrics on the Pareto front"
        )

    @property
    def reference(self) -> tuple[float, ...]:
        """The reference point of the hypervolume: one cost for each objective; required with several objectives.

        Raises:
            JobError: the class does not implement it.
        """
        raise self._make_missing_property_error(
            "reference",
            "tuple[float, ...]",
            "one cost for each objective, with the sign changed where it is maximized",
        )

    @property
    def full_seconds(self) -> float:
        """The mean duration of an evaluation at full fidelity, in seconds. Reports use it as the unit of training time."""
        return 1.0

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        """Return the metrics that are known before training."""
        return EMPTY

    def describe(self) -> dict[str, Any]:
        """Return a description of the problem as JSON: everything that the result of a search depends on.

        A subclass adds its own parameters; `fingerprint` is a hash of this description.
        """
        return {
            "name": self.name,
            "space": self.space.to_json()["decisions"],
            "objectives": [objective.to_json() for objective in self.objectives],
            "constraints": [asdict(constraint) for constraint in self.constraints],
            "epochs": self.epochs,
            "split": self.split,
        }

    def _make_missing_property_error(self, name: str, returns: str, meaning: str) -> JobError:
        """Return the error for a problem with several objectives that lacks a property."""
        return JobError(
            f"the problem {self.name!r} has several objectives, but does not define {name!r}, which is needed to evaluate a "
            f"search: add to its class {type(self).__qualname__} the property `def {name}(self) -> {returns}` ({meaning})"
        )

    @cached_property
    def fingerprint(self) -> str:
        """A hash of `describe()`; results are comparable only on problems of equal fingerprints."""
        return hash_json(self.describe())
