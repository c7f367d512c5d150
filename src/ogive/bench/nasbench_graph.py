"""NAS-Bench-Graph: Y. Qin et al., NAS-Bench-Graph: Benchmarking graph neural architecture search, NeurIPS 2022.

An architecture has four computing nodes. Each node has one of nine operations, and its input is an earlier node or the raw
features (0). The outputs of the nodes without successors are concatenated. Equivalent architectures share a row. There are
26,206 rows for every data set but proteins.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ogive.bench.pickles import load_pickle
from ogive.bench.table_problem import Table
from ogive.errors import JobError, MissingExtra
from ogive.space import Architecture, Space, layer, one_of

LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
"""The nine shapes of an architecture: the input of each of the four nodes."""
OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
PROTEINS_OPERATIONS = ("gcn", "sage", "arma", "fc", "skip")
DATA_SETS = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "proteins", "pubmed")
NODES = 4


def network(links: str, *operations: str) -> tuple[str, ...]:
    """Return the arguments: a placeholder for the network, because a table needs no model."""
    return (links, *operations)


def make_space(operations: tuple[str, ...] = OPERATIONS) -> Space:
    """Return the space: the decisions `links` and `operation1` to `operation4`. Equivalent architectures have one id."""
    operation_choices = [one_of(*operations, name=f"operation{node}") for node in range(1, NODES + 1)]
    net = layer(network, one_of(*LINKS, name="links"), *operation_choices)
    return Space(
        net,
        constraint=_explain_violation,
        canonical=lambda architecture: repr(make_key(architecture)),
        graph=_make_graph,
    )


def _explain_violation(architecture: Architecture) -> str | None:
    """Return why an architecture is not part of the benchmark; None if it is."""
    all_skips = all(architecture[f"operation{node}"] == "skip" for node in range(1, NODES + 1))
    return "it computes nothing: every operation is a skip" if all_skips else None


def make_key(architecture: Mapping[str, Any]) -> Hashable:
    """Return the key of a row: the tree of the computation, which is the same for equivalent architectures."""
    return build_tree(
        str(architecture["links"]), [str(architecture[f"operation{node}"]) for node in range(1, NODES + 1)]
    )


def build_tree(links: str, operations: list[str]) -> Hashable:
    """Return the computation as nested tuples of (operation, branches), with sorted branches.

    A skip returns its input, so it is removed, with one exception: a skip at the end of a branch, if its input has other
    branches as well. Without this skip, the value of the input would not be part of the concatenation.

    Args:
        links: the input of each node, one of `LINKS`.
        operations: the operation of each node.
    """
    sources = [int(link) for link in links]
    successors: dict[int, list[int]] = {node: [] for node in range(NODES + 1)}
    for node, source in enumerate(sources, 1):
        successors[source].append(node)

    def list_branches(node: int, is_features: bool) -> list[Hashable]:
        """Return the branches that start at `node`; `is_features` says whether the value of `node` is the raw features."""
        branches: list[Hashable] = []
        for child in successors[node]:
            if operations[child - 1] != "skip":
                child_branches = list_branches(child, False)
                # A single skip at the end of a branch has no effect: its input is concatenated anyway.
                inner_branches = () if child_branches == [("skip", ())] else tuple(sorted(child_branches, key=repr))
                branches.append((operations[child - 1], inner_branches))
            elif successors[child]:
                branches += list_branches(child, is_features)
            # The raw features are never concatenated, so a skip that returns them has no effect.
            elif not is_features:
                branches.append(("skip", ()))
        return branches

    return tuple(sorted(list_branches(0, True), key=repr))


def _make_graph(architecture: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the operations and the edges of the computation, from the raw features to the concatenation."""
    labels, edges = ["features"], list[tuple[int, int]]()

    def add_branches(node: int, branches: Any) -> None:
        for operation, inner_branches in branches:
            edges.append((node, len(labels)))
            labels.append(operation)
            add_branches(len(labels) - 1, inner_branches)

    add_branches(0, make_key(architecture))
    last_nodes = set(range(len(labels))) - {source for source, _ in edges}
    return [*labels, "output"], [*edges, *((node, len(labels)) for node in sorted(last_nodes))]


def load(data: str = "cora") -> Table:
    """Return the table of a data set from the package nas-bench-graph; the objective is the validation accuracy (0 to 1).

    Raises:
        MissingExtra: the package is not installed.
        JobError: there is no such data set.
    """
    if data not in DATA_SETS:
        raise JobError(
            f"benchmark 'nasbench-graph': there is no data set {data!r}; choose one of {', '.join(DATA_SETS)}"
        )
    spec = find_spec("nas_bench_graph")
    if spec is None or spec.origin is None:
        raise MissingExtra("nas-bench-graph", "bench", "the benchmark 'nasbench-graph'")
    return read(Path(spec.origin).parent / "light" / f"{data}.bench", data)


def read(path: Path, data: str) -> Table:
    """Return the table in a file of the package."""
    operations = PROTEINS_OPERATIONS if data == "proteins" else OPERATIONS
    with path.open("rb") as file:
        rows = load_pickle(file, path)
    keys = [_decode_key(code, path) for code in rows]
    columns = {metric: [float(row[name]) for row in rows.values()] for metric, name in _METRIC_NAMES.items()}
    return Table(
        f"nasbench-graph-{data}",
        make_space(operations),
        keys,
        columns,
        "accuracy",
        test={"accuracy": "test_accuracy"},
        screened=("parameters",),
        key=make_key,
        source=f"NAS-Bench-Graph (package nas-bench-graph), {data}",
    )


_METRIC_NAMES = {"accuracy": "valid_perf", "test_accuracy": "perf", "latency": "latency", "parameters": "para"}
"""The name of each metric in the files of the package."""


def _decode_key(code: int, path: Path) -> Hashable:
    """Return the key of a published code: the index of the shape, followed by a decimal digit for each operation."""
    shape, digits = divmod(code, 10**NODES)
    operation_indices = [int(digit) for digit in f"{digits:0{NODES}d}"]
    if shape >= len(LINKS) or max(operation_indices) >= len(OPERATIONS):
        raise JobError(f"{path}: contains the code {code}, which is not an architecture of NAS-Bench-Graph")
    return build_tree(LINKS[shape], [OPERATIONS[index] for index in operation_indices])
