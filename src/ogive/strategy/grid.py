"""Grid search: every architecture of the space, once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ogive.errors import JobError, SpaceExhausted
from ogive.objective import Constraint, Objective
from ogive.registry import check_choice, check_whole_number
from ogive.seeds import generator
from ogive.space import Architecture, SizeBounds, Space
from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial

NAME = "strategy 'grid'"
ORDERS = ("seeded", "lexicographic")

MAX_SHUFFLED = 200_000
"""A grid in random order has at most this many architectures, because the whole grid is kept in memory."""


class Grid(Strategy):
    """Proposes one architecture after another, independently of the values of earlier trials.

    Options:
        order: "seeded" for a random order, so that a search that ends early has not covered only one corner of the space.
            "lexicographic" for the order of the space's table, in which the last decision changes fastest.
        seed: the seed of the random order.
        resolution: the number of values of each real decision.

    Raises:
        JobError: the order is "seeded", and the grid has more than 200,000 architectures.
        SpaceExhausted (from `ask`): all architectures of the grid were proposed.
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
        self.order = check_choice(NAME, "order", order, ORDERS)
        self.seed = check_whole_number(NAME, "seed", seed, at_least=0)
        self.resolution = check_whole_number(NAME, "resolution", resolution, at_least=2)
        self._evaluated: set[str] = set()  # ids of the architectures that have a trial
        self._listed: list[Architecture] = []  # the beginning of the grid, one architecture for each id
        self._remaining: Iterator[Architecture] | None = None  # the part of the grid that is not listed yet
        self._first_without_trial = 0  # the index of the first listed architecture without a trial
        if order == "seeded":
            self._shuffle()

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # `contains_id` also finds rejected proposals, but takes longer, and after many rejections it would be called often.
        rejected = {proposal.architecture.id for proposal in pending.rejected}
        index = self._first_without_trial
        while (architecture := self._architecture_at(index)) is not None:
            is_new = architecture.id not in self._evaluated and architecture.id not in rejected
            if is_new and not pending.contains_id(architecture.id):
                return Proposal(architecture, note={"origin": "grid"})
            index += 1
        raise SpaceExhausted(f"all {index} architectures of the grid were proposed")

    def tell(self, trial: Trial) -> None:
        self._evaluated.add(trial.architecture.id)
        # The index only moves forward, so all calls together go through the list once.
        while (
            self._first_without_trial < len(self._listed)
            and self._listed[self._first_without_trial].id in self._evaluated
        ):
            self._first_without_trial += 1

    def _architecture_at(self, index: int) -> Architecture | None:
        """List the grid up to `index`, and return the architecture at this index; None beyond the end of the grid."""
        if self._remaining is None:
            self._remaining = _unique(self.space.grid(self.resolution))
        self._listed += islice(self._remaining, max(0, index + 1 - len(self._listed)))
        return self._listed[index] if index < len(self._listed) else None

    def _shuffle(self) -> None:
        """List the grid in random order.

        Raises:
            JobError: the grid has more than `MAX_SHUFFLED` architectures.
        """
        # One architecture more than the maximum shows that the grid is too large.
        limit = 0 if self._is_known_to_be_large() else MAX_SHUFFLED + 1
        grid = list(islice(_unique(self.space.grid(self.resolution)), limit))
        if not limit or len(grid) > MAX_SHUFFLED:
            raise JobError(
                f"{NAME}: the grid has more than {MAX_SHUFFLED:,} architectures, too many for a random order; set "
                "order='lexicographic', or use 'random'"
            )
        self._listed = [grid[i] for i in generator(self.seed, "grid").permutation(len(grid))]
        self._remaining = iter(())

    def _is_known_to_be_large(self) -> bool:
        """Return whether the size of the space shows, without listing the grid, that the grid is too large to shuffle.

        The size of the grid is that of the space if the space has no constraint, no canonical form and no real decision.
        """
        if self.space.constraint is not None or self.space.canonical is not None:
            return False
        size = self.space.size()
        return MAX_SHUFFLED < (size.low if isinstance(size, SizeBounds) else size) < math.inf


def _unique(architectures: Iterator[Architecture]) -> Iterator[Architecture]:
    """Yield the first architecture of each id."""
    ids: set[str] = set()
    for architecture in architectures:
        if architecture.id not in ids:
            ids.add(architecture.id)
            yield architecture
