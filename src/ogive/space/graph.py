"""The graph of an architecture: what a space whose decisions wire a cell says of it beside its decisions.

Two labels at neighbouring places mean more together than apart, and a convolution that leads nowhere means nothing. A
model of decisions has to find that out from trials; a space declared with `graph=` tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Integral
from typing import Any

from ogive.errors import SpaceError
from ogive.space.architecture import Architecture
from ogive.user_code import call, fault

Labels = Sequence[Any]
Edges = Sequence[tuple[int, int]]
Graph = Callable[[Architecture], tuple[Labels, Edges]]
"""Gives a label for each node, and (from, to) pairs of the nodes' numbers; without circles."""


def wiring(
    operations: Mapping[tuple[int, int], str], *, absent: str = "none", identity: str = "skip_connect"
) -> tuple[list[str], list[tuple[int, int]]]:
    """The graph of a cell whose operations are on its edges: its nodes are the operations, between `input` and `output`.

    Args:
        operations: by (from, to), from 0, the input, to the highest number, the output; from below to.
        absent: the operation that is none: its edge is left out.
        identity: the operation that changes nothing: what follows it follows what came before.

    What does not lie on a way from input to output is left out, so that cells which compute the same are mostly equal.

    Raises:
        SpaceError: an edge leads back.
    """
    for start, end in operations:
        if not 0 <= start < end:
            raise SpaceError(f"wiring: edge ({start}, {end}): edges go from a lower number to a higher one, from 0 on")
    last = max(end for _, end in operations)
    passed = [1 << node for node in range(last + 1)]  # bits: where the value of a node is passed on to as it is
    real = []
    for edge in sorted(operations, reverse=True):
        if operations[edge] == identity:
            passed[edge[0]] |= passed[edge[1]]
        elif operations[edge] != absent:
            real.append(edge)
    fed, ahead = passed[0], []
    for edge in reversed(real):
        if fed >> edge[0] & 1:
            fed |= passed[edge[1]]
            ahead.append(edge)
    used, kept = 1 << last, []
    for edge in reversed(ahead):
        if passed[edge[1]] & used:
            used |= 1 << edge[0]
            kept.append(edge)
    nodes = [(0, 0), *reversed(kept), (last, last)]  # the input ends, and the output starts, where it stands
    edges = [
        (a, b)
        for a, (_, end) in enumerate(nodes[:-1])
        for b in range(a + 1, len(nodes))
        if passed[end] >> nodes[b][0] & 1
    ]
    return ["input", *(operations[edge] for edge in nodes[1:-1]), "output"], edges


def checked_graph(function: Graph, architecture: Architecture) -> tuple[Labels, Edges]:
    """What `function` returns for an architecture, checked.

    Raises:
        UserCodeError: it raised, or returned no graph: labels, and pairs of their numbers without circles.
    """
    made: Any = call("graph", function, architecture, about=architecture)
    try:
        nodes, pairs = made
        labels, edges = list(nodes), [(start, end) for start, end in pairs]
        wrong = _wrong(len(labels), edges)
    except (TypeError, ValueError):
        labels, edges, wrong = [], [], "no labels and pairs of numbers"
    for label in labels:
        if not isinstance(label, Hashable):
            wrong = f"the label {label!r}, a {type(label).__name__}: labels are strings or numbers"
    if wrong is None:
        return labels, [(int(start), int(end)) for start, end in edges]
    remedy = "return a list of labels, one for each node, and a list of (from, to) pairs of the nodes' numbers"
    raise fault("graph", function, f"returned {made!r}, which has {wrong}", architecture, remedy=remedy)


def _wrong(nodes: int, edges: Sequence[tuple[Any, Any]]) -> str | None:
    """What is wrong with the edges of a graph of so many nodes; None where nothing is."""
    for edge in edges:
        if not all(isinstance(node, Integral) and 0 <= int(node) < nodes for node in edge):
            return f"the edge {edge!r}, and nodes 0 to {nodes - 1}"
    if all(start < end for start, end in edges):
        return None
    left = list(edges)
    while left:  # what no edge leads to can be taken away, until nothing is left or a circle is
        targets = {end for _, end in left}
        rest = [edge for edge in left if edge[0] in targets]
        if len(rest) == len(left):
            return "a circle"
        left = rest
    return None
