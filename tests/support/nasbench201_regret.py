"""The NAS-Bench-201 table (CIFAR-10) as a space and an objective, for tests of the results of strategies."""

from __future__ import annotations

import csv
import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of, wiring
from ogive.strategy.base import Strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")  # in the order of the table's strings
COLUMN = "cifar10_test_accuracy_full_training"


def cell(*operations: str) -> tuple[str, ...]:
    return operations


def graph(architecture: Architecture) -> tuple[list[str], list[tuple[int, int]]]:
    return wiring({(int(edge[0]), int(edge[2])): architecture[edge] for edge in EDGES})


SPACE = Space(layer(cell, *(one_of(*OPERATIONS, name=edge) for edge in EDGES)), graph=graph)


def data_folder() -> Path:
    """Return the folder of the benchmark data: OGIVE_TEST_DATA, or `shared/data` beside the repository."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("OGIVE_TEST_DATA", default))


@cache
def column(name: str) -> dict[tuple[str, ...], float]:
    """Return a column of the table, by the six operations in the order of `EDGES`; skip the test without the table."""
    path = data_folder() / "nasbench201_cifar10.csv.gz"
    if not path.exists():
        pytest.skip(f"no benchmark table at {path}; set OGIVE_TEST_DATA to its folder")
    with gzip.open(path, "rt") as file:
        return {_operations(row["architecture"]): float(row[name]) for row in csv.DictReader(file)}


def accuracies() -> dict[tuple[str, ...], float]:
    """Return the accuracies after full training, in %."""
    return column(COLUMN)


def operations_of(architecture: Architecture) -> tuple[str, ...]:
    return tuple(architecture[edge] for edge in EDGES)


def _operations(text: str) -> tuple[str, ...]:
    nodes = text.strip("|").split("|+|")
    return tuple(edge.rsplit("~", 1)[0] for node in nodes for edge in node.split("|"))


def accuracy(architecture: Architecture) -> float:
    return accuracies()[operations_of(architecture)]


def finished(number: int, proposal: Proposal, value: float) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, {"accuracy": value}),))


def regrets(strategy: Strategy, trials: int, seed: int) -> np.ndarray:
    """Return the regret after 1, ..., `trials` trials, in accuracy points: [trials]."""
    optimum = max(accuracies().values())
    values = []
    for number in range(trials):
        proposal = strategy.ask(generator(seed, number), Pending(), {})
        values.append(accuracy(proposal.architecture))
        strategy.tell(finished(number, proposal, values[-1]))
    return optimum - np.maximum.accumulate(values)
