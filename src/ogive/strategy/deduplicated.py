"""A wrapper that proposes no architecture twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ogive.errors import SpaceExhausted
from ogive.space import Architecture, SizeBounds
from ogive.strategy.base import Strategy, check_proposal
from ogive.trial import Fidelity, Pending, Proposal, Trial

SAMPLES = 200
"""The number of random architectures that are drawn before the space is enumerated."""

MAX_ENUMERATED = 200_000
"""The space is enumerated to find a new architecture only if it has at most this many architectures."""


class Deduplicated(Strategy):
    """Rejects proposals of a strategy that are not new: the architecture has a trial, is pending, or was rejected.

    A proposal that is not new is added to `pending`, and the strategy is asked again, up to `tries` times. After that, the
    wrapper draws random architectures until one is new, and finally enumerates the space. The note of the returned proposal
    has the number of rejected proposals as `duplicates`. If the wrapper made the proposal itself, the note also has
    `instead`, which is "sample" or "grid".

    Use `Constrained(Deduplicated(strategy), screen)`, not the other way round, so that the architectures that this wrapper
    proposes itself are screened as well.

    Args:
        strategy: the strategy to ask.
        tries: the number of proposals that one `ask` rejects before the wrapper makes a proposal itself.

    Raises (from `ask`):
        SpaceExhausted: no new architecture was found.
    """

    def __init__(self, strategy: Strategy, tries: int = 20) -> None:
        super().__init__(strategy.space, strategy.objectives, strategy.constraints)
        self.strategy = strategy
        self.tries = tries
        self._evaluated: set[str] = set()  # ids of the architectures that have a trial
        self._remaining: dict[str, Architecture] | None = None  # a cache of `_remaining_architectures`

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self.strategy.allow_only(allowed)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # First, ask the strategy. Each duplicate is added to the pending proposals, so that the strategy can avoid it.
        pending_and_rejected = pending
        duplicates = 0
        while duplicates < self.tries:
            proposal = check_proposal(self.strategy, self.strategy.ask(rng, pending_and_rejected, fidelity))
            if self._is_new(proposal.architecture, pending):
                return _with_note(proposal, duplicates=duplicates) if duplicates else proposal
            duplicates += 1
            pending_and_rejected = pending_and_rejected.with_rejected(proposal)
        # Second, draw random architectures. This is fast, and succeeds unless most of the space was evaluated.
        for _ in range(SAMPLES):
            architecture = self.space.sample(rng)
            if self._is_new(architecture, pending):
                return Proposal(architecture, note={"origin": "random", "duplicates": duplicates, "instead": "sample"})
        # Last, enumerate the space, and draw one of the new architectures.
        remaining = [a for a in self._remaining_architectures() if not pending.contains_id(a.id)]
        if not remaining:
            raise SpaceExhausted(self._exhausted_message({proposal.architecture.id for proposal in pending}))
        architecture = remaining[int(rng.integers(len(remaining)))]
        return Proposal(architecture, note={"origin": "random", "duplicates": duplicates, "instead": "grid"})

    def tell(self, trial: Trial) -> None:
        self._evaluated.add(trial.architecture.id)
        self.strategy.tell(trial)

    def _is_new(self, architecture: Architecture, pending: Pending) -> bool:
        return architecture.id not in self._evaluated and not pending.contains_id(architecture.id)

    def _remaining_architectures(self) -> list[Architecture]:
        """Return all architectures without a trial, one for each id; none if the space is too large to enumerate."""
        if self._remaining is None:
            is_enumerable = self._max_size() <= MAX_ENUMERATED
            self._remaining = {a.id: a for a in self.space.grid()} if is_enumerable else {}
        self._remaining = {identity: a for identity, a in self._remaining.items() if identity not in self._evaluated}
        return list(self._remaining.values())

    def _max_size(self) -> float:
        """Return the number of architectures of the space, or its upper bound."""
        size = self.space.size()
        return size.high if isinstance(size, SizeBounds) else size

    def _exhausted_message(self, pending_ids: set[str]) -> str:
        evaluated = self._evaluated
        counts = f"{len(evaluated)} were evaluated, {len(pending_ids - evaluated)} are pending or rejected"
        if self._max_size() <= MAX_ENUMERATED:
            return f"every architecture that the space allows was proposed: {counts}; widen the space to continue"
        return (
            f"none of {self.tries} proposals and {SAMPLES} random architectures is new, and the space is too large to "
            f"enumerate: {counts}; loosen the space's constraint to continue"
        )


def _with_note(proposal: Proposal, **note: Any) -> Proposal:
    return replace(proposal, note={**proposal.note, **note})
