"""DEHB: differential evolution in Hyperband's brackets.

Awad, Mallik and Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization"
(IJCAI 2021), section 4: a subpopulation for each budget; within a bracket the mutants of a rung come from the best of the
rung below (the parent pool), the target from the rung's own subpopulation. How brackets go on is the schedule `dehb`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective
from ogive.registry import share
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.differential_evolution import Elite, Slots, Variation, begin
from ogive.strategy.unit_cube import UnitCube
from ogive.trial import Fidelity, Pending, Proposal, Step, Trial, TrialId, until

NAME = "strategy 'dehb'"

POPULATION = 20
"""Of a subpopulation, where no schedule says how many trials its budget is for."""


class DEHB(Strategy):
    """Evolve a subpopulation at each budget, from the best of the budget below.

    Options:
        F: scaling factor of the mutation.
        crossover: the probability with which a coordinate comes from the mutant.
        min_epochs, max_epochs, eta: of the brackets; see the schedule `dehb`, which this strategy brings along.

    The schedule's note of a trial says which budget it is for, how large the subpopulations are, and from which budget, and
    how many of its best, the mutants come. Where fewer than three trials have a value there, those of the other budgets
    help out; where there are fewer than three at all, and for targets that are not there yet, architectures are drawn at
    random. Asynchronous: the target is the member with the fewest children, told or in flight.
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
        self._vary = Variation(self._cube, share(NAME, "F", F), share(NAME, "crossover", crossover), self._point)
        self._trials: dict[TrialId, Trial] = {}
        self._populations: dict[Step, Slots | Elite] = {}  # a cache: of what was told, at each budget asked for

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        job = pending.job
        step = int(job.get("step", until(fidelity)))
        populations = {at: self._at(at, size) for at, size in job.get("populations", [(step, POPULATION)])}
        here = populations[step]
        children, members = here.children(pending), here.members()
        target = min(range(here.size), key=lambda slot: (children[slot], slot))
        pool = populations[int(job.get("from", step))].best(int(job.get("best", here.size)))
        if len(pool) < 3:  # the global population of the paper
            everyone = [trial for population in populations.values() for trial in population.members().values()]
            pool = list({trial.id: trial for trial in [*pool, *everyone]}.values())
        made = None
        if target in members and len(pool) >= 3:
            made = self._vary.child(members[target], pool, rng, slot=target, step=step)
        return made or begin(self._cube, rng, slot=target, step=step)

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        for step, population in self._populations.items():
            population.tell(_at(trial, step))

    def _at(self, step: Step, size: int) -> Slots | Elite:
        """The subpopulation of the trials that have come to `step`."""
        population = self._populations.get(step)
        if population is None or population.size != size:
            kind = Slots if len(self.objectives) == 1 else Elite
            population = self._populations[step] = kind(size, self.objectives, self.constraints, step)
            for trial in self._trials.values():
                population.tell(_at(trial, step))
        return population

    def _point(self, trial: Trial) -> FloatArray:
        return self._cube.read(trial.proposal.note, trial.architecture)


def _at(trial: Trial, step: Step) -> Trial:
    """What was known of the trial at `step`; without a value where it has not come there."""
    reports = tuple(report for report in trial.reports if report.step <= step) if trial.reaches(step) else ()
    return replace(trial, reports=reports)
