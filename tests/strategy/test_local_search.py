"""Local search on functions whose optima are known."""

from __future__ import annotations

from itertools import pairwise

from ogive.objective import parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of
from ogive.strategy.local_search import LocalSearch
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(*range(5), name=f"d{i}") for i in range(6)), integer(0, 9, name="n")))


def separable(architecture: Architecture) -> float:
    """Return a value whose only local optimum is the global one, with every decision at its best label."""
    return sum(-abs(architecture[f"d{i}"] - i % 5) for i in range(6)) - abs(architecture["n"] - 7)


def finished_trial(number: int, proposal: Proposal, value: float) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, {"accuracy": value}),))


def search(strategy: LocalSearch, trials: int, workers: int = 1) -> list[tuple[Proposal, float]]:
    """Return proposals and their values. The oldest and the newest pending trial take turns in ending first."""
    results: list[tuple[Proposal, float]] = []
    pending: dict[int, Proposal] = {}
    while len(results) < trials:
        while len(pending) < workers:
            proposal = strategy.ask(generator(5, len(results)), Pending(pending), {})
            pending[len(results)] = proposal
            results.append((proposal, separable(proposal.architecture)))
        number = list(pending)[-1 if len(results) % 2 else 0]
        strategy.tell(finished_trial(number, pending.pop(number), results[number][1]))
    return results


def test_the_optimum_of_a_separable_function_is_found_and_a_new_search_starts() -> None:
    results = search(LocalSearch(SPACE, parse_objectives("accuracy"), initial=3), 400)
    first = [(p, v) for p, v in results if p.note["search"] == 0]
    assert max(v for _, v in first) == 0
    assert len(first) < len(results), "at the optimum the next search starts"
    assert ["parent" in p.note for p, _ in first[:5]] == [False, False, False, True, True]


def test_a_search_moves_as_soon_as_a_neighbor_is_better_and_never_to_a_worse_one() -> None:
    results = search(LocalSearch(SPACE, parse_objectives("accuracy"), initial=1), 60)
    best = results[0]
    for previous, (proposal, _) in pairwise(results):
        if previous[1] > best[1]:
            best = previous
        if proposal.note["search"] == 0 and "parent" in proposal.note:
            parent = results[proposal.note["parent"]]
            assert parent[1] == best[1], "the parent is the best so far"
            changed = [d for d in SPACE.decisions if parent[0].architecture[d.name] != proposal.architecture[d.name]]
            assert len(changed) == 1


def test_a_search_does_not_move_to_an_equally_good_neighbor() -> None:
    strategy = LocalSearch(SPACE, parse_objectives("accuracy"), initial=1)
    for number in range(60):
        proposal = strategy.ask(generator(2, number), Pending(), {})
        strategy.tell(finished_trial(number, proposal, 0.5))
        if proposal.note["search"] == 0:
            assert proposal.note.get("parent", 0) == 0
    assert proposal.note["search"] > 0, "all 33 neighbours of the start are known"


def test_no_neighbor_is_evaluated_twice_with_many_pending() -> None:
    results = search(LocalSearch(SPACE, parse_objectives("accuracy"), initial=3), 200, workers=8)
    ids = [p.architecture.id for p, _ in results if "parent" in p.note]
    assert len(ids) == len(set(ids))
    assert max(v for _, v in results) == 0


def test_a_new_search_starts_while_the_last_neighbors_are_pending_and_the_old_one_continues_when_one_is_better() -> (
    None
):
    space = Space(layer(dict, one_of(0, 1, name="a"), one_of(0, 1, name="b")))
    strategy = LocalSearch(space, parse_objectives("accuracy"), initial=1)
    start = Proposal(space.architecture({"a": 0, "b": 0}), note={"search": 0})
    strategy.tell(finished_trial(0, start, 0.5))
    pending: dict[int, Proposal] = {}
    for number in (1, 2):
        pending[number] = strategy.ask(generator(number), Pending(pending), {})
        assert dict(pending[number].note) == {"origin": "local search", "search": 0, "parent": 0}
    assert dict(strategy.ask(generator(3), Pending(pending), {}).note) == {"origin": "random", "search": 1}
    strategy.tell(finished_trial(1, pending.pop(1), 0.6))
    proposal = strategy.ask(generator(3), Pending(pending), {})
    assert dict(proposal.note) == {"origin": "local search", "search": 0, "parent": 1}
    assert proposal.architecture == space.architecture({"a": 1, "b": 1})


def test_with_several_objectives_a_search_moves_to_a_trial_that_dominates() -> None:
    space = Space(layer(dict, one_of(0, 1, 2, name="a")))
    strategy = LocalSearch(space, parse_objectives(["accuracy", "loss"]), initial=1)
    for number, (accuracy, loss) in enumerate([(0.5, 0.5), (0.9, 0.6), (0.5, 0.4)]):
        note = {"search": 0, "parent": 0} if number else {"search": 0}
        proposal = Proposal(space.architecture({"a": number}), note=note)
        reports = (Report(1, {"accuracy": accuracy, "loss": loss}),)
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=reports))
    best = strategy._best(strategy._searches[0])
    assert best is not None
    assert best.id == 2
