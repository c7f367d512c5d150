"""The sequences of budgets of the authors' programs, to which the tests and benchmarks/schedules.py compare those of Ogive.

Recorded with one worker, minimum budget 1, eta 3: dehb 0.1.2 (`DEHB.ask` and `tell`; Awad et al. 2021) and hpbandster 0.7.4
(`HyperBand.get_next_iteration`; by the authors of BOHB, Falkner et al. 2018). A pair is a budget, and the number of
trials that are evaluated at it one after the other.
"""

from __future__ import annotations

from ogive.schedule.base import Resume, Start
from ogive.schedule.hyperband import Hyperband
from ogive.testing.spaces import tiny
from ogive.testing.workers import SCENARIOS, SimulatedController

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
DEHB = {  # the first brackets, with the second round, in which trials are no longer promoted
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
    """Return the budgets of the first jobs, on one worker."""
    log = SimulatedController(schedule, SCENARIOS["equal"], tiny(), jobs, 1).run()
    fidelities = [
        job.fidelity if isinstance(job, Start) else job.until for _, job in log.jobs if isinstance(job, (Start, Resume))
    ]
    return [int(fidelity["epochs"]) for fidelity in fidelities][:jobs]


def unrolled(runs: list[tuple[int, int]]) -> list[int]:
    """Return a list with the budget of each trial, from pairs of a budget and a number of trials."""
    return [budget for budget, count in runs for _ in range(count)]
