"""Regularized evolution, also called aging evolution.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search" (AAAI 2019), algorithm 1.

Symbols of the paper: P population size, S sample size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import check_choice, check_whole_number
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.population import DROPS, Population
from ogive.strategy.ranking import find_best
from ogive.trial import Fidelity, Pending, Proposal, Trial

NAME = "strategy 'regularized_evolution'"


class RegularizedEvolution(Strategy):
    """Proposes mutations of the best of S random members of the population of P trials.

    Options:
        population: P, the number of members. The paper uses 100 for 20,000 trials. The default of 30 is for searches of a
            few hundred trials, of which too many would be random with a larger population.
        sample: S, the number of members from which a parent is selected. The paper uses 25. The default of 10 is a similar
            share of P.
        drop: the member that leaves when a trial joins: "oldest", as in the paper, or "worst", the variant without aging.
            With noisy values, "worst" keeps trials that were lucky once.

    The strategy is asynchronous: architectures are drawn at random until P trials are in the population or pending. A trial
    joins the population when it first has a value. Failed trials are not members. The S members are compared at the highest
    step that all of them have reached.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        population: int = 30,
        sample: int = 10,
        drop: str = "oldest",
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.P = check_whole_number(NAME, "population", population, at_least=1)
        self.S = check_whole_number(NAME, "sample", sample, at_least=1)
        self._population = Population(self.P, check_choice(NAME, "drop", drop, DROPS), objectives, constraints)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Algorithm 1, first loop: while |population| < P, add random architectures.
        if self._population.is_incomplete(pending):
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Second loop: draw S candidates from the population, with replacement.
        members = self._population.alive()
        sample = [members[i] for i in rng.integers(len(members), size=self.S).tolist()]
        # parent = highest-accuracy model in sample; here it is the best by objectives and constraints.
        parent = find_best(sample, self.objectives, self.constraints)
        assert parent is not None, "every member of the population has a value"
        # child.arch = mutate(parent.arch): change one decision. (The mutations of the paper are specific to its space.)
        try:
            child = self.space.mutate(parent.architecture, rng)
        except SpaceError as error:
            # The space's constraint allows no architecture that is one change away.
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": str(error)})
        return Proposal(child, note={"origin": "mutation", "parent": parent.id})

    def tell(self, trial: Trial) -> None:
        # Algorithm 1: the trial joins the population at its first value, and then another member may leave.
        self._population.tell(trial)
