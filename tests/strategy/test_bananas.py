"""BANANAS: the ensemble's gradients against differences, what it learns, and what the strategy finds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ogive.objective import objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of
from ogive.strategy.bananas import Bananas
from ogive.strategy.observations import collect_observations, normal_scores
from ogive.surrogates.graph_features import paths
from ogive.surrogates.network_ensemble import Layers, _forward, _gradients, fit_ensemble
from ogive.trial import Pending, Proposal, Report, Status, Trial

ACCURACY = objectives("accuracy")
OPERATIONS = ("none", "conv", "pool", "skip")
SPACE = Space(layer(dict, *(one_of(*OPERATIONS, name=edge) for edge in ("01", "02", "12", "03", "13", "23"))))


def cell(architecture: Architecture) -> tuple[list[str], list[tuple[int, int]]]:
    """Operations are nodes between an input and an output; `none` is left out."""
    kept = [edge for edge in architecture if architecture[edge] != "none"]
    labels = ["in", *(architecture[edge] for edge in kept), "out"]
    edges = [(0, 1 + i) for i, edge in enumerate(kept) if edge[0] == "0"]
    edges += [(1 + i, len(labels) - 1) for i, edge in enumerate(kept) if edge[1] == "3"]
    edges += [(1 + i, 1 + j) for i, a in enumerate(kept) for j, b in enumerate(kept) if a[1] == b[0]]
    return labels, edges


def accuracy(architecture: Architecture) -> float:
    """Two convolutions in a row, better than one, and a way around them: what a path encoding tells."""
    first, second = architecture["01"] == "conv", architecture["13"] == "conv"
    return 0.3 * first + 0.3 * second + 0.4 * (first and second) + 0.5 * (architecture["03"] == "skip")


def test_gradients_are_those_of_finite_differences() -> None:
    rng = generator(0)
    x, y = rng.random((7, 4)), rng.standard_normal(7)
    sizes = (4, 5, 3, 1)
    layers: Layers = [(rng.standard_normal((2, a, b)), rng.standard_normal((2, 1, b))) for a, b in pairwise(sizes)]

    def loss() -> float:
        squares = ((_forward(layers, x)[-1][..., 0] - y) ** 2).mean(axis=1).sum()
        return float(squares + 0.5 * 0.01 * sum((weights**2).sum() for weights, _ in layers))

    for part, gradient in zip((p for pair in layers for p in pair), _gradients(layers, x, y, 0.01), strict=True):
        place = (1, 0, part.shape[2] - 1)
        differences = []
        for step in (1e-6, -2e-6):
            part[place] += step
            differences.append(loss())
        part[place] += 1e-6
        np.testing.assert_allclose(gradient[place], (differences[0] - differences[1]) / 2e-6, rtol=1e-5, atol=1e-8)


def test_an_ensemble_learns_an_interaction_and_doubts_what_it_has_not_seen() -> None:
    rng = generator(1)
    x = rng.integers(0, 2, (120, 6)).astype(float)
    y = np.where(x[:, 0] == x[:, 1], 1.0, -1.0)
    ensemble = fit_ensemble(x[:80], y[:80], rng)
    assert (np.sign(ensemble.predict(x[80:]).mean(axis=0)) == y[80:]).mean() > 0.9
    far = ensemble.predict(np.full((1, 6), 4.0)).std(axis=0)
    assert far > 3 * ensemble.predict(x[80:]).std(axis=0).mean()


def test_path_encoding_finds_what_matters_in_few_trials() -> None:
    strategy = Bananas(SPACE, ACCURACY, graph=cell)
    values = []
    for number in range(40):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        values.append(accuracy(proposal.architecture))
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, {"accuracy": values[-1]}),)))
    assert max(values) == 1.5
    assert proposal.note["origin"] == "model"
    assert proposal.note["of"] == 39


def filled(trials: int) -> Bananas:
    strategy = Bananas(SPACE, ACCURACY)
    for number in range(trials):
        proposal = Proposal(SPACE.sample(generator(4, number)))
        metrics = {"accuracy": accuracy(proposal.architecture)}
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),)))
    return strategy


def test_thompson_sampling_draws_each_candidate_by_itself_from_what_the_ensemble_says() -> None:
    """Section 5 of the paper: N(mean, deviation^2) of the members, independent from candidate to candidate."""
    strategy = filled(30)
    known = collect_observations(list(strategy._trials.values()), ACCURACY, (), at_least=10)
    y = normal_scores(known.ranks().astype(float))
    candidates = [SPACE.sample(generator(5, i)) for i in range(4)]
    drawn = np.array([strategy._thompson(known, y, candidates, generator(6, i)) for i in range(3000)])
    assert strategy._trained is not None
    predicted = strategy._trained[1].predict(SPACE.encode(candidates))
    deviation = predicted.std(axis=0, ddof=1)
    assert (np.abs(drawn.mean(axis=0) - predicted.mean(axis=0)) < 5 * deviation / np.sqrt(3000)).all()
    assert drawn.std(axis=0, ddof=1) == pytest.approx(deviation, rel=0.08)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.08


def test_the_best_are_mutated_and_the_shortest_paths_are_the_columns() -> None:
    strategy = Bananas(SPACE, ACCURACY, parents=5, candidates=20, graph=cell, max_paths=5)
    for trial in filled(30)._trials.values():
        strategy.tell(trial)
    values = {number: trial.metrics["accuracy"] for number, trial in strategy._trials.items()}
    best = sorted(values, key=lambda number: -values[number])[:5]
    chosen = {strategy.ask(generator(8, i), Pending(), {}).note["parent"] for i in range(60)}
    assert chosen <= set(best)
    assert len(chosen) > 2
    architectures = [trial.architecture for trial in strategy._trials.values()]
    known, asked = strategy._encode(architectures, architectures[:3])
    every = sorted(set().union(*(paths(*cell(a)) for a in architectures)), key=lambda path: (len(path), path))
    assert known.tolist() == [[float(path in paths(*cell(a))) for path in every[:5]] for a in architectures]
    assert asked.tolist() == known[:3].tolist()


def test_what_is_in_flight_is_not_proposed_again() -> None:
    strategy, pending = filled(30), dict[int, Proposal]()
    for number in range(30, 50):
        pending[number] = strategy.ask(generator(7, number), Pending(pending), {})
    assert len({proposal.architecture.id for proposal in pending.values()}) == 20
    assert {proposal.note["origin"] for proposal in pending.values()} == {"model"}


def test_the_zoo_cell_has_a_graph_whose_paths_are_those_of_the_cell() -> None:
    nasbench = pytest.importorskip("ogive.zoo.nasbench")
    choices = dict(zip((f"edge{e}" for e in range(6)), ("a", "none", "b", "c", "none", "d"), strict=True))
    assert paths(*nasbench.nasbench201_graph(choices)) == [
        ("input", "c", "output"),
        ("input", "a", "b", "d", "output"),
    ]
