"""The population of an evolutionary strategy: which of the trials told are alive.

A function of what was told, in the order in which trials first got a value; a trial told again keeps its place in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ogive.objective import Constraint, Objective
from ogive.strategy.ranking import ranked
from ogive.trial import Pending, Trial, TrialId

DROPS = ("oldest", "worst")


class Population:
    """Up to `size` of the trials that have a value.

    `drop="oldest"`: the last `size` that got one (Real et al. 2019). `drop="worst"`: the best `size` of the survivors and
    of those that came since; with every `size` newcomers, which are a generation, the others are forgotten for good
    (elitism, Deb et al. 2002, section III-C).
    """

    def __init__(
        self, size: int, drop: str, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
    ) -> None:
        self.size, self.drop = size, drop
        self._sought = tuple(objectives), tuple(constraints)
        self._history: dict[TrialId, Trial] = {}  # all with a value, in the order of joining
        self._place: dict[TrialId, int] = {}
        self._generations: list[list[TrialId]] = []  # a cache: who survives each generation
        self._members: list[tuple[int, Trial]] | None = None  # a cache of `members`
        self._best_now: list[Trial] | None = None  # a cache of `_fittest`

    def __contains__(self, trial: TrialId) -> bool:
        return trial in self._history

    def __len__(self) -> int:
        return min(self.size, len(self._history))

    def tell(self, trial: Trial) -> None:
        """Take note of a trial: it joins with its first value, and leaves where it fails later."""
        if trial.status.failed or not trial.reports:
            if trial.id in self._history:
                del self._history[trial.id]
                self._place = {number: place for place, number in enumerate(self._history)}
                self._generations = []
        else:
            place = self._place.setdefault(trial.id, len(self._history))
            self._history[trial.id] = trial
            self._generations = self._generations[: place // self.size]
        self._members = self._best_now = None

    def is_small(self, pending: Pending, least: int = 1) -> bool:
        """Whether fewer than `size` have a value or are on their way to one, or fewer than `least` have one."""
        alive = len(self)
        if least <= alive == self.size:
            return False
        return alive < least or alive + sum(trial not in self._history for trial in pending.in_flight) < self.size

    def alive(self) -> list[Trial]:
        """Those alive, the last that joined first."""
        return self._youngest() if self.drop == "oldest" else self._fittest()

    def members(self) -> list[tuple[int, Trial]]:
        """(rank, trial) of those alive, in the same order; equals share a rank, and rank 0 is the best."""
        if self._members is None:
            self._members = ranked(self.alive(), *self._sought)
        return self._members

    def _youngest(self) -> list[Trial]:
        return list(islice(reversed(self._history.values()), self.size))

    def _fittest(self) -> list[Trial]:
        if self._best_now is None:
            self._best_now = self._select()
        return self._best_now

    def _select(self) -> list[Trial]:
        order = list(self._history)
        survivors = self._generations[-1] if self._generations else []
        for generation in range(len(self._generations), len(order) // self.size):
            survivors = self._best([*survivors, *order[generation * self.size :][: self.size]])
            self._generations.append(survivors)
        best = self._best([*survivors, *order[len(order) // self.size * self.size :]])
        return [self._history[number] for number in best]

    def _best(self, numbers: Sequence[TrialId]) -> list[TrialId]:
        """The best `size` of these, the last that joined first; of equals the younger."""
        newest_first = sorted(numbers, key=self._place.__getitem__, reverse=True)
        order = ranked([self._history[number] for number in newest_first], *self._sought)
        best = sorted(range(len(order)), key=lambda row: order[row][0])[: self.size]
        return [order[row][1].id for row in sorted(best)]
