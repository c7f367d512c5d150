"""The default strategy: Gaussian processes at first, evolution in long searches.

The choice follows from measurements (`docs/measured.md`, by `benchmarks/strategies.py`): of the strategies measured there,
the Gaussian processes of `gp` need the fewest trials. But each of their asks takes tenths of a second. A search of many
thousand trials is only possible if trials are cheap, so that these asks would dominate its time. After 1,000 trials `auto`
therefore switches to evolution, which answers within a millisecond. It then already has a population to continue from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.registry import check_whole_number
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.gaussian_process import GaussianProcess
from ogive.strategy.regularized_evolution import RegularizedEvolution
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'auto'"

MODEL_TRIALS = 1000
"""The number of trials after which evolution takes over."""

MAX_PENDING = 200
"""The largest number of pending trials with which the model is used. It treats the predicted values of pending trials as
results, and with more of them it would mostly learn from its own predictions."""

INITIAL = (3, 5)
"""The smallest and the largest number of random trials at the beginning; between these bounds, an eighth of `trials`."""


class Auto(Strategy):
    """Propose by `gp` in the first 1,000 trials, then by `regularized_evolution`.

    Options:
        trials: the number of trials that the search will have, if it is known.
        candidates: how many candidates `gp` scores at each ask.

    Every proposal's note names in `auto` the strategy that made it. The first proposals, and all of evolution's, also give
    the reason in `why`.
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
        self.trials = None if trials is None else check_whole_number(NAME, "trials", trials, at_least=1)
        smallest, largest = INITIAL
        initial = largest if self.trials is None else min(largest, max(smallest, self.trials // 8))
        self._gp = GaussianProcess(space, objectives, constraints, initial=initial, candidates=candidates)
        self._evolution = RegularizedEvolution(space, objectives, constraints)
        self._trial_ids: set[TrialId] = set()
        self._reason_given = False  # whether a trial that `tell` received has a note with the reason

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self._gp.allow_only(allowed)
        self._evolution.allow_only(allowed)

    def tell(self, trial: Trial) -> None:
        self._trial_ids.add(trial.id)
        # Trials of a warm start or a list have no such key, so they do not count.
        self._reason_given |= "auto" in trial.proposal.note
        self._evolution.tell(trial)
        if len(self._trial_ids) <= MODEL_TRIALS:
            self._gp.tell(trial)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        name, reason = self._choose(len(pending.proposals))
        strategy = self._gp if name == "gp" else self._evolution
        proposal = strategy.ask(rng, pending, fidelity)
        choice = {"auto": name} if self._reason_given and name == "gp" else {"auto": name, "why": reason}
        return replace(proposal, note={**proposal.note, **choice})

    def _choose(self, pending_count: int) -> tuple[str, str]:
        """Return the name of the strategy to ask while `pending_count` trials are pending, and the reason."""
        if len(self._trial_ids) >= MODEL_TRIALS:
            return (
                "regularized_evolution",
                f"after {MODEL_TRIALS:,} trials evolution takes over: its asks take next to no time",
            )
        if pending_count > MAX_PENDING:
            return (
                "regularized_evolution",
                f"more than {MAX_PENDING} trials are running: too many results for the model to predict",
            )
        outputs = len(self.objectives) + len(self.constraints)
        models = "a model" if outputs == 1 else f"{outputs} models of objectives and constraints"
        return (
            "gp",
            f"{models}: gp needed the fewest trials in measurements; it is used for the first {MODEL_TRIALS:,} trials",
        )
