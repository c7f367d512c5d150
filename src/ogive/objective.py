"""Objectives and constraints, and the ranking of trials by them.

The cost of a trial is the value of an objective, with its sign changed if the objective is maximized: less is better.
Constraint domination, non-dominated fronts and crowding distance are those of Deb et al., "A fast and elitist multiobjective
genetic algorithm: NSGA-II" (IEEE Transactions on Evolutionary Computation, 2002), sections III and VI.

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
from ogive.metric_names import check_not_trained_on, infer_goal

Metrics = Mapping[str, float]

GOALS = ("maximize", "minimize")
VALUE_EPOCHS = ("last", "best")
"""The values of `Objective.epoch`."""


@dataclass(frozen=True)
class Objective:
    """A metric with a goal.

    Attributes:
        metric: the name under which the metric is reported.
        goal: "maximize" or "minimize"; optional if every word of the name is known (`val_accuracy`, `latency_ms`).
        epoch: the epoch whose metrics are the trial's value.

            - "last": the last reported epoch. NaN in any epoch fails the trial.
            - "best": the epoch with the best value of this metric, among those in which all objectives and constraints are
              finite. All metrics of the trial are taken from this epoch, and the checkpoint of this epoch is kept. NaN in
              some epochs does not fail the trial. If another objective or constraint is reported only in the last epoch, the
              last epoch is selected. Note that the best of several noisy measurements is an optimistic estimate.

    Raises:
        JobError: the goal or the epoch is invalid, or the goal is missing and the name does not imply it.
    """

    metric: str
    goal: str = ""
    epoch: str = "last"

    def __post_init__(self) -> None:
        _check_metric("objective", self.metric)
        if not self.goal:
            object.__setattr__(self, "goal", infer_goal(self.metric))
        if self.goal not in GOALS:
            # A cutoff of 0 always gives a suggestion: one of the two goals.
            hint = get_close_matches(str(self.goal), GOALS, n=1, cutoff=0.0)[0]
            raise JobError(
                f"objective {self.metric!r}: goal {self.goal!r} is not {_join_with_or(GOALS)}; did you mean {hint!r}?"
            )
        if self.epoch not in VALUE_EPOCHS:
            raise JobError(f"objective {self.metric!r}: epoch {self.epoch!r} is not {_join_with_or(VALUE_EPOCHS)}")

    def to_json(self) -> dict[str, str]:
        """Return the fields by name. `epoch` is left out if it is "last", since older journals do not have this field."""
        epoch = {} if self.epoch == "last" else {"epoch": self.epoch}
        return {"metric": self.metric, "goal": self.goal, **epoch}

    def cost(self, metrics: Metrics) -> float:
        """Return the metric, negated if it is maximized; NaN if it is missing or not finite."""
        value = float(metrics.get(self.metric, math.nan))
        if not math.isfinite(value):
            return math.nan
        return value if self.goal == "minimize" else -value


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric, in the unit of the metric.

    Attributes:
        metric: the name under which the metric is reported, or the name of a screened metric.
        at_most, at_least: the upper or the lower bound; exactly one of the two is given.
        hard: whether an architecture that is known to violate the constraint before training is not trained at all. A trial
            that violates a soft constraint is trained, and ranked behind all trials that satisfy it.

    Raises:
        JobError: there is not exactly one finite threshold.
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
        """The value of `at_most` or `at_least`, whichever is given."""
        return self.at_most if self.at_most is not None else self.at_least  # type: ignore[return-value]

    def violation(self, metrics: Metrics) -> float:
        """Return the distance of the metric beyond the threshold.

        The distance is divided by the threshold's absolute value, unless the threshold is 0. It is 0 if the constraint is
        satisfied, and infinite if the metric is missing or NaN.
        """
        value = float(metrics.get(self.metric, math.nan))
        if math.isnan(value):
            return math.inf
        threshold = self.threshold
        excess = value - threshold if self.at_most is not None else threshold - value
        return max(0.0, excess / abs(threshold) if threshold else excess)

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.at_most is not None else '>='} {self.threshold:,.15g}"


ObjectiveSpec = str | Objective | Sequence[str | Objective]


def parse_objectives(spec: ObjectiveSpec) -> tuple[Objective, ...]:
    """Return the objectives that `spec` describes: the name of a metric, an `Objective`, or a list of these.

    Raises:
        JobError: the list is empty, has a metric twice, has two objectives with `epoch="best"`, has a metric that is
            measured on the training data, or has an item of another type.
    """
    items = [spec] if isinstance(spec, (str, Objective)) else list(spec)
    parsed: dict[str, Objective] = {}
    for item in items:
        if not isinstance(item, (str, Objective)):
            raise JobError(f"objectives: {item!r} is neither the name of a metric nor an Objective")
        objective = Objective(item) if isinstance(item, str) else item
        check_not_trained_on(objective.metric)
        first = parsed.setdefault(objective.metric, objective)
        if first is not objective:
            conflict = "is listed twice" if first.goal == objective.goal else "is both maximized and minimized"
            raise JobError(f"objectives: {objective.metric!r} {conflict}; list each metric once")
    if not parsed:
        raise JobError('objectives: the list is empty; name at least one metric, such as "accuracy"')
    best = [objective.metric for objective in parsed.values() if objective.epoch == "best"]
    if len(best) > 1:
        raise JobError(
            f"objectives: {' and '.join(map(repr, best))} have epoch='best', but only one objective can choose the epoch, "
            "because one checkpoint of each trial is kept; the other objectives have their values in the selected epoch"
        )
    return tuple(parsed.values())


def parse_constraints(spec: Constraint | Iterable[Constraint]) -> tuple[Constraint, ...]:
    """Return one or several constraints as a tuple.

    Raises:
        JobError: two constraints bound one metric in the same direction, two contradict each other, or an item is not a
            `Constraint`.
    """
    items = (spec,) if isinstance(spec, Constraint) else tuple(spec)
    lower_bounds: dict[str, float] = {}
    upper_bounds: dict[str, float] = {}
    for item in items:
        if not isinstance(item, Constraint):
            raise JobError(f"constraints: {item!r} is not a Constraint(metric, at_most=... or at_least=...)")
        bounds, word = (upper_bounds, "at_most") if item.at_most is not None else (lower_bounds, "at_least")
        if item.metric in bounds:
            raise JobError(f"constraints: {item.metric!r} has {word} twice; keep the stricter constraint")
        bounds[item.metric] = item.threshold
    for metric in lower_bounds.keys() & upper_bounds.keys():
        low, high = lower_bounds[metric], upper_bounds[metric]
        if low > high:
            raise JobError(f"constraints: nothing satisfies {metric} >= {low:g} and {metric} <= {high:g}")
    return items


def compute_costs(metrics: Metrics, objectives: Sequence[Objective]) -> FloatArray:
    """Return the costs [m]; NaN where a metric is missing or not finite."""
    return np.array([objective.cost(metrics) for objective in objectives], dtype=np.float64)


def total_violation(metrics: Metrics, constraints: Iterable[Constraint]) -> float:
    """Return the sum of the violations of all constraints, hard and soft; 0 if all are satisfied."""
    return sum((constraint.violation(metrics) for constraint in constraints), start=0.0) if constraints else 0.0


def sort_key(metrics: Metrics, objective: Objective, constraints: Iterable[Constraint] = ()) -> tuple[int, float]:
    """Return a key that sorts trials with one objective in the order of `rank_costs`; equal keys have equal ranks.

    Returns:
        (group, value within the group). Group 0 holds the feasible trials, sorted by cost. Group 1 holds the trials that
        violate a constraint, sorted by total violation. Group 2 holds the trials without a finite value.
    """
    cost = objective.cost(metrics)
    if math.isnan(cost):
        return 2, 0.0
    violation = total_violation(metrics, constraints)
    return (1, violation) if violation > 0 else (0, cost)


def rank_metrics(
    metrics: Sequence[Metrics], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> list[int]:
    """Return the ranks of n trials by their metrics, in the order of `rank_costs`; 0 is the best."""
    # With one objective, sorting keys is faster than `rank_costs` for small n.
    if len(objectives) == 1:
        keys = [sort_key(row, objectives[0], constraints) for row in metrics]
        rank_of = {key: index for index, key in enumerate(sorted(set(keys)))}
        return [rank_of[key] for key in keys]
    rows = np.array([[objective.cost(row) for objective in objectives] for row in metrics])
    violations = [total_violation(row, constraints) for row in metrics]
    return [int(rank) for rank in rank_costs(rows.reshape(len(metrics), len(objectives)), violations)]


def find_pareto_front(costs: ArrayLike) -> BoolArray:
    """Return a mask [n] of the rows of `costs` [n, m] that no other row dominates.

    Equal rows are all on the front. Rows with NaN or infinity are never on the front.
    """
    import moocore  # imported here, because this import takes longer than the import of `ogive`

    rows = _as_rows(costs)
    is_finite = np.isfinite(rows).all(axis=1)
    is_on_front = np.zeros(len(rows), dtype=bool)
    if is_finite.any():
        # `keep_weakly` keeps equal rows on the front.
        is_on_front[is_finite] = moocore.is_nondominated(rows[is_finite], keep_weakly=True)
    return is_on_front


def rank_costs(costs: ArrayLike, violations: ArrayLike | None = None) -> IntArray:
    """Return the ranks [n] of the rows of `costs` [n, m]; 0 is the best. Equally good rows share a rank; no rank is skipped.

    Feasible rows (violation 0) come first, then the other rows by `violations` [n] (Deb et al. 2002, section VI). Feasible
    rows are ordered by cost if there is one objective, and by front and then crowding distance otherwise (section III).
    Rows with NaN or infinity come last.

    Raises:
        ValueError: the shapes do not match.
    """
    rows = _as_rows(costs)
    n = len(rows)
    excess = np.zeros(n) if violations is None else np.asarray(violations, dtype=np.float64)
    if excess.shape != (n,):
        raise ValueError(f"expected violations of shape ({n},), one for each row of costs, but got {excess.shape}")
    # Section VI: feasible rows (group 0) dominate those that violate constraints (group 1). Rows that are not finite
    # (group 2) do not occur in the paper.
    is_invalid = ~np.isfinite(rows).all(axis=1)
    is_feasible = ~is_invalid & (excess <= 0)
    group = np.where(is_invalid, 2, np.where(is_feasible, 0, 1))
    first_key, second_key = np.zeros((2, n))  # sort keys within a group
    first_key[group == 1] = excess[group == 1]
    if rows.shape[1] == 1:
        first_key[is_feasible] = rows[is_feasible, 0]
    elif is_feasible.any():
        import moocore

        # Section III: the crowded-comparison operator, by non-domination rank and then by larger crowding distance.
        first_key[is_feasible] = moocore.pareto_rank(rows[is_feasible])
        second_key[is_feasible] = -_crowding(rows[is_feasible], first_key[is_feasible])
    return _dense_ranks((second_key, first_key, group))


def crowding_distance(costs: ArrayLike) -> FloatArray:
    """Return the crowding distances [n] of the rows of one front, `costs` [n, m].

    The distance is infinite for the lowest and highest value of an objective. An objective with equal values in all rows
    adds nothing. Rows with equal values of an objective have the same gap to their neighbours, so the result does not depend
    on the order of the rows. (The paper, Deb et al. 2002, does not define this case.)
    """
    rows = _as_rows(costs)
    return _crowding(rows, np.zeros(len(rows)))


def _crowding(rows: FloatArray, fronts: FloatArray) -> FloatArray:
    """Return the crowding distance [n] of each row of `rows` [n, m] within its front; `fronts` [n] numbers the fronts."""
    distance = np.zeros(len(rows))
    for column in rows.T:
        # Number the distinct (front, value) pairs in ascending order: `index` [n] is the number of the pair of each row.
        index = _dense_ranks((column, fronts))
        front, value = np.zeros((2, int(index.max(initial=-1)) + 1))
        front[index], value[index] = fronts, column
        starts = np.flatnonzero(np.diff(front, prepend=-1))
        ends = np.append(starts[1:], len(front)) - 1
        # The gap between the neighbours in the same front, divided by the range of the front; infinite at both ends of it.
        span = np.repeat(value[ends] - value[starts], ends - starts + 1)
        gap = np.full(len(value), math.inf)
        gap[1:-1] = value[2:] - value[:-2]
        gap[starts] = gap[ends] = math.inf
        distance += np.divide(gap, span, out=np.zeros_like(gap), where=span > 0)[index]
    return distance


def _dense_ranks(keys: tuple[NDArray[Any], ...]) -> IntArray:
    """Return dense ranks [n] by the last of the `keys`, then the one before it, and so on. Ties share a rank."""
    order = np.lexsort(keys)
    differs = np.zeros(len(order), dtype=bool)  # whether a row differs from the row before it in `order`
    for key in keys:
        differs[1:] |= key[order[1:]] != key[order[:-1]]
    dense = np.empty(len(order), dtype=np.int64)
    dense[order] = np.cumsum(differs)
    return dense


def hypervolume(costs: ArrayLike, reference: Sequence[float]) -> float:
    """Return the volume that the rows of `costs` [n, m] dominate, bounded by the point `reference` [m].

    Rows with NaN or infinity are ignored.

    Raises:
        ValueError: the shapes do not match, or the reference is not finite.
    """
    rows = _as_rows(costs)
    point = np.asarray(reference, dtype=np.float64)
    if point.shape != (rows.shape[1],) or not np.isfinite(point).all():
        raise ValueError(
            f"expected a finite reference of {rows.shape[1]} numbers, one for each objective, but got {reference}"
        )
    import moocore

    finite_rows = rows[np.isfinite(rows).all(axis=1)]
    return float(moocore.hypervolume(finite_rows, ref=point)) if len(finite_rows) else 0.0


def _as_rows(costs: ArrayLike) -> FloatArray:
    """Return costs as an array [n, m], or raise a ValueError if it has another number of dimensions."""
    rows = np.asarray(costs, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"expected costs of shape (n, m), one row for each trial, but got {rows.shape}")
    return rows


def _check_metric(kind: str, metric: object) -> None:
    if not isinstance(metric, str) or not metric:
        raise JobError(f"{kind}: the metric is {metric!r}, but must be the name under which it is reported")


def _join_with_or(names: Iterable[str]) -> str:
    return " or ".join(repr(name) for name in names)
