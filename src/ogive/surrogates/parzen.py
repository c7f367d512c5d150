"""Parzen estimators of where architectures lie: mixtures with one component around each of n architectures.

A component is a product of kernels, one for each decision (Bergstra et al. 2011, section 4; Falkner et al. 2018, section
3.2). Conditions are respected: a decision that is not active in an architecture has no part in its density, and one that
was not active in a component is uniform there. Symbols: n components, m architectures, K labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ogive.arrays import FloatArray
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset
from ogive.space.table import Decision

Labels = Sequence[Label | None]
"""Of one decision in several architectures; None where it is not active."""

TINY = 1e-300
REDRAWN = 20
"""How often a subset is drawn until it has as many members as it may."""


class ParzenKernel(ABC):
    """The n components' densities of one decision's label."""

    @abstractmethod
    def log_density(self, labels: Labels) -> FloatArray:
        """[m, n]; 0 where the decision is not active."""

    @abstractmethod
    def draw(self, component: int, rng: np.random.Generator) -> Label:
        """A label from one component."""


@dataclass(frozen=True)
class Discrete(ParzenKernel):
    """Labels without order: a probability for each label in each component, `p` [n, K]."""

    domain: Categorical
    p: FloatArray

    def log_density(self, labels: Labels) -> FloatArray:
        known = np.array([label is not None for label in labels])
        columns = [0 if label is None else self.domain.index[label] for label in labels]
        return np.where(known[:, None], np.log(self.p[:, columns].T + TINY), 0.0)

    def draw(self, component: int, rng: np.random.Generator) -> Label:
        row = np.cumsum(self.p[component])
        return self.domain.labels[min(int(np.searchsorted(row, rng.random() * row[-1], "right")), len(row) - 1)]


@dataclass(frozen=True)
class Members(ParzenKernel):
    """Subsets: for each component and label the probability that it is a member, `p` [n, K], independently.

    That a subset has a least and a greatest number of members is left out of the density; the ratio of two such estimators
    hardly feels it.
    """

    domain: Subset
    p: FloatArray

    def log_density(self, labels: Labels) -> FloatArray:
        known = np.array([label is not None for label in labels])
        x = self.domain.encode([() if label is None else label for label in labels])
        log_p = x @ np.log(self.p + TINY).T + (1 - x) @ np.log1p(-np.minimum(self.p, 1 - 1e-12)).T
        return np.where(known[:, None], log_p, 0.0)

    def draw(self, component: int, rng: np.random.Generator) -> Label:
        for _ in range(REDRAWN):
            chosen = rng.random(len(self.domain.labels)) < self.p[component]
            if self.domain.low <= chosen.sum() <= self.domain.high:
                break
        return self.domain.decode(np.where(chosen, 0.5, 0.0)[None] + 0.5 * self.p[component][None])[0]


@dataclass(frozen=True)
class Normal(ParzenKernel):
    """Numbers: normal distributions of mean `mu` [n] and deviation `sigma` [n], cut off at the ends of [0, 1].

    A whole number has the probability of its bin, a real number its density.
    """

    domain: IntegerRange | RealRange
    mu: FloatArray
    sigma: FloatArray

    def log_density(self, labels: Labels) -> FloatArray:
        known = np.array([label is not None for label in labels])
        first = next((label for label in labels if label is not None), None)
        if first is None:
            return np.zeros((len(labels), len(self.mu)))
        filled = [first if label is None else label for label in labels]
        inside = ndtr((1 - self.mu) / self.sigma) - ndtr(-self.mu / self.sigma)
        if isinstance(self.domain, RealRange):
            z = (coordinates(self.domain, filled)[:, None] - self.mu) / self.sigma
            log_p = -0.5 * z * z - np.log(self.sigma * np.sqrt(2 * np.pi))
        else:
            low, high = edges(self.domain, filled)
            mass = ndtr((high[:, None] - self.mu) / self.sigma) - ndtr((low[:, None] - self.mu) / self.sigma)
            log_p = np.log(mass + TINY)
        return np.where(known[:, None], log_p - np.log(inside), 0.0)

    def draw(self, component: int, rng: np.random.Generator) -> Label:
        mu, sigma = self.mu[component], self.sigma[component]
        low, high = ndtr(-mu / sigma), ndtr((1 - mu) / sigma)
        u = mu + sigma * float(ndtri(low + rng.random() * (high - low)))
        return self.domain.pick(min(max(u, 0.0), 1.0 - 1e-12))


def coordinates(domain: Domain, labels: Sequence[Label]) -> FloatArray:
    """[m] numbers -> [m] places in [0, 1], where `domain.pick` finds them."""
    if isinstance(domain, IntegerRange):
        low, high = edges(domain, labels)
        return np.asarray((low + high) / 2)
    return np.asarray(domain.encode(list(labels))[:, 0])


def edges(domain: IntegerRange, labels: Sequence[Label]) -> tuple[FloatArray, FloatArray]:
    """[m] whole numbers -> the ends of their bins in [0, 1], [m] each: half a step to both sides."""
    values, half = np.asarray(labels, dtype=np.float64), 0.5 * domain.step
    bottom, top = domain.low - half, domain.low + (domain.size - 0.5) * domain.step
    if domain.log:
        bottom = max(bottom, 0.5 * domain.low)
        scale = np.log(top / bottom)
        low = np.log(np.maximum(values - half, bottom) / bottom) / scale
        return low, np.log((values + half) / bottom) / scale
    return (values - half - bottom) / (top - bottom), (values + half - bottom) / (top - bottom)


@dataclass(frozen=True)
class Mixture:
    """`weights` [n], which sum to 1, of n components, and a kernel for each of the `decisions`."""

    decisions: Sequence[Decision]
    kernels: Sequence[ParzenKernel]
    weights: FloatArray

    def log_density(self, choices: Sequence[Mapping[str, Label]]) -> FloatArray:
        """[m] architectures -> [m]."""
        total = np.repeat(np.log(self.weights + TINY)[None], len(choices), axis=0)
        for decision, kernel in zip(self.decisions, self.kernels, strict=True):
            total += kernel.log_density([c.get(decision.name) for c in choices])
        return np.asarray(np.logaddexp.reduce(total, axis=1))

    def draw(self, rng: np.random.Generator) -> dict[str, Label]:
        """Labels of all active decisions, from one component."""
        component = int(rng.choice(len(self.weights), p=self.weights))
        choices: dict[str, Label] = {}
        for decision, kernel in zip(self.decisions, self.kernels, strict=True):
            if decision.active(choices):
                choices[decision.name] = kernel.draw(component, rng)
        return choices


def tpe_kernel(domain: Domain, labels: Labels, prior_weight: float) -> ParzenKernel:
    """The kernels of TPE around `labels`, and at last the prior, which is uniform or nearly so.

    Numbers: as wide as the farther of the two neighbours is away, at least 1 / min(100, n + 2) of the range and at most all
    of it. Labels: `prior_weight` / (n + 1) is added to each and the sum made 1. (Bergstra et al. 2011, section 4.2; with the
    bounds and weights of Watanabe, "Tree-structured Parzen estimator: understanding its algorithm components", 2023.)
    """
    n = len(labels)
    components = [*labels, None]
    match domain:
        case Categorical() | Subset():
            p = _seen(domain, components)
            smoothing = prior_weight / (n + 1)
            if isinstance(domain, Categorical):
                return Discrete(domain, _uniform_where_unseen(domain, components, p, smoothing))
            active = np.array([label is not None for label in components])[:, None]
            return Members(domain, np.where(active, (p + smoothing) / (1 + 2 * smoothing), 0.5))
        case IntegerRange() | RealRange():
            active = np.array([label is not None for label in components])
            mu, sigma = np.full(n + 1, 0.5), np.ones(n + 1)
            places = coordinates(domain, [label for label in labels if label is not None])
            mu[active] = places
            sigma[active] = np.clip(_to_neighbours(places), 1.0 / min(100.0, n + 2.0), 1.0)
            return Normal(domain, mu, sigma)
    raise TypeError(f"no kernel for {domain!r}")


def normal_reference_kernel(
    domain: Domain, labels: Labels, dimensions: int, least: float, wider: float
) -> ParzenKernel:
    """Kernels of one width for all components: 1.06 sigma n^(-1 / (4 + d)) (Scott's normal reference rule).

    Labels have Aitchison and Aitken's kernel: another label has a share of that width. Their sigma^2 is half the Gini index,
    which for two labels is the variance, and does not depend on the order of labels.

    Args:
        domain: of the decision.
        labels: of the n components.
        dimensions: d.
        least: the least width.
        wider: a factor for the width of numbers.
    """
    seen = [label for label in labels if label is not None]
    rate = 1.06 * max(len(seen), 1) ** (-1.0 / (4 + dimensions))
    match domain:
        case Categorical():
            shares = _seen(domain, labels).sum(axis=0) / max(len(seen), 1)
            width = rate * np.sqrt(max(0.0, 1.0 - float((shares**2).sum())) / 2) if seen else 1.0
            width = min(max(width, least), 1.0 - 1.0 / domain.size)
            p = _seen(domain, labels)
            p = np.where(p > 0, 1.0 - width, width / max(domain.size - 1, 1))
            return Discrete(domain, _uniform_where_unseen(domain, labels, p, 0.0))
        case Subset():
            p = _seen(domain, labels)
            width = np.clip(rate * (p[[x is not None for x in labels]].std(axis=0) if seen else 0.5), least, 0.5)
            active = np.array([label is not None for label in labels])[:, None]
            return Members(domain, np.where(active, np.where(p > 0, 1.0 - width, width), 0.5))
        case IntegerRange() | RealRange():
            active = np.array([label is not None for label in labels])
            mu, sigma = np.full(len(labels), 0.5), np.ones(len(labels))
            mu[active] = coordinates(domain, seen)
            sigma[active] = wider * max(rate * float(mu[active].std()), least) if seen else 1.0
            return Normal(domain, mu, sigma)
    raise TypeError(f"no kernel for {domain!r}")


def _seen(domain: Categorical | Subset, labels: Labels) -> FloatArray:
    """[n, K] 1 where a component has the label, or has it as a member."""
    p = np.zeros((len(labels), len(domain.labels)))
    for row, label in enumerate(labels):
        if label is not None:
            p[row, [domain.index[item] for item in label] if isinstance(domain, Subset) else domain.index[label]] = 1.0
    return p


def _uniform_where_unseen(domain: Categorical, labels: Labels, p: FloatArray, smoothing: float) -> FloatArray:
    unseen = np.array([label is None for label in labels])
    p = p + smoothing
    p[unseen] = 1.0
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _to_neighbours(places: FloatArray) -> FloatArray:
    """[n] the distance to the farther of two neighbours; the outermost have one, a single one the farther end."""
    n = len(places)
    if n == 1:
        return np.maximum(places, 1 - places)
    order = np.argsort(places, kind="stable")
    gaps = np.diff(places[order])
    widths = np.empty(n)
    widths[order] = np.maximum(np.append(gaps, 0.0), np.insert(gaps, 0, 0.0)) if n else widths
    return widths


def columns(space: Space, architectures: Sequence[Architecture]) -> dict[str, list[Label | None]]:
    """For each decision its labels in the architectures."""
    return {d.name: [a.get(d.name) for a in architectures] for d in space.decisions}
