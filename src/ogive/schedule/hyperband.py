"""Hyperband: rounds of successive halving brackets, each of which starts on a higher rung than the previous bracket.

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
    """Divides the budget among brackets, from many trials that are compared early to few trials that are trained long.

    Bracket s = s_max ... 0 starts floor((s_max + 1) / (s + 1)) eta^s trials on rung s_max - s, as in table 1 of the paper
    and in the authors' code; algorithm 1 of the paper rounds differently. After bracket s = 0, the next round begins with
    bracket s = s_max.

    Options:
        min_epochs, max_epochs, eta, fidelities: define the rungs, as in `Ladder.from_options`.
        overlap: whether the next bracket begins while a worker would have to wait for other workers (Falkner et al., "BOHB",
            2018, section 4.2).
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        overlap: bool = True,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        if not isinstance(overlap, bool):
            raise JobError(f"{NAME}: overlap is {overlap!r}, but must be true or false")
        ladder = Ladder.from_options(
            NAME, epochs, min_epochs=min_epochs, max_epochs=max_epochs, eta=eta, fidelities=fidelities
        )
        super().__init__(ladder, overlap, objectives, constraints)
        self.eta = int(eta)

    def plan_bracket(self, number: int) -> tuple[int, tuple[int, ...]]:
        # The outer loop of algorithm 1: s = s_max, ..., 0, repeated.
        s_max = len(self.ladder) - 1
        s = s_max - number % len(self.ladder)
        # Table 1: n trials at first; the inner loop keeps floor(n / eta^i) of them on rung i of the bracket.
        n = (s_max + 1) // (s + 1) * self.eta**s
        return s_max - s, tuple(n // self.eta**i for i in range(s + 1))
