"""The Pareto front in a report: its knee, and the dominated volume as the search proceeded.

Symbols: n trials, m objectives. The cost of an objective is its value with the sign changed if it is maximized: less is
better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import find_pareto_front, hypervolume
from ogive.trial import TrialId

MAX_VOLUME_POINTS = 80
"""The dominated volume is computed at this many points of the search, at most."""


@dataclass(frozen=True)
class Knee:
    """The trial on the front with the best compromise between the objectives.

    Attributes:
        trial: the id of the trial.
        distance: its distance from the plane through the ends of the front. Each objective is measured in units of its range
            on the front.
    """

    trial: TrialId
    distance: float


def find_knee(trials: Sequence[TrialId], costs: np.ndarray) -> Knee | None:
    """Return the knee of a front.

    The knee is the member with the largest distance, towards the ideal point, from the plane through the best trial of each
    objective; each objective is scaled to its range on the front (Das, "On characterizing the 'knee' of the Pareto curve
    based on Normal-Boundary Intersection", Structural Optimization 18, 1999).

    Args:
        trials: the ids of the n trials on the front.
        costs: [n, m] the costs of these trials.

    Returns:
        The knee; None for fewer than three trials, for ends that do not span a plane, or if no trial lies between the plane
        and the ideal point.
    """
    rows = np.asarray(costs, dtype=np.float64)
    if len(rows) < 3:
        return None
    lowest, span = rows.min(axis=0), np.ptp(rows, axis=0)
    if not (span > 0).all():
        return None
    scaled = (rows - lowest) / span
    # The plane through the m ends of the front: all x with normal . x = 1.
    ends = scaled[scaled.argmin(axis=0)]
    try:
        normal = np.linalg.solve(ends, np.ones(len(span)))
    except np.linalg.LinAlgError:
        return None
    distances = (1 - scaled @ normal) / np.linalg.norm(normal)
    index = int(distances.argmax())
    # A distance of 1e-9 or less is a rounding error.
    return Knee(trials[index], float(distances[index])) if distances[index] > 1e-9 else None


def compute_dominated_volumes(costs: np.ndarray) -> tuple[list[int], list[float]]:
    """Compute the dominated share of the box between the best and the worst value of each objective.

    Args:
        costs: [n, m] the costs of the trials in the order of the search. Rows that are not finite dominate nothing.

    Returns:
        At most `MAX_VOLUME_POINTS` numbers of trials; and for each number i, the share that the first i trials dominate.
        Both are empty if no row is finite.
    """
    rows = np.asarray(costs, dtype=np.float64)
    valid = np.asarray(np.isfinite(rows).all(axis=1))
    if not valid.any():
        return [], []
    lowest, highest = rows[valid].min(axis=0), rows[valid].max(axis=0)
    span = np.where(highest > lowest, highest - lowest, 1.0)
    scaled = (rows - lowest) / span
    scaled[:, highest == lowest] = 0.0
    counts = np.unique(np.linspace(1, len(rows), min(len(rows), MAX_VOLUME_POINTS)).round().astype(int))
    front: FloatArray = np.zeros((0, rows.shape[1]))
    shares, previous = [], 0
    for count in counts:
        # The front of the first `count` trials is the front of the previous front and the trials since then.
        new = scaled[previous:count][valid[previous:count]]
        front = np.concatenate([front, new])
        front = front[find_pareto_front(front)] if len(front) else front
        # After the scaling, the worst corner of the box is (1, ..., 1).
        shares.append(hypervolume(front, [1.0] * rows.shape[1]) if len(front) else 0.0)
        previous = int(count)
    return counts.tolist(), shares
