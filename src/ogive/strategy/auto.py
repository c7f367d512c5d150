"""The default strategy: Gaussian processes at first, evolution in long searches.

This rule follows from measurements (`docs/measured.md`, by `benchmarks/strategies.py`): of the strategies measured there,
the Gaussian processes of `gp` need the fewest trials to reach a given regret. But each proposal of `gp` takes tenths of a
second. A search of many thousand trials is only possible if trials are cheap, and then these tenths of a second would
dominate its duration. After 1,000 trials `auto` therefore switches to evolution, which makes a proposal within a
millisecond. Evolution receives all trials from the beginning, so it already has a population.
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

MAX_MODEL_TRIALS = 1000
"""After this number of trials, evolution is used instead of the model."""

MAX_PENDING = 200
"""While more trials than this are pending, evolution is used instead of the model. The model treats the predicted values of
pending trials as results; with more pending trials it would mostly learn from its own predictions."""

MIN_INITIAL, MAX_INITIAL = 3, 5
"""The bounds of the number of random trials at the beginning. Between these bounds, it is an eighth of `trials`; if `trials`
is unknown, it is the upper bound.
"""


class Auto(Strategy):
    """Proposes by `regularized_evolution` after 1,000 trials, and while more than 200 are pending; otherwise by `gp`.

    Options:
        trials: the number of trials that the search will have, if it is known.
        candidates: the number of candidates that `gp` scores for each proposal.

    The note of every proposal has the name of the strategy that made it as `auto`, and the reason as `why`. To keep notes
    short, proposals of `gp` have no reason after `tell` has received the first trial that this strategy proposed.
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
        initial = MAX_INITIAL if self.trials is None else min(MAX_INITIAL, max(MIN_INITIAL, self.trials // 8))
        self._gp = GaussianProcess(space, objectives, constraints, initial=initial, candidates=candidates)
        self._evolution = RegularizedEvolution(space, objectives, constraints)
        self._trial_ids: set[TrialId] = set()
        self._has_own_trials = False  # whether `tell` has received a trial that this strategy proposed

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self._gp.allow_only(allowed)
        self._evolution.allow_only(allowed)

    def tell(self, trial: Trial) -> None:
        self._trial_ids.add(trial.id)
        # Only proposals of this strategy have the key "auto" in their notes; trials of a warm start, and of
        # architectures that the user gave, do not.
        self._has_own_trials |= "auto" in trial.proposal.note
        self._evolution.tell(trial)
        if len(self._trial_ids) <= MAX_MODEL_TRIALS:  # after that, `gp` is not asked any more
            self._gp.tell(trial)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        name, reason = self._choose(len(pending.proposals))
        strategy = self._gp if name == "gp" else self._evolution
        proposal = strategy.ask(rng, pending, fidelity)
        own_note = {"auto": name} if self._has_own_trials and name == "gp" else {"auto": name, "why": reason}
        return replace(proposal, note={**proposal.note, **own_note})

    def _choose(self, pending_count: int) -> tuple[str, str]:
        """Return the name of the strategy to ask while `pending_count` trials are pending, and the reason."""
        if len(self._trial_ids) >= MAX_MODEL_TRIALS:
            return (
                "regularized_evolution",
                f"after {MAX_MODEL_TRIALS:,} trials evolution takes over, because it makes proposals much faster",
            )
        if pending_count > MAX_PENDING:
            return (
                "regularized_evolution",
                f"more than {MAX_PENDING} trials are pending, and gp would have to predict the results of all of them",
            )
        # `gp` fits one model for each objective and constraint, see `MetricModels`.
        outputs = len(self.objectives) + len(self.constraints)
        models = "one model" if outputs == 1 else f"{outputs} models of objectives and constraints"
        return (
            "gp",
            f"gp needed the fewest trials in measurements; it is used for the first {MAX_MODEL_TRIALS:,} trials "
            f"with {models}",
        )
