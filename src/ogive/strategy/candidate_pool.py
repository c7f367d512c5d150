"""The pool of candidates of a model-based strategy.

In a small space, all architectures are candidates. In a large space, the candidates are random samples, and architectures a
few mutations or crossovers ("moves") away from the best.

Symbols: n architectures, m candidates, p columns of the embedding, b best architectures, N architectures of a space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ogive.arrays import FloatArray, IntArray
from ogive.errors import SpaceError
from ogive.space import Architecture, SizeBounds, Space
from ogive.surrogates.architecture_kernel import Embedding

MAX_ENUMERATED = 50_000
"""A space is enumerated, and embedded as a whole, if it has at most this many architectures."""

MAX_EMBEDDING_VALUES = 4_000_000
"""The embedding of an enumerated space has at most this many values: 32 MB, computed in less than a second."""


@dataclass(frozen=True)
class CandidateSet:
    """Different architectures that may be proposed.

    Attributes:
        architectures: [m] the candidates.
        x: [m, p] the embedding of the candidates.
        origins: [m] how each candidate was obtained: "grid", "sample", "near the best", "mutation", "crossover" or
            "neighbor". The origin of the proposed candidate is written to the proposal's note, as `candidate`.
    """

    architectures: list[Architecture]
    x: FloatArray
    origins: list[str]

    def __len__(self) -> int:
        return len(self.architectures)

    def select_best(self, scores: FloatArray, count: int) -> CandidateSet:
        """Return the `count` candidates with the highest `scores` [m], best first."""
        rows = np.argsort(-scores, kind="stable")[:count]
        return CandidateSet([self.architectures[i] for i in rows], self.x[rows], [self.origins[i] for i in rows])

    def extended_with(self, other: CandidateSet) -> CandidateSet:
        """Return a set with these candidates, followed by those of `other`."""
        x = np.concatenate([self.x, other.x])
        return CandidateSet([*self.architectures, *other.architectures], x, [*self.origins, *other.origins])


def first_allowed(
    indices: IntArray, architectures: Sequence[Architecture], allowed: Callable[[Architecture], bool]
) -> int:
    """Return the first of `indices` whose architecture is `allowed`, that is, not rejected by a wrapper.

    If no architecture is allowed, return the first index: the wrapper then rejects the proposal, and asks again.
    """
    return next((int(index) for index in indices if allowed(architectures[index])), int(indices[0]))


@dataclass
class CandidatePool:
    """Generates candidates, and embeds architectures.

    In an enumerated space, architectures with equal ids (equal networks) share one embedding, the mean of their embeddings.
    A model therefore predicts the same for equal networks, and ignores decisions that do not change the network.

    Attributes:
        space: the search space.
        embedding: embeds architectures as vectors of p numbers.
    """

    space: Space
    embedding: Embedding
    _embedded: dict[Architecture, FloatArray] = field(default_factory=dict)  # a cache: the embedding of an architecture

    @cached_property
    def _enumeration(self) -> _EnumeratedSpace | None:
        """All architectures of the space; None if there are too many."""
        size = self.space.size()
        count = size.high if isinstance(size, SizeBounds) else size
        if count > MAX_ENUMERATED or count * len(self.embedding.component_of_column) > MAX_EMBEDDING_VALUES:
            return None
        architectures = list(self.space.grid())
        first_with_id: dict[str, Architecture] = {}
        for architecture in architectures:
            first_with_id.setdefault(architecture.id, architecture)
        row_of_id = {key: row for row, key in enumerate(first_with_id)}
        x = self.embedding(architectures)
        if len(first_with_id) < len(architectures):
            # The mean of the embeddings of equal networks.
            rows = [row_of_id[architecture.id] for architecture in architectures]
            sums = np.zeros((len(first_with_id), x.shape[1]))
            np.add.at(sums, rows, x)
            x = sums / np.bincount(rows)[:, None]
        return _EnumeratedSpace(list(first_with_id.values()), x, row_of_id)

    @property
    def is_enumerated(self) -> bool:
        """Whether the space is small enough to score all of its architectures."""
        return self._enumeration is not None

    def embed(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Return the embedding [n, p] of architectures; each architecture is embedded once, and cached."""
        enumeration = self._enumeration
        if enumeration is not None and all(a.id in enumeration.row_of_id for a in architectures):
            return enumeration.x[[enumeration.row_of_id[a.id] for a in architectures]]
        missing = [a for a in dict.fromkeys(architectures) if a not in self._embedded]
        if missing:
            self._embedded.update(zip(missing, self.embedding(missing), strict=True))
        return np.stack([self._embedded[a] for a in architectures]) if architectures else self.embedding([])

    def draw(
        self, best: Sequence[Architecture], excluded: Collection[str], count: int, rng: np.random.Generator
    ) -> CandidateSet:
        """Return up to `count` candidates whose ids are not `excluded`; half of them are near the `best` architectures."""
        if self._enumeration is not None:
            return self._enumeration.draw(self.embed(best), excluded, count, rng)
        candidates = [(self.space.sample(rng), "sample") for _ in range(count // 2)]
        candidates += self._make_moves(best, count - count // 2, rng)
        return self._candidate_set(candidates, excluded)

    def draw_near(
        self, best: Sequence[Architecture], excluded: Collection[str], count: int, rng: np.random.Generator
    ) -> CandidateSet:
        """Return up to `count` candidates that are a few moves away from the `best`, and whose ids are not `excluded`."""
        return self._candidate_set(self._make_moves(best, count, rng), excluded)

    def neighbors(self, center: Architecture, excluded: Collection[str], rng: np.random.Generator) -> CandidateSet:
        """Return the neighbours of `center` whose ids are not `excluded`."""
        return self._candidate_set(((n, "neighbor") for n in self.space.neighbors(center, rng)), excluded)

    def _make_moves(
        self, best: Sequence[Architecture], count: int, rng: np.random.Generator
    ) -> list[tuple[Architecture, str]]:
        """Return up to `count` architectures near the `best`, each with its origin: "mutation" or "crossover".

        The best architectures are changed in turn. Three of four results are made by one to three mutations, and the fourth
        by a crossover with a random one of the best, followed by one mutation or none.
        """
        moves: list[tuple[Architecture, str]] = []
        for i in range(count):
            architecture, origin = best[i % len(best)], "mutation"
            try:
                if i % 4 == 3 and len(best) > 1:
                    second_parent = best[int(rng.integers(len(best)))]
                    architecture, origin = self.space.crossover(architecture, second_parent, rng), "crossover"
                for _ in range(1 + int(rng.integers(3)) if origin == "mutation" else int(rng.integers(2))):
                    architecture = self.space.mutate(architecture, rng)
            except SpaceError:
                # The space's constraint allows no architecture that is one move away.
                continue
            moves.append((architecture, origin))
        return moves

    def _candidate_set(self, candidates: Iterable[tuple[Architecture, str]], excluded: Collection[str]) -> CandidateSet:
        """Return a set of (architecture, origin) pairs without duplicates and without those whose ids are `excluded`."""
        by_id: dict[str, tuple[Architecture, str]] = {}
        for architecture, origin in candidates:
            if architecture.id not in excluded:
                by_id.setdefault(architecture.id, (architecture, origin))
        architectures = [architecture for architecture, _ in by_id.values()]
        # In a space that is not enumerated the embedding is not cached, because most candidates are used only once.
        x = self.embed(architectures) if self.is_enumerated else self.embedding(architectures)
        return CandidateSet(architectures, x, [origin for _, origin in by_id.values()])


@dataclass(frozen=True)
class _EnumeratedSpace:
    """The architectures of a space, one for each id.

    Attributes:
        architectures: [N] the architectures.
        x: [N, p] their embedding.
        row_of_id: the row of the architecture with an id.
    """

    architectures: list[Architecture]
    x: FloatArray
    row_of_id: dict[str, int]

    @cached_property
    def _squared_norms(self) -> FloatArray:  # [N]
        return np.asarray((self.x**2).sum(axis=1))

    def draw(self, best: FloatArray, excluded: Collection[str], count: int, rng: np.random.Generator) -> CandidateSet:
        """Return all architectures whose ids are not `excluded`, or `count` of them if there are more.

        In the second case, one half are the architectures nearest to the embeddings `best` [b, p], and the other half are
        random.
        """
        is_available = np.ones(len(self.architectures), dtype=bool)
        is_available[[self.row_of_id[identity] for identity in excluded if identity in self.row_of_id]] = False
        rows = np.flatnonzero(is_available)
        origins = ["grid" if len(rows) < count else "near the best"] * len(rows)
        if len(rows) > count:
            # The squared distance to the nearest of the best, by |x - b|^2 = |x|^2 - 2 x.b + |b|^2.
            products = self.x[rows] @ best.T
            distances = (self._squared_norms[rows, None] - 2.0 * products + (best**2).sum(axis=1)).min(axis=1)
            is_near = np.zeros(len(rows), dtype=bool)
            is_near[np.argsort(distances, kind="stable")[: count // 2]] = True
            sample = rng.choice(rows[~is_near], count - count // 2, replace=False)
            rows = np.concatenate([rows[is_near], sample])
            origins = ["near the best"] * (count // 2) + ["sample"] * len(sample)
        return CandidateSet([self.architectures[row] for row in rows], self.x[rows], origins)
