"""Problems that are a formula: a known optimum, any size, and the difficulties of real spaces one at a time.

Values are in [0, 1], 1 at the best, called `accuracy` since that is what a user seeks; a curve of epochs rises to it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ogive.arrays import FloatArray, IntArray
from ogive.bench.problem import Bounds, Observation, Problem
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.registry import whole
from ogive.seeds import generator
from ogive.space import Architecture, Space, integer, layer, one_of, repeat
from ogive.trial import Fidelity


def network(*arguments: object, **named: object) -> tuple[object, ...]:
    """Stands for a network where there is none."""
    return (*arguments, *named.values())


class Additive(Problem):
    """Each decision adds its part, drawn at random for each alternative: the easiest space that there can be.

    Args:
        decisions: how many.
        alternatives: of each.
        seed: of the parts.
    """

    def __init__(self, decisions: int = 8, alternatives: int = 4, seed: int = 0) -> None:
        d, a = whole("additive", "decisions", decisions, 1), whole("additive", "alternatives", alternatives, 2)
        self.name = f"additive-{d}x{a}"
        self.objectives = (Objective("accuracy"),)
        self.split = ""
        self.source = f"the sum of {d} parts, {a} alternatives each"
        self.space = Space(layer(network, *(one_of(*range(a), name=f"x{i}") for i in range(d))))
        parts = generator(seed, "additive").random((d, a))
        low, high = parts.min(axis=1).sum(), parts.max(axis=1).sum()
        self._parts = (parts - parts.min(axis=1, keepdims=True)) / (high - low)

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        yield Observation(1, self.truth(architecture), 1.0)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        return {"accuracy": float(sum(self._parts[i, architecture[f"x{i}"]] for i in range(len(self._parts))))}

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"accuracy": Bounds(1.0, 0.0)}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "parts": self._parts.round(9).tolist()}


def nk(n: int = 10, k: int = 3, alternatives: int = 3, seed: int = 0) -> Table:
    """Kauffman's NK landscape: the part of each decision depends on `k` others, so that the space is rugged.

    S. Kauffman and E. Weinberger, "The NK model of rugged fitness landscapes" (1989). The larger `k`, the more local
    optima. The optimum is known by enumeration, so `alternatives` to the power of `n` is at most a million.

    Raises:
        JobError: an option is out of its range.
    """
    n, a = whole("nk", "n", n, 2), whole("nk", "alternatives", alternatives, 2)
    k = whole("nk", "k", k, 0)
    if k >= n or a**n > 10**6:
        raise JobError(f"nk: n={n}, k={k}, alternatives={a}; k must be below n, and alternatives^n at most a million")
    rng = generator(seed, "nk")
    others = [[i, *rng.choice([j for j in range(n) if j != i], size=k, replace=False).tolist()] for i in range(n)]
    parts = rng.random((n, a ** (k + 1)))
    codes = np.array(list(itertools.product(range(a), repeat=n)))
    powers = a ** np.arange(k + 1)
    values = np.mean([parts[i, codes[:, others[i]] @ powers] for i in range(n)], axis=0)
    return _table(
        f"nk-{n}-{k}",
        Space(layer(network, *(one_of(*range(a), name=f"x{i}") for i in range(n)))),
        codes,
        [f"x{i}" for i in range(n)],
        values,
        f"NK landscape, n={n}, k={k}, {a} alternatives",
    )


def _table(name: str, space: Space, codes: IntArray, names: Sequence[str], values: FloatArray, source: str) -> Table:
    scaled = (values - values.min()) / (values.max() - values.min())
    keys = list(map(tuple, codes.tolist()))

    def key(architecture: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(architecture[name] for name in names)

    return Table(name, space, keys, {"accuracy": scaled}, "accuracy", split="", key=key, source=source)


class Chain(Problem):
    """A chain of 1 to `depth` layers, each with a width and an operation: conditional decisions and learning curves.

    The optimum is known by construction: one depth is best, and at every place one operation and one width. Deep and wide
    networks are slower, and learn more slowly, so that few epochs favour small ones.

    Args:
        depth: most layers.
        epochs: length of a curve.
        noise: standard deviation of an epoch's value around the curve; falls as the curve levels out.
        seed: of which operations and widths are best.
    """

    WIDTHS = (8, 16, 32, 64, 128)
    OPERATIONS = ("conv3", "conv5", "depthwise", "pool")

    def __init__(self, depth: int = 6, epochs: int = 27, noise: float = 0.0, seed: int = 0) -> None:
        depth = whole("chain", "depth", depth, 2)
        self.epochs = whole("chain", "epochs", epochs, 1)
        self.name, self.continuable, self.noise = f"chain-{depth}", True, float(noise)
        self.objectives, self.split = (Objective("accuracy"),), ""
        self.source = f"a synthetic chain of 1 to {depth} layers with learning curves of {epochs} epochs"
        rng = generator(seed, "chain")
        self._deep = int(rng.integers(max(2, depth // 2), depth + 1))
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

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        final, cost = self.truth(architecture)["accuracy"], self._cost(architecture)
        rate = 4.0 / (1.0 + 2.0 * cost) / (self.epochs or 1)
        wobble = generator(seed, "curve", architecture.id).standard_normal(self.epochs or 1)
        for epoch in range(1, int(fidelity.get("epochs", self.epochs or 1)) + 1):
            rest = math.exp(-rate * epoch)
            value = final * (1 - rest) / (1 - math.exp(-rate * (self.epochs or 1)))
            value += self.noise * (0.2 + rest) * float(wobble[epoch - 1])
            yield Observation(epoch, {"accuracy": value}, 0.2 + cost)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        depth = int(architecture["depth"])
        fits = [self._fit[name][architecture[name]] for name in architecture if name != "depth"]
        return {"accuracy": float(np.mean(fits)) * (1.0 - 0.5 * abs(depth - self._deep) / self._deep)}

    def _cost(self, architecture: Architecture) -> float:
        """Seconds of an epoch, between 0 and 1."""
        widths = [architecture[name] for name in architecture if name.startswith("width")]
        most = len(self._fit) / 2 * self.WIDTHS[-1]
        return float(sum(widths)) / most

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"accuracy": Bounds(1.0, 0.0)}

    def describe(self) -> dict[str, Any]:
        fit = {name: {str(label): float(value) for label, value in row.items()} for name, row in self._fit.items()}
        return {**super().describe(), "fit": fit, "deep": self._deep, "noise": self.noise}

    @cached_property
    def full_seconds(self) -> float:
        rng = generator(0, "full seconds")
        return (self.epochs or 1) * float(np.mean([0.2 + self._cost(self.space.sample(rng)) for _ in range(200)]))


def _peaked(rng: np.random.Generator, n: int) -> list[float]:
    """Values along an ordered decision that fall off from 1 at one place."""
    top = int(rng.integers(n))
    return [1.0 - abs(i - top) / max(top, n - 1 - top) for i in range(n)]
