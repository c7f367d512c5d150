"""BANANAS: the gradients of the ensemble, what it learns, and what the strategy finds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ogive.objective import parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of
from ogive.strategy.bananas import Bananas
from ogive.strategy.observations import collect_observations, normal_scores
from ogive.surrogates.graph_features import list_paths
from ogive.surrogates.network_ensemble import Layers, _compute_gradients, _forward, fit_ensemble
from ogive.trial import Pending, Proposal, Report, Status, Trial

ACCURACY = parse_objectives("accuracy")
OPERATIONS = ("none", "conv", "pool", "skip")
SPACE = Space(layer(dict, *(one_of(*OPERATIONS, name=edge) for edge in ("01", "02", "12", "03", "13", "23"))))


def cell_graph(architecture: Architecture) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the graph of a cell: operations are nodes between an input and an output; `none` is left out."""
    names = [edge for edge in architecture if architecture[edge] != "none"]
    labels = ["in", *(architecture[edge] for edge in names), "out"]
    edges = [(0, 1 + i) for i, edge in enumerate(names) if edge[0] == "0"]
    edges += [(1 + i, len(labels) - 1) for i, edge in enumerate(names) if edge[1] == "3"]
    edges += [(1 + i, 1 + j) for i, a in enumerate(names) for j, b in enumerate(names) if a[1] == b[0]]
    return labels, edges


def accuracy(architecture: Architecture) -> float:
    """Two convolutions in a row are better than one, and a skip connection past them helps: properties of paths."""
    first, second = architecture["01"] == "conv", architecture["13"] == "conv"
    return 0.3 * first + 0.3 * second + 0.4 * (first and second) + 0.5 * (architecture["03"] == "skip")


def test_gradients_equal_finite_differences() -> None:
    rng = generator(0)
    x, y = rng.random((7, 4)), rng.standard_normal(7)
    sizes = (4, 5, 3, 1)
    layers: Layers = [(rng.standard_normal((2, a, b)), rng.standard_normal((2, 1, b))) for a, b in pairwise(sizes)]

    def loss() -> float:
        squares = ((_forward(layers, x)[-1][..., 0] - y) ** 2).mean(axis=1).sum()
        return float(squares + 0.5 * 0.01 * sum((weights**2).sum() for weights, _ in layers))

    for part, gradient in zip(
        (p for pair in layers for p in pair), _compute_gradients(layers, x, y, 0.01), strict=True
    ):
        index = (1, 0, part.shape[2] - 1)
        losses = []
        for step in (1e-6, -2e-6):
            part[index] += step
            losses.append(loss())
        part[index] += 1e-6
        np.testing.assert_allclose(gradient[index], (losses[0] - losses[1]) / 2e-6, rtol=1e-5, atol=1e-8)


def test_an_ensemble_learns_an_interaction_and_is_uncertain_far_from_its_data() -> None:
    rng = generator(1)
    x = rng.integers(0, 2, (120, 6)).astype(float)
    y = np.where(x[:, 0] == x[:, 1], 1.0, -1.0)
    ensemble = fit_ensemble(x[:80], y[:80], rng)
    assert (np.sign(ensemble.predict(x[80:]).mean(axis=0)) == y[80:]).mean() > 0.9
    far = ensemble.predict(np.full((1, 6), 4.0)).std(axis=0)
    assert far > 3 * ensemble.predict(x[80:]).std(axis=0).mean()


def test_with_the_path_encoding_the_best_architecture_is_found_in_40_trials() -> None:
    strategy = Bananas(SPACE, ACCURACY, graph=cell_graph)
    values = []
    for number in range(40):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        values.append(accuracy(proposal.architecture))
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, {"accuracy": values[-1]}),)))
    assert max(values) == 1.5
    assert proposal.note["origin"] == "model"
    assert proposal.note["of"] == 39


def strategy_with_trials(trials: int) -> Bananas:
    strategy = Bananas(SPACE, ACCURACY)
    for number in range(trials):
        proposal = Proposal(SPACE.sample(generator(4, number)))
        metrics = {"accuracy": accuracy(proposal.architecture)}
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),)))
    return strategy


def test_thompson_sampling_draws_each_candidate_independently_from_the_ensembles_distribution() -> None:
    """Independent Thompson sampling: N(mean, deviation^2) of the members, independent from candidate to candidate."""
    strategy = strategy_with_trials(30)
    observations = collect_observations(list(strategy._trials.values()), ACCURACY, (), at_least=10)
    architectures = [trial.architecture for trial in observations.trials]
    y = normal_scores(observations.ranks().astype(float))
    candidates = [SPACE.sample(generator(5, i)) for i in range(4)]
    samples = np.array(
        [strategy._sample_scores(architectures, y, candidates=candidates, rng=generator(6, i)) for i in range(3000)]
    )
    assert strategy._fitted is not None
    predictions = strategy._fitted[1].predict(SPACE.encode(candidates))
    deviation = predictions.std(axis=0, ddof=1)
    assert (np.abs(samples.mean(axis=0) - predictions.mean(axis=0)) < 5 * deviation / np.sqrt(3000)).all()
    assert samples.std(axis=0, ddof=1) == pytest.approx(deviation, rel=0.08)
    assert np.abs(np.corrcoef(samples.T) - np.eye(4)).max() < 0.08


def test_the_best_are_mutated_and_the_shortest_paths_are_the_columns() -> None:
    strategy = Bananas(SPACE, ACCURACY, parents=5, candidates=20, graph=cell_graph, max_paths=5)
    for trial in strategy_with_trials(30)._trials.values():
        strategy.tell(trial)
    values = {number: trial.metrics["accuracy"] for number, trial in strategy._trials.items()}
    best = sorted(values, key=lambda number: -values[number])[:5]
    parents = {strategy.ask(generator(8, i), Pending(), {}).note["parent"] for i in range(60)}
    assert parents <= set(best)
    assert len(parents) > 2
    architectures = [trial.architecture for trial in strategy._trials.values()]
    encoding, candidate_encoding = strategy._encode(architectures, architectures[:3])
    every_path = set().union(*(list_paths(*cell_graph(a)) for a in architectures))
    shortest = sorted(every_path, key=lambda path: (len(path), path))[:5]
    assert encoding.tolist() == [
        [float(path in list_paths(*cell_graph(a))) for path in shortest] for a in architectures
    ]
    assert candidate_encoding.tolist() == encoding[:3].tolist()


def test_a_pending_architecture_is_not_proposed_again() -> None:
    strategy, pending = strategy_with_trials(30), dict[int, Proposal]()
    for number in range(30, 50):
        pending[number] = strategy.ask(generator(7, number), Pending(pending), {})
    assert len({proposal.architecture.id for proposal in pending.values()}) == 20
    assert {proposal.note["origin"] for proposal in pending.values()} == {"model"}


def test_the_graph_of_the_zoo_cell_has_the_paths_of_the_cell() -> None:
    nasbench = pytest.importorskip("ogive.zoo.nasbench")
    choices = dict(zip((f"edge{e}" for e in range(6)), ("a", "none", "b", "c", "none", "d"), strict=True))
    assert list_paths(*nasbench.nasbench201_graph(choices)) == [
        ("input", "c", "output"),
        ("input", "a", "b", "d", "output"),
    ]
