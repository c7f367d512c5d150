"""Tabular benchmarks from CSV files: a column for each decision of a space, and columns of metrics."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ogive.bench.table_problem import Table
from ogive.errors import JobError, SpaceError
from ogive.objective import Constraint, ObjectiveSpec
from ogive.objective import parse_constraints as parse_constraints
from ogive.objective import parse_objectives as parse_objectives
from ogive.space import Architecture, Space
from ogive.trial import EMPTY

SECONDS = "seconds"
EPOCHS = "epochs"
SEED = "seed"


def load(
    path: str | Path,
    space: Space,
    objectives: ObjectiveSpec = "accuracy",
    *,
    constraints: Constraint | Sequence[Constraint] = (),
    test: Mapping[str, str] = EMPTY,
    screened: Sequence[str] = (),
    continuable: bool = True,
    split: str = "validation",
    name: str = "",
) -> Table:
    """Return the table in a CSV file with a header, which may be gzipped.

    A row has the metrics of one architecture, at one number of epochs and with one seed. The columns are:

    - one for each decision, with its label; empty where the decision is inactive;
    - optionally `epochs`, the level of the row, and `seed`, the repetition of the row (integers);
    - optionally `seconds`, the training time (since the start of the training if `continuable`);
    - metrics: all other columns that contain numbers only. Columns with text are ignored.

    Args:
        path: the file.
        space: the search space; each of its architectures needs a row.
        objectives: one or several columns.
        constraints: constraints on columns.
        test: the column with the values on the test split, by objective, for the report.
        screened: the columns that are known before training.
        continuable: whether the rows of one architecture are epochs of one training. If not, each row is a separate
            training.
        split: the split that the objectives were measured on.
        name: the name of the problem; by default the name of the file.

    Raises:
        JobError: the file cannot be read, or a row is missing, invalid or a duplicate; the message names the row.
    """
    file = Path(path)
    header, rows = _read_csv(file)
    decisions = [decision.name for decision in space.decisions]
    missing_columns = [decision for decision in decisions if decision not in header]
    if missing_columns:
        raise JobError(
            f"{file}: has no column for the decision {missing_columns[0]!r}; the columns are {', '.join(header)}"
        )
    architectures = [_parse_architecture(space, row, f"{file}, line {line}") for line, row in rows]
    keys = _collect_keys(file, architectures, rows)
    required_metrics = {o.metric for o in parse_objectives(objectives)} | {
        c.metric for c in parse_constraints(constraints)
    }
    required_metrics |= {*test.values(), *screened, SECONDS}
    # Other columns with text are ignored; in a required column, text is an error, which names the row.
    metric_columns = [name for name in header if name not in (*decisions, EPOCHS, SEED)]
    metrics = [
        name for name in metric_columns if name in required_metrics or all(_is_number(row[name]) for _, row in rows)
    ]
    distinct = {architecture.id: architecture for architecture in architectures}
    seeds = sorted({seed for _, seed, _ in keys})
    levels = sorted({epochs for _, _, epochs in keys})
    values = {metric: np.full((len(distinct), len(seeds), len(levels)), np.nan) for metric in metrics}
    indices = {architecture_id: index for index, architecture_id in enumerate(distinct)}
    is_present = np.zeros((len(distinct), len(seeds), len(levels)), dtype=bool)
    for (line, row), (architecture_id, seed, epochs) in zip(rows, keys, strict=True):
        cell = indices[architecture_id], seeds.index(seed), levels.index(epochs)
        is_present[cell] = True
        for metric in metrics:
            values[metric][cell] = _parse_number(row[metric], f"{file}, line {line}, column {metric!r}")
    _check_all_present(file, is_present, list(distinct.values()), seeds, levels)
    return Table(
        name or file.name.split(".")[0],
        space,
        list(distinct),
        {metric: column for metric, column in values.items() if metric != SECONDS},
        objectives,
        constraints=constraints,
        levels=levels if EPOCHS in header else (),
        continuable=continuable and EPOCHS in header,
        seconds=values.get(SECONDS),
        test=test,
        screened=screened,
        split=split,
        source=f"the table {file.name}",
    ).check_complete()


def _read_csv(file: Path) -> tuple[Sequence[str], list[tuple[int, dict[str, str]]]]:
    """Return the header, and each row with its line number.

    Raises:
        JobError: the file cannot be read, is empty, or a row does not fit the header.
    """
    open_text: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with open_text(file, "rt", encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, EOFError, zlib.error, csv.Error) as error:
        raise JobError(f"{file}: cannot be read: {error}") from error
    duplicates = [name for index, name in enumerate(header) if name in header[:index]]
    if duplicates:
        raise JobError(f"{file}: has two columns {duplicates[0]!r}; rename or remove one")
    if not rows:
        raise JobError(f"{file}: the table has no rows")
    for line, row in rows:
        # `DictReader` uses None as the value of missing columns, and as the key of surplus values.
        if None in row or None in row.values():
            raise JobError(f"{file}, line {line}: the number of values is not that of the header, {len(header)}")
    return header, rows


def _parse_architecture(space: Space, row: Mapping[str, str], location: str) -> Architecture:
    """Return the architecture of a row.

    Args:
        space: the search space.
        row: the row, by column.
        location: the file and the line, for error messages.

    Raises:
        JobError: the row is not an architecture of the space.
    """
    labels: dict[str, Any] = {}
    for decision in space.decisions:
        text = row[decision.name]
        if text != "":
            labels[decision.name] = _parse_label(decision.domain.describe().get("labels"), text)
    try:
        return space.architecture(labels)
    except SpaceError as error:
        raise JobError(f"{location}: {error}") from error


def _parse_label(labels: Sequence[Any] | None, text: str) -> Any:
    """Return the label whose text is `text`, otherwise the value of `text` as JSON, otherwise `text` itself."""
    for label in labels or ():
        if str(label) == text:
            return label
    try:
        return json.loads(text)
    except ValueError:
        return text


def _collect_keys(
    file: Path, architectures: Sequence[Architecture], rows: Sequence[tuple[int, Mapping[str, str]]]
) -> list[tuple[str, int, int]]:
    """Return (architecture id, seed, epochs) of each row.

    Raises:
        JobError: two rows have the same key.
    """
    lines: dict[tuple[str, int, int], int] = {}
    for architecture, (line, row) in zip(architectures, rows, strict=True):
        location = f"{file}, line {line}"
        seed, epochs = (
            int(_parse_number(row.get(name, "0"), f"{location}, column {name!r}")) for name in (SEED, EPOCHS)
        )
        first_line = lines.setdefault((architecture.id, seed, epochs), line)
        if first_line != line:
            raise JobError(
                f"{location}: the same architecture{' and epoch' if EPOCHS in row else ''} as line {first_line}; remove one "
                "of them, or number the repetitions in a column 'seed'"
            )
    return list(lines)


def _check_all_present(
    file: Path, is_present: Any, architectures: Sequence[Architecture], seeds: Sequence[int], levels: Sequence[int]
) -> None:
    """Raise JobError if a row is missing; `is_present` is a boolean array of shape [architectures, seeds, levels]."""
    missing_rows = np.argwhere(~is_present)
    if len(missing_rows):
        row, seed, level = missing_rows[0]
        labels = ", ".join(f"{name}={label}" for name, label in architectures[row].items())
        raise JobError(
            f"{file}: {len(missing_rows)} rows are missing, the first is {labels} at epochs {levels[level]} with seed "
            f"{seeds[seed]}; each architecture needs a row for each number of epochs and each seed in the file"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse_number(text: str, location: str) -> float:
    """Return the number in a cell; `location` is for the error message."""
    try:
        return float(text)
    except ValueError:
        raise JobError(f"{location}: {text!r} is not a number") from None
