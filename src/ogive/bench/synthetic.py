"""Synthetic problems, defined by formulas: of any size, with a known optimum, and each with one difficulty of real spaces.

Each has one metric, called `accuracy`: it lies in [0, 1], and is 1 at the optimum.
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


def network(*arguments: object, **named: object) -> tuple[object, ...]:
    """A placeholder for the network: a formula needs no model."""
    return (*arguments, *named.values())


class Additive(Problem):
    """The sum of one random value per decision, without interactions: the easiest problem.

    Args:
        decisions: the number of decisions.
        alternatives: the number of alternatives of each decision.
        seed: the seed of the values.
    """

    def __init__(self, decisions: int = 8, alternatives: int = 4, seed: int = 0) -> None:
        d, a = (
            check_whole_number("additive", "decisions", decisions, 1),
            check_whole_number("additive", "alternatives", alternatives, 2),
        )
        self.name = f"additive-{d}x{a}"
        self.objectives = (Objective("accuracy"),)
        self.split = ""
        self.source = f"the sum of {d} values, {a} alternatives each"
        self.space = Space(layer(network, *(one_of(*range(a), name=f"x{i}") for i in range(d))))
        parts = generator(seed, "additive").random((d, a))
        low, high = parts.min(axis=1).sum(), parts.max(axis=1).sum()
        self._parts = (parts - parts.min(axis=1, keepdims=True)) / (high - low)

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        yield StepResult(1, self.truth(architecture), 1.0)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        return {"accuracy": float(sum(self._parts[i, architecture[f"x{i}"]] for i in range(len(self._parts))))}

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"accuracy": Bounds(1.0, 0.0)}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "parts": self._parts.round(9).tolist()}


def nk(n: int = 10, k: int = 3, alternatives: int = 3, seed: int = 0) -> Table:
    """Return Kauffman's NK landscape: the mean of one value per decision, each of which depends on `k` other decisions.

    S. Kauffman and E. Weinberger, "The NK model of rugged fitness landscapes" (1989). The larger `k`, the more local
    optima. The optimum is known by enumeration.

    Args:
        n: the number of decisions.
        k: the number of other decisions that the value of a decision depends on; 0 is additive.
        alternatives: the number of alternatives of each decision; `alternatives**n` must be at most a million.
        seed: the seed of the values.

    Raises:
        JobError: an option is out of its range.
    """
    n, a = check_whole_number("nk", "n", n, 2), check_whole_number("nk", "alternatives", alternatives, 2)
    k = check_whole_number("nk", "k", k, 0)
    if k >= n or a**n > 10**6:
        raise JobError(f"nk: n={n}, k={k}, alternatives={a}; k must be below n, and alternatives^n at most a million")
    rng = generator(seed, "nk")
    neighbours = [[i, *rng.choice([j for j in range(n) if j != i], size=k, replace=False).tolist()] for i in range(n)]
    parts = rng.random((n, a ** (k + 1)))
    labels = np.array(list(itertools.product(range(a), repeat=n)))
    powers = a ** np.arange(k + 1)
    values = np.mean([parts[i, labels[:, neighbours[i]] @ powers] for i in range(n)], axis=0)
    scaled = (values - values.min()) / (values.max() - values.min())
    names = [f"x{i}" for i in range(n)]

    def key(architecture: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(architecture[name] for name in names)

    return Table(
        f"nk-{n}-{k}",
        Space(layer(network, *(one_of(*range(a), name=name) for name in names))),
        list(map(tuple, labels.tolist())),
        {"accuracy": scaled},
        "accuracy",
        split="",
        key=key,
        source=f"NK landscape, n={n}, k={k}, {a} alternatives",
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
        self.epochs = check_whole_number("chain", "epochs", epochs, 1)
        self.name, self.continuable, self.noise = f"chain-{depth}", True, float(noise)
        self.objectives, self.split = (Objective("accuracy"),), ""
        self.source = f"a synthetic chain of 1 to {depth} layers with learning curves of {epochs} epochs"
        rng = generator(seed, "chain")
        self._best_depth = int(rng.integers(max(2, depth // 2), depth + 1))
        self._fit: dict[str, dict[Any, float]] = {
            **{f"width{i}": dict(zip(self.WIDTHS, _peaked(rng, len(self.WIDTHS)), strict=True)) for i in range(depth)},
            **{
                f"operation{i}": dict(zip(self.OPERATIONS, rng.permutation([1.0, 0.7, 0.4, 0.0]), strict=True))
                for i in range(depth)
            },
        }
        widths = [one_of(*self.WIDTHS, name=f"width{i}") for i in range(depth)]
        chosen = [one_of(*self.OPERATIONS, name=f"operation{i}") for i in range(depth)]
        times = integer(1, depth, name="depth")
        self.space = Space(layer(network, repeat(lambda i: layer(network, widths[i], chosen[i]), times=times)))

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        final, cost = self.truth(architecture)["accuracy"], self._cost(architecture)
        rate = 4.0 / (1.0 + 2.0 * cost) / (self.epochs or 1)
        noise = generator(seed, "curve", architecture.id).standard_normal(self.epochs or 1)
        for epoch in range(1, int(fidelity.get("epochs", self.epochs or 1)) + 1):
            distance = math.exp(-rate * epoch)  # from the asymptote of the curve
            value = final * (1 - distance) / (1 - math.exp(-rate * (self.epochs or 1)))
            value += self.noise * (0.2 + distance) * float(noise[epoch - 1])
            yield StepResult(epoch, {"accuracy": value}, 0.2 + cost)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        depth = int(architecture["depth"])
        fits = [self._fit[name][architecture[name]] for name in architecture if name != "depth"]
        return {"accuracy": float(np.mean(fits)) * (1.0 - 0.5 * abs(depth - self._best_depth) / self._best_depth)}

    def _cost(self, architecture: Architecture) -> float:
        """Return the cost of an epoch beyond 0.2 s, in seconds: between 0 and 1, proportional to the sum of the widths."""
        widths = [architecture[name] for name in architecture if name.startswith("width")]
        largest = len(self._fit) / 2 * self.WIDTHS[-1]
        return float(sum(widths)) / largest

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"accuracy": Bounds(1.0, 0.0)}

    def describe(self) -> dict[str, Any]:
        fit = {name: {str(label): float(value) for label, value in row.items()} for name, row in self._fit.items()}
        return {**super().describe(), "fit": fit, "deep": self._best_depth, "noise": self.noise}

    @cached_property
    def full_seconds(self) -> float:
        rng = generator(0, "full seconds")
        return (self.epochs or 1) * float(np.mean([0.2 + self._cost(self.space.sample(rng)) for _ in range(200)]))


def _peaked(rng: np.random.Generator, n: int) -> list[float]:
    """Return n values that decrease linearly on both sides of one index, where the value is 1."""
    top = int(rng.integers(n))
    return [1.0 - abs(i - top) / max(top, n - 1 - top) for i in range(n)]
