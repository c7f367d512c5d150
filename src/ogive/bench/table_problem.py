"""A problem that answers from a table: one row an architecture, columns of values at one or more levels and repetitions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import BoolArray, FloatArray
from ogive.bench import table_checks
from ogive.bench.problem import TEST, Bounds, Observation, Problem
from ogive.errors import JobError
from ogive.hashing import hash_bytes
from ogive.objective import Constraint, Objective, ObjectiveSpec, pareto_front
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
from ogive.space import Architecture, Space
from ogive.trial import EMPTY, Fidelity

Key = Callable[[Architecture], Hashable]
LISTED = 3


def identity(architecture: Architecture) -> Hashable:
    return architecture.id


class Table(Problem):
    """A tabular problem.

    Symbols: n rows, r repetitions (seeds), k levels.

    Args:
        name: of the problem.
        space: what is searched; each of its architectures has a row.
        keys: of the n rows; `key(architecture)` finds them.
        columns: by metric, values [n], [n, k] or [n, r, k]. NaN at the last level: this row has no value.
        objectives: among the columns.
        constraints: of columns.
        levels: the epochs of the k levels, ascending; () for a single level without epochs.
        continuable: the levels are epochs of one training; else each is a training of its own, reported at its end.
        seconds: of training up to each level (continuable), or of each level's training, like a column; one second an
            epoch where None.
        test: by objective, the column that a report judges by; never shown to a search.
        screened: columns that are known before training.
        split: what the objectives were measured on.
        reference: costs that bound the hypervolume; by default the 90th percentile of each objective's costs.
        key: how a row is found; by default the architecture's id.
        source: where the numbers come from.

    Raises:
        JobError: rows are missing or there twice, a column has another shape, is not there, is not finite or constant,
            an objective's goal contradicts the metric's name, or time runs backwards.
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
        key: Key = identity,
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
        self._rows = table_checks.index(name, keys)
        n, k = len(self._rows), max(1, len(self.levels))
        shaped = {metric: table_checks.shaped(name, metric, values, n, k) for metric, values in columns.items()}
        self.columns = table_checks.repeated(name, shaped)
        self._seconds = self._cost(seconds)
        self._check()

    # -- reading ---------------------------------------------------------------------------------------------------

    def row(self, architecture: Architecture) -> int:
        """The row of an architecture.

        Raises:
            JobError: the table lacks it.
        """
        row = self._rows.get(self._key(architecture))
        if row is None:
            raise JobError(
                f"benchmark {self.name!r} has no row for {architecture!r}; a table needs one for every architecture of its "
                "space: add it, or narrow the space with a constraint"
            )
        return row

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        row, last = self.row(architecture), self._level(fidelity)
        repetition = seed % self.repetitions
        spent = 0.0
        for level in range(last + 1) if self.continuable else (last,):
            total = float(self._seconds[row, repetition, level])
            metrics = {name: float(values[row, repetition, level]) for name, values in self._shown.items()}
            yield Observation(self.levels[level] if self.levels else 1, metrics, total - spent)
            spent = total

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        if not self.screened:
            return EMPTY
        row = self.row(architecture)
        return {name: float(self._means[name][row]) for name in self.screened}

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        row = self.row(architecture)
        return {name: float(values[row]) for name, values in self._judged.items()}

    # -- the optimum -----------------------------------------------------------------------------------------------

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        if len(self.objectives) > 1:
            return {}
        goal = self.objectives[0].goal
        return {name: _bounds(self._judged[name][self._allowed], goal) for name in self._judged_objectives}

    @cached_property
    def front(self) -> list[Mapping[str, float]]:
        rows = np.flatnonzero(self._allowed)
        best = rows[pareto_front(self._costs[rows])]
        return [{o.metric: float(self._means[o.metric][row]) for o in self.objectives} for row in best]

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
        """n: how many rows there are."""
        return len(self._rows)

    def best(self) -> list[Hashable]:
        """The keys of the rows of the best truth (one objective)."""
        costs = np.where(self._allowed, self._costs[:, 0], np.inf)
        best = set(np.flatnonzero(costs == costs.min()).tolist())
        return [key for key, row in self._rows.items() if row in best]

    @property
    def repetitions(self) -> int:
        """r: how often each architecture was trained."""
        return int(self._seconds.shape[1])

    def values(self, metric: str, level: int = -1) -> FloatArray:
        """One column at one level, by repetition: [n, r]."""
        return np.asarray(self.columns[metric][:, :, level])

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "rows": self.size, "levels": list(self.levels), "content": self._digest}

    @cached_property
    def _digest(self) -> str:
        order = sorted(range(self.size), key=[str(key) for key in self._rows].__getitem__)
        parts: list[bytes | memoryview] = []
        for name in sorted(self.columns):
            parts += [name.encode(), np.ascontiguousarray(self.columns[name][order]).data]
        return hash_bytes(*parts, np.ascontiguousarray(self._seconds[order]).data)

    @cached_property
    def _shown(self) -> dict[str, FloatArray]:
        """The columns that a search may see."""
        hidden = set(self.test.values())
        return {name: values for name, values in self.columns.items() if name not in hidden}

    @cached_property
    def _means(self) -> dict[str, FloatArray]:
        """Each column at the full fidelity, mean over the repetitions: [n]."""
        return {name: values[:, :, -1].mean(axis=1) for name, values in self.columns.items()}

    @cached_property
    def _judged(self) -> dict[str, FloatArray]:
        wanted = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        judged = {name: self._means[name] for name in wanted}
        return judged | {f"{TEST}{name}": self._means[column] for name, column in self.test.items()}

    @property
    def _judged_objectives(self) -> list[str]:
        names = [o.metric for o in self.objectives]
        return names + [f"{TEST}{name}" for name in names if name in self.test]

    @cached_property
    def _costs(self) -> FloatArray:
        """The objectives turned so that less is better: [n, m]."""
        return np.stack([_signed(self._means[o.metric], o) for o in self.objectives], axis=1)

    @cached_property
    def _allowed(self) -> BoolArray:
        allowed = np.isfinite(self._costs).all(axis=1)
        for constraint in self.constraints:
            values = self._means[constraint.metric]
            allowed &= (
                values <= constraint.threshold if constraint.at_most is not None else values >= constraint.threshold
            )
        return np.asarray(allowed)

    def _level(self, fidelity: Fidelity) -> int:
        epochs = fidelity.get("epochs")
        if not self.levels or epochs is None:
            if epochs is not None:
                raise JobError(f"benchmark {self.name!r} has one fidelity only, but {epochs:g} epochs were asked for")
            return len(self.levels) - 1 if self.levels else 0
        if epochs not in self.levels:
            there = ", ".join(map(str, self.levels)) if len(self.levels) < 20 else f"1 to {self.levels[-1]}"
            raise JobError(
                f"benchmark {self.name!r} was trained for {there} epochs, but {epochs:g} were asked for; choose the "
                "schedule's min_epochs and eta so that its rungs are among them"
            )
        return self.levels.index(int(epochs))

    # -- checking --------------------------------------------------------------------------------------------------

    def _cost(self, seconds: ArrayLike | None) -> FloatArray:
        """Seconds by row, repetition and level: [n, r, k]."""
        r = max((values.shape[1] for values in self.columns.values()), default=1)
        n, k = len(self._rows), max(1, len(self.levels))
        if seconds is None:
            return np.broadcast_to(np.array(self.levels or (1.0,), dtype=np.float64), (n, r, k))
        return np.broadcast_to(table_checks.shaped(self.name, "seconds", seconds, n, k), (n, r, k))

    def _check(self) -> None:
        wanted = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        for metric in (*wanted, *self.test.values(), *self.screened):
            if metric not in self.columns:
                raise JobError(
                    f"benchmark {self.name!r} has no column {metric!r}; it has {', '.join(map(repr, self.columns))}"
                )
        for objective in self.objectives:
            table_checks.check_goal(self.name, objective)
            table_checks.check_varies(self.name, objective.metric, self._means[objective.metric])
        table_checks.check_seconds(self.name, self._seconds, self.continuable)
        if not self._allowed.any():
            raise JobError(
                f"benchmark {self.name!r}: no row satisfies {' and '.join(map(str, self.constraints))}; loosen the threshold"
            )

    def check_complete(self) -> Table:
        """See that every architecture of the space has a row; for spaces small enough to enumerate. Returns the table.

        Raises:
            JobError: rows are missing; says how many and names the first.
        """
        missing = [architecture for architecture in self.space.grid() if self._key(architecture) not in self._rows]
        if missing:
            shown = "; ".join(", ".join(f"{k}={v}" for k, v in a.items()) for a in missing[:LISTED])
            raise JobError(
                f"benchmark {self.name!r}: {len(missing)} of {len(missing) + self.size} architectures have no row, the "
                f"first are {shown}; add them, or narrow the space"
            )
        return self


def _signed(values: FloatArray, objective: Objective) -> FloatArray:
    return values if objective.goal == "minimize" else -values


def _bounds(values: FloatArray, goal: str) -> Bounds:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return Bounds(low, high) if goal == "minimize" else Bounds(high, low)
