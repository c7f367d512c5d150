"""The sequence of budgets beside that of the authors' programs.

Recorded with one worker, minimum budget 1, eta 3: dehb 0.1.2 (`DEHB.ask` and `tell`; Awad et al. 2021) and hpbandster 0.7.4
(`HyperBand.get_next_iteration`; by the authors of BOHB, Falkner et al. 2018). Pairs of a budget and how many trials are
evaluated at it in a row.
"""

from __future__ import annotations

from itertools import groupby

import pytest

from ogive.objective import Objective
from ogive.schedule.base import Resume, Start
from ogive.schedule.dehb import DEHBBrackets
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


@pytest.mark.parametrize("highest", HPBANDSTER)
def test_hyperband_has_the_brackets_of_hpbandster(highest: int) -> None:
    schedule = Hyperband((Objective("accuracy"),), epochs=highest)
    for number, (sizes, at) in enumerate(HPBANDSTER[highest]):
        first, found = schedule.plan(number)
        assert (list(found), list(schedule.ladder.steps[first:])) == (sizes, at)
    expected = unrolled([run for sizes, at in HPBANDSTER[highest] for run in zip(at, sizes, strict=True)])
    assert budgets(schedule, len(expected)) == expected


@pytest.mark.parametrize("highest", DEHB)
def test_dehb_evaluates_at_the_budgets_of_its_authors_program(highest: int) -> None:
    expected = unrolled(DEHB[highest])
    found = budgets(DEHBBrackets((Objective("accuracy"),), epochs=highest), len(expected))
    runs = [(budget, len(list(group))) for budget, group in groupby(found)]
    assert found == expected, f"in a row: {runs}"
