"""Parzen estimators: densities of architectures, as mixtures with one component around each of n architectures.

A component is a product of kernels, one for each decision (Bergstra et al. 2011, section 4; Falkner et al. 2018, section
3.2). Conditions are respected: a decision that is inactive in an architecture has no factor in its density; a decision that
is inactive in the architecture of a component is uniform in that component.

Symbols: n components, m architectures, K labels, d decisions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ogive.arrays import BoolArray, FloatArray
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset
from ogive.space.table import Decision

Labels = Sequence[Label | None]
"""The labels of one decision in several architectures; None where the decision is inactive."""

TINY = 1e-300
"""Added to probabilities before their logarithm is taken."""

MAX_SUBSET_DRAWS = 20
"""A subset is drawn at most this many times until its number of members is allowed."""


class ParzenKernel(ABC):
    """The densities of one decision's labels, one for each of n components."""

    @abstractmethod
    def log_density(self, labels: Labels) -> FloatArray:
        """Return the log densities [m, n] of the labels in each component; 0 where the decision is inactive."""

    @abstractmethod
    def draw(self, component: int, rng: np.random.Generator) -> Label:
        """Draw a label from one component."""


@dataclass(frozen=True)
class CategoricalKernel(ParzenKernel):
    """The kernel of a `one_of`: `p` [n, K] holds the probability of each label in each component."""

    domain: Categorical
    p: FloatArray

    def log_density(self, labels: Labels) -> FloatArray:
        columns = [0 if label is None else self.domain.index[label] for label in labels]
        return np.where(_is_active(labels)[:, None], np.log(self.p[:, columns].T + TINY), 0.0)

    def draw(self, component: int, rng: np.random.Generator) -> Label:
        cumulative = np.cumsum(self.p[component])
        index = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], "right"))
        return self.domain.labels[min(index, len(cumulative) - 1)]


@dataclass(frozen=True)
class SubsetKernel(ParzenKernel):
    """The kernel of a `some_of`: `p` [n, K] holds the probability that a label is a member, independently of the others.

    The density ignores that the number of members is bounded. This hardly changes the ratio of two such densities, from
    which an acquisition function is computed, because their normalizing constants differ little.
    """

    domain: Subset
    p: FloatArray

    def log_density(self, labels: Labels) -> FloatArray:
        is_member = self.domain.encode([() if label is None else label for label in labels])  # [m, K], 0 or 1
        log_p = is_member @ np.log(self.p + TINY).T + (1 - is_member) @ np.log1p(-np.minimum(self.p, 1 - 1e-12)).T
        return np.where(_is_active(labels)[:, None], log_p, 0.0)

    def draw(self, component: int, rng: np.random.Generator) -> Label:
        for _ in range(MAX_SUBSET_DRAWS):
            is_member = rng.random(len(self.domain.labels)) < self.p[component]
            if self.domain.low <= is_member.sum() <= self.domain.high:
                break
        # `decode` bounds the number of members. It prefers labels that were drawn, and then labels of greater probability.
        return self.domain.decode(np.where(is_member, 0.5, 0.0)[None] + 0.5 * self.p[component][None])[0]


@dataclass(frozen=True)
class TruncatedNormalKernel(ParzenKernel):
    """The kernel of a number: normal distributions with mean `mu` [n] and deviation `sigma` [n], truncated to [0, 1].

    An integer has the probability of its bin, a real number its density.
    """

    domain: IntegerRange | RealRange
    mu: FloatArray
    sigma: FloatArray

    def log_density(self, labels: Labels) -> FloatArray:
        some_label = next((label for label in labels if label is not None), None)
        if some_label is None:
            return np.zeros((len(labels), len(self.mu)))
        # In rows where the decision is inactive, any label will do, because their density is set to 0 at the end.
        filled_labels = [some_label if label is None else label for label in labels]
        mass_in_range = ndtr((1 - self.mu) / self.sigma) - ndtr(-self.mu / self.sigma)
        if isinstance(self.domain, RealRange):
            z = (compute_coordinates(self.domain, filled_labels)[:, None] - self.mu) / self.sigma
            log_p = -0.5 * z * z - np.log(self.sigma * np.sqrt(2 * np.pi))
        else:
            low, high = compute_bin_edges(self.domain, filled_labels)
            mass = ndtr((high[:, None] - self.mu) / self.sigma) - ndtr((low[:, None] - self.mu) / self.sigma)
            log_p = np.log(mass + TINY)
        # Truncation: divide by the mass of the normal distribution within [0, 1].
        return np.where(_is_active(labels)[:, None], log_p - np.log(mass_in_range), 0.0)

    def draw(self, component: int, rng: np.random.Generator) -> Label:
        # Inverse transform sampling of the truncated normal distribution.
        mu, sigma = self.mu[component], self.sigma[component]
        low, high = ndtr(-mu / sigma), ndtr((1 - mu) / sigma)
        u = mu + sigma * float(ndtri(low + rng.random() * (high - low)))
        return self.domain.pick(min(max(u, 0.0), 1.0 - 1e-12))  # `pick` needs a coordinate below 1


def compute_coordinates(domain: Domain, labels: Sequence[Label]) -> FloatArray:
    """Return the coordinates [m] in [0, 1] of m numbers; `domain.pick` returns the number at a coordinate."""
    if isinstance(domain, IntegerRange):
        low, high = compute_bin_edges(domain, labels)
        return np.asarray((low + high) / 2)
    return np.asarray(domain.encode(list(labels))[:, 0])


def compute_bin_edges(domain: IntegerRange, labels: Sequence[Label]) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper ends [m] of the bins of m integers in [0, 1]; a bin extends half a step to each side."""
    values, half_step = np.asarray(labels, dtype=np.float64), 0.5 * domain.step
    bottom, top = domain.low - half_step, domain.low + (domain.size - 0.5) * domain.step
    if domain.log:
        # On a log scale the lower end of the range must stay positive.
        bottom = max(bottom, 0.5 * domain.low)
        scale = np.log(top / bottom)
        low = np.log(np.maximum(values - half_step, bottom) / bottom) / scale
        return low, np.log((values + half_step) / bottom) / scale
    return (values - half_step - bottom) / (top - bottom), (values + half_step - bottom) / (top - bottom)


@dataclass(frozen=True)
class Mixture:
    """A mixture of n components.

    Attributes:
        decisions: the decisions that the density is over.
        kernels: the kernel of each decision, with n components.
        weights: the weights of the components, [n]; they sum to 1.
    """

    decisions: Sequence[Decision]
    kernels: Sequence[ParzenKernel]
    weights: FloatArray

    def log_density(self, architectures: Sequence[Mapping[str, Label]]) -> FloatArray:
        """Return the log densities [m] of m architectures, each given by its labels."""
        # log sum_i weight_i prod_decision kernel_i(label)
        log_terms = np.repeat(np.log(self.weights + TINY)[None], len(architectures), axis=0)  # [m, n]
        for decision, kernel in zip(self.decisions, self.kernels, strict=True):
            log_terms += kernel.log_density([architecture.get(decision.name) for architecture in architectures])
        return np.asarray(np.logaddexp.reduce(log_terms, axis=1))

    def draw(self, rng: np.random.Generator) -> dict[str, Label]:
        """Draw one component, and from it the labels of all active decisions."""
        component = int(rng.choice(len(self.weights), p=self.weights))
        labels: dict[str, Label] = {}
        for decision, kernel in zip(self.decisions, self.kernels, strict=True):
            if decision.is_active(labels):
                labels[decision.name] = kernel.draw(component, rng)
        return labels


def make_tpe_kernel(domain: Domain, labels: Labels, prior_weight: float) -> ParzenKernel:
    """Return the kernel of TPE: a component around each of the n `labels`, and the prior as the last component.

    Bergstra et al. (2011), section 4.2, with the bounds and weights of Watanabe, "Tree-structured Parzen estimator:
    understanding its algorithm components and their roles for better empirical performance" (2023).

    Args:
        domain: the domain of the decision.
        labels: the decision's labels in n trials.
        prior_weight: the weight of the prior, relative to a recent trial.
    """
    n = len(labels)
    # The prior is the last component. Its label is None, as for an inactive decision, so it is uniform or nearly uniform.
    components = [*labels, None]
    is_active = _is_active(components)
    match domain:
        case Categorical() | Subset():
            p = _make_label_indicators(domain, components)
            # Section 4.2, discrete variables: add a count to every label, and normalize.
            smoothing = prior_weight / (n + 1)
            if isinstance(domain, Categorical):
                return CategoricalKernel(domain, _normalize(p, is_active, smoothing))
            return SubsetKernel(domain, np.where(is_active[:, None], (p + smoothing) / (1 + 2 * smoothing), 0.5))
        case IntegerRange() | RealRange():
            # Section 4.2, numbers: the width is the distance to the farther of the two neighbours. Watanabe: at least
            # 1 / min(100, n + 2) of the range. The prior is a normal distribution as wide as the range.
            mu, sigma = np.full(n + 1, 0.5), np.ones(n + 1)
            centers = compute_coordinates(domain, [label for label in labels if label is not None])
            mu[is_active] = centers
            sigma[is_active] = np.clip(_compute_neighbour_distances(centers), 1.0 / min(100.0, n + 2.0), 1.0)
            return TruncatedNormalKernel(domain, mu, sigma)
    raise TypeError(f"no kernel for {domain!r}")


def make_normal_reference_kernel(
    domain: Domain, labels: Labels, *, dimensions: int, min_width: float, width_factor: float
) -> ParzenKernel:
    """Return the kernel of BOHB: a component around each of the n `labels`, all with the same width.

    The width is 1.06 sigma n^(-1 / (4 + d)), Scott's normal reference rule. Unordered labels have the kernel of Aitchison
    and Aitken (1976): the width is the total probability of the labels other than the component's own. sigma^2 is half the
    Gini index. For two labels this is the variance; for more labels it does not depend on an order of the labels.

    Args:
        domain: the domain of the decision.
        labels: the decision's labels in n trials.
        dimensions: d, the number of decisions.
        min_width: the minimum width.
        width_factor: a factor for the width of numbers.
    """
    is_active = _is_active(labels)
    active_labels = [label for label in labels if label is not None]
    rate = 1.06 * max(len(active_labels), 1) ** (-1.0 / (4 + dimensions))
    match domain:
        case Categorical():
            p = _make_label_indicators(domain, labels)
            shares = p.sum(axis=0) / max(len(active_labels), 1)
            gini = max(0.0, 1.0 - float((shares**2).sum()))
            width = rate * np.sqrt(gini / 2) if active_labels else 1.0
            # At the upper bound, 1 - 1 / K, the kernel is uniform.
            width = min(max(width, min_width), 1.0 - 1.0 / domain.size)
            p = np.where(p > 0, 1.0 - width, width / max(domain.size - 1, 1))
            return CategoricalKernel(domain, _normalize(p, is_active, 0.0))
        case Subset():
            # Each label is a variable of its own, which is 1 if the label is a member.
            p = _make_label_indicators(domain, labels)
            width = np.clip(rate * (p[is_active].std(axis=0) if active_labels else 0.5), min_width, 0.5)
            return SubsetKernel(domain, np.where(is_active[:, None], np.where(p > 0, 1.0 - width, width), 0.5))
        case IntegerRange() | RealRange():
            mu, sigma = np.full(len(labels), 0.5), np.ones(len(labels))
            mu[is_active] = compute_coordinates(domain, active_labels)
            sigma[is_active] = (
                width_factor * max(rate * float(mu[is_active].std()), min_width) if active_labels else 1.0
            )
            return TruncatedNormalKernel(domain, mu, sigma)
    raise TypeError(f"no kernel for {domain!r}")


def _is_active(labels: Labels) -> BoolArray:
    """Return a mask [n] that is False where a label is None."""
    return np.array([label is not None for label in labels], dtype=bool)


def _make_label_indicators(domain: Categorical | Subset, labels: Labels) -> FloatArray:
    """Return an array [n, K] that is 1 where the label of a component equals label k, or contains it as a member."""
    p = np.zeros((len(labels), len(domain.labels)))
    for row, label in enumerate(labels):
        if label is not None:
            p[row, [domain.index[item] for item in label] if isinstance(domain, Subset) else domain.index[label]] = 1.0
    return p


def _normalize(p: FloatArray, is_active: BoolArray, smoothing: float) -> FloatArray:
    """Return probabilities [n, K] that are proportional to `p` + `smoothing`; uniform where a label is inactive."""
    p = p + smoothing
    p[~is_active] = 1.0
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _compute_neighbour_distances(centers: FloatArray) -> FloatArray:
    """Return the distance [n] of each center to the farther of its two neighbours.

    The outermost centers have one neighbour. A single center has the distance to the farther end of [0, 1]. n may be 0.
    """
    n = len(centers)
    if n == 1:
        return np.maximum(centers, 1 - centers)
    order = np.argsort(centers, kind="stable")
    gaps = np.diff(centers[order])
    widths = np.empty(n)
    widths[order] = np.maximum(np.append(gaps, 0.0), np.insert(gaps, 0, 0.0)) if n else widths
    return widths


def collect_label_columns(space: Space, architectures: Sequence[Architecture]) -> dict[str, list[Label | None]]:
    """Return the labels [n] of each decision in n architectures; None where the decision is inactive."""
    return {d.name: [a.get(d.name) for a in architectures] for d in space.decisions}
