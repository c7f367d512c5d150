"""Given architectures, one after another: alone, or before another strategy.

`listed` is the strategy of a full training or of a list made by hand. `Initial` puts a list in front of any strategy: what
an earlier run found best, or networks that one would be ashamed not to have tried. No randomness is in either.
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

Choices = Mapping[str, Any]
PLACE = "listed"
"""The note that tells which place of the list a proposal came from."""


class Listed(Strategy):
    """The architectures of a list, in order; the same one may stand there again, with other settings.

    Args:
        architectures: names and labels of the active decisions, as `Architecture.to_json` gives them.
        settings: for each architecture its `Proposal.settings`; empty for none.

    Raises:
        JobError: the list is empty, an item is no architecture of the space, or there are more or fewer settings.
        SpaceExhausted (from `ask`): every place of the list was proposed.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        *,
        architectures: Sequence[Choices],
        settings: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(space, objectives, constraints)
        self._list = _List(space, architectures, settings, "listed")

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        proposal = self._list.next(pending)
        if proposal is None:
            raise SpaceExhausted(f"all {len(self._list.items)} architectures of the list were proposed")
        return proposal

    def tell(self, trial: Trial) -> None:
        self._list.told(trial)


class Initial(Strategy):
    """`strategy`, after the architectures of a list. The strategy is told about those, too.

    Put `Deduplicated` and `Constrained` around it: what of the list they turn down is passed over.
    """

    origin = "initial"

    def __init__(
        self, strategy: Strategy, architectures: Sequence[Choices], settings: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(strategy.space, strategy.objectives, strategy.constraints)
        self.strategy = strategy
        self._list = _List(strategy.space, architectures, settings, self.origin)

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        super().allow_only(allowed)
        self.strategy.allow_only(allowed)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return self._list.next(pending) or self.strategy.ask(rng, pending, fidelity)

    def tell(self, trial: Trial) -> None:
        self._list.told(trial)
        self.strategy.tell(trial)


class _List:
    """Proposals in order, and which of them were told."""

    def __init__(
        self, space: Space, architectures: Sequence[Choices], settings: Sequence[Mapping[str, Any]], origin: str
    ) -> None:
        self.items = check_list(space, architectures, settings)
        self._origin = origin
        self._told: set[int] = set()

    def next(self, pending: Pending) -> Proposal | None:
        """The first place that was neither told nor is pending; None where there is none."""
        taken = self._told | {place for proposal in pending if (place := self._place(proposal)) is not None}
        place = next((place for place in range(len(self.items)) if place not in taken), None)
        return None if place is None else replace(self.items[place], note={PLACE: place, "origin": self._origin})

    def told(self, trial: Trial) -> None:
        place = self._place(trial.proposal)
        if place is not None:
            self._told.add(place)

    def _place(self, proposal: Proposal) -> int | None:
        """Of this list; a warm start and a list of the user's may stand one before the other."""
        return proposal.note.get(PLACE) if proposal.note.get("origin") == self._origin else None


def check_list(
    space: Space, architectures: Sequence[Choices], settings: Sequence[Mapping[str, Any]] = ()
) -> tuple[Proposal, ...]:
    """The proposals of a list, each seen to be an allowed architecture of the space.

    Raises:
        JobError: as `Listed`.
    """
    if not architectures:
        raise JobError("architectures: the list is empty; give at least one {decision: label, ...}")
    if settings and len(settings) != len(architectures):
        raise JobError(
            f"settings: {len(settings)} for {len(architectures)} architectures; give one {{name: value}} for each"
        )
    return tuple(
        Proposal(_architecture(space, place, choices), settings=dict(settings[place]) if settings else EMPTY)
        for place, choices in enumerate(architectures)
    )


def _architecture(space: Space, place: int, choices: Choices) -> Architecture:
    if not isinstance(choices, Mapping):
        raise JobError(f"architectures[{place}]: found {choices!r}; give {{decision: label, ...}}")
    try:
        architecture = space.architecture(choices)
        reason = space.violation(architecture)
    except SpaceError as error:
        raise JobError(f"architectures[{place}]: {error}") from error
    if reason is not None:
        raise JobError(f"architectures[{place}]: the space's constraint does not allow it: {reason}")
    return architecture
