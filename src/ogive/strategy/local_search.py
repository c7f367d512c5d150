"""Local search.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search" (UAI 2021), algorithm 1: evaluate the
neighbours of an architecture, move to a better one, and stop at a local optimum. As in the authors' program (naszilla), a
search starts from the best of several random architectures, and moves as soon as a neighbour is better. After a local
optimum, another search starts from random architectures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.registry import check_whole_number
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.ranking import rank_trials
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'local_search'"


class LocalSearch(Strategy):
    """Runs local searches, numbered 0, 1, 2 ..., each from random architectures to a local optimum.

    Options:
        initial: the number of random architectures at the start of each search. The search continues from the best of them.

    The strategy is asynchronous. A search is open while its best trial has a neighbour that was not proposed yet. `ask`
    continues the oldest open search, or starts a new search if none is open. So no worker waits for the values of the last
    neighbours. If one of these neighbours is better than the best trial, the search is open again. Neighbours that another
    search has evaluated are not evaluated again. With several objectives, a trial is better than another if it dominates
    the other.

    Trials that another strategy proposed count as random architectures at the start of search 0.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 5,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.initial = check_whole_number(NAME, "initial", initial, at_least=1)
        self._searches: dict[int, _Search] = {}
        self._evaluated: set[str] = set()  # ids of the architectures that have a trial

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        pending_ids = {proposal.architecture.id for proposal in pending}
        pending_starts = self._count_pending_starts(pending)
        numbers = sorted({*self._searches, *pending_starts})
        for number in numbers:
            search = self._searches.get(number, _Search())
            # Algorithm 1, step 1: start at random, here from the best of `initial` random architectures.
            if pending_starts[number] + len(search.starts) < self.initial:
                return Proposal(self.space.sample(rng), note={"origin": "random", "search": number})
            # Step 3: evaluate a neighbour of the best trial so far; `_best` moves as soon as a neighbour is better.
            candidates = [n for n in self._neighbors(search) if n.id not in pending_ids]
            if candidates:
                parent = self._best(search)
                assert parent is not None, "a search without a best trial has no neighbours"
                note = {"origin": "local search", "search": number, "parent": parent.id}
                return Proposal(candidates[int(rng.integers(len(candidates)))], note=note)
        # No search is open: start the next one.
        return Proposal(self.space.sample(rng), note={"origin": "random", "search": numbers[-1] + 1 if numbers else 0})

    def tell(self, trial: Trial) -> None:
        self._evaluated.add(trial.architecture.id)
        search = self._searches.setdefault(_search_number(trial.proposal), _Search())
        if _is_start(trial.proposal):
            search.starts.add(trial.id)
        if trial.status.failed:
            previous = search.trials.pop(trial.id, None)
        else:
            previous = search.trials.get(trial.id)
            search.trials[trial.id] = trial
        if previous is not None:
            # The cached best trial may depend on the earlier record.
            search.best = None
        elif search.best is not None and self._is_better(trial, search.best):
            search.best = trial

    def _count_pending_starts(self, pending: Pending) -> Counter[int]:
        """Return the number of pending random architectures of each search that `tell` has not received yet."""
        return Counter(
            _search_number(proposal)
            for trial_id, proposal in pending.proposals.items()
            if _is_start(proposal) and not self._has_received_start(trial_id, proposal)
        )

    def _has_received_start(self, trial_id: TrialId, proposal: Proposal) -> bool:
        """Return whether `tell` has received the trial as a random architecture of its search."""
        search = self._searches.get(_search_number(proposal))
        return search is not None and trial_id in search.starts

    def _is_better(self, trial: Trial, other: Trial) -> bool:
        ranked = rank_trials([other, trial], self.objectives, self.constraints)
        return len(ranked) == 2 and ranked[1][0] < ranked[0][0]

    def _best(self, search: _Search) -> Trial | None:
        """Return the trial whose neighbours are evaluated; None if no trial of the search has a value.

        The search moves to each trial that is better than the one before, in the order in which `tell` first received them.
        """
        if search.best is None:
            for trial in search.trials.values():
                if trial.reports and (search.best is None or self._is_better(trial, search.best)):
                    search.best = trial
        return search.best

    def _neighbors(self, search: _Search) -> list[Architecture]:
        """Return the neighbours of the search's best trial that have no trial yet.

        Decisions that a change activates are drawn at random; the seed is the id of the best architecture.
        """
        best = self._best(search)
        if best is None:
            return []
        center = best.architecture
        if search.center != center.id:
            search.center = center.id
            search.neighbors = list(self.space.neighbors(center, generator(0, "neighbors", center.id)))
        search.neighbors = [neighbor for neighbor in search.neighbors if neighbor.id not in self._evaluated]
        return search.neighbors


@dataclass
class _Search:
    """One local search.

    Attributes:
        starts: the ids of the trials of its random architectures, including failed trials.
        trials: the trials of the search that have not failed, in the order in which `tell` first received them.
        best: a cache of `LocalSearch._best`; None if it has to be computed.
        center: the id of the architecture whose neighbours are in `neighbors`.
        neighbors: a cache of `LocalSearch._neighbors`.
    """

    starts: set[TrialId] = field(default_factory=set)
    trials: dict[TrialId, Trial] = field(default_factory=dict)
    best: Trial | None = None
    center: str | None = None
    neighbors: list[Architecture] = field(default_factory=list)


def _search_number(proposal: Proposal) -> int:
    """Return the number of the search that a proposal belongs to; 0 for a proposal of another strategy."""
    number = proposal.note.get("search", 0)
    return number if isinstance(number, int) and number >= 0 else 0


def _is_start(proposal: Proposal) -> bool:
    """Return whether a proposal is a random architecture at the start of a search."""
    return "parent" not in proposal.note
