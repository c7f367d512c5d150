"""What is sought: objectives, constraints, and the order they put on what was measured.

Costs are objectives turned so that less is better. Sources: constraint domination, non-dominated fronts and crowding
distance are Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (2002), sections III and VI.

Symbols: n rows (trials), m objectives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.errors import JobError
from ogive.metric_names import check_not_trained_on, goal_of

Metrics = Mapping[str, float]

GOALS = ("maximize", "minimize")
EPOCHS = ("last", "best")


@dataclass(frozen=True)
class Objective:
    """A metric with a goal.

    Attributes:
        metric: the name under which it is reported.
        goal: "maximize" or "minimize"; may be left out where every word of the name is known (`val_accuracy`, `latency_ms`).
        epoch: which epoch is a trial's value. "last": the last one that was reported; NaN in any epoch fails the trial.
            "best": of the epochs in which all objectives and constraints have a finite value, the one at which this
            metric was best; all metrics of the trial are then those of that epoch, and its checkpoint is kept. So NaN in
            some epochs is no failure, and what is measured only in the last epoch makes that one the value. The best of
            several measurements is better than the network is on new data.

    Raises:
        JobError: the goal or the epoch is not one of the two, or the goal was left out and the name does not tell.
    """

    metric: str
    goal: str = ""
    epoch: str = "last"

    def __post_init__(self) -> None:
        _check_metric("objective", self.metric)
        if not self.goal:
            object.__setattr__(self, "goal", goal_of(self.metric))
        if self.goal not in GOALS:
            hint = get_close_matches(str(self.goal), GOALS, n=1, cutoff=0.0)[0]
            raise JobError(f"objective {self.metric!r}: goal {self.goal!r} is not {_or(GOALS)}; did you mean {hint!r}?")
        if self.epoch not in EPOCHS:
            raise JobError(f"objective {self.metric!r}: epoch {self.epoch!r} is not {_or(EPOCHS)}")

    def to_json(self) -> dict[str, str]:
        """The fields by name; `epoch` only where it is not the default, as journals of earlier versions have none."""
        chosen = {} if self.epoch == "last" else {"epoch": self.epoch}
        return {"metric": self.metric, "goal": self.goal, **chosen}

    def cost(self, metrics: Metrics) -> float:
        """The metric, negated if it is maximised; NaN where it is missing or not finite."""
        value = float(metrics.get(self.metric, math.nan))
        if not math.isfinite(value):
            return math.nan
        return value if self.goal == "minimize" else -value


@dataclass(frozen=True)
class Constraint:
    """A metric with a threshold, in the metric's own unit.

    Attributes:
        metric: the name under which it is reported, or screened.
        at_most, at_least: the threshold; exactly one of the two.
        hard: what is known before training to violate it is never trained. A soft one only ranks behind what satisfies it.

    Raises:
        JobError: not exactly one finite threshold.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    hard: bool = False

    def __post_init__(self) -> None:
        _check_metric("constraint", self.metric)
        if (self.at_most is None) == (self.at_least is None):
            raise JobError(f"constraint on {self.metric!r}: give exactly one of at_most and at_least")
        threshold: object = self.threshold
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not math.isfinite(threshold):
            raise JobError(
                f"constraint on {self.metric!r}: the threshold is {threshold!r}, but must be a finite number"
            )

    @property
    def threshold(self) -> float:
        """The one of `at_most` and `at_least` that was given."""
        return self.at_most if self.at_most is not None else self.at_least  # type: ignore[return-value]

    def violation(self, metrics: Metrics) -> float:
        """By how much the threshold is missed: 0 when satisfied, relative to the threshold unless that is 0.

        Infinite where the metric is missing or NaN.
        """
        value = float(metrics.get(self.metric, math.nan))
        if math.isnan(value):
            return math.inf
        threshold = self.threshold
        excess = value - threshold if self.at_most is not None else threshold - value
        return max(0.0, excess / abs(threshold) if threshold else excess)

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.at_most is not None else '>='} {self.threshold:.15g}"


ObjectiveSpec = str | Objective | Sequence[str | Objective]


def objectives(spec: ObjectiveSpec) -> tuple[Objective, ...]:
    """Objectives from a metric's name, an `Objective`, or a list of these.

    Raises:
        JobError: there are none, one is named twice or of the training part, or is neither a name nor an `Objective`.
    """
    given = [spec] if isinstance(spec, (str, Objective)) else list(spec)
    parsed: dict[str, Objective] = {}
    for item in given:
        if not isinstance(item, (str, Objective)):
            raise JobError(f"objectives: {item!r} is neither the name of a metric nor an Objective")
        objective = Objective(item) if isinstance(item, str) else item
        check_not_trained_on(objective.metric)
        former = parsed.setdefault(objective.metric, objective)
        if former is not objective:
            clash = "is there twice" if former.goal == objective.goal else "is to be maximized and minimized"
            raise JobError(f"objectives: {objective.metric!r} {clash}; name each metric once")
    if not parsed:
        raise JobError('objectives: there are none; name at least one metric, such as "accuracy"')
    best = [objective.metric for objective in parsed.values() if objective.epoch == "best"]
    if len(best) > 1:
        raise JobError(
            f"objectives: {_or(best)} both have epoch='best'; one checkpoint of a trial is kept, so one objective alone can "
            "choose its epoch; the others take the values of that epoch"
        )
    return tuple(parsed.values())


def constraints(spec: Constraint | Iterable[Constraint]) -> tuple[Constraint, ...]:
    """Constraints from one `Constraint` or several.

    Raises:
        JobError: two on one metric in the same direction, two that nothing can satisfy, or not a `Constraint`.
    """
    given = (spec,) if isinstance(spec, Constraint) else tuple(spec)
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    for item in given:
        if not isinstance(item, Constraint):
            raise JobError(f"constraints: {item!r} is not a Constraint(metric, at_most=... or at_least=...)")
        side, word = (most, "at_most") if item.at_most is not None else (least, "at_least")
        if item.metric in side:
            raise JobError(f"constraints: {item.metric!r} has {word} twice; keep the stricter one")
        side[item.metric] = item.threshold
    for metric in least.keys() & most.keys():
        if least[metric] > most[metric]:
            raise JobError(
                f"constraints: nothing satisfies {metric} >= {least[metric]:g} and {metric} <= {most[metric]:g}"
            )
    return given


def costs(metrics: Metrics, objectives: Sequence[Objective]) -> FloatArray:
    """Costs [m], all minimised; NaN where a metric is missing or not finite."""
    return np.array([objective.cost(metrics) for objective in objectives], dtype=np.float64)


def violation(metrics: Metrics, constraints: Iterable[Constraint]) -> float:
    """The sum of all violations, hard and soft; 0 when all are satisfied."""
    return sum((constraint.violation(metrics) for constraint in constraints), start=0.0) if constraints else 0.0


def sort_key(metrics: Metrics, objective: Objective, constraints: Iterable[Constraint] = ()) -> tuple[int, float]:
    """A key that sorts what one objective measured as `rank` does: equal keys, equal ranks."""
    cost = objective.cost(metrics)
    if math.isnan(cost):
        return 2, 0.0
    excess = violation(metrics, constraints)
    return (1, excess) if excess > 0 else (0, cost)


def ranks(
    metrics: Sequence[Metrics], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> list[int]:
    """`rank` of metrics: n ranks, 0 the best. A single objective takes a path without arrays, quick for small n."""
    if len(objectives) == 1:
        keys = [sort_key(row, objectives[0], constraints) for row in metrics]
        place = {key: index for index, key in enumerate(sorted(set(keys)))}
        return [place[key] for key in keys]
    rows = np.array([[objective.cost(row) for objective in objectives] for row in metrics])
    excess = [violation(row, constraints) for row in metrics]
    return [int(place) for place in rank(rows.reshape(len(metrics), len(objectives)), excess)]


def pareto_front(costs: ArrayLike) -> BoolArray:
    """Which rows of `costs` [n, m] no other row dominates; duplicates stay. Returns [n].

    Rows that are not finite are never on the front.
    """
    import moocore  # takes longer to import than all of this package

    rows = _rows(costs)
    valid = np.isfinite(rows).all(axis=1)
    front = np.zeros(len(rows), dtype=bool)
    if valid.any():
        front[valid] = moocore.is_nondominated(rows[valid], keep_weakly=True)
    return front


def rank(costs: ArrayLike, violations: ArrayLike | None = None) -> IntArray:
    """Ranks [n] of `costs` [n, m], 0 the best; equally good rows share a rank and no rank is skipped.

    Feasible rows (violation 0) come first, then the others by `violations` [n] (Deb et al. 2002, section VI). Feasible
    rows are ordered by value with one objective, by front and then crowding distance with several (section III).
    Rows that are not finite come last.
    """
    rows = _rows(costs)
    n = len(rows)
    excess = np.zeros(n) if violations is None else np.asarray(violations, dtype=np.float64)
    if excess.shape != (n,):
        raise ValueError(f"expected violations of shape ({n},), one for each row of costs, but got {excess.shape}")
    invalid = ~np.isfinite(rows).all(axis=1)
    feasible = ~invalid & (excess <= 0)
    group = np.where(invalid, 2, np.where(feasible, 0, 1))
    first, second = np.zeros((2, n))  # the keys within a group
    first[group == 1] = excess[group == 1]
    if rows.shape[1] == 1:
        first[feasible] = rows[feasible, 0]
    elif feasible.any():
        import moocore

        first[feasible] = moocore.pareto_rank(rows[feasible])
        second[feasible] = -_crowding(rows[feasible], first[feasible])
    return _places((second, first, group))


def crowding_distance(costs: ArrayLike) -> FloatArray:
    """Crowding distances [n] within one front, `costs` [n, m]: infinite at the ends of every objective.

    Equal values of an objective share the gap around them, so that the order of rows never decides (Deb et al. 2002
    leave it open).
    """
    rows = _rows(costs)
    return _crowding(rows, np.zeros(len(rows)))


def _crowding(rows: FloatArray, fronts: FloatArray) -> FloatArray:
    """`crowding_distance` [n] of every row of `rows` [n, m] within its front [n]."""
    distance = np.zeros(len(rows))
    for column in rows.T:
        places = _places((column, fronts))  # [n], one place for each value of a front
        front, value = np.zeros((2, int(places.max(initial=-1)) + 1))
        front[places], value[places] = fronts, column
        begins = np.flatnonzero(np.diff(front, prepend=-1))
        ends = np.append(begins[1:], len(front)) - 1
        span = np.repeat(value[ends] - value[begins], ends - begins + 1)
        gap = np.full(len(value), math.inf)
        gap[1:-1] = value[2:] - value[:-2]
        gap[begins] = gap[ends] = math.inf
        distance += np.divide(gap, span, out=np.zeros_like(gap), where=span > 0)[places]
    return distance


def _places(keys: tuple[NDArray[Any], ...]) -> IntArray:
    """Places [n] by the last of the `keys`, then by the one before it ...; equals share a place, none is skipped."""
    order = np.lexsort(keys)
    steps = np.zeros(len(order), dtype=bool)
    for key in keys:
        steps[1:] |= key[order[1:]] != key[order[:-1]]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.cumsum(steps)
    return places


def hypervolume(costs: ArrayLike, reference: Sequence[float]) -> float:
    """The volume that `costs` [n, m] dominate up to the point `reference` [m].

    Rows that are not finite count nothing.
    """
    rows = _rows(costs)
    point = np.asarray(reference, dtype=np.float64)
    if point.shape != (rows.shape[1],) or not np.isfinite(point).all():
        raise ValueError(
            f"expected a finite reference of {rows.shape[1]} numbers, one an objective, but got {reference}"
        )
    import moocore

    valid = rows[np.isfinite(rows).all(axis=1)]
    return float(moocore.hypervolume(valid, ref=point)) if len(valid) else 0.0


def _rows(costs: ArrayLike) -> FloatArray:
    rows = np.asarray(costs, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"expected costs of shape (n, m), one row a trial, but got {rows.shape}")
    return rows


def _check_metric(kind: str, metric: object) -> None:
    if not isinstance(metric, str) or not metric:
        raise JobError(f"{kind}: the metric is {metric!r}, but must be the name under which it is reported")


def _or(names: Iterable[str]) -> str:
    return " or ".join(repr(name) for name in names)
