"""A genetic algorithm: selection, crossover and mutation, in a population that drops its oldest or its worst member.

Holland, "Adaptation in Natural and Artificial Systems" (1975). Tournament and fitness-proportional selection are compared by
Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms" (FOGA 1991).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective, total_violation
from ogive.registry import check_choice, check_share, check_whole_number
from ogive.space import Architecture, Space
from ogive.space.moves import complete
from ogive.strategy.base import Strategy
from ogive.strategy.population import DROPS, Population
from ogive.trial import Fidelity, Pending, Proposal, Trial, select_comparable

NAME = "strategy 'genetic'"
SELECTIONS = ("tournament", "proportional")

MAX_TRIES = 1000
"""At most this many mutations are drawn until the space's constraint allows one."""


class Genetic(Strategy):
    """Proposes mutated children of two selected parents. Each child joins the population, and one member is dropped.

    Options:
        population: the number of members. Architectures are drawn at random until this number of trials have a value or are
            pending.
        selection: "tournament": the best of `sample` members drawn with replacement. "proportional": a member is drawn with
            a probability proportional to its fitness.
        sample: the number of members in a tournament.
        crossover: the probability that a child has two parents. Each of its labels then comes from a random parent.
        mutation: the probability with which each active decision of a child changes, independently of the others. None for
            1 / (number of active decisions with more than one alternative). In a child of one parent, at least one decision
            changes.
        drop: the member that leaves when a trial joins: "oldest" or "worst".

    The fitness of a member is the difference between its cost and the cost of the worst member (Goldberg's windowing) if
    there is one objective and all members satisfy the constraints. Otherwise it is the difference between its rank and the
    worst rank.
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
        self.size = check_whole_number(NAME, "population", population, at_least=2)
        self.selection = check_choice(NAME, "selection", selection, SELECTIONS)
        self.sample = check_whole_number(NAME, "sample", sample, at_least=1)
        self.crossover = check_share(NAME, "crossover", crossover)
        self.mutation = None if mutation is None else check_share(NAME, "mutation", mutation)
        self._population = Population(self.size, check_choice(NAME, "drop", drop, DROPS), objectives, constraints)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # The first population is random.
        if self._population.is_incomplete(pending, min_alive=2):
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Selection, crossover with the given probability, mutation.
        first, second = self._select(rng), self._select(rng)
        try:
            if rng.random() < self.crossover and first.id != second.id:
                child = self.space.crossover(first.architecture, second.architecture, rng)
                mutated = mutate(self.space, child, self.mutation, rng, at_least_one=False)
                note = {"origin": "crossover", "parent": first.id, "parents": [first.id, second.id]}
                return Proposal(mutated, note=note)
            # A copy of the only parent would give no information, so change at least one decision.
            mutated = mutate(self.space, first.architecture, self.mutation, rng, at_least_one=True)
            return Proposal(mutated, note={"origin": "mutation", "parent": first.id})
        except SpaceError as error:
            # The space's constraint allows no architecture so close to the parents.
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": str(error)})

    def tell(self, trial: Trial) -> None:
        self._population.tell(trial)

    def _select(self, rng: np.random.Generator) -> Trial:
        """Return a member, by tournament or with a probability proportional to its fitness."""
        members = self._population.members()
        if self.selection == "tournament":
            rows = rng.integers(len(members), size=self.sample).tolist()
            best_row: int = min(rows, key=lambda row: members[row][0])
            return members[best_row][1]
        fitness = self._compute_fitness(members)
        return members[int(rng.choice(len(members), p=fitness / fitness.sum()))][1]

    def _compute_fitness(self, members: Sequence[tuple[int, Trial]]) -> FloatArray:
        """Return the fitness of each member, at least 0; at least one member has a fitness above 0."""
        ranks = np.array([rank for rank, _ in members])
        fitness = (ranks.max() - ranks).astype(np.float64)
        step, _ = select_comparable([trial for _, trial in members])
        values = [trial.metrics_at(step) for _, trial in members]
        # Windowing needs one scale on which all members can be compared.
        if len(self.objectives) == 1 and all(total_violation(metrics, self.constraints) == 0 for metrics in values):
            costs = np.array([self.objectives[0].cost(metrics) for metrics in values])
            if np.isfinite(costs).all():
                fitness = costs.max() - costs
        # If all members are equally good, or the sum overflows, all are selected with the same probability.
        return fitness if fitness.any() and math.isfinite(fitness.sum()) else np.ones(len(members))


def mutate(
    space: Space, architecture: Architecture, rate: float | None, rng: np.random.Generator, *, at_least_one: bool
) -> Architecture:
    """Change each active decision of `architecture` with probability `rate`, independently of the others.

    Decisions that a change activates get random labels. If the space has a constraint, mutations are drawn until the
    constraint allows one. The probability that nothing changes is the same as without the constraint.

    Args:
        space: the space of the architecture.
        architecture: an architecture that the space allows.
        rate: the probability of a change. None for 1 / (number of active decisions with more than one alternative), which
            gives one change on average.
        rng: the source of random numbers.
        at_least_one: whether to change one decision, chosen uniformly, if no change was drawn.

    Raises:
        SpaceError: nothing can be changed, or the space's constraint rejected all of `MAX_TRIES` mutations.
    """
    changeable = [d for d in space.decisions if d.name in architecture and d.domain.size > 1]
    if not changeable:
        if at_least_one:
            raise SpaceError(f"{architecture!r} cannot be mutated: each of its decisions has one alternative")
        return architecture
    p = 1.0 / len(changeable) if rate is None else rate
    for _ in range(MAX_TRIES):
        changed = [d for d, u in zip(changeable, rng.random(len(changeable)).tolist(), strict=True) if u < p]
        if not changed:
            if not at_least_one:
                return architecture
            changed = [changeable[int(rng.integers(len(changeable)))]]
        labels = {d.name: d.domain.pick_other(architecture[d.name], rng.random()) for d in changed}
        u = rng.random(len(space.decisions)).tolist()
        child = Architecture(space, complete(space.decisions, {**architecture, **labels}, u))
        if space.violation(child) is None:
            return child
        # From the second try on, something must change: otherwise a constraint would make unchanged children more frequent.
        at_least_one = True
    raise SpaceError(f"the space's constraint allows none of {MAX_TRIES} mutations of {architecture!r}")
