"""Grid search: every architecture of the space, once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ogive.errors import JobError, SpaceExhausted
from ogive.objective import Constraint, Objective
from ogive.registry import choice, whole
from ogive.seeds import generator
from ogive.space import Architecture, SizeBounds, Space
from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial

NAME = "strategy 'grid'"
ORDERS = ("seeded", "lexicographic")

LISTED = 200_000
"""The largest number of architectures that are put into a random order."""


class Grid(Strategy):
    """One architecture after another, whatever was found.

    Options:
        order: "lexicographic": as the space's table lists them, the last decision moving fastest; "seeded": in a random
            order, so that a search that ends early has not seen one corner only.
        seed: of the random order.
        resolution: values of each real decision.

    A space of more than 200,000 architectures is too large for a random order: it is refused, unless the order is
    lexicographic.

    Raises (from `ask`):
        SpaceExhausted: all of the grid was proposed.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        order: str = "seeded",
        seed: int = 0,
        resolution: int = 5,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.order = choice(NAME, "order", order, ORDERS)
        self.seed = whole(NAME, "seed", seed, at_least=0)
        self.resolution = whole(NAME, "resolution", resolution, at_least=2)
        self._told: set[str] = set()
        self._seen: list[Architecture] = []  # what of the grid was listed so far, one for each id
        self._first = 0  # all before this place were told
        self._rest: Iterator[Architecture] | None = None
        if order == "seeded":
            self._shuffle()

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        rejected = {proposal.architecture.id for proposal in pending.rejected}
        place = self._first
        while (architecture := self._at(place)) is not None:
            is_new = architecture.id not in self._told and architecture.id not in rejected
            if is_new and not pending.holds(architecture.id):
                return Proposal(architecture, note={"origin": "grid"})
            place += 1
        raise SpaceExhausted(f"all {place} architectures of the grid were proposed")

    def tell(self, trial: Trial) -> None:
        self._told.add(trial.architecture.id)
        while self._first < len(self._seen) and self._seen[self._first].id in self._told:
            self._first += 1

    def _at(self, place: int) -> Architecture | None:
        """The architecture at a place of the grid; None beyond its end. What is listed is kept."""
        if self._rest is None:
            self._rest = _different(self.space.grid(self.resolution))
        self._seen += islice(self._rest, max(0, place + 1 - len(self._seen)))
        return self._seen[place] if place < len(self._seen) else None

    def _shuffle(self) -> None:
        most = 0 if self._is_surely_large() else LISTED + 1
        listed = list(islice(_different(self.space.grid(self.resolution)), most))
        if not most or len(listed) > LISTED:
            raise JobError(
                f"{NAME}: the grid has more than {LISTED:,} architectures, too many for a random order; say "
                "order='lexicographic', or use 'random'"
            )
        self._seen = [listed[i] for i in generator(self.seed, "grid").permutation(len(listed))]
        self._rest = iter(())

    def _is_surely_large(self) -> bool:
        """Whether counting tells without listing: nothing is forbidden or merged, and there is no real decision."""
        if self.space.constraint is not None or self.space.canonical is not None:
            return False
        size = self.space.size()
        return LISTED < (size.low if isinstance(size, SizeBounds) else size) < math.inf


def _different(architectures: Iterator[Architecture]) -> Iterator[Architecture]:
    seen: set[str] = set()
    for architecture in architectures:
        if architecture.id not in seen:
            seen.add(architecture.id)
            yield architecture
