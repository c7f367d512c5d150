"""The benchmark `digits`: learning curves of small convolutional networks on scikit-learn's digits, shipped with Ogive.

It has 1,554 architectures (`zoo.chain` with three widths, two kernel sizes and one to four blocks), each trained with three
seeds for 32 epochs on 300 examples. The validation set has 500 examples, the test set 997. `ogive bench build` computes the
table.
"""

from __future__ import annotations

from pathlib import Path

from ogive.bench.curve_file import load as load_curves
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import ObjectiveSpec
from ogive.space import Space, integer, layer, one_of, repeat
from ogive.task import Recipe, Task, classification

CHANNELS = (4, 12, 32)
KERNELS = (3, 5)
MIN_DEPTH, MAX_DEPTH = 1, 4
SEEDS = 3
TABLE_FILE = Path(__file__).with_name("digits.npz")


def make_space() -> Space:
    """Return the space with its layers: 6 architectures with one block, 36 with two, 216 with three, 1,296 with four."""
    from ogive import zoo

    return zoo.chain(channels=CHANNELS, kernels=KERNELS, depth=(MIN_DEPTH, MAX_DEPTH))


def make_task() -> Task:
    """Return the task.

    With few training examples the accuracies of the architectures differ more, and with many validation and test examples
    the differences are measured more precisely.
    """
    return classification("digits", test=997, validation=500, train=300)


def make_recipe() -> Recipe:
    """Return the recipe that every architecture is trained with."""
    return Recipe(epochs=32, learning_rate=0.01)


def load(objectives: ObjectiveSpec = "log_loss") -> Table:
    """Return the table. The space has the decisions of `make_space()` without layers, so that PyTorch is not imported.

    Args:
        objectives: "log_loss" (nats per example; it distinguishes architectures better), "accuracy" (0 to 1), or both.

    Raises:
        JobError: the file of the table is missing.
    """
    if not TABLE_FILE.exists():
        raise JobError(
            f"the table of the benchmark 'digits' is missing; build it with `ogive bench build {TABLE_FILE}` (six hours "
            "on one core; it can be interrupted and continued), or choose another benchmark: see `ogive bench list`"
        )
    return load_curves(
        TABLE_FILE,
        objectives,
        make_space_without_layers(),
        name="digits",
        source="chains of convolutions on digits, built by Ogive",
    )


def network(*blocks: object) -> tuple[object, ...]:
    """Return the arguments: a placeholder for the network, because a table needs no model."""
    return blocks


def make_space_without_layers() -> Space:
    """Return the space of the table: the decisions of `make_space()`, without layers."""
    widths = [one_of(*CHANNELS, name=f"channels{i}") for i in range(MAX_DEPTH)]
    blocks = repeat(
        lambda i: layer(network, widths[i], one_of(*KERNELS, name=f"kernel{i}")),
        times=integer(MIN_DEPTH, MAX_DEPTH, name="depth"),
    )
    return Space(layer(network, blocks))
