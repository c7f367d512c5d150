"""Spaces of published cells bring the graph of an architecture along."""

from __future__ import annotations

import numpy as np
import pytest

from ogive.bench import nasbench101, nasbench201, nasbench_graph
from ogive.seeds import generator
from ogive.space import Space
from ogive.strategy.graphs import features, paths

SPACES = {module.__name__.rpartition(".")[2]: module.space for module in (nasbench101, nasbench201, nasbench_graph)}


@pytest.mark.parametrize("name", SPACES)
def test_all_operations_of_a_graph_are_passed_and_one_architecture_has_one_graph(name: str) -> None:
    space: Space = SPACES[name]()
    assert space.graph is not None
    rng, seen = generator(0), {}
    for architecture in [space.sample(rng) for _ in range(200)]:
        labels, edges = space.graph(architecture)
        assert all(0 <= source < target < len(labels) for source, target in edges)
        connected = {node for edge in edges for node in edge}
        assert connected in (set(range(len(labels))), set())
        assert all(path[-1] == "output" for path in paths(labels, edges) if len(path) > 1)
        row = features([(labels, edges)], depth=2)
        np.testing.assert_array_equal(row, seen.setdefault(architecture.id, row))


def test_the_graph_of_nasbench_graph_is_its_computation() -> None:
    """Nodes 3 and 4 follow node 2, a skip, which passes on what comes from node 1."""
    space = nasbench_graph.space()
    operations = {"operation1": "gcn", "operation2": "skip", "operation3": "gat", "operation4": "gin"}
    labels, edges = space.graph(space.architecture({"links": "0122", **operations}))  # type: ignore[misc]
    assert paths(labels, edges) == [("features", "gcn", "gat", "output"), ("features", "gcn", "gin", "output")]
