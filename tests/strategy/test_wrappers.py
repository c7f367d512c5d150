"""The wrappers for duplicates and hard constraints, and the registry of strategies."""

from __future__ import annotations

import pytest

from ogive import strategy as strategies
from ogive.errors import JobError, SpaceExhausted
from ogive.objective import Constraint, parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of
from ogive.strategy import Constrained, Deduplicated
from ogive.strategy.random import Random
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, integer(0, 9, name="a"), integer(0, 9, name="b")))
ACCURACY = parse_objectives("accuracy")
LARGE = Constraint("parameters", at_least=17, hard=True)  # 3 of 100: (8, 9), (9, 8), (9, 9)


def parameters(architecture: Architecture) -> dict[str, float]:
    return {"parameters": architecture["a"] + architecture["b"]}


def finished_trial(number: int, proposal: Proposal) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, {"accuracy": 0.5}),))


def test_deduplicated_proposes_each_architecture_once_and_then_raises() -> None:
    strategy = Deduplicated(Random(SPACE, ACCURACY))
    proposals = []
    for number in range(100):
        proposals.append(strategy.ask(generator(0, number), Pending(), {}))
        strategy.tell(finished_trial(number, proposals[-1]))
    assert len({proposal.architecture for proposal in proposals}) == 100
    assert {proposal.note.get("instead") for proposal in proposals} >= {None, "sample"}
    assert max(proposal.note.get("duplicates", 0) for proposal in proposals) == 20
    with pytest.raises(
        SpaceExhausted, match="every architecture that the space allows was proposed: 100 were evaluated"
    ):
        strategy.ask(generator(1), Pending(), {})


def test_deduplicated_proposes_equal_networks_once() -> None:
    space = Space(layer(dict, one_of(1, 2, name="a"), one_of(1, 2, name="b")), canonical=lambda a: sorted(a.values()))
    strategy = Deduplicated(Random(space, ACCURACY))
    pending: dict[int, Proposal] = {}
    for number in range(3):
        pending[number] = strategy.ask(generator(0, number), Pending(pending), {})
    with pytest.raises(SpaceExhausted, match="0 were evaluated, 3 are pending or rejected"):
        strategy.ask(generator(1), Pending(pending), {})


def test_constrained_proposes_only_feasible_architectures_and_notes_the_number_of_rejected_ones() -> None:
    strategy = Constrained(Deduplicated(Random(SPACE, ACCURACY, (LARGE,))), parameters)
    proposals = []
    for number in range(3):
        proposals.append(strategy.ask(generator(0, number), Pending(), {}))
        strategy.tell(finished_trial(number, proposals[-1]))
    assert {tuple(p.architecture.values()) for p in proposals} == {(8, 9), (9, 8), (9, 9)}
    assert sum(p.note.get("screened_out", 0) for p in proposals) > 10
    with pytest.raises(SpaceExhausted):
        strategy.ask(generator(3), Pending(), {})


def test_the_error_of_constrained_names_the_nearest_architecture() -> None:
    infeasible = Constraint("parameters", at_least=20, hard=True)
    message = r"none of {} proposals satisfies the hard .* parameters >= 20 \(its value is 18\)\. Loosen the constraint"
    bare = Random(SPACE, ACCURACY, (infeasible,))
    with pytest.raises(JobError, match=message.format(100)):
        Constrained(Deduplicated(bare), parameters).ask(generator(0), Pending(), {})
    with pytest.raises(JobError, match=message.format(2000)):
        Constrained(bare, parameters, tries=2000).ask(generator(0), Pending(), {})


def test_soft_constraints_and_metrics_unknown_before_training_are_not_screened() -> None:
    constraints = (Constraint("parameters", at_least=20), Constraint("latency", at_most=0, hard=True))
    proposal = Constrained(Random(SPACE, ACCURACY, constraints), parameters).ask(generator(0), Pending(), {})
    assert proposal.note == {"origin": "random"}


def test_an_architecture_that_cannot_be_screened_is_proposed() -> None:
    """The controller then records the error as a failed trial."""

    def broken(architecture: Architecture) -> dict[str, float]:
        raise RuntimeError("no such device")

    strategy = Constrained(Deduplicated(Random(SPACE, ACCURACY, (LARGE,))), broken)
    assert "screened_out" not in strategy.ask(generator(0), Pending(), {}).note


def test_a_strategy_is_created_by_name_with_its_options() -> None:
    strategy = strategies.create("regularized_evolution", SPACE, "accuracy", population=50)
    assert strategy.objectives == ACCURACY
    assert strategies.options("regularized_evolution").items() >= {"population": 30, "sample": 10}.items()
    assert {"auto", "gp", "local_search", "random", "regularized_evolution"} <= set(strategies.names())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "regularised_evolution",
            {},
            r"no strategy 'regularised_evolution' \(did you mean 'regularized_evolution'\?\)",
        ),
        ("xyz", {}, "no strategy 'xyz'; registered names: 'auto', 'bananas', "),
        ("random", {"population": 3}, "'random' has no option 'population'; it has no options"),
        (
            "regularized_evolution",
            {"popluation": 3},
            r"'popluation' \(did you mean 'population'\?\); its options: 'population'",
        ),
        ("regularized_evolution", {"sample": "10"}, "sample is '10', but must be a whole number of at least 1"),
    ],
)
def test_an_error_names_a_wrong_name_or_option(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(JobError, match=message):
        strategies.create(name, SPACE, "accuracy", **options)


def test_a_registered_strategy_is_created_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies._REGISTRY, "_factories", dict(strategies._REGISTRY._factories))
    strategies.register("mine", "ogive.strategy.random:Random")
    assert isinstance(strategies.create("mine", SPACE), Random)
    with pytest.raises(JobError, match="strategy 'random' is registered already"):
        strategies.register("random", Deduplicated)
