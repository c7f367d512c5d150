"""The benchmark `digits`: learning curves of small convolutional chains on scikit-learn's digits, made by this project.

1,554 architectures (`zoo.chain` with three widths, two kernels and one to four blocks), each trained from three seeds for
32 epochs on 300 examples; validation on 500, test on the other 997. `ogive bench build` makes the table anew.
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
DEPTH = (1, 4)
SEEDS = 3
FILE = Path(__file__).with_name("digits.npz")


def space() -> Space:
    """The space with its layers: 6 + 36 + 216 + 1,296 architectures."""
    from ogive import zoo

    return zoo.chain(channels=CHANNELS, kernels=KERNELS, depth=DEPTH)


def task() -> Task:
    """Few examples to train on, so that architectures differ; many to judge by, so that it shows."""
    return classification("digits", test=997, validation=500, train=300)


def recipe() -> Recipe:
    """How every architecture is trained."""
    return Recipe(epochs=32, learning_rate=0.01)


def load(objectives: ObjectiveSpec = "log_loss") -> Table:
    """The table. The objective is "log_loss" (nats an example, the finer of the two), "accuracy" (0 to 1), or both.

    Its space has the decisions of `space()` without layers, so that nothing loads PyTorch.
    """
    if not FILE.exists():
        raise JobError(
            f"the table of the benchmark 'digits' is gone; make it anew with `ogive bench build {FILE}` (some six hours of "
            "one core; it goes on where it was stopped), or name another: see `ogive bench list`"
        )
    return load_curves(
        FILE, objectives, _plain(), name="digits", source="chains of convolutions on digits, made by Ogive"
    )


def network(*blocks: object) -> tuple[object, ...]:
    """Stands for the network that a row was measured on."""
    return blocks


def _plain() -> Space:
    widths = [one_of(*CHANNELS, name=f"channels{i}") for i in range(DEPTH[1])]
    blocks = repeat(
        lambda i: layer(network, widths[i], one_of(*KERNELS, name=f"kernel{i}")), times=integer(*DEPTH, name="depth")
    )
    return Space(layer(network, blocks))
