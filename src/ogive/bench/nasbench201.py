"""NAS-Bench-201 and what was measured on its space.

- The space: X. Dong and Y. Yang, NAS-Bench-201, ICLR 2020. NATS-Bench, which extends it, is in `nats`.
- AnalogNAS-Bench: the same cells trained anew (PyPI package analog-nasbench).

Each of the 15,625 cells has a row of its own, also where others are the same network: they were trained apart and have
other values. So the space here has no canonical form, in contrast to `og.zoo.nasbench201`.
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
CELLS = 15_625
TWO_LEVELS = (12, 200)


def cell(*operations: str) -> tuple[str, ...]:
    """Stands for the network that a table's row was measured on."""
    return operations


def space() -> Space:
    """5^6 cells; decisions `0-1`, `0-2`, `1-2`, `0-3`, `1-3`, `2-3`, in the order of the published strings."""
    return Space(layer(cell, *(one_of(*OPERATIONS, name=edge) for edge in EDGES)), graph=graph)


def graph(architecture: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """The operations that data pass through, as a graph."""
    return wiring({(int(edge[0]), int(edge[2])): architecture[edge] for edge in EDGES})


def operations(text: str) -> tuple[str, ...]:
    """The six operations of a published string, in the order of `EDGES`.

    Raises:
        JobError: it names no cell.
    """
    found = tuple(edge.rsplit("~", 1)[0] for node in text.strip("|").split("|+|") for edge in node.split("|"))
    if len(found) != len(EDGES) or set(found) - set(OPERATIONS):
        raise JobError(f"{text!r} does not name a cell of NAS-Bench-201")
    return found


def key(architecture: Mapping[str, Any]) -> tuple[str, ...]:
    """The six operations."""
    return tuple(architecture[edge] for edge in EDGES)


def load(
    path: str | Path,
    column: str = "cifar10_test_accuracy_full_training",
    cheap: str | None = None,
    second: str | None = None,
    at_most: float | None = None,
    screened: bool = True,
) -> Table:
    """A CSV with a column `architecture` (published strings) and one for each measurement; may be gzipped.

    Args:
        path: of the CSV.
        column: the objective, an accuracy in per cent; called `accuracy`.
        cheap: the same after 12 epochs, the lower of two fidelities that cost 12 and 200 epochs; none by default.
        second: a column to be minimised beside it, such as "latency_ms_pixel3"; the first objective is then the `error` in
            per cent, with the reference point at 20 % and the 90th percentile of the second.
        at_most: with it, `second` is no objective but a constraint.
        screened: whether `second` is known before training.

    Raises:
        JobError: the file or a column is not there, a value is no number, or rows are missing or there twice.
    """
    if at_most is not None and not second:
        raise JobError(f"benchmark 'nasbench201': at_most={at_most!r} limits the column that `second` names; name one")
    keys, values = _read(Path(path), [name for name in (column, cheap, second) if name])
    if len(set(keys)) == len(keys) != CELLS:
        raise JobError(f"{path}: has {len(keys)} rows; NAS-Bench-201 has {CELLS} cells, and each needs one")
    full = values[column]
    accuracy = np.stack([values[cheap], full], axis=1) if cheap else full
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
        space(),
        keys,
        columns,
        objectives,
        levels=levels,
        key=key,
        split="test" if "test" in column else "validation",
        source=f"NAS-Bench-201 cells, {column.replace('_', ' ')}",
        **options,
    )


def _read(path: Path, wanted: Sequence[str]) -> tuple[list[tuple[str, ...]], dict[str, FloatArray]]:
    """The cell of each row, and the wanted columns."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            there = reader.fieldnames or ()
            for name in ("architecture", *wanted):
                if name not in there:
                    raise JobError(f"{path}: has no column {name!r}; it has {', '.join(there)}")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, EOFError, zlib.error, csv.Error) as error:
        raise JobError(f"{path}: cannot be read: {error}") from error
    keys = [_cell(row["architecture"], f"{path}, line {line}") for line, row in rows]
    columns = {
        name: [_number(row[name], f"{path}, line {line}, column {name!r}") for line, row in rows] for name in wanted
    }
    return keys, {name: np.array(column) for name, column in columns.items()}


def _cell(text: str, where: str) -> tuple[str, ...]:
    try:
        return operations(text)
    except JobError as error:
        raise JobError(f"{where}: {error}") from None


def _number(text: str | None, where: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise JobError(f"{where}: {text or ''!r} is no number") from None


ANALOG_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""In the order of the package's numbers."""
ANALOG_EDGES = (0, 1, 3, 2, 4, 5)
"""Where in the package's codes each of `EDGES` stands: there the edges go 0-1, 0-2, 0-3, 1-2, 1-3, 2-3."""


def analog(metric: str = "baseline_accuracy") -> Table:
    """AnalogNAS-Bench from the package analog-nasbench: NAS-Bench-201's cells trained anew on CIFAR-10, judged on test.

    Args:
        metric: the objective, in per cent: baseline_accuracy (digital), ptq_accuracy, qat_accuracy, noisy_accuracy,
            analog_accuracy.

    Raises:
        MissingExtra: the package is not installed.
        JobError: there is no such metric.
    """
    spec = find_spec("analognasbench")
    if spec is None or spec.origin is None:
        raise MissingExtra("analog-nasbench", "bench", "the benchmark 'analog'")
    path = Path(spec.origin).parent / "data.anb"
    stand_ins = {("analognasbench.data", name): Record for name in ("Architecture", "DriftMeasurement")}
    with path.open("rb") as file:
        table = load_pickle(file, path, stand_ins)
    known = sorted(name for name, value in vars(next(iter(table.values()))).items() if isinstance(value, (int, float)))
    if metric not in known:
        raise JobError(f"benchmark 'analog' has no metric {metric!r}; it has {', '.join(known)}")
    keys = [tuple(ANALOG_OPERATIONS[code[place]] for place in ANALOG_EDGES) for code in table]
    return Table(
        "analog",
        space(),
        keys,
        {"accuracy": [getattr(row, metric) for row in table.values()]},
        "accuracy",
        key=key,
        split="test",
        source=f"AnalogNAS-Bench (package analog-nasbench), {metric.replace('_', ' ')}, CIFAR-10",
    )
