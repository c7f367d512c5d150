"""The sequences of budgets of the authors' programs, which the tests and benchmarks/schedules.py hold Ogive's against.

Recorded with one worker, minimum budget 1, eta 3: dehb 0.1.2 (`DEHB.ask` and `tell`; Awad et al. 2021) and hpbandster 0.7.4
(`HyperBand.get_next_iteration`; by the authors of BOHB, Falkner et al. 2018). Pairs of a budget and how many trials are
evaluated at it in a row.
"""

from __future__ import annotations

from ogive.schedule.base import Resume, Start
from ogive.schedule.hyperband import Hyperband
from ogive.testing.spaces import tiny
from ogive.testing.workers import WORLDS, Workers

HPBANDSTER = {
    9: [([9, 3, 1], [1, 3, 9]), ([3, 1], [3, 9]), ([3], [9])],
    27: [([27, 9, 3, 1], [1, 3, 9, 27]), ([9, 3, 1], [3, 9, 27]), ([6, 2], [9, 27]), ([4], [27])],
    81: [
        ([81, 27, 9, 3, 1], [1, 3, 9, 27, 81]),
        ([27, 9, 3, 1], [3, 9, 27, 81]),
        ([9, 3, 1], [9, 27, 81]),
        ([6, 2], [27, 81]),
        ([5], [81]),
    ],
}
DEHB = {  # of the first brackets, the second round included, in which trials are no longer promoted
    9: [(1, 9), (3, 3), (9, 1), (3, 3), (9, 1), (9, 3), (1, 9), (3, 3), (9, 1), (3, 3), (9, 1), (9, 3), (1, 9), (3, 3)],
    27: [
        *[(1, 27), (3, 9), (9, 3), (27, 1), (3, 9), (9, 3), (27, 1), (9, 6), (27, 2), (27, 4)],
        *[(1, 27), (3, 9), (9, 3), (27, 1), (3, 9), (9, 3), (27, 1)],
    ],
    81: [
        *[(1, 81), (3, 27), (9, 9), (27, 3), (81, 1), (3, 27), (9, 9), (27, 3), (81, 1)],
        *[(9, 9), (27, 3), (81, 1), (27, 6), (81, 2), (81, 5), (1, 81), (3, 27), (9, 9), (27, 3), (81, 1)],
    ],
}


def budgets(schedule: Hyperband, jobs: int) -> list[int]:
    """Of the first evaluations, on one worker."""
    log = Workers(schedule, WORLDS["level"], tiny(), jobs, 1).run()
    found = [
        job.fidelity if isinstance(job, Start) else job.until for _, job in log.jobs if isinstance(job, (Start, Resume))
    ]
    return [int(fidelity["epochs"]) for fidelity in found][:jobs]


def unrolled(runs: list[tuple[int, int]]) -> list[int]:
    return [budget for budget, count in runs for _ in range(count)]
