"""Regularized (aging) evolution.

Real et al., "Regularized Evolution for Image Classifier Architecture Search" (AAAI 2019), algorithm 1. Symbols of the
paper: P population size, S sample size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import choice, whole
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.population import DROPS, Population
from ogive.strategy.ranking import best
from ogive.trial import Fidelity, Pending, Proposal, Trial

NAME = "strategy 'regularized_evolution'"


class RegularizedEvolution(Strategy):
    """The population is the last P trials that got a value; the best of S of them, drawn with replacement, is mutated.

    Options:
        population: P. The paper has 100 for 20,000 trials; 30 suits the hundreds of trials of smaller searches, which
            would else be random for the most part.
        sample: S. The paper has 25; 10 keeps about its share of P.
        drop: who leaves the population when one joins. "oldest", as in the paper; "worst" is the variant without ageing,
            which under noise keeps those that were lucky once.

    Until P trials are in the population or on their way to it, architectures are drawn at random. A trial joins when it
    is first told with a value and keeps its place when it is told again; a trial that fails does not count. Members are
    compared at the highest step that all of the sample have reached.
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
        self.P = whole(NAME, "population", population, at_least=1)
        self.S = whole(NAME, "sample", sample, at_least=1)
        self._population = Population(self.P, choice(NAME, "drop", drop, DROPS), objectives, constraints)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        if self._population.is_small(pending):
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        population = self._population.alive()
        sample = [population[i] for i in rng.integers(len(population), size=self.S).tolist()]
        parent = best(sample, self.objectives, self.constraints)
        assert parent is not None, "every member of the population has a value"
        try:
            child = self.space.mutate(parent.architecture, rng)
        except SpaceError as isolated:  # the space's constraint allows nothing that is one change away
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": str(isolated)})
        return Proposal(child, note={"origin": "mutation", "parent": parent.id})

    def tell(self, trial: Trial) -> None:
        self._population.tell(trial)
