"""A wrapper that keeps hard constraints on what is known before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ogive.errors import JobError, SpaceExhausted
from ogive.objective import Constraint, Metrics, violation
from ogive.space import Architecture
from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial
from ogive.user_code import RAISED

Screen = Callable[[Architecture], Metrics]


class Constrained(Strategy):
    """`strategy`, without architectures that `screen` shows to violate a hard constraint.

    `screen(architecture)` gives metrics known before training, cheap and always the same. A hard constraint on a metric
    that it does not give cannot be kept here: it orders trials like a soft one. What is turned down is added to
    `pending`, and the strategy is asked again, up to `tries` times; how often that was needed is in the proposal's note
    as `screened_out`.

    Wrap it around `Deduplicated`: then the same architecture is not screened twice in one `ask`, and a small space is
    searched to its end.

    Raises (from `ask`):
        JobError: no proposal satisfied the constraints; says how often it was tried and what came nearest.
        SpaceExhausted: all that satisfies them has been proposed.
    """

    def __init__(self, strategy: Strategy, screen: Screen, tries: int = 1000) -> None:
        super().__init__(strategy.space, strategy.objectives, strategy.constraints)
        self.strategy = strategy
        self.tries = tries
        self._screen = lru_cache(maxsize=100_000)(screen)
        self._hard = tuple(constraint for constraint in self.constraints if constraint.hard)
        self._told_any = False
        strategy.allow_only(lambda architecture: self._violation(architecture) == 0)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        rejected: list[Proposal] = []
        while len(rejected) < self.tries:
            try:
                proposal = self.strategy.ask(rng, pending.plus(*rejected), fidelity)
            except SpaceExhausted as error:
                if self._told_any or pending.in_flight or not rejected:
                    raise
                raise JobError(self._nothing(rejected)) from error
            if self._violation(proposal.architecture) == 0:
                return (
                    replace(proposal, note={**proposal.note, "screened_out": len(rejected)}) if rejected else proposal
                )
            rejected.append(proposal)
        raise JobError(self._nothing(rejected))

    def tell(self, trial: Trial) -> None:
        self._told_any = True
        self.strategy.tell(trial)

    def _applicable(self, architecture: Architecture) -> list[Constraint]:
        metrics = self._screen(architecture)
        return [constraint for constraint in self._hard if constraint.metric in metrics]

    def _violation(self, architecture: Architecture) -> float:
        try:
            self._screen(architecture)
        except RAISED:  # it is let through, and becomes a failed trial where it is evaluated
            return 0.0
        return violation(self._screen(architecture), self._applicable(architecture))

    def _nothing(self, rejected: Sequence[Proposal]) -> str:
        nearest = min((proposal.architecture for proposal in rejected), key=self._violation)
        metrics = self._screen(nearest)
        failed = [c for c in self._applicable(nearest) if c.violation(metrics) > 0]
        missed = " and ".join(f"{c} (it has {metrics[c.metric]:g})" for c in failed)
        return (
            f"none of {len(rejected)} proposals satisfies the hard constraints; the nearest, {nearest!r}, misses {missed}. "
            "Loosen the constraint, make it soft, or widen the space"
        )
