"""The graph of an architecture, for spaces whose decisions wire a cell (`Space(..., graph=...)`).

The effect of an operation depends on its neighbours, and an operation that does not lead to the output has no effect. A
model that sees only the decisions has to learn this from trials; a model that sees the graph does not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Integral
from typing import Any

from ogive.errors import SpaceError
from ogive.space.architecture import Architecture
from ogive.user_code import call_user_function, make_user_code_error

Labels = Sequence[Any]
"""The label of each node of a graph."""
Edges = Sequence[tuple[int, int]]
"""Pairs (from, to) of node numbers."""
GraphFunction = Callable[[Architecture], tuple[Labels, Edges]]
"""A function that returns a label for each node, and the edges as (from, to) pairs of node numbers, without cycles."""


def wiring(
    operations: Mapping[tuple[int, int], str], *, absent: str = "none", identity: str = "skip_connect"
) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the graph of a cell whose operations are on its edges.

    The nodes of the graph are the operations of the cell, between a node "input" and a node "output". Operations that are
    not on a path from input to output are left out, so that most cells that compute the same function have equal graphs.

    Args:
        operations: the operation of each edge (from, to) of the cell. Node 0 is the input, and the node with the highest
            number is the output. Edges go from a lower number to a higher number.
        absent: the operation that means that there is no edge.
        identity: the operation that returns its input. It does not become a node of the graph: its predecessors are
            connected to its successors.

    Raises:
        SpaceError: an edge does not go from a lower number to a higher one.
    """
    for start, end in operations:
        if not 0 <= start < end:
            raise SpaceError(
                f"wiring: edge ({start}, {end}): edges must go from a lower number to a higher one; numbers begin at 0"
            )
    last = max(end for _, end in operations)

    # reached[n] is a bit set of the nodes of the cell that the value of node n reaches through identity edges. The edges are
    # processed in descending order, so that reached[end] is complete when it is added to reached[start].
    reached = [1 << node for node in range(last + 1)]
    real_edges = []
    for edge in sorted(operations, reverse=True):
        if operations[edge] == identity:
            reached[edge[0]] |= reached[edge[1]]
        elif operations[edge] != absent:
            real_edges.append(edge)

    # Forward pass: keep the operations that receive a value from the input. The bits of nodes_from_input are the nodes that
    # do.
    nodes_from_input, edges_from_input = reached[0], []
    for edge in reversed(real_edges):
        if nodes_from_input >> edge[0] & 1:
            nodes_from_input |= reached[edge[1]]
            edges_from_input.append(edge)

    # Backward pass: of these, keep the operations whose value reaches the output. The bits of nodes_to_output are the nodes
    # whose value does.
    nodes_to_output, used_edges = 1 << last, []
    for edge in reversed(edges_from_input):
        if reached[edge[1]] & nodes_to_output:
            nodes_to_output |= 1 << edge[0]
            used_edges.append(edge)

    # An operation follows another if the end of the first reaches the start of the second.
    nodes = [(0, 0), *reversed(used_edges), (last, last)]  # input and output as operations from a node to itself
    edges = [
        (a, b)
        for a, (_, end) in enumerate(nodes[:-1])
        for b in range(a + 1, len(nodes))
        if reached[end] >> nodes[b][0] & 1
    ]
    return ["input", *(operations[edge] for edge in nodes[1:-1]), "output"], edges


def compute_graph(function: GraphFunction, architecture: Architecture) -> tuple[Labels, Edges]:
    """Call `function` for the graph of `architecture`, and check the result.

    Raises:
        UserCodeError: the function raised an exception, or did not return labels and edges without cycles.
    """
    graph: Any = call_user_function("graph", function, architecture, about=architecture)
    try:
        nodes, pairs = graph
        labels, edges = list(nodes), [(start, end) for start, end in pairs]
        mistake = _find_mistake(len(labels), edges)
    except (TypeError, ValueError):
        labels, edges, mistake = [], [], "no labels and pairs of numbers"
    for label in labels:
        if not isinstance(label, Hashable):
            mistake = f"the label {label!r}, a {type(label).__name__}: labels are strings or numbers"
    if mistake is None:
        return labels, [(int(start), int(end)) for start, end in edges]
    remedy = "return a list of labels, one for each node, and a list of (from, to) pairs of the nodes' numbers"
    raise make_user_code_error(
        "graph", function, f"returned {graph!r}, which has {mistake}", architecture, remedy=remedy
    )


def _find_mistake(node_count: int, edges: Sequence[tuple[Any, Any]]) -> str | None:
    """Return what is wrong with the edges of a graph with `node_count` nodes, or None."""
    for edge in edges:
        if not all(isinstance(node, Integral) and 0 <= int(node) < node_count for node in edge):
            return f"the edge {edge!r}, although its nodes are 0 to {node_count - 1}"
    if all(start < end for start, end in edges):
        return None
    # Kahn's algorithm: repeatedly remove the edges whose start has no incoming edge. Edges that cannot be removed are on a
    # cycle, or are reached from one.
    remaining = list(edges)
    while remaining:
        targets = {end for _, end in remaining}
        next_remaining = [edge for edge in remaining if edge[0] in targets]
        if len(next_remaining) == len(remaining):
            return "a cycle"
        remaining = next_remaining
    return None
