"""NAS-Bench-201, and AnalogNAS-Bench, which has the same space.

- The space: X. Dong and Y. Yang, NAS-Bench-201, ICLR 2020. NATS-Bench, which extends it, is in `nats`.
- AnalogNAS-Bench: the same cells trained again (PyPI package analog-nasbench).

Each of the 15,625 cells has its own row, even if other cells are the same network: the cells were trained separately, and
have different values. Therefore the space has no canonical form, unlike `og.zoo.nasbench201`.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench.pickles import Record, load_pickle
from ogive.bench.table_problem import Table
from ogive.errors import JobError, MissingExtra
from ogive.objective import Constraint, Objective
from ogive.space import Space, layer, one_of, wiring

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
CELL_COUNT = 15_625
TWO_LEVELS = (12, 200)
"""The levels (numbers of epochs) of a table whose option `cheap` is set."""


def cell(*operations: str) -> tuple[str, ...]:
    """Return the arguments: a placeholder for the network, because a table needs no model."""
    return operations


def make_space() -> Space:
    """Return the space of 5^6 cells: the decisions `0-1`, `0-2`, `1-2`, `0-3`, `1-3`, `2-3`, as in the published strings."""
    return Space(layer(cell, *(one_of(*OPERATIONS, name=edge) for edge in EDGES)), graph=make_graph)


def make_graph(architecture: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the graph of the operations that lie on a path from input to output."""
    return wiring({(int(edge[0]), int(edge[2])): architecture[edge] for edge in EDGES})


def parse_operations(text: str) -> tuple[str, ...]:
    """Parse a published string, and return its six operations in the order of `EDGES`.

    Raises:
        JobError: the string does not describe a cell.
    """
    labels = tuple(edge.rsplit("~", 1)[0] for node in text.strip("|").split("|+|") for edge in node.split("|"))
    if len(labels) != len(EDGES) or set(labels) - set(OPERATIONS):
        raise JobError(f"{text!r} does not describe a cell of NAS-Bench-201")
    return labels


def make_key(architecture: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the key of a row: the six operations."""
    return tuple(architecture[edge] for edge in EDGES)


def load(
    path: str | Path,
    column: str = "cifar10_test_accuracy_full_training",
    cheap: str | None = None,
    second: str | None = None,
    at_most: float | None = None,
    screened: bool = True,
) -> Table:
    """Return the table in a CSV file, which may be gzipped: a column `architecture` (published strings), and metrics.

    Args:
        path: the file.
        column: the objective, an accuracy in per cent; the table calls it `accuracy`.
        cheap: the column with the same metric after 12 epochs; with this column, the table has two levels, 12 and 200
            epochs.
        second: a second column to minimize, such as "latency_ms_pixel3". The first objective is then `error` in per cent,
            and the reference point is an error of 20% and the 90th percentile of the second objective.
        at_most: the upper bound of `second`, which is then a constraint instead of an objective; None for an objective.
        screened: whether `second` is known before training.

    Raises:
        JobError: the file or a column does not exist, a value is not a number, or cells are missing or duplicated.
    """
    if at_most is not None and not second:
        raise JobError(
            f"benchmark 'nasbench201': at_most={at_most!r} bounds the column `second`; name that column as well"
        )
    keys, values = _read_csv(Path(path), [name for name in (column, cheap, second) if name])
    # Duplicated keys are reported by `Table`.
    if len(set(keys)) == len(keys) != CELL_COUNT:
        raise JobError(f"{path}: has {len(keys)} rows, but NAS-Bench-201 has {CELL_COUNT} cells; each needs a row")
    full_accuracy = values[column]
    accuracy = np.stack([values[cheap], full_accuracy], axis=1) if cheap else full_accuracy
    columns: dict[str, Any] = {"accuracy": accuracy}
    options: dict[str, Any] = {}
    objectives: Any = "accuracy"
    if second:
        columns[second] = values[second]
        options["screened"] = (second,) if screened else ()
        if at_most is not None:
            options["constraints"] = Constraint(second, at_most=at_most, hard=screened)
        else:
            columns["error"] = 100 - accuracy
            objectives = [Objective("error", "minimize"), Objective(second, "minimize")]
            options["reference"] = (20.0, float(np.quantile(columns[second], 0.9)))
    name = f"nasbench201{' and ' + second if second else ''}"
    levels = TWO_LEVELS if cheap else ()
    return Table(
        name,
        make_space(),
        keys,
        columns,
        objectives,
        levels=levels,
        key=make_key,
        split="test" if "test" in column else "validation",
        source=f"NAS-Bench-201 cells, {column.replace('_', ' ')}",
        **options,
    )


def _read_csv(path: Path, names: Sequence[str]) -> tuple[list[tuple[str, ...]], dict[str, FloatArray]]:
    """Return the cell of each row, and the named columns."""
    open_text: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or ()
            for name in ("architecture", *names):
                if name not in header:
                    raise JobError(f"{path}: has no column {name!r}; the columns are {', '.join(header)}")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, EOFError, zlib.error, csv.Error) as error:
        raise JobError(f"{path}: cannot be read: {error}") from error
    keys = [_parse_cell(row["architecture"], f"{path}, line {line}") for line, row in rows]
    columns = {
        name: [_parse_number(row[name], f"{path}, line {line}, column {name!r}") for line, row in rows]
        for name in names
    }
    return keys, {name: np.array(column) for name, column in columns.items()}


def _parse_cell(text: str, location: str) -> tuple[str, ...]:
    try:
        return parse_operations(text)
    except JobError as error:
        raise JobError(f"{location}: {error}") from None


def _parse_number(text: str | None, location: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise JobError(f"{location}: {text or ''!r} is not a number") from None


ANALOG_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""The operations; a code of the package contains indices into this tuple."""
ANALOG_EDGES = (0, 1, 3, 2, 4, 5)
"""For each of `EDGES`, its index in a code of the package. The package orders the edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3."""


def load_analog(metric: str = "baseline_accuracy") -> Table:
    """Return AnalogNAS-Bench from the package analog-nasbench: cells of NAS-Bench-201 trained again on CIFAR-10.

    All its metrics were measured on the test split.

    Args:
        metric: the objective, in per cent: baseline_accuracy (digital), ptq_accuracy, qat_accuracy, noisy_accuracy or
            analog_accuracy.

    Raises:
        MissingExtra: the package is not installed.
        JobError: there is no such metric.
    """
    spec = find_spec("analognasbench")
    if spec is None or spec.origin is None:
        raise MissingExtra("analog-nasbench", "bench", "the benchmark 'analog'")
    path = Path(spec.origin).parent / "data.anb"
    replacements = {("analognasbench.data", name): Record for name in ("Architecture", "DriftMeasurement")}
    with path.open("rb") as file:
        table = load_pickle(file, path, replacements)
    metrics = sorted(
        name for name, value in vars(next(iter(table.values()))).items() if isinstance(value, (int, float))
    )
    if metric not in metrics:
        raise JobError(f"benchmark 'analog' has no metric {metric!r}; the metrics are {', '.join(metrics)}")
    keys = [tuple(ANALOG_OPERATIONS[code[index]] for index in ANALOG_EDGES) for code in table]
    return Table(
        "analog",
        make_space(),
        keys,
        {"accuracy": [getattr(row, metric) for row in table.values()]},
        "accuracy",
        key=make_key,
        split="test",
        source=f"AnalogNAS-Bench (package analog-nasbench), {metric.replace('_', ' ')}, CIFAR-10",
    )
