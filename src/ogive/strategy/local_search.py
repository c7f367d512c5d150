"""Local search.

White et al., "Exploring the Loss Landscape in Neural Architecture Search" (UAI 2021): evaluate the neighbours of the
best architecture so far, move as soon as one is better, begin anew from random architectures at a local optimum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.ranking import ranked
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'local_search'"


class LocalSearch(Strategy):
    """Searches numbered 0, 1, 2 ...: each begins at random and goes from neighbour to neighbour to a local optimum.

    Options:
        initial: how many random architectures a search begins with; it goes on from the best of them.

    A search is open while its best trial has a neighbour that was neither told nor is pending; the oldest open one is
    carried on, and a new one begins when none is open. So no worker waits for the last neighbours of an optimum: should
    one of them turn out better, its search is open again. A search also ends where others have seen all around it. With
    several objectives, better means that it dominates.

    Trials that another strategy proposed count as beginnings of search 0.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 5,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.initial = whole(NAME, "initial", initial, at_least=1)
        self._searches: dict[int, _Search] = {}
        self._told: set[str] = set()  # ids of architectures

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        taken = {proposal.architecture.id for proposal in pending}
        begun = Counter(
            _search_of(p) for i, p in pending.in_flight.items() if _is_beginning(p) and not self._knows(i, p)
        )
        numbers = sorted({*self._searches, *begun})
        for number in numbers:
            search = self._searches.get(number, _Search())
            if begun[number] + len(search.beginnings) < self.initial:
                return Proposal(self.space.sample(rng), note={"origin": "random", "search": number})
            unseen = [n for n in self._neighbors(search) if n.id not in taken]
            if unseen:
                parent = self._best(search)
                assert parent is not None
                note = {"origin": "local search", "search": number, "parent": parent.id}
                return Proposal(unseen[int(rng.integers(len(unseen)))], note=note)
        return Proposal(self.space.sample(rng), note={"origin": "random", "search": numbers[-1] + 1 if numbers else 0})

    def tell(self, trial: Trial) -> None:
        self._told.add(trial.architecture.id)
        search = self._searches.setdefault(_search_of(trial.proposal), _Search())
        if _is_beginning(trial.proposal):
            search.beginnings.add(trial.id)
        known = search.trials.pop(trial.id, None) if trial.status.failed else search.trials.get(trial.id)
        if not trial.status.failed:
            search.trials[trial.id] = trial
        if known is not None:
            search.best = None  # told before: what was concluded from it may be otherwise now
        elif search.best is not None and self._better(trial, search.best):
            search.best = trial

    def _knows(self, trial: TrialId, proposal: Proposal) -> bool:
        search = self._searches.get(_search_of(proposal))
        return search is not None and trial in search.beginnings

    def _better(self, trial: Trial, than: Trial) -> bool:
        order = ranked([than, trial], self.objectives, self.constraints)
        return len(order) == 2 and order[1][0] < order[0][0]

    def _best(self, search: _Search) -> Trial | None:
        """Where the search stands: the trials in the order of being told, moving whenever one is better."""
        if search.best is None:
            for trial in search.trials.values():
                if trial.reports and (search.best is None or self._better(trial, search.best)):
                    search.best = trial
        return search.best

    def _neighbors(self, search: _Search) -> list[Architecture]:
        """The neighbours, not told yet, of where the search stands; what a change activates is drawn once for all."""
        best = self._best(search)
        if best is None:
            return []
        center = best.architecture
        if search.center != center.id:
            search.center = center.id
            search.neighbors = list(self.space.neighbors(center, generator(0, "neighbors", center.id)))
        search.neighbors = [neighbor for neighbor in search.neighbors if neighbor.id not in self._told]
        return search.neighbors


@dataclass
class _Search:
    beginnings: set[TrialId] = field(default_factory=set)  # that were told, failed ones included
    trials: dict[TrialId, Trial] = field(default_factory=dict)  # not failed, in the order of being told
    best: Trial | None = None  # a cache of `_best`; None: not known
    center: str = ""  # the architecture whose neighbours were listed last
    neighbors: list[Architecture] = field(default_factory=list)


def _search_of(proposal: Proposal) -> int:
    number = proposal.note.get("search", 0)
    return number if isinstance(number, int) and number >= 0 else 0


def _is_beginning(proposal: Proposal) -> bool:
    return "parent" not in proposal.note
