"""A problem whose metrics are read from a table with one row per architecture.

A column holds the values of one metric, at one or more levels (numbers of epochs) and repetitions (seeds).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import BoolArray, FloatArray
from ogive.bench import table_checks
from ogive.bench.problem import TEST_PREFIX, Bounds, Problem, StepResult
from ogive.errors import JobError
from ogive.hashing import hash_bytes
from ogive.objective import Constraint, Objective, ObjectiveSpec, find_pareto_front
from ogive.objective import parse_constraints as parse_constraints
from ogive.objective import parse_objectives as parse_objectives
from ogive.space import Architecture, Space
from ogive.trial import EMPTY, Fidelity

KeyFunction = Callable[[Architecture], Hashable]
"""A function that returns the key of an architecture, by which its row is looked up."""
MAX_LISTED = 3
"""The maximum number of missing architectures that an error message lists."""


def get_id(architecture: Architecture) -> Hashable:
    """Return the id of an architecture, the default key."""
    return architecture.id


class Table(Problem):
    """A tabular problem.

    Symbols: n rows, r repetitions (seeds), k levels (numbers of epochs), m objectives.

    Args:
        name: the name of the problem.
        space: the search space; each of its architectures needs a row.
        keys: the key of each row, [n]; `key(architecture)` returns the key of the row of an architecture.
        columns: the values of each metric, of shape [n], [n, k] or [n, r, k]. NaN at the last level marks a row without
            value.
        objectives: one or several columns.
        constraints: constraints on columns.
        levels: the numbers of epochs of the k levels, ascending; () for a single level without epochs.
        continuable: whether the levels are epochs of one training. If not, each level is a separate training, reported at
            its end.
        seconds: the training time, in the shape of a column: since the start of the training if `continuable`, otherwise
            of the separate training of the level. None for one second per epoch.
        test: the column with the values on the test split, by objective; a search does not receive these columns.
        screened: the columns that are known before training.
        split: the split that the objectives were measured on.
        reference: the reference point of the hypervolume, with the cost of each objective, [m]; by default the 90th
            percentile of each cost.
        key: the function that returns the key of an architecture; by default its id.
        source: the origin of the values.

    Raises:
        JobError: there are no rows, or several rows with the same key; a column is missing or has another shape; an
            objective is constant or not finite, or its goal contradicts the name of the metric; times are negative or
            decrease.
    """

    def __init__(
        self,
        name: str,
        space: Space,
        keys: Sequence[Hashable],
        columns: Mapping[str, ArrayLike],
        objectives: ObjectiveSpec,
        *,
        constraints: Constraint | Sequence[Constraint] = (),
        levels: Sequence[int] = (),
        continuable: bool = False,
        seconds: ArrayLike | None = None,
        test: Mapping[str, str] = EMPTY,
        screened: Sequence[str] = (),
        split: str = "validation",
        reference: Sequence[float] | None = None,
        key: KeyFunction = get_id,
        source: str = "",
    ) -> None:
        self.name, self.space, self.split, self.source = name, space, split, source
        self.objectives = parse_objectives(objectives)
        self.constraints = parse_constraints(constraints)
        self.levels = tuple(levels)
        self.epochs = self.levels[-1] if self.levels else None
        self.continuable = continuable
        self.test = dict(test)
        self.screened = tuple(screened)
        self._key = key
        self._reference = None if reference is None else tuple(float(value) for value in reference)
        self._rows = table_checks.index_rows(name, keys)
        n, k = len(self._rows), max(1, len(self.levels))
        shaped = {metric: table_checks.expand_column(name, metric, values, n, k) for metric, values in columns.items()}
        self.columns = table_checks.equalize_repetitions(name, shaped)
        self._seconds = self._broadcast_seconds(seconds)
        self._check()

    # -- reading ---------------------------------------------------------------------------------------------------

    def find_row(self, architecture: Architecture) -> int:
        """Return the index of the row of an architecture.

        Raises:
            JobError: the table has no row for it.
        """
        row = self._rows.get(self._key(architecture))
        if row is None:
            raise JobError(
                f"benchmark {self.name!r} has no row for {architecture!r}; a table needs a row for every architecture of "
                "its space: add the row, or exclude the architecture by a constraint of the space"
            )
        return row

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        row, last_level = self.find_row(architecture), self._find_level(fidelity)
        repetition = seed % self.repetitions
        previous_seconds = 0.0
        for level in range(last_level + 1) if self.continuable else (last_level,):
            seconds = float(self._seconds[row, repetition, level])
            metrics = {name: float(values[row, repetition, level]) for name, values in self._reported.items()}
            yield StepResult(self.levels[level] if self.levels else 1, metrics, seconds - previous_seconds)
            previous_seconds = seconds

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        if not self.screened:
            return EMPTY
        row = self.find_row(architecture)
        return {name: float(self._means[name][row]) for name in self.screened}

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        row = self.find_row(architecture)
        return {name: float(values[row]) for name, values in self._truths.items()}

    # -- the optimum -----------------------------------------------------------------------------------------------

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        if len(self.objectives) > 1:
            return {}
        goal = self.objectives[0].goal
        return {name: _compute_bounds(self._truths[name][self._is_feasible], goal) for name in self._bounded_names}

    @cached_property
    def front(self) -> list[Mapping[str, float]]:
        rows = np.flatnonzero(self._is_feasible)
        best_rows = rows[find_pareto_front(self._costs[rows])]
        return [{o.metric: float(self._means[o.metric][row]) for o in self.objectives} for row in best_rows]

    @cached_property
    def reference(self) -> tuple[float, ...]:
        if self._reference is not None:
            return self._reference
        return tuple(float(value) for value in np.nanquantile(self._costs, 0.9, axis=0))

    @cached_property
    def full_seconds(self) -> float:
        return float(np.nanmean(self._seconds[:, :, -1]))

    @property
    def size(self) -> int:
        """The number of rows, n."""
        return len(self._rows)

    def best(self) -> list[Hashable]:
        """Return the keys of the rows with the best true value of the first objective."""
        costs = np.where(self._is_feasible, self._costs[:, 0], np.inf)
        best_rows = set(np.flatnonzero(costs == costs.min()).tolist())
        return [key for key, row in self._rows.items() if row in best_rows]

    @property
    def repetitions(self) -> int:
        """The number of trainings of each architecture, r."""
        return int(self._seconds.shape[1])

    def values(self, metric: str, level: int = -1) -> FloatArray:
        """Return a column at one level, by repetition: [n, r]."""
        return np.asarray(self.columns[metric][:, :, level])

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "rows": self.size, "levels": list(self.levels), "content": self._content_hash}

    @cached_property
    def _content_hash(self) -> str:
        """A hash of the columns and the times. The rows are sorted by key, so their order in the file has no effect."""
        order = sorted(range(self.size), key=[str(key) for key in self._rows].__getitem__)
        contents: list[bytes | memoryview] = []
        for name in sorted(self.columns):
            contents += [name.encode(), np.ascontiguousarray(self.columns[name][order]).data]
        return hash_bytes(*contents, np.ascontiguousarray(self._seconds[order]).data)

    @cached_property
    def _reported(self) -> dict[str, FloatArray]:
        """The columns that a search receives: all but those of the test split."""
        test_columns = set(self.test.values())
        return {name: values for name, values in self.columns.items() if name not in test_columns}

    @cached_property
    def _means(self) -> dict[str, FloatArray]:
        """Each column at full fidelity, averaged over the repetitions: [n]."""
        return {name: values[:, :, -1].mean(axis=1) for name, values in self.columns.items()}

    @cached_property
    def _truths(self) -> dict[str, FloatArray]:
        """The true values of objectives and constraints, and of the objectives on the test split: [n]."""
        metrics = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        truths = {name: self._means[name] for name in metrics}
        return truths | {f"{TEST_PREFIX}{name}": self._means[column] for name, column in self.test.items()}

    @property
    def _bounded_names(self) -> list[str]:
        """The names in `bounds`: the objectives, then the objectives on the test split."""
        names = [o.metric for o in self.objectives]
        return names + [f"{TEST_PREFIX}{name}" for name in names if name in self.test]

    @cached_property
    def _costs(self) -> FloatArray:
        """The costs of each row, one for each objective: [n, m]."""
        return np.stack([_to_costs(self._means[o.metric], o) for o in self.objectives], axis=1)

    @cached_property
    def _is_feasible(self) -> BoolArray:
        """Whether the objectives of a row are finite and its true values satisfy the constraints: [n]."""
        is_feasible = np.isfinite(self._costs).all(axis=1)
        for constraint in self.constraints:
            values = self._means[constraint.metric]
            is_feasible &= (
                values <= constraint.threshold if constraint.at_most is not None else values >= constraint.threshold
            )
        return np.asarray(is_feasible)

    def _find_level(self, fidelity: Fidelity) -> int:
        """Return the index of the level of a fidelity.

        Raises:
            JobError: the table has no values for this number of epochs.
        """
        epochs = fidelity.get("epochs")
        if not self.levels or epochs is None:
            if epochs is not None:
                raise JobError(
                    f"benchmark {self.name!r} has a single fidelity without epochs, but {epochs:g} epochs were requested"
                )
            return len(self.levels) - 1 if self.levels else 0
        if epochs not in self.levels:
            first, last = self.levels[0], self.levels[-1]
            is_range = len(self.levels) >= 20 and self.levels == tuple(range(first, last + 1))
            allowed = f"{first} to {last}" if is_range else ", ".join(map(str, self.levels))
            raise JobError(
                f"benchmark {self.name!r} has values for {allowed} epochs, but {epochs:g} were requested; choose "
                "min_epochs and eta of the schedule so that its rungs are among them"
            )
        return self.levels.index(int(epochs))

    # -- checks ----------------------------------------------------------------------------------------------------

    def _broadcast_seconds(self, seconds: ArrayLike | None) -> FloatArray:
        """Return the training times by row, repetition and level: [n, r, k]."""
        r = max((values.shape[1] for values in self.columns.values()), default=1)
        n, k = len(self._rows), max(1, len(self.levels))
        if seconds is None:
            return np.broadcast_to(np.array(self.levels or (1.0,), dtype=np.float64), (n, r, k))
        return np.broadcast_to(table_checks.expand_column(self.name, "seconds", seconds, n, k), (n, r, k))

    def _check(self) -> None:
        """Raise JobError if the table is not valid."""
        metrics = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        for metric in (*metrics, *self.test.values(), *self.screened):
            if metric not in self.columns:
                raise JobError(
                    f"benchmark {self.name!r} has no column {metric!r}; the columns are {', '.join(map(repr, self.columns))}"
                )
        for objective in self.objectives:
            table_checks.check_goal(self.name, objective)
            table_checks.check_varies(self.name, objective.metric, self._means[objective.metric])
        table_checks.check_seconds(self.name, self._seconds, self.continuable)
        if not self._is_feasible.any():
            raise JobError(
                f"benchmark {self.name!r}: no row satisfies {' and '.join(map(str, self.constraints))}; relax the threshold"
            )

    def check_complete(self) -> Table:
        """Check that every architecture of the space has a row, and return the table. This enumerates the space.

        Raises:
            JobError: rows are missing; the message has their number and lists the first ones.
        """
        missing = [architecture for architecture in self.space.grid() if self._key(architecture) not in self._rows]
        if missing:
            examples = "; ".join(", ".join(f"{k}={v}" for k, v in a.items()) for a in missing[:MAX_LISTED])
            raise JobError(
                f"benchmark {self.name!r}: {len(missing)} of {len(missing) + self.size} architectures have no row, such as "
                f"{examples}; add the rows, or narrow the space"
            )
        return self


def _to_costs(values: FloatArray, objective: Objective) -> FloatArray:
    """Return the values of an objective as costs: with the sign changed if it is maximized."""
    return values if objective.goal == "minimize" else -values


def _compute_bounds(values: FloatArray, goal: str) -> Bounds:
    """Return the best and the worst of `values`; NaN values are ignored."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return Bounds(low, high) if goal == "minimize" else Bounds(high, low)
