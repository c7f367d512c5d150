"""Features of the graphs of architectures: Weisfeiler-Lehman histograms of their labels, and their paths.

Shervashidze et al., "Weisfeiler-Lehman graph kernels" (JMLR 2011), section 3. For architectures: Ru, Wan, Dong and Osborne,
"Interpretable neural architecture search via Bayesian optimisation with Weisfeiler-Lehman kernels" (NAS-BOWL, ICLR 2021).

A graph is (labels, edges): a label for each node, and (from, to) pairs of node indices. Operations are nodes.

In shapes, n is the number of graphs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import JobError
from ogive.space import Architecture, Space
from ogive.space.graph import Edges, GraphFunction, Labels, compute_graph
from ogive.space.table import matches

WIDTH = 64
"""The number of columns of a histogram, and of the paths. Labels and paths are hashed to columns (Weinberger et al.,
"Feature hashing for large scale multitask learning", ICML 2009, but without signs)."""

MAX_PATHS = 100
"""At most this many paths of a graph are encoded; the longest paths are left out."""


def parse_graph_option(spec: Any, space: Space) -> GraphFunction | None:
    """Return the graph function that an option names. The result of a user's function is checked at each call.

    Args:
        spec: None for the graph that the space declares, "none" for no graph, "decisions" for `build_decision_graph`, a
            function of an architecture, or "module:function".
        space: the search space.

    Raises:
        JobError: `spec` is none of these, or cannot be imported.
    """
    if spec is None:
        return None if space.graph is None else partial(compute_graph, space.graph)
    if spec == "none":
        return None
    if callable(spec):
        return partial(compute_graph, spec)
    if spec == "decisions":
        return build_decision_graph
    if isinstance(spec, str) and ":" in spec:
        module, _, name = spec.partition(":")
        try:
            function = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise JobError(f"graph={spec!r} cannot be imported: {error}") from error
        if callable(function):
            return partial(compute_graph, function)
    raise JobError(
        f"graph={spec!r} is not valid; allowed are a function of an architecture, 'module:function', 'decisions', 'none' "
        "and None"
    )


def build_decision_graph(architecture: Architecture) -> tuple[Labels, Edges]:
    """Return the graph of active decisions: an edge goes from a decision to each decision that its label activates.

    Unlike the graph of a network, this graph can be computed for every space. The label of a node consists of the
    alternatives of the decision and the decision's label, but not of its name. Therefore decisions with the same
    alternatives and the same label have equal nodes.
    """
    active = [decision for decision in architecture.space.decisions if decision.name in architecture]
    index = {decision.name: i for i, decision in enumerate(active)}
    labels = [(repr(d.domain.describe()), repr(architecture[d.name])) for d in active]
    edges = {
        (index[name], index[decision.name])
        for decision in active
        for conjunction in decision.when
        if all(name in architecture and matches(architecture[name], allowed) for name, allowed in conjunction)
        for name, _ in conjunction
    }
    return labels, sorted(edges)


def iterate_relabelings(labels: Labels, edges: Edges, depth: int) -> Iterator[list[str]]:
    """Yield the labels of all nodes at the levels 0 ... `depth` of the Weisfeiler-Lehman algorithm.

    At each level, a node's label is combined with the sorted labels of its predecessors and of its successors. (The paper
    has undirected graphs, with one set of neighbours.)
    """
    node_labels = [repr(label) for label in labels]
    yield node_labels
    predecessors: list[list[int]] = [[] for _ in node_labels]
    successors: list[list[int]] = [[] for _ in node_labels]
    for source, target in edges:
        predecessors[target].append(source)
        successors[source].append(target)
    for _ in range(depth):
        # Algorithm 1, steps 1 and 2: determine the multisets of neighbours' labels, and sort them.
        node_labels = [
            f"{label}<{sorted(node_labels[i] for i in sources)}>{sorted(node_labels[i] for i in targets)}"
            for label, sources, targets in zip(node_labels, predecessors, successors, strict=True)
        ]
        # Steps 3 and 4: compress the labels, and relabel the nodes.
        node_labels = [f"{zlib.crc32(label.encode()):08x}" for label in node_labels]
        yield node_labels


def compute_features(graphs: Sequence[tuple[Labels, Edges]], depth: int) -> FloatArray:
    """Return the features [n, (depth + 2) * WIDTH] of n graphs: their histograms, level after level, then their paths.

    The features of equal graphs are computed once.
    """
    keys = [(tuple(labels), tuple(edges)) for labels, edges in graphs]
    row_of_key = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    rows = np.concatenate([compute_histograms(list(row_of_key), depth), encode_paths(list(row_of_key))], axis=1)
    return np.asarray(rows[[row_of_key[key] for key in keys]])


def compute_histograms(graphs: Sequence[tuple[Labels, Edges]], depth: int) -> FloatArray:
    """Return the counts of the labels at each level, [n, (depth + 1) * WIDTH].

    The counts are scaled so that two graphs that differ in the label of one node have the squared distance 1 at level 0.
    """
    counts = np.zeros((len(graphs), depth + 1, WIDTH))
    for row, (labels, edges) in enumerate(graphs):
        for level, current in enumerate(iterate_relabelings(labels, edges, depth)):
            for label in current:
                counts[row, level, zlib.crc32(label.encode()) % WIDTH] += math.sqrt(0.5)
    return counts.reshape(len(graphs), (depth + 1) * WIDTH)


def encode_paths(graphs: Sequence[tuple[Labels, Edges]]) -> FloatArray:
    """Return the paths [n, WIDTH] of each graph: a column is above 0 if the graph has a path that is hashed to it.

    The columns are scaled so that the squared distance of two graphs is 1 if each has exactly one path that the other lacks.
    """
    has_path = np.zeros((len(graphs), WIDTH))
    for row, (labels, edges) in enumerate(graphs):
        has_path[row, [zlib.crc32("\0".join(path).encode()) % WIDTH for path in list_paths(labels, edges)]] = math.sqrt(
            0.5
        )
    return has_path


def list_paths(labels: Labels, edges: Edges, max_paths: int = MAX_PATHS) -> list[tuple[str, ...]]:
    """Return the label sequences of the shortest paths from nodes without predecessors to nodes without successors.

    This is the truncated path encoding of White, Neiswanger and Savani (BANANAS, AAAI 2021).

    Args:
        labels: the labels of the nodes.
        edges: (from, to) pairs of node indices, without cycles.
        max_paths: the maximum number of returned paths; the longest paths are left out.
    """
    successors: list[list[int]] = [[] for _ in labels]
    has_predecessor = set()
    for source, target in edges:
        successors[source].append(target)
        has_predecessor.add(target)
    paths_of_node: dict[int, list[tuple[str, ...]]] = {}

    def list_paths_from(node: int) -> list[tuple[str, ...]]:
        if node not in paths_of_node:
            label = (str(labels[node]),)
            # Only the shortest paths from a node are kept. Every path that reaches the node can continue along each of them,
            # so longer ones are not among the shortest paths of the graph.
            paths = {label + path for successor in successors[node] for path in list_paths_from(successor)}
            paths_of_node[node] = _select_shortest(paths or {label}, max_paths)
        return paths_of_node[node]

    sources = [node for node in range(len(labels)) if node not in has_predecessor]
    return _select_shortest({path for node in sources for path in list_paths_from(node)}, max_paths)


def _select_shortest(paths: set[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    return sorted(paths, key=lambda path: (len(path), path))[:count]
