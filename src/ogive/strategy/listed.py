"""Architectures of a list, proposed in order: alone (`Listed`), or before another strategy (`Initial`).

Full training uses `Listed`. `Initial` proposes a list before any strategy, for example the best architectures of an earlier
run, or well-known networks that a search should evaluate. The proposals of a list need no random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ogive.errors import JobError, SpaceError, SpaceExhausted
from ogive.objective import Constraint, Objective
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.trial import EMPTY, Fidelity, Pending, Proposal, Trial

Labels = Mapping[str, Any]
"""The labels of an architecture by the name of their decision."""

INDEX_KEY = "listed"
"""The key of a proposal's note that holds its index in the list."""


class Listed(Strategy):
    """Proposes the architectures of a list, in order. An architecture may occur more than once, with different settings.

    Args:
        space, objectives, constraints: as for every strategy.
        architectures: {decision: label} of the active decisions of each architecture, as `Architecture.to_json` returns it.
        settings: the `Proposal.settings` of each architecture; empty for no settings.

    Raises:
        JobError: the list is empty, an item is not an architecture of the space, or the numbers of architectures and
            settings differ.
        SpaceExhausted (from `ask`): the whole list was proposed.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        *,
        architectures: Sequence[Labels],
        settings: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(space, objectives, constraints)
        self._list = _ProposalList(space, architectures, settings, "listed")

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        proposal = self._list.next(pending)
        if proposal is None:
            raise SpaceExhausted(f"all {len(self._list.proposals)} architectures of the list were proposed")
        return proposal

    def tell(self, trial: Trial) -> None:
        self._list.tell(trial)


class Initial(Strategy):
    """Proposes the architectures of a list first, then those of `strategy`, which also receives the trials of the list.

    `Deduplicated` and `Constrained` are wrapped around this strategy; architectures of the list that they reject are
    skipped.

    Attributes:
        origin: the value of `origin` in the notes of the list's proposals.
    """

    origin = "initial"

    def __init__(
        self, strategy: Strategy, architectures: Sequence[Labels], settings: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(strategy.space, strategy.objectives, strategy.constraints)
        self.strategy = strategy
        self._list = _ProposalList(strategy.space, architectures, settings, self.origin)

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self.strategy.allow_only(allowed)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return self._list.next(pending) or self.strategy.ask(rng, pending, fidelity)

    def tell(self, trial: Trial) -> None:
        self._list.tell(trial)
        self.strategy.tell(trial)


class _ProposalList:
    """A list of proposals that remembers which of them have a trial."""

    def __init__(
        self, space: Space, architectures: Sequence[Labels], settings: Sequence[Mapping[str, Any]], origin: str
    ) -> None:
        self.proposals = parse_list(space, architectures, settings)
        self._origin = origin
        self._evaluated: set[int] = set()  # the indices of the proposals that have a trial

    def next(self, pending: Pending) -> Proposal | None:
        """Return the first proposal that is not pending and has no trial; None if there is none."""
        # A proposal is used once it has a trial or is pending; a rejected proposal counts as pending.
        used = self._evaluated | {index for proposal in pending if (index := self._index(proposal)) is not None}
        index = next((index for index in range(len(self.proposals)) if index not in used), None)
        if index is None:
            return None
        return replace(self.proposals[index], note={INDEX_KEY: index, "origin": self._origin})

    def tell(self, trial: Trial) -> None:
        index = self._index(trial.proposal)
        if index is not None:
            self._evaluated.add(index)

    def _index(self, proposal: Proposal) -> int | None:
        # The list of a warm start and the list of the user may both precede a strategy. The origin tells them apart.
        return proposal.note.get(INDEX_KEY) if proposal.note.get("origin") == self._origin else None


def parse_list(
    space: Space, architectures: Sequence[Labels], settings: Sequence[Mapping[str, Any]] = ()
) -> tuple[Proposal, ...]:
    """Return the proposals of a list, after checking that the space allows each architecture.

    Raises:
        JobError: the list is invalid, as for `Listed`.
    """
    if not architectures:
        raise JobError("architectures: the list is empty; give at least one {decision: label, ...}")
    if settings and len(settings) != len(architectures):
        raise JobError(
            f"settings: there are {len(settings)} settings for {len(architectures)} architectures; "
            "give one {name: value} for each architecture"
        )
    return tuple(
        Proposal(_parse_architecture(space, index, labels), settings=dict(settings[index]) if settings else EMPTY)
        for index, labels in enumerate(architectures)
    )


def _parse_architecture(space: Space, index: int, labels: Labels) -> Architecture:
    """Return the architecture with these labels, after checking that the space allows it."""
    if not isinstance(labels, Mapping):
        raise JobError(f"architectures[{index}]: found {labels!r}; give {{decision: label, ...}}")
    try:
        architecture = space.architecture(labels)
        reason = space.violation(architecture)
    except SpaceError as error:
        raise JobError(f"architectures[{index}]: {error}") from error
    if reason is not None:
        raise JobError(f"architectures[{index}]: the space's constraint does not allow it: {reason}")
    return architecture
