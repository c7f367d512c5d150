"""NAS-Bench-Graph: Y. Qin et al., NAS-Bench-Graph: Benchmarking graph neural architecture search, NeurIPS 2022.

Four computing nodes, each with one earlier node (or the raw features, 0) as its input and one of nine operations; all nodes
without successors are concatenated. Architectures that compute the same share a row: 26,206 on all data sets but proteins.
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
"""The input of each of the four nodes: the nine shapes that differ."""
OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
PROTEINS = ("gcn", "sage", "arma", "fc", "skip")
DATA_SETS = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "proteins", "pubmed")
NODES = 4


def network(links: str, *operations: str) -> tuple[str, ...]:
    """Stands for the network that a table's row was measured on."""
    return (links, *operations)


def space(operations: tuple[str, ...] = OPERATIONS) -> Space:
    """Decisions `links` and `operation1` to `operation4`; architectures that compute the same are one."""
    choices = [one_of(*operations, name=f"operation{node}") for node in range(1, NODES + 1)]
    net = layer(network, one_of(*LINKS, name="links"), *choices)
    return Space(net, constraint=_violation, canonical=lambda architecture: _text(key(architecture)), graph=_nodes)


def _violation(architecture: Architecture) -> str | None:
    skips = all(architecture[f"operation{node}"] == "skip" for node in range(1, NODES + 1))
    return "it computes nothing: every operation is a skip" if skips else None


def key(architecture: Mapping[str, Any]) -> Hashable:
    """What architectures share that compute the same: the tree of their operations, order of branches aside."""
    return tree(str(architecture["links"]), [str(architecture[f"operation{node}"]) for node in range(1, NODES + 1)])


def tree(links: str, operations: list[str]) -> Hashable:
    """The computation as nested (operation, branches), without skips that do nothing.

    A skip is its input. It counts only where it ends a branch beside others of a node that computes something: there the
    node's own value is concatenated as well.
    """
    sources = [int(link) for link in links]
    branches: dict[int, list[int]] = {node: [] for node in range(NODES + 1)}
    for node, source in enumerate(sources, 1):
        branches[source].append(node)

    def ends(node: int, raw: bool) -> list[Hashable]:
        """The branches that start at `node`; `raw`: its value is the raw features, which are never concatenated."""
        found: list[Hashable] = []
        for child in branches[node]:
            if operations[child - 1] != "skip":
                grown = ends(child, False)
                after = () if grown == [("skip", ())] else tuple(sorted(grown, key=_text))
                found.append((operations[child - 1], after))
            elif branches[child]:
                found += ends(child, raw)
            elif not raw:
                found.append(("skip", ()))
        return found

    return tuple(sorted(ends(0, True), key=_text))


def _nodes(architecture: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """The computation as a graph of operations, from the raw features to what is concatenated."""
    labels, edges = ["features"], list[tuple[int, int]]()

    def grow(node: int, branches: Any) -> None:
        for operation, after in branches:
            edges.append((node, len(labels)))
            labels.append(operation)
            grow(len(labels) - 1, after)

    grow(0, key(architecture))
    ends = set(range(len(labels))) - {source for source, _ in edges}
    return [*labels, "output"], [*edges, *((end, len(labels)) for end in sorted(ends))]


def _text(form: Hashable) -> str:
    return repr(form)


def load(data: str = "cora") -> Table:
    """The table of one data set from the package nas-bench-graph; the objective is the validation performance (0 to 1).

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
    """As `load`, from a file."""
    operations = PROTEINS if data == "proteins" else OPERATIONS
    with path.open("rb") as file:
        rows = load_pickle(file, path)
    keys = [_decoded(code, path) for code in rows]
    columns = {ours: [float(row[theirs]) for row in rows.values()] for ours, theirs in _COLUMNS.items()}
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


def _decoded(code: int, path: Path) -> Hashable:
    """The tree behind a published number: the shape's place, then a decimal digit for each operation."""
    shape, digits = divmod(code, 10**NODES)
    chosen = [int(digit) for digit in f"{digits:0{NODES}d}"]
    if shape >= len(LINKS) or max(chosen) >= len(OPERATIONS):
        raise JobError(f"{path}: holds {code}, which is no architecture of NAS-Bench-Graph")
    return tree(LINKS[shape], [OPERATIONS[digit] for digit in chosen])
