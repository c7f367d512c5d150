"""The contract of a strategy: WHAT TO TRY NEXT.

A strategy never trains, stores, waits or plots. The controller asks it for a proposal and tells it about trials::

    strategy = og.strategy.create("regularized_evolution", space, "accuracy", population=50)
    proposal = strategy.ask(rng, Pending(), {"epochs": 3})
    strategy.tell(Trial(0, proposal, status=Status.FINISHED, reports=(Report(3, {"accuracy": 0.9}),)))

What every implementation guarantees, and `ogive.testing.check_strategy` checks:

- `ask` is a function of what was told, `pending`, `fidelity` and `rng`, and of nothing else. It changes no later
  answer: what an algorithm must remember about a proposal goes into `Proposal.note` and comes back with `tell`.
- After the same tells in the same order, two instances give equal answers, in any process.
- `tell` is called at each rung, each pause and at the end. The same trial told again replaces what was told before.
- Failed trials (`trial.status.failed`) are told too; they have no value, and they never break an `ask`.
- When nothing is left to propose, `ask` raises `SpaceExhausted`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.space import Architecture, Space
from ogive.trial import Fidelity, Pending, Proposal, Trial


class Strategy(ABC):
    """Chooses what to evaluate next. See the module's docstring for what implementations guarantee.

    Attributes:
        schedule: the name of the schedule that it brings along, where it is published as a pair with one; no other is
            allowed beside it.
        schedule_options: which of its options are that schedule's.
    """

    schedule: ClassVar[str] = ""
    schedule_options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()) -> None:
        self.space = space
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.allowed: Callable[[Architecture], bool] = _anything

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        """Be told by a wrapper what it will turn down. A strategy that ranks many candidates can pass such ones over by
        `self.allowed`, which saves it from being asked again; it need not.
        """
        self.allowed = allowed

    @abstractmethod
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        """Propose an architecture to evaluate at `fidelity`, knowing that `pending` have no value yet."""

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Take note of a trial that has reached a rung, was paused, or ended."""


def check_proposal(strategy: Strategy, answer: object) -> Proposal:
    """`answer` of a strategy's `ask`, if it is a proposal.

    Raises:
        JobError: it is something else.
    """
    if isinstance(answer, Proposal) and isinstance(answer.architecture, Architecture):
        return answer
    raise JobError(
        f"strategy {type(strategy).__name__} returned {answer!r} from ask(); it must return a Proposal of an architecture "
        "of the space, such as Proposal(self.space.sample(rng))"
    )


def _anything(architecture: Architecture) -> bool:
    return True
