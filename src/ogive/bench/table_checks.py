"""Checks of the arrays of a table.

Symbols: n rows, r repetitions (seeds), k levels (numbers of epochs).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.errors import JobError
from ogive.objective import Objective


def index_rows(name: str, keys: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return the row of each key.

    Raises:
        JobError: there are no rows, or two rows have the same key.
    """
    rows: dict[Hashable, int] = {}
    for row, key in enumerate(keys):
        first_row = rows.setdefault(key, row)
        if first_row != row:
            raise JobError(
                f"benchmark {name!r}: rows {first_row + 1} and {row + 1} have the same architecture, {key}; remove one "
                "of them, or give the values of both as repetitions of one row (arrays of shape (rows, repetitions, levels))"
            )
    if not rows:
        raise JobError(f"benchmark {name!r}: the table has no rows")
    return rows


def check_goal(name: str, objective: Objective) -> None:
    """Check that the goal agrees with the name of the metric, because to minimize `accuracy` is almost certainly a mistake.

    Raises:
        JobError: the name implies the opposite goal.
    """
    try:
        implied = Objective(objective.metric)
    except JobError:  # the name implies no goal
        return
    if implied.goal != objective.goal:
        raise JobError(
            f"benchmark {name!r}: the goal of {objective.metric!r} is {objective.goal!r}, but its name implies "
            f"{implied.goal!r}; change the goal, or rename the column"
        )


def check_varies(name: str, metric: str, values: FloatArray) -> None:
    """Check that an objective distinguishes architectures.

    Args:
        name: the benchmark, for the message.
        metric: the objective, for the message.
        values: the values of the objective, [n].

    Raises:
        JobError: the values are not finite in any row, or are equal in all rows.
    """
    finite_values = values[np.isfinite(values)]
    if not len(finite_values):
        raise JobError(f"benchmark {name!r}: {metric!r} is not finite in any row")
    if finite_values.min() == finite_values.max():
        raise JobError(
            f"benchmark {name!r}: {metric!r} is {finite_values[0]:g} in every row, so there is nothing to search for; "
            "choose another column as the objective"
        )


def check_seconds(name: str, seconds: FloatArray, continuable: bool) -> None:
    """Check that times are not negative, and that those of a continued training do not decrease.

    Args:
        name: the benchmark, for the message.
        seconds: the times [n, r, k]; if `continuable`, each is the time since the start of the training.
        continuable: whether the levels are numbers of epochs of one training. Otherwise each level is a separate training.

    Raises:
        JobError: a time is negative, or decreases from one level to the next.
    """
    differences = np.diff(seconds, axis=2, prepend=0.0) if continuable else seconds
    if (differences < 0).any():
        row, _, level = np.argwhere(differences < 0)[0]
        message = f"benchmark {name!r}: the seconds of row {row + 1}"
        # At level 0, the difference is the time itself.
        if not continuable or level == 0:
            raise JobError(f"{message} are negative")
        raise JobError(
            f"{message} decrease from level {level} to level {level + 1}; they must be the time since the start of the "
            "training"
        )


def expand_column(name: str, metric: str, values: ArrayLike, n: int, k: int) -> FloatArray:
    """Return a column in the shape [n, r, k]; `values` is [n], [n, k] or [n, r, k] with any number of repetitions r.

    Raises:
        JobError: `values` has another shape.
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


def equalize_repetitions(name: str, columns: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the columns with equal numbers of repetitions: a column with one repetition is repeated.

    Raises:
        JobError: two columns have different numbers of repetitions.
    """
    r = max((values.shape[1] for values in columns.values()), default=1)
    for metric, values in columns.items():
        if values.shape[1] not in (1, r):
            raise JobError(
                f"benchmark {name!r}: column {metric!r} has {values.shape[1]} repetitions, and another column has {r}"
            )
    return {metric: np.broadcast_to(values, (len(values), r, values.shape[2])) for metric, values in columns.items()}
