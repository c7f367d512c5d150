"""Hyperband: brackets of successive halving that start from ever higher rungs.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization" (JMLR 2018), algorithm 1 and table 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.schedule.bracket import Brackets
from ogive.schedule.ladder import Ladder
from ogive.trial import EMPTY

NAME = "schedule 'hyperband'"


class Hyperband(Brackets):
    """Hedge between many trials that are judged early and few that are trained long.

    Bracket s = s_max ... 0 starts floor((s_max + 1) / (s + 1)) eta^s trials on rung s_max - s. This is table 1 of the
    paper and what the authors' programs do; its algorithm 1 rounds otherwise. After s = 0 it begins anew.

    Options:
        min_epochs, max_epochs, eta, fidelities: of the rungs, as in `Ladder.of`.
        overlap: begin the next bracket where a worker would wait for others (Falkner et al. 2018, section 4.2).
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        overlap: bool = True,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        if not isinstance(overlap, bool):
            raise JobError(f"{NAME}: overlap is {overlap!r}, but must be true or false")
        super().__init__(
            Ladder.of(NAME, epochs, min_epochs, max_epochs, eta, fidelities), overlap, objectives, constraints
        )
        self.eta = int(eta)

    def plan(self, number: int) -> tuple[int, tuple[int, ...]]:
        highest = len(self.ladder) - 1  # s_max
        s = highest - number % len(self.ladder)
        n = (highest + 1) // (s + 1) * self.eta**s
        return highest - s, tuple(n // self.eta**i for i in range(s + 1))
