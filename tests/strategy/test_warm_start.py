"""A warm start: what is taken over from an earlier run, and a search that begins with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ogive import estimate, open_run, search
from ogive.errors import JobError, RunError
from ogive.objective import Constraint, Objective, objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of
from ogive.strategy import Deduplicated, Initial, WarmStart, create
from ogive.strategy.warm_start import transfer
from ogive.testing.strategies import check_strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

ACCURACY = objectives("accuracy")
OLD = Space(
    layer(dict, one_of(1, 2, 3, name="a"), one_of("x", "y", name="b"), integer(1, 8, name="n"), one_of(0, 1, name="c"))
)
NEW = Space(
    layer(
        dict,
        one_of(2, 3, 4, name="a"),  # has lost 1, and has a new label
        one_of("x", "y", name="b"),  # is the same
        integer(1, 4, name="n"),  # is narrower
        one_of(no=layer(dict), yes=layer(dict, one_of(5, 6, name="e")), name="d"),  # is new
    )
)


def earlier(count: int, space: Space = OLD) -> list[Trial]:
    trials = []
    for number in range(count):
        proposal = Proposal(space.sample(generator(0, number)))
        reports = (Report(1, {"accuracy": number / count, "size": float(number)}),)
        trials.append(Trial(number, proposal, status=Status.FINISHED, reports=reports))
    return trials


def test_labels_are_kept_where_the_new_space_has_them_and_drawn_where_not() -> None:
    trials = earlier(40)
    found = transfer(NEW, OLD, trials, ACCURACY, count=5)
    assert found.said[:4] == (
        "1 of 5 decisions are those of the earlier run",
        "with other alternatives: a, n",
        "new: d, e",
        "removed: c",
    )
    assert len(found.architectures) == len(found.trials) == 5
    assert list(found.trials) == sorted(found.trials, reverse=True), "the best first"
    for choices, number in zip(found.architectures, found.trials, strict=True):
        was = trials[number].architecture
        assert NEW.architecture(choices).to_json() == choices
        assert choices["b"] == was["b"]
        assert choices["a"] == was["a"] or was["a"] == 1
        assert choices["n"] == was["n"] or was["n"] > 4
    assert found == transfer(NEW, OLD, trials, ACCURACY, count=5), "what is drawn is always the same"


def test_in_the_same_space_the_best_are_taken_over_whole_and_once() -> None:
    trials = [*earlier(40), Trial(40, Proposal(OLD.sample(generator(1))), status=Status.ERROR)]
    found = transfer(OLD, OLD, trials, ACCURACY, count=4)
    best = list(dict.fromkeys(trial.architecture.id for trial in reversed(trials[:40])))[:4]
    assert [OLD.architecture(choices).id for choices in found.architectures] == best
    assert found.said[-1] == "4 architectures are taken over, 4 of them with every decision"
    small = transfer(OLD, OLD, trials, ACCURACY, (Constraint("size", at_most=20),), count=4)
    assert small.trials[0] == 20, "what violates a constraint comes behind"


def test_what_cannot_be_used_is_said() -> None:
    other = Space(layer(dict, one_of(1, 2, name="z")))
    with pytest.raises(JobError, match=r"no decision of the earlier run is one of this space: 0 of 4 .* removed: z"):
        transfer(OLD, other, earlier(3, other), ACCURACY)
    with pytest.raises(JobError, match="none of the 3 earlier trials has a value of loss"):
        transfer(OLD, OLD, earlier(3), objectives("loss"))

    def nothing(architecture: Architecture) -> str:
        return "closed"

    closed = Space(layer(dict, one_of(1, 2, 3, name="a")), constraint=nothing)
    with pytest.raises(JobError, match="the space's constraint allows none of the 3 earlier architectures"):
        transfer(closed, OLD, earlier(3), ACCURACY)


def test_the_wrapper_conforms_and_stands_beside_a_list() -> None:
    def make(space: Space, sought: Sequence[Objective], rest: Sequence[Constraint]) -> WarmStart:
        inner = create("regularized_evolution", space, tuple(sought), tuple(rest), population=4)
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


def judge(architecture: Any) -> dict[str, float]:
    return {"accuracy": float(architecture["n"]) / 8 + 0.1 * (architecture["b"] == "y")}


def begun(folder: Path, space: Space, **given: Any) -> Any:
    return search(space, estimate.function(judge), run=folder, executor="inline", strategy="random", **given)


def test_a_search_begins_with_the_best_of_an_earlier_one_and_journals_what_it_took_over(tmp_path: Path) -> None:
    first = begun(tmp_path / "a", OLD, max_trials=20)
    second = begun(tmp_path / "b", NEW, max_trials=4, warm_start={"run": tmp_path / "a", "trials": 3})
    stored = second.state.created["warm_start"]
    trials = list(second.state.trials.values())
    assert [t.architecture.to_json() for t in trials[:3]] == stored["architectures"]
    assert [t.proposal.note["origin"] for t in trials] == ["warm_start"] * 3 + ["random"]
    assert first.state.trials[trials[0].proposal.note["earlier_trial"]].metrics == first.best.metrics
    assert any("warm start from" in message for message, _ in second.state.warnings)
    (tmp_path / "a" / "journal.db").rename(tmp_path / "gone.db")  # the journal of the new run has all it needs
    again = begun(tmp_path / "b", NEW, max_trials=6)
    assert len(again.trials) == 6
    assert open_run(tmp_path / "b").state.created["warm_start"] == stored


def test_a_warm_start_does_not_change(tmp_path: Path) -> None:
    for name in "ab":
        begun(tmp_path / name, OLD, max_trials=3)
    begun(tmp_path / "c", OLD, max_trials=2, warm_start=tmp_path / "a")
    assert len(begun(tmp_path / "c", OLD, max_trials=3, warm_start=tmp_path / "a").trials) == 3
    with pytest.raises(RunError, match=r"was begun from .*a, not from .*b; leave warm_start out"):
        begun(tmp_path / "c", OLD, max_trials=3, warm_start=tmp_path / "b")
    with pytest.raises(RunError, match=r"was begun without a warm start, not from .*b"):
        begun(tmp_path / "a", OLD, max_trials=3, warm_start=tmp_path / "b")
    with pytest.raises(JobError, match=r"there is no run in .*nowhere \(no journal.db\)"):
        begun(tmp_path / "d", OLD, warm_start=tmp_path / "nowhere")
    with pytest.raises(JobError, match=r"warm_start=\{'run': '.*', 'top': 3\}: an earlier run, its folder, or"):
        begun(tmp_path / "d", OLD, warm_start={"run": str(tmp_path / "a"), "top": 3})
    assert not (tmp_path / "d").exists()
