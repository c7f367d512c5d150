"""A wrapper that never proposes an architecture twice."""

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
"""Random architectures that are drawn before the space is enumerated."""

ENUMERABLE = 200_000
"""The largest number of architectures that are looked at one by one for a new one."""


class Deduplicated(Strategy):
    """`strategy`, without architectures whose id was told (failed ones too), is pending or was rejected.

    A proposal that is not new is added to `pending`, and the strategy is asked again, up to `tries` times. After that
    an architecture that is new is drawn at random; where even that is rare, it is searched for one by one. What was
    needed is in the proposal's note: `duplicates`, and `instead` ("sample" or "grid").

    `Constrained` goes around this wrapper, not into it, so that what is drawn instead is screened too.
    """

    def __init__(self, strategy: Strategy, tries: int = 20) -> None:
        super().__init__(strategy.space, strategy.objectives, strategy.constraints)
        self.strategy = strategy
        self.tries = tries
        self._told: set[str] = set()
        self._rest: dict[str, Architecture] | None = None  # a cache: what was not told, once enumerated

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self.strategy.allow_only(allowed)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        flying = pending
        duplicates = 0
        while duplicates < self.tries:
            proposal = check_proposal(self.strategy, self.strategy.ask(rng, pending, fidelity))
            if self._is_new(proposal.architecture, flying):
                return _with_note(proposal, duplicates=duplicates) if duplicates else proposal
            duplicates += 1
            pending = pending.plus(proposal)
        for _ in range(SAMPLES):
            architecture = self.space.sample(rng)
            if self._is_new(architecture, flying):
                return Proposal(architecture, note={"origin": "random", "duplicates": duplicates, "instead": "sample"})
        rest = [architecture for architecture in self._remaining() if not flying.holds(architecture.id)]
        if not rest:
            raise SpaceExhausted(self._exhausted({proposal.architecture.id for proposal in flying}))
        chosen = rest[int(rng.integers(len(rest)))]
        return Proposal(chosen, note={"origin": "random", "duplicates": duplicates, "instead": "grid"})

    def tell(self, trial: Trial) -> None:
        self._told.add(trial.architecture.id)
        self.strategy.tell(trial)

    def _is_new(self, architecture: Architecture, flying: Pending) -> bool:
        return architecture.id not in self._told and not flying.holds(architecture.id)

    def _remaining(self) -> list[Architecture]:
        """All architectures that were not told, one for each id; none where the space is too large to enumerate."""
        if self._rest is None:
            enumerable = self._size() <= ENUMERABLE
            self._rest = {a.id: a for a in self.space.grid()} if enumerable else {}
        self._rest = {key: rest for key, rest in self._rest.items() if key not in self._told}
        return list(self._rest.values())

    def _size(self) -> float:
        size = self.space.size()
        return size.high if isinstance(size, SizeBounds) else size

    def _exhausted(self, taken: set[str]) -> str:
        use = f"{len(self._told)} were told, {len(taken - self._told)} are pending or rejected"
        if self._size() <= ENUMERABLE:
            return f"every architecture that the space allows was proposed: {use}; widen the space to go on"
        return (
            f"{self.tries} proposals and {SAMPLES} random architectures held nothing new, and the space is too large to "
            f"enumerate: {use}; loosen the space's constraint to go on"
        )


def _with_note(proposal: Proposal, **note: Any) -> Proposal:
    return replace(proposal, note={**proposal.note, **note})
