"""Kernels between architectures that respect categories, order, inactive decisions and equal alternatives.

Every decision is embedded in a few columns. A component is a set of columns with a weight of its own. With D_c the squared
distance of two architectures within the columns of component c, the kernel is a sum of three kernels:

    k(x, x') = s_1 exp(-sum_c lambda_c D_c(x, x'))       all decisions together, with all interactions
             + s_2 sum_c 2 <x_c, x'_c> / C               each decision by itself: a linear kernel
             + s_3 sum_h exp(-mu_h |w_h - w'_h|^2) / H   the graph: which labels occur, at any position

- A `one_of` is one-hot, so exp(-lambda D) is an exponentiated Hamming distance. A `some_of` is multi-hot.
- A number u, scaled to [0, 1], is a point on a half circle, and an inactive decision is its center. This is the arc kernel
  of Swersky et al., "Raiders of the lost architecture: kernels for Bayesian optimization in conditional parameter spaces"
  (2013), section 3. The paper has a radius for each conditional decision. Here such a decision has another component
  instead, which is 1 where the decision is active. A `one_of` of three or more numbers is embedded both as labels and as
  numbers, and the weights of the two components decide between them.
- Without a graph, w_0 counts labels over decisions that have equal alternatives. With a graph, w_0 counts the labels of its
  nodes, w_1 counts labels combined with those of their neighbours, and so on (Weisfeiler-Lehman). The last w holds the paths
  of the graph: see `ogive.surrogates.graph_features`.

A squared distance of columns is conditionally negative definite, so each exponential is positive semi-definite (Schoenberg
1938), and so are their sums.

Symbols: n, m architectures; p columns, d of which embed decisions; C components of decisions; H components of the graph
("levels"); theta the logarithms of all parameters.
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
from ogive.space.graph import GraphFunction
from ogive.surrogates.graph_features import WIDTH, compute_features

LAMBDA, MU = 3.7, 6.0
"""The medians of lambda and mu in the prior are these values, divided by the number of components of decisions whose kind is
not "active".
"""

LINEAR, GRAPH, NOISE = 0.3, 0.5, 1e-2
"""The medians of s_2, s_3 and the noise in the prior; that of s_1 is 1."""


@dataclass(frozen=True)
class Prior:
    """Independent normal distributions of the parameters theta: their means and standard deviations, [len(theta)]."""

    mean: FloatArray
    deviation: FloatArray


class Embedding:
    """An embedding of architectures: first the columns of decisions, then those of the graph.

    Args:
        space: the space whose decisions are embedded.
        graph: the function that returns the graph of an architecture. If None, the labels of decisions with equal
            alternatives are counted.
        depth: the number of Weisfeiler-Lehman levels beyond the labels themselves; only used with a graph.

    Attributes:
        component_of_column: for each column, the index in `components` of its component, [p].
        components: the kind of each component: (decision, "label" | "order" | "active"), ("graph", level) or ("graph",
            "paths").
        decision_columns: d, the number of columns of decisions.
        decision_component_count: C, the number of components of decisions.
    """

    def __init__(self, space: Space, graph: GraphFunction | None = None, depth: int = 0) -> None:
        self.space = space
        self.graph = graph
        self.depth = depth
        self.components: list[tuple[str, str]] = []
        component_indices: list[int] = []
        label_column: dict[str, int] = {}  # the first column of a decision's labels
        for decision in space.decisions:
            for kind, width in _list_component_widths(decision.domain, decision.is_conditional):
                if kind == "label":
                    label_column[decision.name] = len(component_indices)
                component_indices += [len(self.components)] * width
                self.components.append((decision.name, kind))
        self.decision_columns = len(component_indices)
        self.decision_component_count = len(self.components)
        self._counting_matrix = _make_counting_matrix(space, label_column, self.decision_columns)
        if graph is None:
            level_widths = {"0": self._counting_matrix.shape[1]}
        else:
            level_widths = dict.fromkeys([*(str(level) for level in range(depth + 1)), "paths"], WIDTH)
        for level, width in level_widths.items():
            if width:
                component_indices += [len(self.components)] * width
                self.components.append(("graph", level))
        self.component_of_column = np.array(component_indices, dtype=np.int64)

    def __call__(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Return the embedding [n, p] of n architectures."""
        blocks = [np.zeros((len(architectures), 0))]
        for decision in self.space.decisions:
            name, domain = decision.name, decision.domain
            active_rows = [i for i, a in enumerate(architectures) if name in a]
            labels = [architectures[i][name] for i in active_rows]
            for kind, width in _list_component_widths(domain, decision.is_conditional):
                block = np.zeros((len(architectures), width))  # an inactive decision is embedded as zeros
                if active_rows:
                    block[active_rows] = _embed_labels(domain, labels, kind)
                blocks.append(block)
        if self.graph is not None:
            blocks.append(compute_features([self.graph(a) for a in architectures], self.depth))
        x = np.concatenate(blocks, axis=1)
        return np.concatenate([x, x @ self._counting_matrix], axis=1) if self.graph is None else x


def _list_component_widths(domain: Domain, is_conditional: bool) -> list[tuple[str, int]]:
    """Return (kind, number of columns) of each component of a decision."""
    widths = [("active", 1)] if is_conditional else []
    if isinstance(domain, (Categorical, Subset)):
        widths.append(("label", domain.width))
    if _compute_number_positions(domain) is not None or domain.is_ordered:
        widths.append(("order", 2))
    return widths


def _compute_number_positions(domain: Domain) -> Mapping[Any, float] | None:
    """Return evenly spaced positions in [0, 1] of the labels of a `one_of` of three or more numbers; None for others."""
    if not isinstance(domain, Categorical) or len(domain.labels) < 3:
        return None
    if not all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in domain.labels):
        return None
    return {label: rank / (len(domain.labels) - 1) for rank, label in enumerate(sorted(domain.labels))}


def _embed_labels(domain: Domain, labels: Sequence[Any], kind: str) -> FloatArray:
    """Return the columns [n, width] of a component for n labels; their squared distance is at most 1."""
    if kind == "active":
        return np.ones((len(labels), 1))
    if kind == "label":
        # Two labels of a `one_of` differ in two columns, so each column has the value sqrt(1/2). Two labels of a `some_of`
        # differ in up to 2 * `high` columns.
        max_members = domain.high if isinstance(domain, Subset) else 1
        return domain.encode(labels) * math.sqrt(0.5 / max_members)
    # Swersky et al., section 3: a number is a point on a half circle, here with radius 1/2.
    positions = _compute_number_positions(domain)
    u = np.array([positions[label] for label in labels]) if positions else domain.encode(labels)[:, 0]
    return 0.5 * np.stack([np.sin(np.pi * u), np.cos(np.pi * u)], axis=1)


def _make_counting_matrix(space: Space, label_column: Mapping[str, int], d: int) -> FloatArray:
    """Return the matrix [d, w] that counts labels when the d columns of decisions are multiplied by it.

    It has a column for each label of each set of alternatives that two or more decisions share.
    """
    groups: dict[tuple[str, ...], list[tuple[str, Categorical]]] = {}
    for decision in space.decisions:
        if isinstance(decision.domain, Categorical):
            alternatives = tuple(sorted(map(repr, decision.domain.labels)))
            groups.setdefault(alternatives, []).append((decision.name, decision.domain))
    shared = {alternatives: group for alternatives, group in groups.items() if len(group) > 1}
    counting = np.zeros((d, sum(map(len, shared))))
    first_column = 0
    for alternatives, group in shared.items():
        for name, domain in group:
            for index, label in enumerate(domain.labels):
                counting[label_column[name] + index, first_column + alternatives.index(repr(label))] = 1.0
        first_column += len(alternatives)
    return counting


class ArchitectureKernel:
    """The kernel on the columns of an embedding, with a prior of its parameters.

    theta holds the logarithms of lambda [C], mu [H], s_1, s_2, s_3 (only if H > 0) and the noise, in this order. Variances
    are in units of the variance of the modelled values, which are standardized. By the prior of lambda, two random
    architectures are a few units of distance apart, however many decisions there are.

    Attributes:
        component_of_column, components: the attributes of the embedding with these names.
        decision_columns: d, the number of columns of decisions.
        decision_component_count: C, the number of components of decisions.
        graph_component_count: H, the number of components of the graph.
        prior: the prior of theta.
    """

    def __init__(self, embedding: Embedding) -> None:
        self.component_of_column = embedding.component_of_column
        self.components = embedding.components
        self.decision_columns = embedding.decision_columns
        self.decision_component_count = embedding.decision_component_count
        self.graph_component_count = len(embedding.components) - self.decision_component_count
        # The components "active" only say whether a decision is active; lambda is chosen for the others.
        decision_count, graph_count = self.decision_component_count, self.graph_component_count
        distance_count = max(1, sum(kind != "active" for _, kind in embedding.components[:decision_count]))
        mean = [math.log(LAMBDA / distance_count)] * decision_count + [math.log(MU / distance_count)] * graph_count
        # Standard deviations of logarithms: with 1.0, a parameter is usually within a factor e of its median.
        deviation = [1.0] * (decision_count + graph_count)
        # Then s_1, whose median is 1, s_2, s_3 (a parameter only if there are components of the graph), and the noise.
        mean += [0.0, math.log(LINEAR), *([math.log(GRAPH)] if graph_count else []), math.log(NOISE)]
        deviation += [0.7, 1.0, *([1.0] if graph_count else []), 1.5]
        self.prior = Prior(np.array(mean), np.array(deviation))

    def noise(self, theta: FloatArray) -> float:
        """Return the variance of the noise, with a small constant that keeps the kernel matrix positive definite."""
        return math.exp(theta[-1]) + 1e-5

    def __call__(self, theta: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        """Return k [n, m] between the rows of `a` [n, p] and `b` [m, p], without noise."""
        d = self.decision_columns
        weights = self._get_column_weights(theta)
        s = self._get_variances(theta)
        # s_1 exp(-sum_c lambda_c D_c)
        k = _exponential_kernel(a[:, :d], b[:, :d], weights[:d], s[0])
        # s_2 sum_c 2 <x_c, x'_c> / C
        k += (a[:, :d] * (2.0 * s[1] / max(1, self.decision_component_count))) @ b[:, :d].T
        # s_3 sum_h exp(-mu_h |w_h - w'_h|^2) / H
        for level in range(self.graph_component_count):
            columns = self.component_of_column == self.decision_component_count + level
            k += _exponential_kernel(a[:, columns], b[:, columns], weights[columns], s[2] / self.graph_component_count)
        return k

    def diagonal(self, theta: FloatArray, a: FloatArray) -> FloatArray:
        """Return k(x, x) [n] for the rows of `a` [n, p], without noise."""
        s = self._get_variances(theta)
        linear = s[1] / max(1, self.decision_component_count) * 2.0 * (a[:, : self.decision_columns] ** 2).sum(axis=1)
        return np.asarray(linear + s[0] + (s[2] if self.graph_component_count else 0.0))

    def compute_weighted_gradient(self, theta: FloatArray, a: FloatArray, g: FloatArray) -> FloatArray:
        """Return sum_ij g_ij dk(a_i, a_j)/dtheta [len(theta)], noise included, for `a` [n, p] and symmetric `g` [n, n]."""
        d = self.decision_columns
        weights = self._get_column_weights(theta)
        s = self._get_variances(theta)
        # The derivative of each kernel by its log s is the kernel itself. The derivative of s_1 exp(...) by log lambda_c is
        # -lambda_c D_c times s_1 exp(...).
        g_k = g * _exponential_kernel(a[:, :d], a[:, :d], weights[:d], s[0])
        by_column = [weights[:d] * _weighted_squares(a[:, :d], g_k)]
        by_variance = [g_k.sum(), 2.0 * s[1] / max(1, self.decision_component_count) * np.vdot(a[:, :d], g @ a[:, :d])]
        for level in range(self.graph_component_count):
            columns = self.component_of_column == self.decision_component_count + level
            g_k = g * _exponential_kernel(
                a[:, columns], a[:, columns], weights[columns], s[2] / self.graph_component_count
            )
            by_column.append(weights[columns] * _weighted_squares(a[:, columns], g_k))
            # The derivative by log s_3 is a sum over the levels. The first level adds the entry to the list.
            by_variance[2:] = [sum(by_variance[2:]) + g_k.sum()]
        # D_c is a sum over the columns of a component.
        by_weight = -np.bincount(
            self.component_of_column,
            weights=np.concatenate(by_column),
            minlength=self.decision_component_count + self.graph_component_count,
        )
        return np.array([*by_weight, *by_variance, math.exp(theta[-1]) * np.trace(g)])

    def _get_column_weights(self, theta: FloatArray) -> FloatArray:
        """Return lambda or mu of each column of an embedding [p]."""
        component_weights = np.exp(theta[: self.decision_component_count + self.graph_component_count])
        return np.asarray(component_weights[self.component_of_column])

    def _get_variances(self, theta: FloatArray) -> FloatArray:
        """Return s_1, s_2 and, if H > 0, s_3."""
        return np.asarray(np.exp(theta[self.decision_component_count + self.graph_component_count : -1]))


def _exponential_kernel(a: FloatArray, b: FloatArray, weights: FloatArray, variance: float) -> FloatArray:
    """Return variance * exp(-sum_j weights_j (a_j - b_j)^2) [n, m] for `a` [n, p] and `b` [m, p]."""
    # -|a - b|^2 = 2 a.b - |a|^2 - |b|^2 takes one matrix product. All steps work in place, because n and m may be thousands.
    k = (a * (2.0 * weights)) @ b.T
    k -= (a * a @ weights)[:, None]
    k -= (b * b @ weights)[None, :]
    # Rounding errors can make a distance of 0 slightly negative.
    np.minimum(k, 0.0, out=k)
    np.exp(k, out=k)
    k *= variance
    return np.asarray(k)


def _weighted_squares(a: FloatArray, g: FloatArray) -> FloatArray:
    """Return sum_ik g_ik (a_ij - a_kj)^2 [p] for `a` [n, p] and a symmetric `g` [n, n]."""
    return np.asarray(2.0 * (g.sum(axis=1) @ (a * a) - np.einsum("ij,ij->j", a, g @ a)))
