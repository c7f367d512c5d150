"""What a model-based strategy chooses among: all of a small space, or samples and moves around what is best."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import SpaceError
from ogive.space import Architecture, SizeBounds, Space
from ogive.surrogates.architecture_kernel import Embedding

ENUMERABLE = 50_000
"""The largest number of architectures that are listed and embedded once for all, if that takes no more than ..."""
ELEMENTS = 4_000_000
"""... so many numbers (32 MB, and less than a second)."""


@dataclass(frozen=True)
class Candidates:
    """Different architectures that may be proposed, with their embedding [m, p] and where each comes from."""

    architectures: list[Architecture]
    x: FloatArray
    origins: list[str]

    def __len__(self) -> int:
        return len(self.architectures)

    def leading(self, gain: FloatArray, count: int) -> Candidates:
        """The `count` of most `gain` [m]."""
        rows = np.argsort(-gain, kind="stable")[:count]
        return Candidates([self.architectures[i] for i in rows], self.x[rows], [self.origins[i] for i in rows])

    def plus(self, other: Candidates) -> Candidates:
        """These, then the others."""
        x = np.concatenate([self.x, other.x])
        return Candidates([*self.architectures, *other.architectures], x, [*self.origins, *other.origins])


@dataclass
class Source:
    """Where candidates come from, and the embedding of architectures.

    In a space that is listed, architectures with equal ids have the mean of their embeddings, so that what is learned of
    a network is known of all that are the same network, and a decision that makes no difference to it has no label.
    """

    space: Space
    embedding: Embedding
    _cache: dict[Architecture, FloatArray] = field(default_factory=dict)

    @cached_property
    def _listed(self) -> _Listed | None:
        size = self.space.size()
        number = size.high if isinstance(size, SizeBounds) else size
        if number > ENUMERABLE or number * len(self.embedding.component) > ELEMENTS:
            return None
        everything = list(self.space.grid())
        first: dict[str, Architecture] = {}
        for architecture in everything:
            first.setdefault(architecture.id, architecture)
        rows = {key: row for row, key in enumerate(first)}
        x = self.embedding(everything)
        if len(first) < len(everything):
            row_of = [rows[architecture.id] for architecture in everything]
            sums = np.zeros((len(first), x.shape[1]))
            np.add.at(sums, row_of, x)
            x = sums / np.bincount(row_of)[:, None]
        return _Listed(list(first.values()), x, rows)

    @property
    def listed(self) -> bool:
        """Whether the space is small enough to weigh what all of it promises."""
        return self._listed is not None

    def embed(self, architectures: Sequence[Architecture]) -> FloatArray:
        """[n] architectures -> [n, p]; each is embedded once."""
        if self._listed is not None and all(a.id in self._listed.rows for a in architectures):
            return self._listed.x[[self._listed.rows[a.id] for a in architectures]]
        new = [a for a in dict.fromkeys(architectures) if a not in self._cache]
        if new:
            self._cache.update(zip(new, self.embedding(new), strict=True))
        return np.stack([self._cache[a] for a in architectures]) if architectures else self.embedding([])

    def draw(
        self, best: Sequence[Architecture], taken: Collection[str], count: int, rng: np.random.Generator
    ) -> Candidates:
        """Up to `count` candidates whose ids are not `taken`, half of them near the `best`."""
        if self._listed is not None:
            return self._listed.draw(self.embed(best), taken, count, rng)
        found = [(self.space.sample(rng), "sample") for _ in range(count // 2)]
        found += self._moves(best, count - count // 2, rng)
        return self._different(found, taken)

    def near(
        self, best: Sequence[Architecture], taken: Collection[str], count: int, rng: np.random.Generator
    ) -> Candidates:
        """Up to `count` candidates that are a few moves away from the `best`."""
        return self._different(self._moves(best, count, rng), taken)

    def around(self, center: Architecture, taken: Collection[str], rng: np.random.Generator) -> Candidates:
        """The neighbours of `center` whose ids are not `taken`."""
        neighbors = [(neighbor, "neighbor") for neighbor in self.space.neighbors(center, rng)]
        return self._different(neighbors, taken)

    def _moves(
        self, best: Sequence[Architecture], count: int, rng: np.random.Generator
    ) -> list[tuple[Architecture, str]]:
        """One, two or three mutations of the best in turn; every fourth is a crossover of two of them first."""
        found: list[tuple[Architecture, str]] = []
        for i in range(count):
            parent, origin = best[i % len(best)], "mutation"
            try:
                if i % 4 == 3 and len(best) > 1:
                    other = best[int(rng.integers(len(best)))]
                    parent, origin = self.space.crossover(parent, other, rng), "crossover"
                for _ in range(1 + int(rng.integers(3)) if origin == "mutation" else int(rng.integers(2))):
                    parent = self.space.mutate(parent, rng)
            except SpaceError:  # the space's constraint allows nothing so near
                continue
            found.append((parent, origin))
        return found

    def _different(self, found: Sequence[tuple[Architecture, str]], taken: Collection[str]) -> Candidates:
        kept: dict[str, tuple[Architecture, str]] = {}
        for architecture, origin in found:
            if architecture.id not in taken:
                kept.setdefault(architecture.id, (architecture, origin))
        architectures = [architecture for architecture, _ in kept.values()]
        x = self.embed(architectures) if self.listed else self.embedding(architectures)  # not all is worth remembering
        return Candidates(architectures, x, [origin for _, origin in kept.values()])


@dataclass(frozen=True)
class _Listed:
    """Every architecture of a space, one for each id."""

    architectures: list[Architecture]
    x: FloatArray  # [N, p]
    rows: dict[str, int]

    @cached_property
    def _squares(self) -> FloatArray:  # [N]
        return np.asarray((self.x**2).sum(axis=1))

    def draw(self, best: FloatArray, taken: Collection[str], count: int, rng: np.random.Generator) -> Candidates:
        """All that is open where that is no more than `count`; else the nearest to the `best` [b, p], and random ones."""
        is_open = np.ones(len(self.architectures), dtype=bool)
        is_open[[self.rows[key] for key in taken if key in self.rows]] = False
        rows = np.flatnonzero(is_open)
        near = np.ones(len(rows), dtype=bool)
        if len(rows) > count:
            x = self.x[rows]
            distances = (self._squares[rows, None] - 2.0 * (x @ best.T) + (best**2).sum(axis=1)).min(axis=1)
            near[:] = False
            near[np.argsort(distances, kind="stable")[: count // 2]] = True
            others = rng.choice(rows[~near], count - count // 2, replace=False)
            rows = np.concatenate([rows[near], others])
            near = np.arange(len(rows)) < count // 2
        origins = ["near the best" if n else "sample" for n in near] if len(rows) == count else ["grid"] * len(rows)
        return Candidates([self.architectures[row] for row in rows], self.x[rows], origins)
