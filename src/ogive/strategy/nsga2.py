"""NSGA-II.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE Transactions on
Evolutionary Computation 2002), section III. Symbols of the paper: N population size, P_t parents, Q_t offspring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import share, whole
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.genetic import mutate
from ogive.strategy.population import Population
from ogive.trial import Fidelity, Pending, Proposal, Trial

NAME = "strategy 'nsga2'"


class NSGA2(Strategy):
    """Parents are the best N of the former parents and their offspring, by front and then crowding distance; two binary
    tournaments choose the parents of a child.

    Options:
        population: N.
        crossover: the probability that a child has two parents, each decision then coming from either (uniform crossover).
            The paper has 0.9.
        mutation: the probability with which each active decision of a child changes, independently of the others; None:
            1 / (active decisions with more than one alternative), as in the paper. In a child that would be a copy of a
            parent at least one changes.

    Offspring compete as soon as they are told, so nobody waits for a generation to be complete; with every N of them the
    losers are forgotten, as in the paper. With constraints "better" is constrained domination (section VI): feasible before
    infeasible, then by violation. With one objective this is an elitist genetic algorithm.
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
        self.N = whole(NAME, "population", population, at_least=2)
        self.crossover = share(NAME, "crossover", crossover)
        self.mutation = None if mutation is None else share(NAME, "mutation", mutation)
        self._population = Population(self.N, "worst", objectives, constraints)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        if self._population.is_small(pending, least=2):
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        first, second = self._tournament(rng), self._tournament(rng)
        note = {"origin": "mutation", "parent": first.id}
        try:
            child = first.architecture
            if rng.random() < self.crossover and first.id != second.id:
                child = self.space.crossover(first.architecture, second.architecture, rng)
                note = {"origin": "crossover", "parent": first.id, "parents": [first.id, second.id]}
            copied = child in (first.architecture, second.architecture)  # it would tell nothing
            return Proposal(mutate(self.space, child, self.mutation, rng, at_least_one=copied), note=note)
        except SpaceError as isolated:  # the space's constraint allows nothing so near
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": str(isolated)})

    def tell(self, trial: Trial) -> None:
        self._population.tell(trial)

    def _tournament(self, rng: np.random.Generator) -> Trial:
        """The better of two members by the crowded-comparison operator."""
        members = self._population.members()
        a, b = (members[int(row)] for row in rng.choice(len(members), size=2, replace=False))
        return (a if a[0] <= b[0] else b)[1]
