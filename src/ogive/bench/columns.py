"""Anyone's own table: a CSV with a column for each decision of a space, and columns of values."""

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
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
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
    """The table in a CSV file (also gzipped) with a header.

    Columns named like decisions say which architecture a row is of; those of inactive decisions are empty. A column
    `epochs` makes rows the levels of an architecture, `seed` its repetitions; `seconds` is the time of training up to
    there. All other columns of numbers are metrics; those that hold text, too, are left out.

    Args:
        path: of the file.
        space: with a row for each of its architectures.
        objectives: among the columns.
        constraints: of columns.
        test: by objective, the column that a report judges by.
        screened: columns that are known before training.
        continuable: the rows of one architecture are epochs of one training, rather than trainings of their own.
        split: what the objectives were measured on.
        name: of the problem; by default the file's.

    Raises:
        JobError: the file cannot be read, a row is wrong, missing, or there twice; the message names it.
    """
    file = Path(path)
    header, rows = _read(file)
    decisions = [decision.name for decision in space.decisions]
    lacking = [decision for decision in decisions if decision not in header]
    if lacking:
        raise JobError(f"{file}: has no column for the decision {lacking[0]!r}; it has {', '.join(header)}")
    found = [_architecture(space, decisions, row, f"{file}, line {line}") for line, row in rows]
    places = _places(file, found, rows)
    needed = {o.metric for o in parse_objectives(objectives)} | {c.metric for c in parse_constraints(constraints)}
    needed |= {*test.values(), *screened, SECONDS}
    others = [name for name in header if name not in (*decisions, EPOCHS, SEED)]
    metrics = [name for name in others if name in needed or all(_numeric(row[name]) for _, row in rows)]
    order = {architecture.id: architecture for architecture in found}
    seeds = sorted({place[1] for place in places})
    levels = sorted({place[2] for place in places})
    values = {metric: np.full((len(order), len(seeds), len(levels)), np.nan) for metric in metrics}
    numbers = {identity: n for n, identity in enumerate(order)}
    seen = np.zeros((len(order), len(seeds), len(levels)), dtype=bool)
    for (line, row), (identity, seed, epoch) in zip(rows, places, strict=True):
        cell = numbers[identity], seeds.index(seed), levels.index(epoch)
        seen[cell] = True
        for metric in metrics:
            values[metric][cell] = _number(row[metric], f"{file}, line {line}, column {metric!r}")
    _check_full(file, seen, list(order.values()), seeds, levels)
    return Table(
        name or file.name.split(".")[0],
        space,
        list(order),
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


def _read(file: Path) -> tuple[Sequence[str], list[tuple[int, dict[str, str]]]]:
    opened: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, EOFError, zlib.error, csv.Error) as error:
        raise JobError(f"{file}: cannot be read: {error}") from error
    twice = [name for place, name in enumerate(header) if name in header[:place]]
    if twice:
        raise JobError(f"{file}: has two columns {twice[0]!r}; rename one, or leave it out")
    if not rows:
        raise JobError(f"{file}: the table has no rows")
    for number, row in rows:
        if None in row or None in row.values():
            raise JobError(f"{file}, line {number}: has not the {len(header)} values of the header")
    return header, rows


def _architecture(space: Space, decisions: Sequence[str], row: Mapping[str, str], where: str) -> Architecture:
    choices: dict[str, Any] = {}
    for decision in space.decisions:
        text = row[decision.name]
        if text != "":
            choices[decision.name] = _label(decision.domain.describe().get("labels"), text)
    try:
        return space.architecture(choices)
    except SpaceError as error:
        raise JobError(f"{where}: {error}") from error


def _label(labels: Sequence[Any] | None, text: str) -> Any:
    """The label that is written `text`; numbers and lists as JSON writes them."""
    for label in labels or ():
        if str(label) == text:
            return label
    try:
        return json.loads(text)
    except ValueError:
        return text


def _places(
    file: Path, found: Sequence[Architecture], rows: Sequence[tuple[int, Mapping[str, str]]]
) -> list[tuple[str, int, int]]:
    """Of each row its architecture, seed and epochs; each of these once."""
    places: dict[tuple[str, int, int], int] = {}
    for architecture, (line, row) in zip(found, rows, strict=True):
        where = f"{file}, line {line}"
        seed, epoch = (int(_number(row.get(name, "0"), f"{where}, column {name!r}")) for name in (SEED, EPOCHS))
        former = places.setdefault((architecture.id, seed, epoch), line)
        if former != line:
            raise JobError(
                f"{where}: the same architecture{' and epoch' if EPOCHS in row else ''} as line {former}; keep one of "
                "them, or tell repetitions apart by a column 'seed'"
            )
    return list(places)


def _check_full(
    file: Path, seen: Any, architectures: Sequence[Architecture], seeds: Sequence[int], levels: Sequence[int]
) -> None:
    lacking = np.argwhere(~seen)
    if len(lacking):
        row, seed, level = lacking[0]
        choices = ", ".join(f"{k}={v}" for k, v in architectures[row].items())
        raise JobError(
            f"{file}: {len(lacking)} rows are missing, the first is of {choices} at epochs {levels[level]} with seed "
            f"{seeds[seed]}; each architecture needs a row for each epoch and seed that others have"
        )


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise JobError(f"{where}: {text!r} is no number") from None
