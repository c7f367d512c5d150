"""A warm start: the architectures that are transferred from an earlier run, and a search that begins with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ogive import estimate, open_run, search
from ogive.errors import JobError, RunError
from ogive.objective import Constraint, Objective, parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of
from ogive.strategy import Deduplicated, Initial, WarmStart, create
from ogive.strategy.warm_start import transfer_best
from ogive.testing.strategies import check_strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

ACCURACY = parse_objectives("accuracy")
OLD = Space(
    layer(dict, one_of(1, 2, 3, name="a"), one_of("x", "y", name="b"), integer(1, 8, name="n"), one_of(0, 1, name="c"))
)
NEW = Space(
    layer(
        dict,
        one_of(2, 3, 4, name="a"),  # without 1, and with a new label
        one_of("x", "y", name="b"),  # equal
        integer(1, 4, name="n"),  # a smaller range
        one_of(no=layer(dict), yes=layer(dict, one_of(5, 6, name="e")), name="d"),  # new
    )
)


def earlier_trials(count: int, space: Space = OLD) -> list[Trial]:
    trials = []
    for number in range(count):
        proposal = Proposal(space.sample(generator(0, number)))
        reports = (Report(1, {"accuracy": number / count, "size": float(number)}),)
        trials.append(Trial(number, proposal, status=Status.FINISHED, reports=reports))
    return trials


def test_labels_are_kept_if_the_new_space_has_them_and_drawn_otherwise() -> None:
    trials = earlier_trials(40)
    transferred = transfer_best(NEW, OLD, trials, ACCURACY, count=5)
    assert transferred.messages[:4] == (
        "1 of 5 decisions are those of the earlier run",
        "with other alternatives: a, n",
        "new: d, e",
        "removed: c",
    )
    assert len(transferred.architectures) == len(transferred.trials) == 5
    assert list(transferred.trials) == sorted(transferred.trials, reverse=True), "the best first"
    for choices, number in zip(transferred.architectures, transferred.trials, strict=True):
        old = trials[number].architecture
        assert NEW.architecture(choices).to_json() == choices
        assert choices["b"] == old["b"]
        assert choices["a"] == old["a"] or old["a"] == 1
        assert choices["n"] == old["n"] or old["n"] > 4
    assert transferred == transfer_best(NEW, OLD, trials, ACCURACY, count=5), "drawn labels are reproducible"


def test_in_the_same_space_the_best_are_transferred_completely_and_once() -> None:
    trials = [*earlier_trials(40), Trial(40, Proposal(OLD.sample(generator(1))), status=Status.ERROR)]
    transferred = transfer_best(OLD, OLD, trials, ACCURACY, count=4)
    best = list(dict.fromkeys(trial.architecture.id for trial in reversed(trials[:40])))[:4]
    assert [OLD.architecture(choices).id for choices in transferred.architectures] == best
    assert transferred.messages[-1] == "4 architectures are taken over, 4 of them without random decisions"
    feasible = transfer_best(OLD, OLD, trials, ACCURACY, (Constraint("size", at_most=20),), count=4)
    assert feasible.trials[0] == 20, "infeasible trials come last"


def test_an_error_says_why_an_earlier_run_cannot_be_used() -> None:
    other = Space(layer(dict, one_of(1, 2, name="z")))
    with pytest.raises(
        JobError, match=r"the earlier run and this space have no decision in common: 0 of 4 .* removed: z"
    ):
        transfer_best(OLD, other, earlier_trials(3, other), ACCURACY)
    with pytest.raises(JobError, match="none of the 3 earlier trials has a value of loss"):
        transfer_best(OLD, OLD, earlier_trials(3), parse_objectives("loss"))

    def forbid(architecture: Architecture) -> str:
        return "forbidden"

    forbidden = Space(layer(dict, one_of(1, 2, 3, name="a")), constraint=forbid)
    with pytest.raises(JobError, match="the space's constraint allows none of the 3 earlier architectures"):
        transfer_best(forbidden, OLD, earlier_trials(3), ACCURACY)


def test_the_wrapper_conforms_and_can_be_combined_with_a_list() -> None:
    def make(space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> WarmStart:
        inner = create("regularized_evolution", space, tuple(objectives), tuple(constraints), population=4)
        return WarmStart(inner, [space.sample(generator(n)).to_json() for n in range(3)], [7, 8, 9])

    check_strategy(make, another_process=False)
    lists = [[architecture.to_json()] for architecture in OLD.grid()][:2]
    strategy = Deduplicated(Initial(WarmStart(create("random", OLD), lists[0], [3]), lists[1]))
    notes = []
    for number in range(3):
        proposal = strategy.ask(generator(0, number), Pending(), {})
        strategy.tell(Trial(number, proposal, status=Status.ERROR))
        notes.append((proposal.note["origin"], proposal.note.get("earlier_trial")))
    assert notes == [("initial", None), ("warm_start", 3), ("random", None)]


def evaluate(architecture: Any) -> dict[str, float]:
    return {"accuracy": float(architecture["n"]) / 8 + 0.1 * (architecture["b"] == "y")}


def run_search(folder: Path, space: Space, **arguments: Any) -> Any:
    return search(space, estimate.function(evaluate), run=folder, executor="inline", strategy="random", **arguments)


def test_a_search_begins_with_the_best_of_an_earlier_one_and_journals_the_transfer(tmp_path: Path) -> None:
    first = run_search(tmp_path / "a", OLD, max_trials=20)
    second = run_search(tmp_path / "b", NEW, max_trials=4, warm_start={"run": tmp_path / "a", "trials": 3})
    stored = second.state.declaration["warm_start"]
    trials = list(second.state.trials.values())
    assert [t.architecture.to_json() for t in trials[:3]] == stored["architectures"]
    assert [t.proposal.note["origin"] for t in trials] == ["warm_start"] * 3 + ["random"]
    assert first.state.trials[trials[0].proposal.note["earlier_trial"]].metrics == first.best.metrics
    assert any("warm start from" in message for message, _ in second.state.warnings)
    (tmp_path / "a" / "journal.db").rename(tmp_path / "moved.db")  # the journal of the new run has all it needs
    continued = run_search(tmp_path / "b", NEW, max_trials=6)
    assert len(continued.trials) == 6
    assert open_run(tmp_path / "b").state.declaration["warm_start"] == stored


def test_the_warm_start_of_a_run_cannot_be_changed(tmp_path: Path) -> None:
    for name in "ab":
        run_search(tmp_path / name, OLD, max_trials=3)
    run_search(tmp_path / "c", OLD, max_trials=2, warm_start=tmp_path / "a")
    assert len(run_search(tmp_path / "c", OLD, max_trials=3, warm_start=tmp_path / "a").trials) == 3
    with pytest.raises(RunError, match=r"was started with a warm start from .*a, not from .*b; leave warm_start out"):
        run_search(tmp_path / "c", OLD, max_trials=3, warm_start=tmp_path / "b")
    with pytest.raises(RunError, match=r"was started without a warm start, not from .*b"):
        run_search(tmp_path / "a", OLD, max_trials=3, warm_start=tmp_path / "b")
    with pytest.raises(JobError, match=r"there is no run in .*nowhere \(no journal.db\)"):
        run_search(tmp_path / "d", OLD, warm_start=tmp_path / "nowhere")
    with pytest.raises(
        JobError, match=r"warm_start=\{'run': '.*', 'top': 3\}: expected an earlier run, its folder, or"
    ):
        run_search(tmp_path / "d", OLD, warm_start={"run": str(tmp_path / "a"), "top": 3})
    assert not (tmp_path / "d").exists()
