"""The population of an evolutionary strategy: the trials that are alive.

The population depends only on the trials that `tell` received, and on the order in which they first had a value ("joined").
A later record of a trial replaces the earlier record and keeps its position in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ogive.objective import Constraint, Objective
from ogive.strategy.ranking import rank_trials
from ogive.trial import Pending, Trial, TrialId

DROPS = ("oldest", "worst")


class Population:
    """Up to `size` of the trials that have a value.

    Args:
        size: at most this many trials are alive.
        drop: which trial leaves when another joins. "oldest": the last `size` trials that joined are alive (Real et al.
            2019, algorithm 1). "worst": every `size` trials that join are a generation. The best `size` trials among the
            survivors of the previous generation and the trials that joined since then are alive. Trials that do not survive
            a generation never return (elitism, Deb et al. 2002, section III-C).
        objectives, constraints: define the order of trials, as in `ogive.objective.rank_costs`.
    """

    def __init__(
        self, size: int, drop: str, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
    ) -> None:
        self.size, self.drop = size, drop
        self._ranking = tuple(objectives), tuple(constraints)
        self._history: dict[TrialId, Trial] = {}  # all trials with a value, in the order of joining
        self._index: dict[TrialId, int] = {}  # the index of each trial in the history
        self._generations: list[list[TrialId]] = []  # a cache: the survivors of each generation
        self._members: list[tuple[int, Trial]] | None = None  # a cache of `members`
        self._survivors: list[Trial] | None = None  # a cache of `_select_best`

    def __contains__(self, trial_id: TrialId) -> bool:
        return trial_id in self._history

    def __len__(self) -> int:
        """Return the number of trials that are alive."""
        return min(self.size, len(self._history))

    def tell(self, trial: Trial) -> None:
        """Add or replace a trial that has a value; remove a trial that has failed."""
        if trial.status.failed or not trial.reports:
            if trial.id in self._history:
                # The indices of all later trials change, and so do the generations.
                del self._history[trial.id]
                self._index = {trial_id: index for index, trial_id in enumerate(self._history)}
                self._generations = []
        else:
            index = self._index.setdefault(trial.id, len(self._history))
            self._history[trial.id] = trial
            # A new value can change the survivors of its own generation, and of later ones.
            self._generations = self._generations[: index // self.size]
        self._members = self._survivors = None

    def is_incomplete(self, pending: Pending, min_alive: int = 1) -> bool:
        """Return whether fewer than `size` trials are alive or pending, or fewer than `min_alive` trials are alive."""
        alive_count = len(self)
        # The usual case, decided without counting the pending trials.
        if min_alive <= alive_count == self.size:
            return False
        pending_count = sum(trial_id not in self._history for trial_id in pending.proposals)
        return alive_count < min_alive or alive_count + pending_count < self.size

    def alive(self) -> list[Trial]:
        """Return the trials that are alive, in reverse order of joining."""
        return self._select_newest() if self.drop == "oldest" else self._select_best()

    def members(self) -> list[tuple[int, Trial]]:
        """Return (rank, trial) of the trials that are alive, in the order of `alive`.

        Rank 0 is the best; equally good trials share a rank.
        """
        if self._members is None:
            self._members = rank_trials(self.alive(), *self._ranking)
        return self._members

    def _select_newest(self) -> list[Trial]:
        return list(islice(reversed(self._history.values()), self.size))

    def _select_best(self) -> list[Trial]:
        if self._survivors is None:
            self._survivors = self._select_survivors()
        return self._survivors

    def _select_survivors(self) -> list[Trial]:
        """Return the trials that are alive with `drop="worst"`, after adding the generations that are complete."""
        trial_ids = list(self._history)
        survivors = self._generations[-1] if self._generations else []
        # Deb et al. 2002, section III-C: of the parents P_t and the offspring Q_t, the best N are the next parents.
        for generation in range(len(self._generations), len(trial_ids) // self.size):
            newcomers = trial_ids[generation * self.size :][: self.size]
            survivors = self._select([*survivors, *newcomers])
            self._generations.append(survivors)
        # Newcomers of the incomplete generation compete at once, so that no worker waits for the generation to be complete.
        newcomers = trial_ids[len(trial_ids) // self.size * self.size :]
        return [self._history[trial_id] for trial_id in self._select([*survivors, *newcomers])]

    def _select(self, trial_ids: Sequence[TrialId]) -> list[TrialId]:
        """Return the best `size` of these trials in reverse order of joining; newer trials win ties."""
        newest_first = sorted(trial_ids, key=self._index.__getitem__, reverse=True)
        ranked = rank_trials([self._history[trial_id] for trial_id in newest_first], *self._ranking)
        best_rows = sorted(range(len(ranked)), key=lambda row: ranked[row][0])[: self.size]
        return [ranked[row][1].id for row in sorted(best_rows)]
