"""What is wrong with a table, said before it is used."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.errors import JobError
from ogive.objective import Objective


def index(name: str, keys: Sequence[Hashable]) -> dict[Hashable, int]:
    rows: dict[Hashable, int] = {}
    for row, key in enumerate(keys):
        former = rows.setdefault(key, row)
        if former != row:
            raise JobError(
                f"benchmark {name!r}: rows {former + 1} and {row + 1} are of the same architecture, {key}; keep one, or "
                "make them repetitions"
            )
    if not rows:
        raise JobError(f"benchmark {name!r}: the table has no rows")
    return rows


def check_goal(name: str, objective: Objective) -> None:
    """An objective whose goal its name contradicts is a mistake in all likelihood: a search for the worst."""
    try:
        usual = Objective(objective.metric)
    except JobError:
        return
    if usual.goal != objective.goal:
        raise JobError(
            f"benchmark {name!r}: {objective.metric!r} is to be {objective.goal}d, but its name says {usual.goal}; "
            "turn the goal, or rename the column"
        )


def check_varies(name: str, metric: str, values: FloatArray) -> None:
    """See that there is something to search for.

    Raises:
        JobError: `values` [n] are not finite in any row, or the same in all.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise JobError(f"benchmark {name!r}: {metric!r} is not finite in any row")
    if finite.min() == finite.max():
        raise JobError(
            f"benchmark {name!r}: {metric!r} is {finite[0]:g} in every row, so there is nothing to search for; choose "
            "another column as the objective"
        )


def check_seconds(name: str, seconds: FloatArray, continuable: bool) -> None:
    """See that no training takes negative time; where it is continued, that none is shorter than its beginning.

    Raises:
        JobError: `seconds` [n, r, k] are negative somewhere, or fall from one level to the next.
    """
    steps = np.diff(seconds, axis=2, prepend=0.0) if continuable else seconds
    if (steps < 0).any():
        row, _, level = np.argwhere(steps < 0)[0]
        what = f"fall from level {level} to level {level + 1}" if continuable and level else "are negative"
        raise JobError(
            f"benchmark {name!r}: the seconds of row {row + 1} {what}; give the time of a training since its start"
        )


def shaped(name: str, metric: str, values: ArrayLike, n: int, k: int) -> FloatArray:
    """`values` as [n, r, k] for any number of repetitions r.

    Raises:
        JobError: they have another shape.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None, None]
    elif array.ndim == 2:
        array = array[:, None, :]
    if array.ndim != 3 or array.shape[0] != n or array.shape[2] not in (1, k):
        raise JobError(
            f"benchmark {name!r}: column {metric!r} has shape {np.shape(values)}; expected ({n},), ({n}, {k}) or "
            f"({n}, repetitions, {k})"
        )
    return np.broadcast_to(array, (n, array.shape[1], k))


def repeated(name: str, columns: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The columns with one number of repetitions; those that have one are repeated.

    Raises:
        JobError: two columns have different numbers of them.
    """
    r = max((values.shape[1] for values in columns.values()), default=1)
    for metric, values in columns.items():
        if values.shape[1] not in (1, r):
            raise JobError(f"benchmark {name!r}: column {metric!r} has {values.shape[1]} repetitions, another {r}")
    return {name: np.broadcast_to(values, (len(values), r, values.shape[2])) for name, values in columns.items()}
