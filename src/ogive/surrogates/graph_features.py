"""Graphs of architectures: the Weisfeiler-Lehman histograms of their labels, and their paths.

Shervashidze et al., "Weisfeiler-Lehman graph kernels" (JMLR 2011), section 3; for architectures: Ru et al.,
"Interpretable neural architecture search via Bayesian optimisation with Weisfeiler-Lehman kernels" (NAS-BOWL, ICLR 2021).

A graph is (labels, edges): a label for each node, and (from, to) pairs of the nodes' numbers. Operations are nodes.
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
from ogive.space.graph import Edges, Graph, Labels, checked_graph
from ogive.space.table import matches

WIDTH = 64
"""Columns of the histogram of a level, and of paths; they are hashed to them (Weinberger et al. 2009, without signs)."""

PATHS = 100
"""The shortest paths of a graph that are looked at."""


def graph_of(spec: Any, space: Space) -> Graph | None:
    """The graph function behind an option: None for the space's own, "none", "decisions", "module:function", or a function.

    What a user's function returns is checked at each call.

    Raises:
        JobError: it is none of these, or cannot be imported.
    """
    if spec is None:
        return None if space.graph is None else partial(checked_graph, space.graph)
    if spec == "none":
        return None
    if callable(spec):
        return partial(checked_graph, spec)
    if spec == "decisions":
        return decision_graph
    if isinstance(spec, str) and ":" in spec:
        module, _, name = spec.partition(":")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise JobError(f"graph={spec!r} cannot be imported: {error}") from error
        if callable(found):
            return partial(checked_graph, found)
    raise JobError(f'graph={spec!r}: a function of an architecture, "module:function", "decisions", "none", or None')


def decision_graph(architecture: Architecture) -> tuple[Labels, Edges]:
    """A graph of any declared space: active decisions, each below those whose labels activate it.

    A node is labelled with its decision's alternatives and its choice, not with its decision's name: equal choices at
    different places are equal nodes.
    """
    active = [decision for decision in architecture.space.decisions if decision.name in architecture]
    number = {decision.name: i for i, decision in enumerate(active)}
    labels = [(repr(d.domain.describe()), repr(architecture[d.name])) for d in active]
    edges = {
        (number[name], number[decision.name])
        for decision in active
        for conjunction in decision.when
        if all(name in architecture and matches(architecture[name], labels) for name, labels in conjunction)
        for name, _ in conjunction
    }
    return labels, sorted(edges)


def relabelled(labels: Labels, edges: Edges, depth: int) -> Iterator[list[str]]:
    """Labels of all nodes at level 0 ... `depth`: at each, a node's label with the sorted ones before and after it."""
    current = [repr(label) for label in labels]
    yield current
    before: list[list[int]] = [[] for _ in current]
    after: list[list[int]] = [[] for _ in current]
    for source, target in edges:
        before[target].append(source)
        after[source].append(target)
    for _ in range(depth):
        current = [
            f"{own}<{sorted(current[i] for i in sources)}>{sorted(current[i] for i in targets)}"
            for own, sources, targets in zip(current, before, after, strict=True)
        ]
        current = [f"{zlib.crc32(label.encode()):08x}" for label in current]  # compressed, as in the paper
        yield current


def features(graphs: Sequence[tuple[Labels, Edges]], depth: int) -> FloatArray:
    """[n] graphs -> [n, (depth + 2) * WIDTH]: their histograms, then which paths there are; equal graphs are seen once."""
    keys = [(tuple(labels), tuple(edges)) for labels, edges in graphs]
    rows = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    found = np.concatenate([histograms(list(rows), depth), path_columns(list(rows))], axis=1)
    return np.asarray(found[[rows[key] for key in keys]])


def histograms(graphs: Sequence[tuple[Labels, Edges]], depth: int) -> FloatArray:
    """[n] graphs -> [n, (depth + 1) * WIDTH]: counts of labels, level after level, scaled so that two graphs that differ
    in one node are at squared distance 1 at level 0.
    """
    counts = np.zeros((len(graphs), depth + 1, WIDTH))
    for row, (labels, edges) in enumerate(graphs):
        for level, current in enumerate(relabelled(labels, edges, depth)):
            for label in current:
                counts[row, level, zlib.crc32(label.encode()) % WIDTH] += math.sqrt(0.5)
    return counts.reshape(len(graphs), (depth + 1) * WIDTH)


def path_columns(graphs: Sequence[tuple[Labels, Edges]]) -> FloatArray:
    """[n] graphs -> [n, WIDTH]: which paths there are; where one stands for another the squared distance is 1."""
    there = np.zeros((len(graphs), WIDTH))
    for row, (labels, edges) in enumerate(graphs):
        there[row, [zlib.crc32("\0".join(path).encode()) % WIDTH for path in paths(labels, edges)]] = math.sqrt(0.5)
    return there


def paths(labels: Labels, edges: Edges, most: int = PATHS) -> list[tuple[str, ...]]:
    """The sequences of labels on ways from a node without predecessors to one without successors, the `most` shortest: the
    truncated path encoding of White et al. (BANANAS, AAAI 2021, section 4). The graph has no circles.
    """
    after: list[list[int]] = [[] for _ in labels]
    entered = set()
    for source, target in edges:
        after[source].append(target)
        entered.add(target)
    known: dict[int, list[tuple[str, ...]]] = {}

    def ways(node: int) -> list[tuple[str, ...]]:
        if node not in known:
            own = (str(labels[node]),)
            known[node] = _shortest(
                {own + rest for following in after[node] for rest in ways(following)} or {own}, most
            )
        return known[node]

    return _shortest({way for node in range(len(labels)) if node not in entered for way in ways(node)}, most)


def _shortest(found: set[tuple[str, ...]], most: int) -> list[tuple[str, ...]]:
    return sorted(found, key=lambda path: (len(path), path))[:most]
