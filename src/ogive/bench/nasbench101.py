"""NAS-Bench-101: C. Ying et al., NAS-Bench-101: Towards reproducible neural architecture search, ICML 2019.

A cell is a directed acyclic graph with at most 7 vertices and 9 edges; each inner vertex has one of three operations.
Vertices that are not on a path from input to output are removed. There are 423,624 cells that are not isomorphic.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ogive.bench.table_problem import Table
from ogive.bench.tfrecord import read_fields, read_records
from ogive.errors import JobError
from ogive.space import Architecture, Space, layer, one_of

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
MAX_VERTICES, MAX_EDGES = 7, 9
CELL_COUNT = 423_624
PAIRS = tuple((i, j) for j in range(1, MAX_VERTICES) for i in range(j))
"""The possible edges of a cell, as (from, to)."""

Graph = tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]
"""An upper-triangular adjacency matrix [n, n], and the operations of the n vertices: `input` first, `output` last."""


def cell(edges: Sequence[bool], operations: Sequence[str]) -> tuple[Sequence[bool], Sequence[str]]:
    """Return the arguments: a placeholder for the network, because a table needs no model."""
    return edges, operations


def make_space() -> Space:
    """Return the space of NAS-Bench-101: 21 possible edges and 5 operations. Isomorphic cells are one architecture.

    The decisions are `edge0-1` ... `edge5-6` (0 or 1) and `operation1` ... `operation5`. An operation has an effect only if
    its vertex is on a path from input to output.
    """
    edges = [one_of(0, 1, name=f"edge{i}-{j}") for i, j in PAIRS]
    operations = [one_of(*OPERATIONS, name=f"operation{v}") for v in range(1, MAX_VERTICES - 1)]
    return Space(
        layer(cell, edges, operations), constraint=_explain_violation, canonical=make_key, graph=_make_pruned_graph
    )


def _explain_violation(architecture: Architecture) -> str | None:
    """Return why an architecture is not a cell of NAS-Bench-101; None if it is one."""
    graph = prune(make_graph(architecture))
    if graph is None:
        return "the output is not connected to the input"
    edges = sum(map(sum, graph[0]))
    return f"the cell has {edges} edges, more than {MAX_EDGES}" if edges > MAX_EDGES else None


def make_graph(architecture: Mapping[str, Any]) -> Graph:
    """Return the graph of an architecture with all 7 vertices, before it is pruned."""
    matrix = np.zeros((MAX_VERTICES, MAX_VERTICES), dtype=int)
    for i, j in PAIRS:
        matrix[i, j] = architecture[f"edge{i}-{j}"]
    inner_operations = [architecture[f"operation{v}"] for v in range(1, MAX_VERTICES - 1)]
    return tuple(map(tuple, matrix.tolist())), ("input", *inner_operations, "output")


def _make_pruned_graph(architecture: Architecture) -> tuple[Sequence[str], list[tuple[int, int]]]:
    """Return the operations and the edges of the pruned cell. There are no edges if input and output are not connected."""
    matrix, operations = prune(make_graph(architecture)) or (((0, 0), (0, 0)), ("input", "output"))
    return operations, [(u, v) for u, row in enumerate(matrix) for v, is_edge in enumerate(row) if is_edge]


def prune(graph: Graph) -> Graph | None:
    """Return the graph of the vertices on a path from input to output; None if there is no such path."""
    matrix, operations = graph
    n = len(matrix)
    # The edges go from lower to higher vertices, so one pass in each direction visits all paths.
    from_input, to_output = {0}, {n - 1}
    for v in range(1, n):
        if any(matrix[u][v] for u in from_input):
            from_input.add(v)
    for v in reversed(range(n - 1)):
        if any(matrix[v][w] for w in to_output):
            to_output.add(v)
    if n - 1 not in from_input:
        return None
    vertices = sorted(from_input & to_output)
    return tuple(tuple(matrix[u][v] for v in vertices) for u in vertices), tuple(operations[v] for v in vertices)


def hash_graph(graph: Graph) -> str:
    """Return a hash that does not depend on the order of the vertices: isomorphic graphs have equal hashes.

    The hash of a vertex starts with its degrees and its operation. It is combined n times with the hashes of its neighbours,
    where n is the number of vertices (Weisfeiler-Lehman refinement, as in section 2.1 and appendix S1 of the paper).
    """
    matrix, operations = graph
    n = len(matrix)
    successors = [[v for v in range(n) if matrix[u][v]] for u in range(n)]
    predecessors = [[u for u in range(n) if matrix[u][v]] for v in range(n)]
    # Initial hashes: out-degree, in-degree and operation of each vertex.
    hashes = [_hash_text(f"{len(successors[v])} {len(predecessors[v])} {operations[v]}") for v in range(n)]
    # Each round extends the hash of a vertex to the hashes of its neighbours. After n rounds it covers the whole graph.
    for _ in range(n):
        hashes = [
            _hash_text(
                f"{sorted(hashes[u] for u in predecessors[v])} {sorted(hashes[w] for w in successors[v])} {hashes[v]}"
            )
            for v in range(n)
        ]
    return _hash_text(str(sorted(hashes)))


def _hash_text(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def make_key(architecture: Mapping[str, Any]) -> Hashable:
    """Return the key of a row: the hash of the pruned cell, or "" if input and output are not connected."""
    graph = prune(make_graph(architecture))
    return "" if graph is None else hash_graph(graph)


def enumerate_graphs(vertices: int, max_edges: int = MAX_EDGES) -> Iterator[Graph]:
    """Yield one graph for each distinct cell with exactly this number of vertices.

    Args:
        vertices: the number of vertices; 2, 3, 4 and 5 vertices have 1, 6, 84 and 2,441 cells.
        max_edges: the maximum number of edges.
    """
    pairs = [(i, j) for j in range(1, vertices) for i in range(j)]
    hashes: set[str] = set()
    for bits in itertools.product((0, 1), repeat=len(pairs)):
        if sum(bits) > max_edges:
            continue
        matrix = [[0] * vertices for _ in range(vertices)]
        for (i, j), bit in zip(pairs, bits, strict=True):
            matrix[i][j] = bit
        # Graphs with a vertex that is not on a path are the cells of fewer vertices.
        unlabelled = prune((tuple(map(tuple, matrix)), ("x",) * vertices))
        if unlabelled is None or len(unlabelled[0]) < vertices:
            continue
        for inner in itertools.product(OPERATIONS, repeat=vertices - 2):
            graph = unlabelled[0], ("input", *inner, "output")
            cell_hash = hash_graph(graph)
            if cell_hash not in hashes:
                hashes.add(cell_hash)
                yield graph


def load(path: str | Path) -> Table:
    """Return the published table, from `nasbench_full.tfrecord` or `nasbench_only108.tfrecord`.

    The objective is the validation accuracy in per cent; the test accuracy is known as well. Each cell was trained three
    times for each number of epochs. These are separate trainings, so the table is not continuable.

    Raises:
        JobError: the file cannot be read, a cell is missing, or a cell lacks a number of epochs that others have.
    """
    table = read(path)
    if table.size != CELL_COUNT:
        raise JobError(
            f"{path}: has {table.size:,} cells, but NAS-Bench-101 has {CELL_COUNT:,}; download the file again"
        )
    return table


def read(path: str | Path) -> Table:
    """Return the table as `load` does, but accept a file that contains only some of the cells."""
    file = Path(path)
    cells: dict[str, Graph] = {}
    # For each cell and number of epochs, the final metrics of each training.
    trainings: dict[str, dict[int, list[tuple[float, ...]]]] = {}
    for record in read_records(file):
        cell_hash, epochs, matrix, operations, metrics = _parse_record(record, file)
        cells[cell_hash] = matrix, operations
        trainings.setdefault(cell_hash, {}).setdefault(epochs, []).append(_read_final_metrics(metrics, file))
    if not trainings:
        raise JobError(f"{file}: contains no records")
    epoch_counts = sorted({epochs for by_epochs in trainings.values() for epochs in by_epochs})
    # The number of trainings of a cell with the same number of epochs; some cells have fewer.
    max_trainings = max(
        len(cell_trainings) for by_epochs in trainings.values() for cell_trainings in by_epochs.values()
    )
    # The last axis has the values of `_read_final_metrics`: seconds, validation accuracy, test accuracy, parameters.
    values = np.full((len(trainings), max_trainings, len(epoch_counts), 4), np.nan)
    for row, (cell_hash, by_epochs) in enumerate(trainings.items()):
        for level, epochs in enumerate(epoch_counts):
            cell_trainings = by_epochs.get(epochs)
            if cell_trainings is None:
                raise JobError(f"{file}: cell {cell_hash} has no training of {epochs} epochs, but other cells have one")
            # The trainings of a cell that has fewer than `max_trainings` are repeated.
            values[row, :, level] = (cell_trainings * max_trainings)[:max_trainings]
    # The hashes in the file are the authors' and only group its records; the keys of the rows are those of `make_key`.
    return Table(
        "nasbench101",
        make_space(),
        [hash_graph(graph) for graph in cells.values()],
        {"accuracy": 100 * values[..., 1], "test_accuracy": 100 * values[..., 2], "parameters": values[..., 3]},
        "accuracy",
        levels=epoch_counts,
        seconds=values[..., 0],
        test={"accuracy": "test_accuracy"},
        screened=("parameters",),
        key=make_key,
        source="NAS-Bench-101 (Ying et al., ICML 2019), CIFAR-10",
    )


def _parse_record(record: bytes, file: Path) -> tuple[str, int, tuple[tuple[int, ...], ...], tuple[str, ...], bytes]:
    """Return the hash of the cell, the number of epochs, the adjacency matrix, the operations, and the encoded metrics."""
    try:
        cell_hash, epochs, bits, operations, metrics = json.loads(record)
        n = int(len(bits) ** 0.5)
        matrix = tuple(tuple(int(bit) for bit in bits[n * i : n * (i + 1)]) for i in range(n))
        labels = tuple(operations.split(","))
        if n != len(labels) or n**2 != len(bits) or {*labels[1:-1]} - {*OPERATIONS} or labels[0] != "input":
            raise ValueError(f"{bits!r} and {operations!r} do not describe a cell")
        return cell_hash, int(epochs), matrix, labels, base64.b64decode(metrics)
    except (ValueError, TypeError, AttributeError) as error:
        raise JobError(f"{file}: a record is not one of NAS-Bench-101: {error}") from error


def _read_final_metrics(metrics: bytes, file: Path) -> tuple[float, ...]:
    """Return training seconds, validation accuracy and test accuracy at the end of training, and the number of parameters.

    Args:
        metrics: an encoded `ModelMetrics` message of the authors.
        file: the file, for error messages.
    """
    # Fields of `ModelMetrics`: 1 is an evaluation (repeated), 2 the number of parameters.
    evaluations, parameters = [], 0
    try:
        for number, value in read_fields(metrics):
            if number == 1:
                evaluations.append(dict(read_fields(value)))
            elif number == 2:
                parameters = value
        if not evaluations:
            raise JobError("the record contains no evaluation")
        last_evaluation = evaluations[-1]
        # Fields of an evaluation: 2 is the training time, 4 the validation accuracy, 5 the test accuracy.
        return last_evaluation[2], last_evaluation[4], last_evaluation[5], float(parameters)
    except KeyError as error:
        raise JobError(f"{file}: a record's last evaluation lacks field {error}") from error
    except (JobError, TypeError) as error:
        raise JobError(f"{file}: a record is not one of NAS-Bench-101: {error}") from error
