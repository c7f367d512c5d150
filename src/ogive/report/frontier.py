"""The Pareto front as a reader wants it: its knee, and the volume that it dominates as the search went on.

Symbols: n trials, m objectives. Costs are objectives turned so that less is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import hypervolume, pareto_front
from ogive.trial import TrialId

CHECKPOINTS = 80
"""At how many places of the search the volume is computed."""


@dataclass(frozen=True)
class Knee:
    """The member of the front where giving up a little of one objective gains most of the others.

    Attributes:
        bulge: how far it lies before the plane through the ends of the front, in units of the objectives' ranges on it.
    """

    trial: TrialId
    bulge: float


def knee(trials: Sequence[TrialId], costs: np.ndarray) -> Knee | None:
    """The knee of a front with costs [n, m]; None where fewer than three trials, or no bulge, make one.

    The member with the largest distance, towards the ideal point, from the plane through the best trial of each objective,
    all objectives scaled to their range on the front (Das, "On characterizing the 'knee' of the Pareto curve based on
    Normal-Boundary Intersection", Structural Optimization 18, 1999). Ends that do not span a plane have no knee.
    """
    rows = np.asarray(costs, dtype=np.float64)
    if len(rows) < 3:
        return None
    low, span = rows.min(axis=0), np.ptp(rows, axis=0)
    if not (span > 0).all():
        return None
    scaled = (rows - low) / span
    ends = scaled[scaled.argmin(axis=0)]
    try:
        normal = np.linalg.solve(ends, np.ones(len(span)))
    except np.linalg.LinAlgError:
        return None
    distance = (1 - scaled @ normal) / np.linalg.norm(normal)
    at = int(distance.argmax())
    return Knee(trials[at], float(distance[at])) if distance[at] > 1e-9 else None


def volumes(costs: np.ndarray) -> tuple[list[int], list[float]]:
    """Places (from 1) and the share of the box between the best and the worst value of each objective that is dominated
    by the first so many rows of `costs` [n, m]; rows that are not finite count nothing.
    """
    rows = np.asarray(costs, dtype=np.float64)
    valid = np.asarray(np.isfinite(rows).all(axis=1))
    if not valid.any():
        return [], []
    low, high = rows[valid].min(axis=0), rows[valid].max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    scaled = (rows - low) / span
    scaled[:, high == low] = 0.0
    at = np.unique(np.linspace(1, len(rows), min(len(rows), CHECKPOINTS)).round().astype(int))
    kept: FloatArray = np.zeros((0, rows.shape[1]))
    found, former = [], 0
    for place in at:
        fresh = scaled[former:place][valid[former:place]]
        kept = np.concatenate([kept, fresh])
        kept = kept[pareto_front(kept)] if len(kept) else kept
        found.append(hypervolume(kept, [1.0] * rows.shape[1]) if len(kept) else 0.0)
        former = int(place)
    return at.tolist(), found
