"""The contract of a strategy. A strategy proposes architectures; it never trains, stores, waits or plots.

The controller asks a strategy for a proposal with `ask`, and passes it the record of each trial with `tell`::

    strategy = og.strategy.create("regularized_evolution", space, "accuracy", population=50)
    proposal = strategy.ask(rng, Pending(), {"epochs": 3})
    strategy.tell(Trial(0, proposal, status=Status.FINISHED, reports=(Report(3, {"accuracy": 0.9}),)))

Guarantees
----------
Every implementation gives these guarantees, and `ogive.testing.check_strategy` checks them:

- **Pure asks.** The answer of `ask` depends only on the trials passed to `tell` so far, and on `pending`, `fidelity` and
  `rng`. An `ask` does not affect later answers. An algorithm that has to remember something about a proposal writes it into
  `Proposal.note`, and reads it from `Trial.proposal.note` when `tell` receives the trial.
- **Determinism.** Two instances that received the same trials in the same order give equal answers, in any process. A
  continued search relies on it: it rebuilds the strategy from the journal.
- **Replacement.** `tell` receives a trial each time that it is paused, and at its end. A later record of a trial replaces
  the earlier one. A record that is passed twice counts once.
- **Failures.** `tell` also receives failed trials (`trial.status.failed`). They have no value, and never make an `ask` fail.
- **Trials of other strategies.** `tell` also receives trials that another strategy proposed (a warm start, a list, a
  wrapper). Their notes may lack the keys that this strategy writes, or have other values under the same keys.
- **Exhaustion.** `ask` raises `SpaceExhausted` if there is nothing left to propose.

Example
-------
A complete strategy, which mutates the best trial so far::

    from ogive.errors import SpaceError
    from ogive.strategy.base import Strategy
    from ogive.strategy.ranking import find_best
    from ogive.trial import Proposal

    class MutateBest(Strategy):
        def __init__(self, space, objectives, constraints=()):
            super().__init__(space, objectives, constraints)
            self._trials = {}

        def tell(self, trial):
            self._trials[trial.id] = trial  # replaces an earlier record of the same trial

        def ask(self, rng, pending, fidelity):
            parent = find_best(list(self._trials.values()), self.objectives, self.constraints)
            if parent is None:  # no trial has a value yet
                return Proposal(self.space.sample(rng), note={"origin": "random"})
            try:
                child = self.space.mutate(parent.architecture, rng)
            except SpaceError:  # the space's constraint allows no architecture that is one change away
                return Proposal(self.space.sample(rng), note={"origin": "random"})
            return Proposal(child, note={"origin": "mutation", "parent": parent.id})

`og.strategy.register("mutate_best", MutateBest)` makes it available to job files; its options are the parameters that follow
`constraints`. Duplicates and hard constraints are left to the wrappers `Deduplicated` and `Constrained`.

Keys of a proposal's note
-------------------------
A note may hold any JSON values. Reports, sinks and the controller read these keys:

- `origin`: how the architecture was made, such as "random", "grid", "mutation", "crossover", "local search", "model",
  "controller" (the policy of `reinforce`); "listed", "initial" and "warm_start" mark architectures of a list. Reports
  colour trials by their origin.
- `parent`: the id of the trial that was mutated, or of the first parent of a crossover. If a strategy writes no `origin`,
  reports use `parent` and `fitted_on` to find the first proposal that was not random.
- `fitted_on`, `of`: the number of trials that a model was fitted to, and the number of trials that were available.
- `fallback`: why a model, or a part of it, was not used. The controller warns once for each search.
- `schedule`: the note of the schedule about the trial, such as its bracket; written by the controller.
- `repeats`: the id of the failed trial that this trial repeats; written by the controller.

Further keys explain a proposal to a reader of the journal:

- `parents`: the ids of both parents of a crossover.
- `candidate`: how the strategy obtained the candidate, such as "sample" (`gp`, `smac`).
- `instead_of_model`, `instead_of_mutation`: why an architecture was drawn at random instead.
- `duplicates`, `instead`: the number of proposals that `Deduplicated` rejected, and how it replaced the last of them.
- `screened_out`: the number of proposals that `Constrained` rejected.
- `auto`, `why`: the strategy that `auto` chose, and the reason.
- `earlier_trial`: the trial of the earlier run that a warm start takes the architecture from.

The remaining keys are for the algorithms themselves: `listed` (an index of a list), `search` (local search),
`slot`, `step` and `x` (differential evolution, DEHB), and `actions` (`reinforce`).
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
    """The base class of strategies. The module's docstring lists what every implementation guarantees.

    Attributes:
        schedule: the name of the only schedule that a search with this strategy can use: the one that the strategy was
            published with, such as Hyperband for BOHB. None for most strategies, which work with every schedule.
        schedule_options: the names of the strategy's options that are passed on to that schedule.
        allowed: the filter of the wrappers: returns False for architectures that a wrapper rejects.
    """

    schedule: ClassVar[str | None] = None
    schedule_options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()) -> None:
        self.space = space
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.allowed: Callable[[Architecture], bool] = _allow_every_architecture

    def allow_only(self, allowed: Callable[[Architecture], bool]) -> None:
        """Receive the filter of a wrapper, which rejects each architecture for which `allowed` returns False.

        A strategy that ranks many candidates can skip those that `self.allowed` rejects. Otherwise the wrapper rejects its
        proposal and asks again. A strategy may ignore the filter.
        """
        self.allowed = allowed

    @abstractmethod
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        """Propose an architecture to evaluate at `fidelity`.

        Args:
            rng: the source of all random numbers of the proposal.
            pending: the proposals of the trials that are running or wait for a worker, the proposals that a wrapper has just
                rejected, and the schedule's note about the trial to propose.
            fidelity: the fidelity at which the architecture will be evaluated.

        Raises:
            SpaceExhausted: there is nothing left to propose.
        """

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Receive the record of a trial that was paused or has ended."""


def check_proposal(strategy: Strategy, answer: object) -> Proposal:
    """Return `answer`, the result of `strategy.ask`, if it is a proposal.

    Raises:
        JobError: `answer` is not a `Proposal` with an `Architecture`.
    """
    if isinstance(answer, Proposal) and isinstance(answer.architecture, Architecture):
        return answer
    raise JobError(
        f"strategy {type(strategy).__name__} returned {answer!r} from ask(); it must return a Proposal of an architecture "
        "of the space, such as Proposal(self.space.sample(rng))"
    )


def _allow_every_architecture(architecture: Architecture) -> bool:
    return True
