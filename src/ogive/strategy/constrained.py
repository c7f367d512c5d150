"""A wrapper that rejects architectures which violate a hard constraint on a metric known before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ogive.errors import JobError, SpaceExhausted
from ogive.objective import Constraint, Metrics, total_violation
from ogive.space import Architecture
from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial
from ogive.user_code import USER_EXCEPTIONS

Screen = Callable[[Architecture], Metrics]


class Constrained(Strategy):
    """Rejects proposals of a strategy that violate a hard constraint on a metric known before training.

    A rejected proposal is added to `pending`, and the strategy is asked again. The number of rejected proposals is written
    to the note of the returned proposal, as `screened_out`.

    Use it as `Constrained(Deduplicated(strategy), screen)`. Then no architecture is screened twice in one `ask`, and a small
    space is searched completely.

    Args:
        strategy: the strategy to ask.
        screen: a function that returns the metrics of an architecture that are known before training. It must be fast, and
            return the same metrics for the same architecture each time. A hard constraint on a metric that `screen` does not
            return cannot be checked here. Such a constraint only affects the ranking of trials, as a soft constraint does.
        tries: the number of proposals that one `ask` rejects before it raises an error.

    Raises (from `ask`):
        JobError: none of `tries` proposals satisfied the constraints. The message shows the one with the smallest violation.
        SpaceExhausted: all architectures that satisfy the constraints were proposed.
    """

    def __init__(self, strategy: Strategy, screen: Screen, tries: int = 1000) -> None:
        super().__init__(strategy.space, strategy.objectives, strategy.constraints)
        self.strategy = strategy
        self.tries = tries
        self._screen = lru_cache(maxsize=100_000)(screen)
        self._hard = tuple(constraint for constraint in self.constraints if constraint.hard)
        self._has_trials = False
        # A strategy that ranks many candidates can then skip those that would be rejected.
        strategy.allow_only(lambda architecture: self._total_violation(architecture) == 0)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        rejected: list[Proposal] = []
        while len(rejected) < self.tries:
            try:
                proposal = self.strategy.ask(rng, pending.with_rejected(*rejected), fidelity)
            except SpaceExhausted as error:
                # If there are trials, all feasible architectures were proposed. Otherwise no architecture is feasible, and
                # the message describes the nearest one that was rejected in this call, if there is one.
                if self._has_trials or pending.proposals or not rejected:
                    raise
                raise JobError(self._infeasible_message(rejected)) from error
            if self._total_violation(proposal.architecture) == 0:
                if not rejected:
                    return proposal
                return replace(proposal, note={**proposal.note, "screened_out": len(rejected)})
            rejected.append(proposal)
        raise JobError(self._infeasible_message(rejected))

    def tell(self, trial: Trial) -> None:
        self._has_trials = True
        self.strategy.tell(trial)

    def _screened_constraints(self, architecture: Architecture) -> list[Constraint]:
        """Return the hard constraints on metrics that `screen` returns for the architecture."""
        metrics = self._screen(architecture)
        return [constraint for constraint in self._hard if constraint.metric in metrics]

    def _total_violation(self, architecture: Architecture) -> float:
        """Return the sum of the violations of screened constraints; 0 if all are satisfied or the screen fails."""
        try:
            self._screen(architecture)
        except USER_EXCEPTIONS:
            # Accept the architecture: the controller screens it again, and records the error as a failed trial.
            return 0.0
        return total_violation(self._screen(architecture), self._screened_constraints(architecture))

    def _infeasible_message(self, rejected: Sequence[Proposal]) -> str:
        nearest = min((proposal.architecture for proposal in rejected), key=self._total_violation)
        metrics = self._screen(nearest)
        violated = [c for c in self._screened_constraints(nearest) if c.violation(metrics) > 0]
        violations = " and ".join(f"{c} (its value is {metrics[c.metric]:g})" for c in violated)
        return (
            f"none of {len(rejected)} proposals satisfies the hard constraints; the nearest, {nearest!r}, violates "
            f"{violations}. Loosen the constraint, make it soft, or widen the space"
        )
