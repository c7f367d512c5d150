"""NAS-Bench-101: C. Ying et al., NAS-Bench-101: Towards reproducible neural architecture search, ICML 2019.

A cell is a directed acyclic graph of at most 7 vertices and 9 edges with three operations on its inner vertices. Vertices
that are not between input and output are cut off; cells that are the same graph count once, which gives 423,624.
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
from ogive.bench.tfrecord import fields, records
from ogive.errors import JobError
from ogive.space import Architecture, Space, layer, one_of

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
VERTICES, EDGES = 7, 9
CELLS = 423_624
PAIRS = tuple((i, j) for j in range(1, VERTICES) for i in range(j))
"""(from, to) of each edge that a cell may have."""

Graph = tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]
"""An upper-triangular adjacency matrix and the operations of its vertices, `input` first and `output` last."""


def cell(edges: Sequence[bool], operations: Sequence[str]) -> tuple[Sequence[bool], Sequence[str]]:
    """Stands for the network that a table's row was measured on."""
    return edges, operations


def space() -> Space:
    """The space of NAS-Bench-101: 21 edges that are there or not, and 5 operations; equal graphs are one architecture.

    Decisions: `edge0-1` ... `edge5-6` (0 or 1), `operation1` ... `operation5`. An operation counts where its vertex lies
    between input and output.
    """
    edges = [one_of(0, 1, name=f"edge{i}-{j}") for i, j in PAIRS]
    operations = [one_of(*OPERATIONS, name=f"operation{v}") for v in range(1, VERTICES - 1)]
    return Space(layer(cell, edges, operations), constraint=_violation, canonical=key, graph=_nodes)


def _violation(architecture: Architecture) -> str | None:
    graph = pruned(graph_of(architecture))
    if graph is None:
        return "the output is not connected to the input"
    edges = sum(map(sum, graph[0]))
    return f"{edges} edges, more than {EDGES}" if edges > EDGES else None


def graph_of(architecture: Mapping[str, Any]) -> Graph:
    """The whole graph of an architecture, before what is not connected is cut off."""
    matrix = np.zeros((VERTICES, VERTICES), dtype=int)
    for i, j in PAIRS:
        matrix[i, j] = architecture[f"edge{i}-{j}"]
    inner = [architecture[f"operation{v}"] for v in range(1, VERTICES - 1)]
    return tuple(map(tuple, matrix.tolist())), ("input", *inner, "output")


def _nodes(architecture: Architecture) -> tuple[Sequence[str], list[tuple[int, int]]]:
    """Operations, and pairs of them that are joined; none where nothing reaches the output, which the space forbids."""
    matrix, operations = pruned(graph_of(architecture)) or (((0, 0), (0, 0)), ("input", "output"))
    return operations, [(u, v) for u, row in enumerate(matrix) for v, joined in enumerate(row) if joined]


def pruned(graph: Graph) -> Graph | None:
    """Only the vertices on a path from input to output; None where there is no such path."""
    matrix, operations = graph
    n = len(matrix)
    ahead, behind = {0}, {n - 1}
    for v in range(1, n):
        if any(matrix[u][v] for u in ahead):
            ahead.add(v)
    for v in reversed(range(n - 1)):
        if any(matrix[v][w] for w in behind):
            behind.add(v)
    if n - 1 not in ahead:
        return None
    kept = sorted(ahead & behind)
    return tuple(tuple(matrix[u][v] for v in kept) for u in kept), tuple(operations[v] for v in kept)


def graph_hash(graph: Graph) -> str:
    """A hash that is equal for equal graphs, whatever the order of their vertices.

    Every vertex begins with its degrees and operation, and takes in its neighbours' hashes as many times as there are
    vertices (Weisfeiler and Lehman's refinement, as section 2.1 and appendix S1 of the paper use it).
    """
    matrix, operations = graph
    n = len(matrix)
    ahead = [[v for v in range(n) if matrix[u][v]] for u in range(n)]
    behind = [[u for u in range(n) if matrix[u][v]] for v in range(n)]
    hashes = [_short(f"{len(ahead[v])} {len(behind[v])} {operations[v]}") for v in range(n)]
    for _ in range(n):
        hashes = [
            _short(f"{sorted(hashes[u] for u in behind[v])} {sorted(hashes[w] for w in ahead[v])} {hashes[v]}")
            for v in range(n)
        ]
    return _short(str(sorted(hashes)))


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def key(architecture: Mapping[str, Any]) -> Hashable:
    """What cells that are the same graph share."""
    graph = pruned(graph_of(architecture))
    return "" if graph is None else graph_hash(graph)


def graphs(vertices: int, edges: int = EDGES) -> Iterator[Graph]:
    """One graph for each distinct cell of exactly so many vertices: 1, 6, 84 and 2,441 for 2 to 5."""
    pairs = [(i, j) for j in range(1, vertices) for i in range(j)]
    seen: set[str] = set()
    for bits in itertools.product((0, 1), repeat=len(pairs)):
        if sum(bits) > edges:
            continue
        matrix = [[0] * vertices for _ in range(vertices)]
        for (i, j), bit in zip(pairs, bits, strict=True):
            matrix[i][j] = bit
        whole = pruned((tuple(map(tuple, matrix)), ("x",) * vertices))
        if whole is None or len(whole[0]) < vertices:
            continue
        for inner in itertools.product(OPERATIONS, repeat=vertices - 2):
            graph = whole[0], ("input", *inner, "output")
            code = graph_hash(graph)
            if code not in seen:
                seen.add(code)
                yield graph


def load(path: str | Path) -> Table:
    """The published table, `nasbench_full.tfrecord` or `nasbench_only108.tfrecord`.

    Each number of epochs is a training of its own, so nothing is continued; three repetitions. The objective is the
    accuracy on the validation split, in per cent; reports judge by the test split too.

    Raises:
        JobError: the file cannot be read, lacks a cell, or a training that others have.
    """
    table = read(path)
    if table.size != CELLS:
        raise JobError(
            f"{path}: has {table.size:,} cells, and NAS-Bench-101 has {CELLS:,}; download it again from its publisher"
        )
    return table


def read(path: str | Path) -> Table:
    """As `load`, of whatever cells are there."""
    file = Path(path)
    cells: dict[str, Graph] = {}
    runs: dict[str, dict[int, list[tuple[float, ...]]]] = {}
    for record in records(file):
        code, epochs, matrix, operations, metrics = _row(record, file)
        cells[code] = matrix, operations
        runs.setdefault(code, {}).setdefault(epochs, []).append(_final(metrics, file))
    if not runs:
        raise JobError(f"{file}: holds no records")
    levels = sorted({epochs for by_epochs in runs.values() for epochs in by_epochs})
    repetitions = max(len(repeats) for by_epochs in runs.values() for repeats in by_epochs.values())
    values = np.full((len(runs), repetitions, len(levels), 4), np.nan)
    for row, (code, by_epochs) in enumerate(runs.items()):
        for level, epochs in enumerate(levels):
            repeats = by_epochs.get(epochs)
            if repeats is None:
                raise JobError(f"{file}: cell {code} has no training of {epochs} epochs, others have")
            values[row, :, level] = (repeats * repetitions)[:repetitions]  # some cells have fewer repetitions
    return Table(
        "nasbench101",
        space(),
        [graph_hash(graph) for graph in cells.values()],
        {"accuracy": 100 * values[..., 1], "test_accuracy": 100 * values[..., 2], "parameters": values[..., 3]},
        "accuracy",
        levels=levels,
        seconds=values[..., 0],
        test={"accuracy": "test_accuracy"},
        screened=("parameters",),
        key=key,
        source="NAS-Bench-101 (Ying et al., ICML 2019), CIFAR-10",
    )


def _row(record: bytes, file: Path) -> tuple[str, int, tuple[tuple[int, ...], ...], tuple[str, ...], bytes]:
    try:
        code, epochs, bits, operations, metrics = json.loads(record)
        side = int(len(bits) ** 0.5)
        matrix = tuple(tuple(int(bit) for bit in bits[side * i : side * (i + 1)]) for i in range(side))
        found = tuple(operations.split(","))
        if side != len(found) or side**2 != len(bits) or {*found[1:-1]} - {*OPERATIONS} or found[0] != "input":
            raise ValueError(f"{bits!r} and {operations!r} are no cell")
        return code, int(epochs), matrix, found, base64.b64decode(metrics)
    except (ValueError, TypeError, AttributeError) as error:
        raise JobError(f"{file}: a record is not one of NAS-Bench-101's: {error}") from error


def _final(metrics: bytes, file: Path) -> tuple[float, ...]:
    """Training seconds, validation and test accuracy at the end of training, and parameters (`ModelMetrics`)."""
    evaluations, parameters = [], 0
    try:
        for number, value in fields(metrics):
            if number == 1:
                evaluations.append(dict(fields(value)))
            elif number == 2:
                parameters = value
        if not evaluations:
            raise JobError("it has no evaluation")
        last = evaluations[-1]
        return last[2], last[4], last[5], float(parameters)
    except KeyError as error:
        raise JobError(f"{file}: a record's last evaluation lacks field {error}") from error
    except (JobError, TypeError) as error:
        raise JobError(f"{file}: a record is not one of NAS-Bench-101's: {error}") from error
