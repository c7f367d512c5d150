"""Synchronous successive halving.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (AISTATS 2016), figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.schedule.bracket import Brackets
from ogive.schedule.ladder import Ladder
from ogive.trial import EMPTY

NAME = "schedule 'successive_halving'"


class SuccessiveHalving(Brackets):
    """Train `trials` a little, the best 1/eta of them further, and so on up the rungs; then begin anew.

    The workers wait for the last of a rung; `asha` does without that.

    Options:
        trials: in a bracket; as many as bring one to the top rung where left out.
        min_epochs, max_epochs, eta, fidelities: of the rungs, as in `Ladder.of`.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        trials: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        super().__init__(
            Ladder.of(NAME, epochs, min_epochs, max_epochs, eta, fidelities), False, objectives, constraints
        )
        size = int(eta) ** (len(self.ladder) - 1) if trials is None else whole(NAME, "trials", trials, at_least=1)
        self.sizes = tuple(n for k in range(len(self.ladder)) if (n := size // int(eta) ** k))

    def plan(self, number: int) -> tuple[int, tuple[int, ...]]:
        return 0, self.sizes
