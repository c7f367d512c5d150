"""Local search on functions whose optima are known."""

from __future__ import annotations

from itertools import pairwise

from ogive.objective import objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of
from ogive.strategy.local_search import LocalSearch
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(*range(5), name=f"d{i}") for i in range(6)), integer(0, 9, name="n")))


def separable(architecture: Architecture) -> float:
    """Its one local optimum is the global one: every decision at its best label."""
    return sum(-abs(architecture[f"d{i}"] - i % 5) for i in range(6)) - abs(architecture["n"] - 7)


def told(number: int, proposal: Proposal, value: float, status: Status = Status.FINISHED) -> Trial:
    return Trial(number, proposal, status=status, reports=(Report(1, {"accuracy": value}),))


def search(strategy: LocalSearch, trials: int, workers: int = 1) -> list[tuple[Proposal, float]]:
    """Proposals and values in the order of proposal; of those in flight, every other time the newest is told first."""
    found: list[tuple[Proposal, float]] = []
    in_flight: dict[int, Proposal] = {}
    while len(found) < trials:
        while len(in_flight) < workers:
            proposal = strategy.ask(generator(5, len(found)), Pending(in_flight), {})
            in_flight[len(found)] = proposal
            found.append((proposal, separable(proposal.architecture)))
        number = list(in_flight)[-1 if len(found) % 2 else 0]
        strategy.tell(told(number, in_flight.pop(number), found[number][1]))
    return found


def test_reaches_the_optimum_of_a_separable_function_and_begins_anew() -> None:
    found = search(LocalSearch(SPACE, objectives("accuracy"), initial=3), 400)
    first = [(p, v) for p, v in found if p.note["search"] == 0]
    assert max(v for _, v in first) == 0
    assert len(first) < len(found), "at the optimum the next search begins"
    assert ["parent" in p.note for p, _ in first[:5]] == [False, False, False, True, True]


def test_moves_as_soon_as_a_neighbor_is_better_and_never_to_a_worse_one() -> None:
    found = search(LocalSearch(SPACE, objectives("accuracy"), initial=1), 60)
    best = found[0]
    for before, now in pairwise(found):
        if before[1] > best[1]:
            best = before
        if now[0].note["search"] == 0 and "parent" in now[0].note:
            parent = found[now[0].note["parent"]]
            assert parent[1] == best[1], "the parent is the best so far"
            changed = [d for d in SPACE.decisions if parent[0].architecture[d.name] != now[0].architecture[d.name]]
            assert len(changed) == 1


def test_stays_where_it_is_when_a_neighbor_is_as_good() -> None:
    strategy = LocalSearch(SPACE, objectives("accuracy"), initial=1)
    for number in range(60):
        proposal = strategy.ask(generator(2, number), Pending(), {})
        strategy.tell(told(number, proposal, 0.5))
        if proposal.note["search"] == 0:
            assert proposal.note.get("parent", 0) == 0
    assert proposal.note["search"] > 0, "all 33 neighbours of the beginning are known"


def test_evaluates_no_neighbor_twice_with_many_in_flight() -> None:
    found = search(LocalSearch(SPACE, objectives("accuracy"), initial=3), 200, workers=8)
    ids = [p.architecture.id for p, _ in found if "parent" in p.note]
    assert len(ids) == len(set(ids))
    assert max(v for _, v in found) == 0


def test_an_optimum_is_left_while_its_last_neighbors_are_in_flight_and_returned_to_when_one_is_better() -> None:
    space = Space(layer(dict, one_of(0, 1, name="a"), one_of(0, 1, name="b")))
    strategy = LocalSearch(space, objectives("accuracy"), initial=1)
    start = Proposal(space.architecture({"a": 0, "b": 0}), note={"search": 0})
    strategy.tell(told(0, start, 0.5))
    pending: dict[int, Proposal] = {}
    for number in (1, 2):
        pending[number] = strategy.ask(generator(number), Pending(pending), {})
        assert dict(pending[number].note) == {"origin": "local search", "search": 0, "parent": 0}
    assert dict(strategy.ask(generator(3), Pending(pending), {}).note) == {"origin": "random", "search": 1}
    strategy.tell(told(1, pending.pop(1), 0.6))
    again = strategy.ask(generator(3), Pending(pending), {})
    assert dict(again.note) == {"origin": "local search", "search": 0, "parent": 1}
    assert again.architecture == space.architecture({"a": 1, "b": 1})


def test_with_several_objectives_it_moves_to_what_dominates() -> None:
    space = Space(layer(dict, one_of(0, 1, 2, name="a")))
    strategy = LocalSearch(space, objectives(["accuracy", "loss"]), initial=1)
    for number, (accuracy, loss) in enumerate([(0.5, 0.5), (0.9, 0.6), (0.5, 0.4)]):
        note = {"search": 0, "parent": 0} if number else {"search": 0}
        proposal = Proposal(space.architecture({"a": number}), note=note)
        reports = (Report(1, {"accuracy": accuracy, "loss": loss}),)
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=reports))
    best = strategy._best(strategy._searches[0])
    assert best is not None
    assert best.id == 2
