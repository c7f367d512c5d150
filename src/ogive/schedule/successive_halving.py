"""Synchronous successive halving.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (AISTATS 2016), figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ogive.objective import Constraint, Objective
from ogive.registry import check_whole_number
from ogive.schedule.bracket import Brackets
from ogive.schedule.ladder import Ladder
from ogive.trial import EMPTY

NAME = "schedule 'successive_halving'"


class SuccessiveHalving(Brackets):
    """Trains `trials` trials on the lowest rung, the best 1/eta of them on the next rung, and so on, bracket after bracket.

    Workers wait for the last trial of a rung. The schedule `asha` avoids these waiting times.

    Options:
        trials: the number of trials of a bracket; by default, the smallest number with which one trial reaches the top rung.
        min_epochs, max_epochs, eta, fidelities: define the rungs, as in `Ladder.from_options`.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        trials: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        ladder = Ladder.from_options(
            NAME, epochs, min_epochs=min_epochs, max_epochs=max_epochs, eta=eta, fidelities=fidelities
        )
        super().__init__(ladder, overlap=False, objectives=objectives, constraints=constraints)
        size = (
            int(eta) ** (len(self.ladder) - 1)
            if trials is None
            else check_whole_number(NAME, "trials", trials, at_least=1)
        )
        # Figure 3 keeps the best half of the trials on each rung. Here it is the best 1/eta, and rungs that no trial reaches
        # are omitted.
        self.sizes = tuple(n for k in range(len(self.ladder)) if (n := size // int(eta) ** k))

    def plan_bracket(self, number: int) -> tuple[int, tuple[int, ...]]:
        return 0, self.sizes
