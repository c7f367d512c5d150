"""Kernels between architectures, which respect categories, order, activity and equal alternatives.

Every decision is embedded in a few columns, and a component is a set of columns with a weight of its own. With D_c the
squared distance within the columns of component c, the kernel is a sum of three:

    k(x, x') = s_1 exp(-sum_c lambda_c D_c(x, x'))       all decisions together, with every interaction
             + s_2 sum_c <x_c, x'_c> / C                 each decision by itself: a linear kernel
             + s_3 sum_h exp(-mu_h |w_h - w'_h|^2) / H   the graph: which labels are there, wherever they stand

- A `one_of` is one-hot, so that exp(-lambda D) is an exponentiated Hamming distance. A `some_of` is multi-hot.
- A number u, scaled to [0, 1], is a point of a half circle, and an inactive decision is its centre: the arc kernel of
  Swersky et al., "Raiders of the lost architecture: kernels for Bayesian optimization in conditional parameter spaces"
  (2013), section 3. A component that is 1 where a conditional decision is active takes the part of their radius.
  A `one_of` of three or more numbers has both kinds, and what it is weighs out.
- w_0 counts labels over decisions that have equal alternatives. With a graph w_0 counts the labels of its nodes, w_1 labels
  with their neighbours', and so on (Weisfeiler and Lehman), and the last w holds which paths there are: see
  `ogive.surrogates.graph_features`.

A squared distance in columns is conditionally negative definite, so each exponential is positive semi-definite
(Schoenberg 1938), and so are sums of such.

Symbols: n, m architectures; p columns; C components; H levels; theta the logarithms of all parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, Domain, Subset
from ogive.space.graph import Graph
from ogive.surrogates.graph_features import WIDTH, features


@dataclass(frozen=True)
class Prior:
    """Independent normal distributions of `theta`."""

    mean: FloatArray
    deviation: FloatArray


class Embedding:
    """Columns of architectures: those of decisions [n, d], then those of the levels of the Weisfeiler-Lehman kernel.

    Args:
        space: its decisions are embedded.
        graph: gives the graph of an architecture; without one, equal alternatives of decisions are counted.
        depth: levels beyond the labels themselves; needs a graph.

    Attributes:
        component: [p] for each column, which component of `components` it belongs to; levels come last.
        components: what each component is: (decision, "label" | "order" | "active"), ("graph", level) or ("graph", "paths").
    """

    def __init__(self, space: Space, graph: Graph | None = None, depth: int = 0) -> None:
        self.space = space
        self.graph = graph
        self.depth = depth
        self.components: list[tuple[str, str]] = []
        columns: list[int] = []
        columns_of: dict[str, int] = {}
        for decision in space.decisions:
            for kind, width in _blocks(decision.domain, decision.conditional):
                if kind == "label":
                    columns_of[decision.name] = len(columns)
                columns += [len(self.components)] * width
                self.components.append((decision.name, kind))
        self.decision_columns = len(columns)
        self.decision_components = len(self.components)
        self._counts = _counts(space, columns_of, len(columns))  # [d, w]: its product with the columns counts labels
        levels = [str(level) for level in range(depth + 1)] + ["paths"]
        widths = {"0": self._counts.shape[1]} if graph is None else dict.fromkeys(levels, WIDTH)
        for level, width in widths.items():
            if width:
                columns += [len(self.components)] * width
                self.components.append(("graph", level))
        self.component = np.array(columns, dtype=np.int64)

    def __call__(self, architectures: Sequence[Architecture]) -> FloatArray:
        """[n] architectures -> [n, p]."""
        blocks = [np.zeros((len(architectures), 0))]
        for decision in self.space.decisions:
            name, domain = decision.name, decision.domain
            rows = [i for i, a in enumerate(architectures) if name in a]
            labels = [architectures[i][name] for i in rows]
            for kind, width in _blocks(domain, decision.conditional):
                block = np.zeros((len(architectures), width))
                if rows:
                    block[rows] = _embed(domain, labels, kind)
                blocks.append(block)
        if self.graph is not None:
            blocks.append(features([self.graph(a) for a in architectures], self.depth))
        x = np.concatenate(blocks, axis=1)
        return np.concatenate([x, x @ self._counts], axis=1) if self.graph is None else x


def _blocks(domain: Domain, conditional: bool) -> list[tuple[str, int]]:
    """(kind, columns) of each component of a decision."""
    blocks = [("active", 1)] if conditional else []
    if isinstance(domain, (Categorical, Subset)):
        blocks.append(("label", domain.width))
    if _numbers(domain) is not None or domain.ordered:
        blocks.append(("order", 2))
    return blocks


def _numbers(domain: Domain) -> Mapping[Any, float] | None:
    """Places in [0, 1] of the labels of a `one_of` of three or more numbers, in their order; else None."""
    if not isinstance(domain, Categorical) or len(domain.labels) < 3:
        return None
    if not all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in domain.labels):
        return None
    return {label: place / (len(domain.labels) - 1) for place, label in enumerate(sorted(domain.labels))}


def _embed(domain: Domain, labels: Sequence[Any], kind: str) -> FloatArray:
    """[n] labels -> [n, width of the component]; labels that have nothing in common are at distance 1."""
    if kind == "active":
        return np.ones((len(labels), 1))
    if kind == "label":
        members = domain.high if isinstance(domain, Subset) else 1
        return domain.encode(labels) * math.sqrt(0.5 / members)
    numbers = _numbers(domain)
    u = np.array([numbers[label] for label in labels]) if numbers else domain.encode(labels)[:, 0]
    return 0.5 * np.stack([np.sin(np.pi * u), np.cos(np.pi * u)], axis=1)


def _counts(space: Space, columns_of: Mapping[str, int], d: int) -> FloatArray:
    """[d, w]: a 1 takes the column of a label to the column that counts it, over decisions with equal alternatives."""
    groups: dict[tuple[str, ...], list[tuple[str, Categorical]]] = {}
    for decision in space.decisions:
        if isinstance(decision.domain, Categorical):
            alternatives = tuple(sorted(map(repr, decision.domain.labels)))
            groups.setdefault(alternatives, []).append((decision.name, decision.domain))
    shared = {alternatives: group for alternatives, group in groups.items() if len(group) > 1}
    counts = np.zeros((d, sum(map(len, shared))))
    first = 0
    for alternatives, group in shared.items():
        for name, domain in group:
            for place, label in enumerate(domain.labels):
                counts[columns_of[name] + place, first + alternatives.index(repr(label))] = 1.0
        first += len(alternatives)
    return counts


class ArchitectureKernel:
    """The kernel over an embedding's columns, with the prior of its parameters.

    theta = log of (lambda [C], mu [H], s_1, s_2, s_3 where H > 0, noise): variances are in units of the target's, which
    is standardised. The prior of lambda is such that, however many decisions there are, two random architectures are a
    few units of distance apart.
    """

    def __init__(self, embedding: Embedding) -> None:
        self.component = embedding.component
        self.components = embedding.components
        self.columns = embedding.decision_columns
        self.C = embedding.decision_components
        self.H = len(embedding.components) - self.C
        scales = max(1, sum(kind != "active" for _, kind in embedding.components[: self.C]))
        mean = [math.log(LAMBDA / scales)] * self.C + [math.log(MU / scales)] * self.H
        deviation = [1.0] * (self.C + self.H)
        mean += [0.0, math.log(LINEAR)] + [math.log(GRAPH)] * (self.H > 0) + [math.log(NOISE)]
        deviation += [0.7, 1.0] + [1.0] * (self.H > 0) + [1.5]
        self.prior = Prior(np.array(mean), np.array(deviation))

    def noise(self, theta: FloatArray) -> float:
        """The variance of the noise, with what keeps a Cholesky decomposition away from zero."""
        return math.exp(theta[-1]) + 1e-5

    def __call__(self, theta: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        """[n, p] and [m, p] -> [n, m], without noise."""
        d = self.columns
        weights = np.exp(theta[: self.C + self.H])[self.component]
        variances = self._variances(theta)
        k = _exponentiated(a[:, :d], b[:, :d], weights[:d], variances[0])
        k += (a[:, :d] * (2.0 * variances[1] / max(1, self.C))) @ b[:, :d].T
        for level in range(self.H):
            own = self.component == self.C + level
            k += _exponentiated(a[:, own], b[:, own], weights[own], variances[2] / self.H)
        return k

    def diagonal(self, theta: FloatArray, a: FloatArray) -> FloatArray:
        """k(x, x) [n] of [n, p], without noise."""
        variances = self._variances(theta)
        linear = variances[1] / max(1, self.C) * 2.0 * (a[:, : self.columns] ** 2).sum(axis=1)
        return np.asarray(linear + variances[0] + (variances[2] if self.H else 0.0))

    def slopes(self, theta: FloatArray, a: FloatArray, g: FloatArray) -> FloatArray:
        """sum_ij g_ij dk(a_i, a_j)/dtheta [len(theta)] of [n, p], with the noise, for a symmetric g [n, n]."""
        d = self.columns
        weights = np.exp(theta[: self.C + self.H])[self.component]
        variances = self._variances(theta)
        g_k = g * _exponentiated(a[:, :d], a[:, :d], weights[:d], variances[0])
        steepness = [weights[:d] * _squares(a[:, :d], g_k)]
        heights = [g_k.sum(), 2.0 * variances[1] / max(1, self.C) * np.vdot(a[:, :d], g @ a[:, :d])]
        for level in range(self.H):
            own = self.component == self.C + level
            g_k = g * _exponentiated(a[:, own], a[:, own], weights[own], variances[2] / self.H)
            steepness.append(weights[own] * _squares(a[:, own], g_k))
            heights[2:] = [sum(heights[2:]) + g_k.sum()]
        lengths = -np.bincount(self.component, weights=np.concatenate(steepness), minlength=self.C + self.H)
        return np.array([*lengths, *heights, math.exp(theta[-1]) * np.trace(g)])

    def _variances(self, theta: FloatArray) -> FloatArray:
        return np.asarray(np.exp(theta[self.C + self.H : -1]))


LAMBDA, MU = 3.7, 6.0
LINEAR, GRAPH, NOISE = 0.3, 0.5, 1e-2
"""Medians of the prior: lambda and mu times the number of components, s_2, s_3 and the noise beside s_1 = 1."""


def _exponentiated(a: FloatArray, b: FloatArray, weights: FloatArray, variance: float) -> FloatArray:
    """variance * exp(-sum_j weights_j (a_j - b_j)^2) [n, m] of [n, p] and [m, p], by one product of matrices."""
    k = (a * (2.0 * weights)) @ b.T
    k -= (a * a @ weights)[:, None]
    k -= (b * b @ weights)[None, :]
    np.minimum(k, 0.0, out=k)
    np.exp(k, out=k)
    k *= variance
    return np.asarray(k)


def _squares(a: FloatArray, g: FloatArray) -> FloatArray:
    """sum_ik g_ik (a_ij - a_kj)^2 [p] of [n, p], for a symmetric g [n, n]."""
    return np.asarray(2.0 * (g.sum(axis=1) @ (a * a) - np.einsum("ij,ij->j", a, g @ a)))
