"""The default: the strategy that what was measured speaks for.

What speaks for it is in `docs/measured.md`, printed by `benchmarks/strategies.py`: of the strategies measured there the
Gaussian processes of `gp` need the fewest trials. What they cost is time: an ask takes tenths of a second. So a search
of many thousand trials, which can only be one of cheap trials, is handed over to evolution, which answers within a
millisecond and by then has a population to go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.gaussian_process import GaussianProcess
from ogive.strategy.regularized_evolution import RegularizedEvolution
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'auto'"

MODEL_TRIALS = 1000
"""So many trials told, and the search is handed over to evolution."""

MODEL_WORKERS = 200
"""With more trials in flight than this the model would believe more than it was told; evolution does not mind."""

INITIAL = (3, 5)
"""The fewest and the most random trials at the beginning; between them, an eighth of the budget."""


class Auto(Strategy):
    """Model the objectives as long as that pays, then evolve.

    Options:
        trials: how many trials the search is to have, where that is known.
        candidates: how many architectures the model weighs at each ask.

    Every proposal's note says in `auto` which strategy made it; the first ones, and those of evolution, say `why`.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        trials: int | None = None,
        candidates: int = 2000,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.trials = None if trials is None else whole(NAME, "trials", trials, at_least=1)
        least, most = INITIAL
        initial = most if self.trials is None else min(most, max(least, self.trials // 8))
        self._gp = GaussianProcess(space, objectives, constraints, initial=initial, candidates=candidates)
        self._evolution = RegularizedEvolution(space, objectives, constraints)
        self._told: set[TrialId] = set()
        self._said = False

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self._gp.allow_only(allowed)
        self._evolution.allow_only(allowed)

    def tell(self, trial: Trial) -> None:
        self._told.add(trial.id)
        self._said |= "auto" in trial.proposal.note  # not so of what a warm start proposed
        self._evolution.tell(trial)
        if len(self._told) <= MODEL_TRIALS:
            self._gp.tell(trial)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        name, why = self._choose(len(pending.in_flight))
        strategy = self._gp if name == "gp" else self._evolution
        proposal = strategy.ask(rng, pending, fidelity)
        said = {"auto": name} if self._said and name == "gp" else {"auto": name, "why": why}
        return replace(proposal, note={**proposal.note, **said})

    def _choose(self, flying: int) -> tuple[str, str]:
        if len(self._told) >= MODEL_TRIALS:
            return "regularized_evolution", f"{MODEL_TRIALS} trials are told: from here on asks should cost no time"
        if flying > MODEL_WORKERS:
            return "regularized_evolution", f"more than {MODEL_WORKERS} trials are in flight, too many to guess"
        outputs = len(self.objectives) + len(self.constraints)
        models = "a model" if outputs == 1 else f"{outputs} models of objectives and constraints"
        return (
            "gp",
            f"{models}: gp needed the fewest trials where strategies were measured; up to {MODEL_TRIALS} trials",
        )
