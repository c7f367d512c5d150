"""The budgets of Hyperband and DEHB are those of the authors' programs."""

from __future__ import annotations

from itertools import groupby

import pytest
from authors_budgets import DEHB, HPBANDSTER, budgets, unrolled

from ogive.objective import Objective
from ogive.schedule.dehb import DEHBBrackets
from ogive.schedule.hyperband import Hyperband


@pytest.mark.parametrize("highest", HPBANDSTER)
def test_hyperband_has_the_brackets_of_hpbandster(highest: int) -> None:
    schedule = Hyperband((Objective("accuracy"),), epochs=highest)
    for number, (sizes, at) in enumerate(HPBANDSTER[highest]):
        first_rung, planned = schedule.plan_bracket(number)
        assert (list(planned), list(schedule.ladder.steps[first_rung:])) == (sizes, at)
    expected = unrolled([run for sizes, at in HPBANDSTER[highest] for run in zip(at, sizes, strict=True)])
    assert budgets(schedule, len(expected)) == expected


@pytest.mark.parametrize("highest", DEHB)
def test_dehb_evaluates_at_the_budgets_of_its_authors_program(highest: int) -> None:
    expected = unrolled(DEHB[highest])
    result = budgets(DEHBBrackets((Objective("accuracy"),), epochs=highest), len(expected))
    runs = [(budget, len(list(group))) for budget, group in groupby(result)]
    assert result == expected, f"in a row: {runs}"
