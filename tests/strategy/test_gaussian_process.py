"""The strategy `gp`: what it finds, what its notes say, and constraints, failures and several objectives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from ogive.errors import JobError
from ogive.objective import Constraint, hypervolume, parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of, wiring
from ogive.strategy.auto import Auto
from ogive.strategy.gaussian_process import GaussianProcess
from ogive.surrogates.gp_regression import draw_parameters
from ogive.surrogates.graph_features import list_paths
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(*range(4), name=f"d{i}") for i in range(5)), integer(1, 9, name="n")))
ACCURACY = parse_objectives("accuracy")
Metrics = Mapping[str, float]


def bowl(architecture: Architecture) -> Metrics:
    """Return 0 for one of 9,216 architectures, and less for all others."""
    return {"accuracy": -sum(abs(architecture[f"d{i}"] - i % 4) for i in range(5)) - abs(architecture["n"] - 7) / 2}


def search(
    strategy: GaussianProcess, count: int, evaluate: Callable[[Architecture], Metrics | None] = bowl
) -> list[Trial]:
    """Return the trials of a search, one after another; a trial fails if `evaluate` returns None."""
    trials = []
    for number in range(count):
        proposal = strategy.ask(generator(0, number), Pending(), {})
        metrics = evaluate(proposal.architecture)
        if metrics is None:
            trials.append(Trial(number, proposal, status=Status.OUT_OF_MEMORY))
        else:
            trials.append(Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),)))
        strategy.tell(trials[-1])
    return trials


def test_finds_the_optimum_of_9216_within_50_trials() -> None:
    values = [trial.metrics["accuracy"] for trial in search(GaussianProcess(SPACE, ACCURACY), 50)]
    assert max(values) == 0


def test_gp_finds_better_cells_with_their_graph() -> None:
    """The value depends on paths; only 7 of 4,096 cells have the two good paths and no others."""
    pairs = tuple(itertools.combinations(range(4), 2))

    def graph(cell: Architecture) -> tuple[list[str], list[tuple[int, int]]]:
        return wiring({(a, b): cell[f"{a}-{b}"] for a, b in pairs})

    def evaluate(cell: Architecture) -> Metrics:
        cell_paths = list_paths(*graph(cell))
        good = 2 * (("input", "conv", "pool", "conv", "output") in cell_paths)
        good += ("input", "conv", "output") in cell_paths
        return {"accuracy": good - 0.2 * len(cell_paths)}

    operations = ("none", "skip_connect", "conv", "pool")
    space = Space(layer(dict, *(one_of(*operations, name=f"{a}-{b}") for a, b in pairs)), graph=graph)
    best = {
        option: max(
            trial.metrics["accuracy"]
            for trial in search(GaussianProcess(space, ACCURACY, graph=option, draws=2), 40, evaluate)
        )
        for option in (None, "none")
    }
    assert best == {None: pytest.approx(2.6), "none": pytest.approx(0.8)}


def test_auto_gives_its_reason_also_after_trials_of_a_warm_start() -> None:
    strategy = Auto(SPACE, ACCURACY)
    warm = Trial(0, Proposal(SPACE.sample(generator(1)), note={"origin": "warm start"}), status=Status.FINISHED)
    strategy.tell(warm)
    first = strategy.ask(generator(2), Pending(), {})
    assert "gp needed the fewest trials" in first.note["why"]
    strategy.tell(Trial(1, first, status=Status.FINISHED, reports=(Report(1, {"accuracy": 0.5}),)))
    assert "why" not in strategy.ask(generator(3), Pending(), {}).note


def test_a_local_search_starts_elsewhere_when_all_neighbors_of_the_best_are_known() -> None:
    space = Space(layer(dict, *(one_of(*range(4), name=f"d{i}") for i in range(4))))  # 12 neighbours each

    def hill(architecture: Architecture) -> Metrics:
        return {"accuracy": -sum(label != 2 for label in architecture.values())}

    trials = search(GaussianProcess(space, ACCURACY, draws=1, local=2), 50, hill)
    first = next(trial.id for trial in trials if trial.metrics["accuracy"] == 0)
    elsewhere = [trial for trial in trials if trial.proposal.note.get("search", 0) > 0]
    assert all(trial.id % 2 == 0 for trial in elsewhere), "only asks for local steps go to the local search"
    evaluated = {trial.architecture.id for trial in trials if trial.id < elsewhere[0].id}
    assert evaluated >= {n.id for n in space.neighbors(trials[first].architecture)}
    assert {trial.proposal.note["origin"] for trial in elsewhere} == {"random", "local search"}


def test_a_space_too_large_to_enumerate_is_searched_by_moves() -> None:
    space = Space(layer(dict, *(one_of(*"abcd", name=f"d{i}") for i in range(12))))  # 10^7

    strategy = GaussianProcess(space, ACCURACY, candidates=300, draws=2)

    def share(architecture: Architecture) -> Metrics:
        return {"accuracy": sum(label == "b" for label in architecture.values()) / 12}

    best = max(trial.metrics["accuracy"] for trial in search(strategy, 35, share))
    assert best == 1.0


def test_the_note_says_on_how_many_trials_it_was_fitted_and_the_origin_of_a_proposal() -> None:
    strategy = GaussianProcess(SPACE, ACCURACY, max_fit=15, draws=1)
    trials = search(strategy, 24)
    note = strategy.ask(generator(1), Pending(), {}).note
    assert (note["origin"], note["fitted_on"], note["of"]) == ("model", 15, 24)
    assert [trial.proposal.note["origin"] for trial in trials[:6]] == ["random"] * 5 + ["model"]


def test_a_pending_architecture_is_not_proposed_again_and_changes_the_next_proposal() -> None:
    strategy = GaussianProcess(SPACE, ACCURACY)
    search(strategy, 20)
    pending: dict[int, Proposal] = {}
    for number in range(20, 28):
        pending[number] = strategy.ask(generator(1), Pending(pending), {})
    assert len({proposal.architecture.id for proposal in pending.values()}) == 8
    assert strategy.ask(generator(1), Pending(), {}) == pending[20]


def test_a_constraint_on_a_reported_metric_is_learned() -> None:
    """The optimum of the bowl has d3 = 3, but only 0 and 1 are feasible, as in half of random trials."""

    def evaluate(architecture: Architecture) -> Metrics:
        return {**bowl(architecture), "latency": architecture["d3"]}

    strategy = GaussianProcess(SPACE, ACCURACY, (Constraint("latency", at_most=1),), candidates=500, draws=2)
    trials = search(strategy, 45, evaluate)
    assert max(trial.metrics["accuracy"] for trial in trials if trial.metrics["latency"] <= 1) == -2
    assert sum(trial.metrics["latency"] > 1 for trial in trials[25:]) <= 6


def test_the_strategy_learns_which_architectures_fail() -> None:
    strategy = GaussianProcess(SPACE, ACCURACY, candidates=500, draws=2)
    trials = search(strategy, 45, lambda a: None if a["d0"] in (0, 3) else bowl(a))
    assert max(trial.metrics["accuracy"] for trial in trials if not trial.status.failed) == -1
    assert sum(trial.status.failed for trial in trials[25:]) <= 6, "half of random trials fail"


def test_equal_networks_have_one_embedding_and_are_proposed_once() -> None:
    """By the canonical form, three decisions in any order are one network, which is proposed in one form only."""
    space = Space(
        layer(dict, *(one_of(*"abcdef", name=f"d{i}") for i in range(3))), canonical=lambda a: sorted(a.values())
    )
    strategy = GaussianProcess(space, ACCURACY)
    trials = search(strategy, 40, lambda a: {"accuracy": "".join(sorted(a.values())).count("b") - ("f" in a.values())})
    assert len({trial.architecture.id for trial in trials[5:]}) == 35
    forms = [space.architecture({"d0": x, "d1": y, "d2": z}) for x, y, z in ("abc", "cab")]
    first, second = strategy._pool.embed(forms)
    np.testing.assert_array_equal(first, second)


def test_two_objectives_reach_more_hypervolume_than_random_search() -> None:
    def evaluate(architecture: Architecture) -> Metrics:
        return {
            **bowl(architecture),
            "latency": float(sum(architecture[f"d{i}"] for i in range(5)) + architecture["n"]),
        }

    def volume(trials: list[Trial]) -> float:
        return hypervolume([[-t.metrics["accuracy"], t.metrics["latency"]] for t in trials], (12.0, 24.0))

    both = parse_objectives(["accuracy", "latency"])
    with_model = search(GaussianProcess(SPACE, both, candidates=500, draws=2), 30, evaluate)
    random = search(GaussianProcess(SPACE, both, initial=120), 120, evaluate)
    assert volume(with_model) > volume(random), "with a quarter of the trials"


def test_parameters_are_drawn_rarely_and_not_for_all_outputs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an ask takes long: the parameters of the rank would be drawn again after every trial."""
    draws: list[int] = []  # of each ask

    def count_draws(*arguments: Any, **keywords: Any) -> Any:
        draws[-1] += 1
        return draw_parameters(*arguments, **keywords)

    def evaluate(architecture: Architecture) -> Metrics | None:
        cost = float(architecture["n"] + architecture["d0"])
        return None if architecture["d1"] == 3 else {**bowl(architecture), "latency": cost, "memory": cost % 5}

    monkeypatch.setattr("ogive.surrogates.metric_models.draw_parameters", count_draws)
    names = parse_objectives(["accuracy", "latency"])
    strategy = GaussianProcess(SPACE, names, [Constraint("memory", at_most=3)], candidates=40, draws=1, max_fit=60)
    for number in range(240):
        proposal = Proposal(SPACE.sample(generator(1, number)))
        metrics = evaluate(proposal.architecture)
        status = Status.ERROR if metrics is None else Status.FINISHED
        if number >= 210:
            draws.append(0)
            strategy.ask(generator(2, number), Pending(), {})
        strategy.tell(Trial(number, proposal, status=status, reports=(Report(1, metrics),) if metrics else ()))
    assert sum(draws[1:]) <= 15
    assert max(draws[1:]) <= 2


@pytest.mark.parametrize("option", ["initial", "candidates", "draws", "max_fit"])
def test_an_error_names_the_wrong_option(option: str) -> None:
    with pytest.raises(JobError, match=f"strategy 'gp': {option} is -1, but must be a whole number"):
        GaussianProcess(SPACE, ACCURACY, **{option: -1})
