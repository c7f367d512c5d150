"""The architectures of a list are proposed in order: alone, and before another strategy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice

import pytest

from ogive.errors import JobError, SpaceExhausted
from ogive.objective import Constraint, Objective
from ogive.seeds import generator
from ogive.space import Space
from ogive.strategy import Deduplicated, Initial, create
from ogive.strategy.listed import Listed
from ogive.strategy.local_search import LocalSearch
from ogive.testing.spaces import mixed, tiny
from ogive.testing.strategies import check_strategy
from ogive.trial import Pending, Status, Trial

SPACE = tiny()
GRID = [architecture.to_json() for architecture in SPACE.grid()]
SEEDS = [{"seed": 0}, {"seed": 1}]


def failed_trials(strategy: Listed | Initial | Deduplicated, count: int) -> list[Trial]:
    """Return the first `count` trials of a search in which each trial fails before the next is asked for."""
    trials = []
    for number in range(count):
        proposal = strategy.ask(generator(0, number), Pending(), {})
        trials.append(Trial(number, proposal, status=Status.ERROR))
        strategy.tell(trials[-1])
    return trials


def test_listed_and_initial_conform() -> None:
    def make_listed(space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> Listed:
        grid = [a.to_json() for a in islice(space.grid(resolution=2), 40)]
        return Listed(space, objectives, constraints, architectures=grid)

    def make_initial(space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> Initial:
        inner = LocalSearch(space, tuple(objectives), tuple(constraints), initial=2)
        return Initial(inner, [space.sample(generator(n)).to_json() for n in range(3)])

    check_strategy(make_listed)
    check_strategy(make_initial)


def test_a_list_is_proposed_in_order_with_its_settings_and_may_repeat_an_architecture() -> None:
    strategy = create("listed", SPACE, architectures=[GRID[3], GRID[3], GRID[0]], settings=[*SEEDS, {}])
    proposals = [trial.proposal for trial in failed_trials(strategy, 3)]  # type: ignore[arg-type]
    assert [p.architecture.to_json() for p in proposals] == [GRID[3], GRID[3], GRID[0]]
    assert [dict(p.settings) for p in proposals] == [*SEEDS, {}]
    assert [json.loads(json.dumps(dict(p.note)))["origin"] for p in proposals] == ["listed"] * 3
    with pytest.raises(SpaceExhausted, match="all 3 architectures of the list were proposed"):
        strategy.ask(generator(0), Pending(), {})


def test_a_pending_architecture_is_not_proposed_again() -> None:
    strategy = Listed(SPACE, (Objective("accuracy"),), architectures=GRID[:2])
    first = strategy.ask(generator(0), Pending(), {})
    second = strategy.ask(generator(0), Pending({0: first}), {})
    assert [first.architecture.to_json(), second.architecture.to_json()] == GRID[:2]


def test_the_inner_strategy_receives_the_trials_of_the_list_and_continues_after_them() -> None:
    inner = create("regularized_evolution", SPACE, population=2, sample=2)
    strategy = Deduplicated(Initial(inner, [GRID[2], GRID[2], GRID[5]]))  # the duplicate is skipped
    origins = [t.proposal.note.get("origin") for t in failed_trials(strategy, 8)]
    assert origins[:2] == ["initial", "initial"]
    assert "initial" not in origins[2:]
    with pytest.raises(SpaceExhausted):
        strategy.ask(generator(0), Pending(), {})


@pytest.mark.parametrize(
    ("architectures", "settings", "message"),
    [
        ([], (), "the list is empty"),
        ([GRID[0], {"a": 7}], (), r"architectures\[1\]: decision 'a': .*7"),
        ([GRID[0], 3], (), r"architectures\[1\]: found 3; give {decision: label"),
        ([GRID[0]], SEEDS, "settings: there are 2 settings for 1 architectures"),
    ],
)
def test_an_error_names_the_wrong_item_of_a_list(architectures: list[object], settings: object, message: str) -> None:
    with pytest.raises(JobError, match=message):
        create("listed", SPACE, architectures=architectures, settings=settings)


def test_an_architecture_that_the_space_does_not_allow_is_an_error() -> None:
    choices = {"n": 9, "rate": 0.5, "set": ["a"], "act": "relu"}
    with pytest.raises(JobError, match="does not allow it: n and rate are both large"):
        create("listed", mixed(), architectures=[choices])
