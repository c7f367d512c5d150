"""NSGA-II, a genetic algorithm for several objectives.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE Transactions on
Evolutionary Computation 2002), section III.

Symbols of the paper: N population size, P_t parents, Q_t offspring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import check_share, check_whole_number
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.genetic import mutate
from ogive.strategy.population import Population
from ogive.trial import Fidelity, Pending, Proposal, Trial

NAME = "strategy 'nsga2'"


class NSGA2(Strategy):
    """Proposes mutated children of parents that binary tournaments select from the best N trials.

    The best trials are those on the first front, and within a front those with the greatest crowding distance.

    Options:
        population: N, the number of members.
        crossover: the probability that a child has two parents. Each of its labels then comes from a random parent (uniform
            crossover). The paper uses 0.9.
        mutation: the probability with which each active decision of a child changes, independently of the others. None for
            1 / (number of active decisions with more than one alternative), as in the paper. If the child is a copy of a
            parent before the mutation, at least one decision changes.

    The strategy is asynchronous: offspring compete as soon as they have a value, so no worker waits for a generation to be
    complete. After every N offspring, the trials that were not selected are dropped for good, as in the paper. Constraints
    are handled by constrained domination (section VI): feasible trials come before infeasible trials, and these are ordered
    by their violation. With one objective, this is an elitist genetic algorithm.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        population: int = 40,
        crossover: float = 0.9,
        mutation: float | None = None,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.N = check_whole_number(NAME, "population", population, at_least=2)
        self.crossover = check_share(NAME, "crossover", crossover)
        self.mutation = None if mutation is None else check_share(NAME, "mutation", mutation)
        self._population = Population(self.N, "worst", objectives, constraints)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Section III-C: the first population is random.
        if self._population.is_incomplete(pending, min_alive=2):
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Two binary tournaments select the parents from the best N of P_t and of the offspring that have a value.
        first, second = self._select_by_tournament(rng), self._select_by_tournament(rng)
        note = {"origin": "mutation", "parent": first.id}
        try:
            # Recombination and mutation make a child.
            child = first.architecture
            if rng.random() < self.crossover and first.id != second.id:
                child = self.space.crossover(first.architecture, second.architecture, rng)
                note = {"origin": "crossover", "parent": first.id, "parents": [first.id, second.id]}
            # A copy of a parent would give no information, so change at least one decision.
            is_copy = child in (first.architecture, second.architecture)
            return Proposal(mutate(self.space, child, self.mutation, rng, at_least_one=is_copy), note=note)
        except SpaceError as error:
            # The space's constraint allows no architecture so close to the parents.
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": str(error)})

    def tell(self, trial: Trial) -> None:
        self._population.tell(trial)

    def _select_by_tournament(self, rng: np.random.Generator) -> Trial:
        """Return the better of two random members by the crowded-comparison operator (section III-B)."""
        members = self._population.members()
        (rank_a, a), (rank_b, b) = (members[int(row)] for row in rng.choice(len(members), size=2, replace=False))
        return a if rank_a <= rank_b else b
