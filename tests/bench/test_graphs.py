"""The graphs of architectures in the spaces of published benchmarks."""

from __future__ import annotations

import numpy as np
import pytest

from ogive.bench import nasbench101, nasbench201, nasbench_graph
from ogive.objective import parse_objectives
from ogive.seeds import generator
from ogive.space import Space
from ogive.strategy.gaussian_process import GaussianProcess
from ogive.surrogates.graph_features import compute_features, list_paths
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACES = {
    module.__name__.rpartition(".")[2]: module.make_space for module in (nasbench101, nasbench201, nasbench_graph)
}


@pytest.mark.parametrize("name", SPACES)
def test_graphs_are_connected_and_equal_for_equal_architectures(name: str) -> None:
    space: Space = SPACES[name]()
    assert space.graph is not None
    rng, rows = generator(0), {}
    for architecture in [space.sample(rng) for _ in range(200)]:
        labels, edges = space.graph(architecture)
        assert all(0 <= source < target < len(labels) for source, target in edges)
        connected = {node for edge in edges for node in edge}
        assert connected in (set(range(len(labels))), set())
        assert all(path[-1] == "output" for path in list_paths(labels, edges) if len(path) > 1)
        row = compute_features([(labels, edges)], depth=2)
        np.testing.assert_array_equal(row, rows.setdefault(architecture.id, row))


@pytest.mark.parametrize("name", SPACES)
def test_the_surrogate_uses_graphs_in_small_and_large_spaces(name: str) -> None:
    space: Space = SPACES[name]()
    strategy = GaussianProcess(space, parse_objectives("accuracy"), candidates=40, draws=1)
    pending = {99: Proposal(space.sample(generator(1)))}
    for number in range(7):
        proposal = strategy.ask(generator(2, number), Pending(pending if number == 6 else {}), {})
        reports = (Report(1, {"accuracy": number / 7}),)
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=reports))
    assert proposal.note["origin"] == "model"


def test_an_infeasible_cell_has_a_graph() -> None:
    """A strategy may receive it as a failed trial."""
    space = nasbench101.make_space()
    choices = {d.name: 0 if d.name.startswith("edge") else nasbench101.OPERATIONS[0] for d in space.decisions}
    assert space.graph is not None
    assert space.graph(space.architecture(choices)) == (("input", "output"), [])


def test_the_graph_of_nasbench_graph_has_no_skips_that_do_nothing() -> None:
    """Nodes 3 and 4 follow node 2, a skip, which returns the output of node 1."""
    space = nasbench_graph.make_space()
    operations = {"operation1": "gcn", "operation2": "skip", "operation3": "gat", "operation4": "gin"}
    labels, edges = space.graph(space.architecture({"links": "0122", **operations}))  # type: ignore[misc]
    assert list_paths(labels, edges) == [("features", "gcn", "gat", "output"), ("features", "gcn", "gin", "output")]
