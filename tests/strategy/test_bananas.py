"""BANANAS: the ensemble's gradients against differences, what it learns, and what the strategy finds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ogive.objective import objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of
from ogive.strategy.bananas import Bananas
from ogive.strategy.graphs import paths
from ogive.strategy.predictors import Layers, _forward, _gradients, fit_ensemble
from ogive.trial import Pending, Report, Status, Trial

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


def test_the_zoo_cell_has_a_graph_whose_paths_are_those_of_the_cell() -> None:
    nasbench = pytest.importorskip("ogive.zoo.nasbench")
    choices = dict(zip((f"edge{e}" for e in range(6)), ("a", "none", "b", "c", "none", "d"), strict=True))
    assert paths(*nasbench.nasbench201_graph(choices)) == {
        ("input", "a", "b", "d", "output"),
        ("input", "c", "output"),
    }
