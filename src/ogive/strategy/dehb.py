"""DEHB: differential evolution in Hyperband's brackets.

Awad, Mallik and Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization"
(IJCAI 2021), section 4. Each budget has a subpopulation. In a rung of a bracket, the targets are members of the
subpopulation of the rung's budget. The mutants are made from the best members of the rung below (the parent pool). The
schedule `dehb` decides which trials are trained further.

Symbols: F scaling factor; "budget" is the paper's word for the number of epochs (`step` in the code and in notes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective
from ogive.registry import check_share
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.differential_evolution import ElitePopulation, SlotPopulation, Variation, propose_random
from ogive.strategy.unit_cube import UnitCube
from ogive.trial import Fidelity, Pending, Proposal, Step, Trial, TrialId, count_steps

NAME = "strategy 'dehb'"

DEFAULT_POPULATION = 20
"""The size of a subpopulation if the schedule does not give one."""


class DEHB(Strategy):
    """Evolves a subpopulation at each budget, with mutants of the best members at the budget below.

    Options:
        F: the scaling factor of the mutation.
        crossover: the probability with which a coordinate of a child comes from the mutant.
        min_epochs, max_epochs, eta: options of the schedule `dehb`, which is used with this strategy.

    The schedule describes the trial to propose in a note with these keys: `step`, its budget; `populations`, pairs of the
    budget and the size of each subpopulation; `from`, the budget of the parent pool; and `best`, the number of its best
    members that form the pool. If the pool has fewer than three members, those of all subpopulations are added. If there are
    still fewer than three, or the target has no value yet, the architecture is random.

    The strategy is asynchronous. The target is the slot of a subpopulation, and so its member, that has the fewest children,
    including pending children; see `SlotPopulation`.
    """

    schedule: ClassVar[str] = "dehb"
    schedule_options: ClassVar[tuple[str, ...]] = ("min_epochs", "max_epochs", "eta")

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        F: float = 0.5,  # noqa: N803 - the paper's symbol
        crossover: float = 0.5,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.min_epochs, self.max_epochs, self.eta = min_epochs, max_epochs, eta
        self._cube = UnitCube(space)
        self._variation = Variation(
            self._cube, check_share(NAME, "F", F), check_share(NAME, "crossover", crossover), self._find_point
        )
        self._trials: dict[TrialId, Trial] = {}
        # A cache: the subpopulation at each budget that `ask` has used. It is a function of the trials.
        self._populations: dict[Step, SlotPopulation | ElitePopulation] = {}

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        schedule_note = pending.job_note
        step = int(schedule_note.get("step", count_steps(fidelity)))
        sizes = schedule_note.get("populations", [(step, DEFAULT_POPULATION)])
        populations = {rung_step: self._population(rung_step, size) for rung_step, size in sizes}
        # The target comes from the subpopulation of this budget.
        population = populations[step]
        children, members = population.count_children(pending), population.members()
        target = min(range(population.size), key=lambda slot: (children[slot], slot))
        # The parent pool: the best members at the budget below.
        parent_population = populations[int(schedule_note.get("from", step))]
        pool = parent_population.best(int(schedule_note.get("best", population.size)))
        if len(pool) < 3:
            # A mutant is made from three trials. As in the paper, fill the pool from the global population of all budgets.
            all_members = [trial for p in populations.values() for trial in p.members().values()]
            pool = list({trial.id: trial for trial in [*pool, *all_members]}.values())
        # Mutation and crossover; a random architecture if the target or the parents are missing.
        child = None
        if target in members and len(pool) >= 3:
            child = self._variation.make_child(members[target], pool, rng, slot=target, step=step)
        return child or propose_random(self._cube, rng, slot=target, step=step)

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        for step, population in self._populations.items():
            population.tell(_as_of_step(trial, step))

    def _population(self, step: Step, size: int) -> SlotPopulation | ElitePopulation:
        """Return the subpopulation of `size` members at the budget `step`, from the trials that have reached this step."""
        population = self._populations.get(step)
        if population is None or population.size != size:
            # With several objectives, often neither a child nor its parent is better. So the best of all trials are members.
            population_class = SlotPopulation if len(self.objectives) == 1 else ElitePopulation
            population = population_class(size, self.objectives, self.constraints, step)
            self._populations[step] = population
            for trial in self._trials.values():
                population.tell(_as_of_step(trial, step))
        return population

    def _find_point(self, trial: Trial) -> FloatArray:
        """Return the point [d] of a trial in the unit cube."""
        return self._cube.from_note(trial.proposal.note, trial.architecture)


def _as_of_step(trial: Trial, step: Step) -> Trial:
    """Return the trial as it was at `step`; without reports if it has not reached that step."""
    reports = tuple(report for report in trial.reports if report.step <= step) if trial.has_reached(step) else ()
    return replace(trial, reports=reports)
