"""NAS-Bench-Graph: Y. Qin et al., NAS-Bench-Graph: Benchmarking graph neural architecture search, NeurIPS 2022.

An architecture has four computing nodes. The input of each is an earlier node or the raw features (0), and it has one of
nine operations. The nodes without successors are concatenated. Equivalent architectures share a row; there are 26,206 on
all data sets but proteins.
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
"""The nine shapes: the input of each of the four nodes."""
OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
PROTEINS_OPERATIONS = ("gcn", "sage", "arma", "fc", "skip")
DATA_SETS = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "proteins", "pubmed")
NODES = 4


def network(links: str, *operations: str) -> tuple[str, ...]:
    """A placeholder for the network: a table needs no model."""
    return (links, *operations)


def space(operations: tuple[str, ...] = OPERATIONS) -> Space:
    """Return the space: the decisions `links` and `operation1` to `operation4`. Equivalent architectures are one."""
    choices = [one_of(*operations, name=f"operation{node}") for node in range(1, NODES + 1)]
    net = layer(network, one_of(*LINKS, name="links"), *choices)
    return Space(net, constraint=_violation, canonical=lambda architecture: repr(key(architecture)), graph=_graph)


def _violation(architecture: Architecture) -> str | None:
    all_skips = all(architecture[f"operation{node}"] == "skip" for node in range(1, NODES + 1))
    return "it computes nothing: every operation is a skip" if all_skips else None


def key(architecture: Mapping[str, Any]) -> Hashable:
    """Return the tree of the computation (see `tree`), which equivalent architectures share."""
    return tree(str(architecture["links"]), [str(architecture[f"operation{node}"]) for node in range(1, NODES + 1)])


def tree(links: str, operations: list[str]) -> Hashable:
    """Return the computation as nested tuples of (operation, branches), with sorted branches and without idle skips.

    A skip returns its input, so it is replaced by that. It stays only as the end of a branch whose input also has other
    branches: then the value of the input is concatenated as well.

    Args:
        links: the input of each node, one of `LINKS`.
        operations: the operation of each node.
    """
    sources = [int(link) for link in links]
    successors: dict[int, list[int]] = {node: [] for node in range(NODES + 1)}
    for node, source in enumerate(sources, 1):
        successors[source].append(node)

    def branches_from(node: int, is_features: bool) -> list[Hashable]:
        """Return the branches that start at `node`. Raw features (`is_features`) are never concatenated."""
        branches: list[Hashable] = []
        for child in successors[node]:
            if operations[child - 1] != "skip":
                following = branches_from(child, False)
                inner = () if following == [("skip", ())] else tuple(sorted(following, key=repr))
                branches.append((operations[child - 1], inner))
            elif successors[child]:
                branches += branches_from(child, is_features)
            elif not is_features:
                branches.append(("skip", ()))
        return branches

    return tuple(sorted(branches_from(0, True), key=repr))


def _graph(architecture: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the operations and the edges of the computation, from the raw features to the concatenation."""
    labels, edges = ["features"], list[tuple[int, int]]()

    def add_branches(node: int, branches: Any) -> None:
        for operation, inner in branches:
            edges.append((node, len(labels)))
            labels.append(operation)
            add_branches(len(labels) - 1, inner)

    add_branches(0, key(architecture))
    ends = set(range(len(labels))) - {source for source, _ in edges}
    return [*labels, "output"], [*edges, *((end, len(labels)) for end in sorted(ends))]


def load(data: str = "cora") -> Table:
    """Return the table of a data set from the package nas-bench-graph; the objective is the validation accuracy (0 to 1).

    Raises:
        MissingExtra: the package is not installed.
        JobError: there is no such data set.
    """
    if data not in DATA_SETS:
        raise JobError(f"benchmark 'nasbench-graph': data={data!r}; there are {', '.join(DATA_SETS)}")
    spec = find_spec("nas_bench_graph")
    if spec is None or spec.origin is None:
        raise MissingExtra("nas-bench-graph", "bench", "the benchmark 'nasbench-graph'")
    return read(Path(spec.origin).parent / "light" / f"{data}.bench", data)


def read(path: Path, data: str) -> Table:
    """Return the table in a file of the package."""
    operations = PROTEINS_OPERATIONS if data == "proteins" else OPERATIONS
    with path.open("rb") as file:
        rows = load_pickle(file, path)
    keys = [_decode(code, path) for code in rows]
    columns = {metric: [float(row[name]) for row in rows.values()] for metric, name in _COLUMNS.items()}
    return Table(
        f"nasbench-graph-{data}",
        space(operations),
        keys,
        columns,
        "accuracy",
        test={"accuracy": "test_accuracy"},
        screened=("parameters",),
        key=key,
        source=f"NAS-Bench-Graph (package nas-bench-graph), {data}",
    )


_COLUMNS = {"accuracy": "valid_perf", "test_accuracy": "perf", "latency": "latency", "parameters": "para"}
"""The metrics, and their names in the files."""


def _decode(code: int, path: Path) -> Hashable:
    """Return the tree of a published code: the index of the shape, followed by a decimal digit for each operation."""
    shape, digits = divmod(code, 10**NODES)
    operation_indices = [int(digit) for digit in f"{digits:0{NODES}d}"]
    if shape >= len(LINKS) or max(operation_indices) >= len(OPERATIONS):
        raise JobError(f"{path}: contains the code {code}, which is not an architecture of NAS-Bench-Graph")
    return tree(LINKS[shape], [OPERATIONS[index] for index in operation_indices])
