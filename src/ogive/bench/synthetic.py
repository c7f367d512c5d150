"""Synthetic problems, defined by formulas: of any size, with a known optimum and known difficulties.

Each problem has one metric, called `accuracy`. Its true values lie in [0, 1], and the optimum is 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ogive.bench.problem import Bounds, Problem, StepResult
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.registry import check_whole_number
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of, repeat
from ogive.trial import Fidelity

BASE_EPOCH_SECONDS = 0.2
"""The part of the duration of an epoch of `Chain` that does not depend on the architecture."""
DECAY_OF_SMALLEST = 4.0
"""Over all epochs, the distance of the smallest networks of `Chain` from their final value falls to exp(-4) of its initial
value.
"""


def network(*arguments: object, **named: object) -> tuple[object, ...]:
    """Return the arguments: a placeholder for the network, because a formula needs no model."""
    return (*arguments, *named.values())


class Additive(Problem):
    """The sum of one random value per decision, without interactions: the easiest problem.

    Args:
        decisions: the number of decisions.
        alternatives: the number of alternatives of each decision.
        seed: the seed of the values.
    """

    def __init__(self, decisions: int = 8, alternatives: int = 4, seed: int = 0) -> None:
        decisions = check_whole_number("additive", "decisions", decisions, 1)
        alternatives = check_whole_number("additive", "alternatives", alternatives, 2)
        self.name = f"additive-{decisions}x{alternatives}"
        self.objectives = (Objective("accuracy"),)
        self.split = ""
        self.source = f"the sum of {decisions} values, {alternatives} alternatives each"
        self.space = Space(layer(network, *(one_of(*range(alternatives), name=f"x{i}") for i in range(decisions))))
        contributions = generator(seed, "additive").random((decisions, alternatives))
        # The sum is scaled so that the worst architecture has the value 0, and the best has 1.
        low, high = contributions.min(axis=1).sum(), contributions.max(axis=1).sum()
        self._contributions = (contributions - contributions.min(axis=1, keepdims=True)) / (high - low)

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        yield StepResult(step=1, metrics=self.truth(architecture), seconds=1.0)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        return {
            "accuracy": float(
                sum(self._contributions[i, architecture[f"x{i}"]] for i in range(len(self._contributions)))
            )
        }

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"accuracy": Bounds(best=1.0, worst=0.0)}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "parts": self._contributions.round(9).tolist()}


def nk(n: int = 10, k: int = 3, alternatives: int = 3, seed: int = 0) -> Table:
    """Return Kauffman's NK landscape: the mean of one value per decision, each of which depends on `k` other decisions.

    S. Kauffman and E. Weinberger, "The NK model of rugged fitness landscapes" (1989). The larger `k`, the more local
    optima there are. The optimum is known by enumeration.

    Args:
        n: the number of decisions.
        k: the number of other decisions that the value of a decision depends on; with 0, the landscape is additive.
        alternatives: the number of alternatives of each decision; `alternatives**n` must be at most a million.
        seed: the seed of the values.

    Raises:
        JobError: an option is out of its range.
    """
    n = check_whole_number("nk", "n", n, 2)
    alternatives = check_whole_number("nk", "alternatives", alternatives, 2)
    k = check_whole_number("nk", "k", k, 0)
    if k >= n or alternatives**n > 10**6:
        raise JobError(
            f"nk: n={n}, k={k}, alternatives={alternatives}; k must be below n, and alternatives^n at most a million"
        )
    rng = generator(seed, "nk")
    # The labels of a decision and of its k random inputs select one of alternatives^(k + 1) random contributions: they are
    # the digits of its index, in the base `alternatives`.
    inputs = [[i, *rng.choice([j for j in range(n) if j != i], size=k, replace=False).tolist()] for i in range(n)]
    contributions = rng.random((n, alternatives ** (k + 1)))
    labels = np.array(list(itertools.product(range(alternatives), repeat=n)))
    powers = alternatives ** np.arange(k + 1)
    values = np.mean([contributions[i, labels[:, inputs[i]] @ powers] for i in range(n)], axis=0)
    accuracies = (values - values.min()) / (values.max() - values.min())
    names = [f"x{i}" for i in range(n)]

    def make_key(architecture: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(architecture[name] for name in names)

    return Table(
        f"nk-{n}-{k}",
        Space(layer(network, *(one_of(*range(alternatives), name=name) for name in names))),
        list(map(tuple, labels.tolist())),
        {"accuracy": accuracies},
        "accuracy",
        split="",
        key=make_key,
        source=f"NK landscape, n={n}, k={k}, {alternatives} alternatives",
    )


class Chain(Problem):
    """A chain of 1 to `depth` layers, each with a width and an operation: conditional decisions and learning curves.

    The optimum is known by construction: there is one best depth, and one best operation and width of each layer. Deep
    and wide networks take longer per epoch and learn more slowly, so that few epochs favour small ones.

    Args:
        depth: the maximum number of layers.
        epochs: the length of the learning curves.
        noise: the standard deviation of the values around the learning curve. It decreases as the curve levels out.
        seed: the seed of the best depth, operations and widths.
    """

    WIDTHS = (8, 16, 32, 64, 128)
    OPERATIONS = ("conv3", "conv5", "depthwise", "pool")

    def __init__(self, depth: int = 6, epochs: int = 27, noise: float = 0.0, seed: int = 0) -> None:
        depth = check_whole_number("chain", "depth", depth, 2)
        self.epochs = self._epoch_count = check_whole_number("chain", "epochs", epochs, 1)
        self.name, self.continuable, self.noise = f"chain-{depth}", True, float(noise)
        self.objectives, self.split = (Objective("accuracy"),), ""
        self.source = f"a synthetic chain of 1 to {depth} layers with learning curves of {epochs} epochs"
        rng = generator(seed, "chain")
        # The best depth is at least half of the maximum.
        self._best_depth = int(rng.integers(max(2, depth // 2), depth + 1))
        # The values of the labels: 1 for the best width and operation of a layer. The operations have the values 1, 0.7, 0.4
        # and 0 in random order.
        self._label_values: dict[str, dict[Any, float]] = {
            **{
                f"width{i}": dict(zip(self.WIDTHS, _make_peaked_values(rng, len(self.WIDTHS)), strict=True))
                for i in range(depth)
            },
            **{
                f"operation{i}": dict(zip(self.OPERATIONS, rng.permutation([1.0, 0.7, 0.4, 0.0]), strict=True))
                for i in range(depth)
            },
        }
        widths = [one_of(*self.WIDTHS, name=f"width{i}") for i in range(depth)]
        operations = [one_of(*self.OPERATIONS, name=f"operation{i}") for i in range(depth)]
        layers = integer(1, depth, name="depth")
        self.space = Space(layer(network, repeat(lambda i: layer(network, widths[i], operations[i]), times=layers)))

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        final_accuracy = self.truth(architecture)["accuracy"]
        relative_width = self._compute_relative_width(architecture)
        # Wide and deep networks learn up to three times more slowly than the smallest ones.
        learning_speed = DECAY_OF_SMALLEST / (1.0 + 2.0 * relative_width) / self._epoch_count
        noise = generator(seed, "curve", architecture.id).standard_normal(self._epoch_count)
        for epoch in range(1, int(fidelity.get("epochs", self._epoch_count)) + 1):
            # An exponential curve that reaches the true value at the last epoch.
            distance = math.exp(-learning_speed * epoch)
            value = final_accuracy * (1 - distance) / (1 - math.exp(-learning_speed * self._epoch_count))
            # The standard deviation decreases along the curve, from 1.2 * `self.noise` towards 0.2 * `self.noise`.
            value += self.noise * (0.2 + distance) * float(noise[epoch - 1])
            seconds = self._compute_epoch_seconds(architecture)
            yield StepResult(step=epoch, metrics={"accuracy": value}, seconds=seconds)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        depth = int(architecture["depth"])
        # The mean over the widths and operations of all layers, reduced by the distance from the best depth.
        values = [self._label_values[name][architecture[name]] for name in architecture if name != "depth"]
        return {"accuracy": float(np.mean(values)) * (1.0 - 0.5 * abs(depth - self._best_depth) / self._best_depth)}

    def _compute_epoch_seconds(self, architecture: Architecture) -> float:
        """Return the duration of an epoch: up to 1 s more than `BASE_EPOCH_SECONDS`."""
        return BASE_EPOCH_SECONDS + self._compute_relative_width(architecture)

    def _compute_relative_width(self, architecture: Architecture) -> float:
        """Return the sum of the widths, as a share of the largest possible sum."""
        widths = [architecture[name] for name in architecture if name.startswith("width")]
        # `_label_values` has two entries for each layer: its width and its operation.
        max_depth = len(self._label_values) / 2
        return float(sum(widths)) / (max_depth * self.WIDTHS[-1])

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"accuracy": Bounds(best=1.0, worst=0.0)}

    def describe(self) -> dict[str, Any]:
        label_values = {
            name: {str(label): float(value) for label, value in row.items()} for name, row in self._label_values.items()
        }
        return {**super().describe(), "fit": label_values, "deep": self._best_depth, "noise": self.noise}

    @cached_property
    def full_seconds(self) -> float:
        rng = generator(0, "full seconds")
        # The mean over all architectures, estimated from 200 random ones.
        return self._epoch_count * float(
            np.mean([self._compute_epoch_seconds(self.space.sample(rng)) for _ in range(200)])
        )


def _make_peaked_values(rng: np.random.Generator, n: int) -> list[float]:
    """Return n values that decrease linearly on both sides of one index, where the value is 1."""
    peak = int(rng.integers(n))
    return [1.0 - abs(i - peak) / max(peak, n - 1 - peak) for i in range(n)]
