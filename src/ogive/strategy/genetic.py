"""A genetic algorithm: selection, crossover, mutation, and a population from which the oldest or the worst is dropped.

Holland, "Adaptation in Natural and Artificial Systems" (1975); tournaments and fitness-proportional selection as compared by
Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms" (FOGA 1991).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective, violation
from ogive.registry import choice, share, whole
from ogive.space import Architecture, Space
from ogive.space.moves import complete
from ogive.strategy.base import Strategy
from ogive.strategy.population import DROPS, Population
from ogive.trial import Fidelity, Pending, Proposal, Trial, comparable

NAME = "strategy 'genetic'"
SELECTIONS = ("tournament", "proportional")

TRIES = 1000
"""Mutations that are drawn until the space's constraint allows one."""


class Genetic(Strategy):
    """Two parents are selected and crossed, their child is mutated and joins the population, and one member is dropped.

    Options:
        population: how many are alive; until so many have a value or are on their way to one, architectures are drawn at
            random.
        selection: "tournament": the best of `sample` members drawn with replacement; "proportional": a member is drawn with
            a probability proportional to its fitness.
        sample: members in a tournament.
        crossover: the probability that a child has two parents; each decision then comes from either.
        mutation: the probability with which each active decision of a child changes, independently of the others; None:
            1 / (active decisions with more than one alternative). In a child of one parent at least one changes.
        drop: "oldest" or "worst": who leaves when one joins.

    The fitness of a member is by how much it is better than the worst one (Goldberg's windowing), with one objective and
    where all keep the constraints; else it is the number of ranks below it.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        population: int = 30,
        selection: str = "tournament",
        sample: int = 5,
        crossover: float = 0.5,
        mutation: float | None = None,
        drop: str = "worst",
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.size = whole(NAME, "population", population, at_least=2)
        self.selection = choice(NAME, "selection", selection, SELECTIONS)
        self.sample = whole(NAME, "sample", sample, at_least=1)
        self.crossover = share(NAME, "crossover", crossover)
        self.mutation = None if mutation is None else share(NAME, "mutation", mutation)
        self._population = Population(self.size, choice(NAME, "drop", drop, DROPS), objectives, constraints)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        if self._population.is_small(pending, least=2):
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        first, second = self._select(rng), self._select(rng)
        try:
            if rng.random() < self.crossover and first.id != second.id:
                child = self.space.crossover(first.architecture, second.architecture, rng)
                mutated = mutate(self.space, child, self.mutation, rng, at_least_one=False)
                note = {"origin": "crossover", "parent": first.id, "parents": [first.id, second.id]}
                return Proposal(mutated, note=note)
            mutated = mutate(self.space, first.architecture, self.mutation, rng, at_least_one=True)
            return Proposal(mutated, note={"origin": "mutation", "parent": first.id})
        except SpaceError as isolated:  # the space's constraint allows nothing so near
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": str(isolated)})

    def tell(self, trial: Trial) -> None:
        self._population.tell(trial)

    def _select(self, rng: np.random.Generator) -> Trial:
        members = self._population.members()
        if self.selection == "tournament":
            drawn = rng.integers(len(members), size=self.sample).tolist()
            winner: int = min(drawn, key=lambda row: members[row][0])
            return members[winner][1]
        fitness = self._fitness(members)
        return members[int(rng.choice(len(members), p=fitness / fitness.sum()))][1]

    def _fitness(self, members: Sequence[tuple[int, Trial]]) -> FloatArray:
        """[P], at least one of them above 0."""
        ranks = np.array([rank for rank, _ in members])
        fitness = (ranks.max() - ranks).astype(np.float64)
        step, _ = comparable([trial for _, trial in members])
        values = [trial.at(step) for _, trial in members]
        if len(self.objectives) == 1 and all(violation(metrics, self.constraints) == 0 for metrics in values):
            costs = np.array([self.objectives[0].cost(metrics) for metrics in values])
            if np.isfinite(costs).all():
                fitness = costs.max() - costs
        return fitness if fitness.any() and math.isfinite(fitness.sum()) else np.ones(len(members))


def mutate(
    space: Space, architecture: Architecture, rate: float | None, rng: np.random.Generator, at_least_one: bool
) -> Architecture:
    """`architecture` with each active decision changed with a probability, independently; what that activates is drawn.

    Under a constraint the changes are drawn until it allows them; as often as before they are none.

    Args:
        space: of the architecture.
        architecture: allowed by the space.
        rate: the probability; None: 1 / (active decisions that have another alternative), one change on average.
        rng: for what is drawn.
        at_least_one: where none was drawn, change one, uniformly.

    Raises:
        SpaceError: nothing can be changed, or the space's constraint refused all of `TRIES` changes.
    """
    open_ones = [d for d in space.decisions if d.name in architecture and d.domain.size > 1]
    if not open_ones:
        if at_least_one:
            raise SpaceError(f"{architecture!r} cannot be mutated: each of its decisions has one alternative")
        return architecture
    p = 1.0 / len(open_ones) if rate is None else rate
    for _ in range(TRIES):
        drawn = [d for d, u in zip(open_ones, rng.random(len(open_ones)).tolist(), strict=True) if u < p]
        if not drawn:
            if not at_least_one:
                return architecture
            drawn = [open_ones[int(rng.integers(len(open_ones)))]]
        labels = {d.name: d.domain.pick_other(architecture[d.name], rng.random()) for d in drawn}
        u = rng.random(len(space.decisions)).tolist()
        child = Architecture(space, complete(space.decisions, {**architecture, **labels}, u))
        if space.violation(child) is None:
            return child
        at_least_one = True  # else a constraint would make unchanged children more frequent
    raise SpaceError(f"the constraint refused all of {TRIES} mutations of {architecture!r}")
