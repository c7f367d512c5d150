"""The graph of a cell with operations on its edges, compared with its paths as enumerated by brute force."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as hs

from ogive.errors import SpaceError
from ogive.space import Space, layer, one_of, wiring
from ogive.surrogates.graph_features import list_paths
from ogive.testing.spaces import part

PAIRS = tuple(itertools.combinations(range(4), 2))
OPERATIONS = ("none", "skip_connect", "conv", "pool")


@given(hs.tuples(*[hs.sampled_from(OPERATIONS)] * len(PAIRS)))
def test_the_paths_of_the_graph_are_the_paths_of_the_cell(choices: tuple[str, ...]) -> None:
    operations = dict(zip(PAIRS, choices, strict=True))
    expected = set()
    for n in range(3):
        for between in itertools.combinations((1, 2), n):
            labels_on_path = [operations[pair] for pair in itertools.pairwise((0, *between, 3))]
            if "none" not in labels_on_path:
                expected.add(("input", *(label for label in labels_on_path if label != "skip_connect"), "output"))
    labels, edges = wiring(operations)
    assert {path for path in list_paths(labels, edges) if path[0] == "input" and path[-1] == "output"} == expected
    connected = {node for edge in edges for node in edge}
    assert connected == (set(range(len(labels))) if expected else set()), "every node is on a path from input to output"


def test_a_restricted_space_keeps_the_graph_and_a_space_from_a_journal_has_none() -> None:
    def graph(architecture: object) -> tuple[list[str], list[tuple[int, int]]]:
        return ["input"], []

    space = Space(layer(part, one_of("a", "b", "c", name="o")), graph=graph)
    assert space.restricted({"o": ["a", "b"]}).graph is graph
    assert Space.from_json(space.to_json()).graph is None


def test_an_edge_to_a_lower_number_raises() -> None:
    with pytest.raises(SpaceError, match=r"edge \(2, 1\): .*from a lower number to a higher"):
        wiring({(0, 1): "conv", (2, 1): "conv"})
