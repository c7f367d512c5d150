"""Differential evolution.

Awad, Mallik and Hutter, "Differential Evolution for Neural Architecture Search" (NAS workshop at ICLR 2020), algorithm 1,
after Storn and Price, "Differential evolution: a simple and efficient heuristic for global optimization over continuous
spaces" (1997): rand/1 mutation, binomial crossover, and a selection in which a child replaces a parent that is not better.

Symbols of the paper: NP population size, F scaling factor, Cr crossover rate; x_i target, v_i mutant, u_i trial vector (here
called child); r1, r2, r3 indices of three different members. In the shapes of arrays, d is the number of coordinates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective
from ogive.registry import check_share, check_whole_number
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.ranking import rank_trials, sort_best_first
from ogive.strategy.unit_cube import UnitCube
from ogive.trial import Fidelity, Pending, Proposal, Step, Trial, TrialId

NAME = "strategy 'differential_evolution'"

MAX_TRIES = 50
"""At most this many children are tried until the space's constraint allows one; if it allows none, a random architecture is
proposed."""


class DifferentialEvolution(Strategy):
    """A population of NP points in the unit cube that move along differences of other members; no move may be worse.

    Options:
        population: NP; the first NP trials are drawn at random.
        F: the scaling factor: a mutant lies at a third member plus F times the difference of two members.
        crossover: Cr, the probability with which a coordinate of a child comes from the mutant, not from the target.

    The strategy is asynchronous: the target of a proposal is the member with the fewest children, including pending
    children. A child is compared with its parent as soon as it has a value. A trial of another strategy replaces the worst
    member if the trial is better. With several objectives, the members are the best NP of all members and children, by front
    and then crowding distance (Robic and Filipic, "DEMO: Differential evolution for multiobjective optimization", EMO 2005).
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        population: int = 20,
        F: float = 0.5,  # noqa: N803 - the paper's symbol
        crossover: float = 0.5,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.NP = check_whole_number(NAME, "population", population, at_least=4)
        self._cube = UnitCube(space)
        self._variation = Variation(
            self._cube, check_share(NAME, "F", F), check_share(NAME, "crossover", crossover), self._find_point
        )
        population_class = SlotPopulation if len(self.objectives) == 1 else ElitePopulation
        self._population: SlotPopulation | ElitePopulation = population_class(self.NP, objectives, constraints)
        self._points: dict[TrialId, FloatArray] = {}  # a cache of `_find_point`

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Algorithm 1 goes through the targets i = 1 ... NP of a generation. Here the next is the one with fewest children.
        children = self._population.count_children(pending)
        target = min(range(self.NP), key=lambda slot: (children[slot], slot))
        # Initialization: a random architecture for each of the NP members. Mutation needs three members beside the target.
        members = self._population.members()
        other_members = [trial for slot, trial in members.items() if slot != target]
        if children[target] == 0 or target not in members or len(other_members) < 3:
            return propose_random(self._cube, rng, slot=target)
        # Mutation and crossover. Selection follows in the population, when the child has a value.
        child = self._variation.make_child(members[target], other_members, rng, slot=target)
        return child or propose_random(self._cube, rng, slot=target)

    def tell(self, trial: Trial) -> None:
        self._population.tell(trial)
        self._points.pop(trial.id, None)

    def _find_point(self, trial: Trial) -> FloatArray:
        """Return the point [d] of a trial in the unit cube: the noted point, or else the code of its architecture."""
        if trial.id not in self._points:
            self._points[trial.id] = self._cube.from_note(trial.proposal.note, trial.architecture)
        return self._points[trial.id]


@dataclass(frozen=True)
class Variation:
    """The operators that make a child: rand/1 mutation and binomial crossover.

    Attributes:
        cube: the encoding of architectures.
        F: the scaling factor of the mutation.
        Cr: the crossover rate.
        find_point: a function that returns the point [d] of a trial.
    """

    cube: UnitCube
    F: float
    Cr: float
    find_point: Callable[[Trial], FloatArray]

    def make_child(
        self, target: Trial, pool: Sequence[Trial], rng: np.random.Generator, **note: object
    ) -> Proposal | None:
        """Return a child of `target` and of a mutant, which is made from three trials of `pool`.

        None if the space's constraint allows none of `MAX_TRIES` children. `note` is added to the note of the proposal.
        """
        x = self.find_point(target)
        for _ in range(MAX_TRIES):
            # Mutation: v_i = x_r1 + F (x_r2 - x_r3).
            r1, r2, r3 = (self.find_point(pool[int(i)]) for i in rng.choice(len(pool), size=3, replace=False))
            v = _redraw_outside(r1 + self.F * (r2 - r3), rng)
            # Crossover: u_i takes each coordinate from v_i or from x_i. It is rounded before it is decoded, as in the note.
            u = self.cube.to_note(_cross(x, v, self.Cr, rng))
            architecture = self.cube.decode(np.asarray(u))
            if self.cube.space.violation(architecture) is None:
                return Proposal(architecture, note={"origin": "mutation", "parent": target.id, **note, "x": u})
        return None


def _redraw_outside(v: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a mutant [d] in which coordinates outside of [0, 1] are replaced by uniform random numbers."""
    return np.where((v < 0) | (v > 1), rng.random(len(v)), v)


def _cross(x: FloatArray, v: FloatArray, rate: float, rng: np.random.Generator) -> FloatArray:
    """Return a child [d] with coordinates of the mutant `v` with probability `rate`, and of the target `x` otherwise."""
    from_mutant = rng.random(len(x)) < rate
    if len(x):
        # One random coordinate always comes from the mutant, so that a child is not a copy of its target.
        from_mutant[int(rng.integers(len(x)))] = True
    return np.where(from_mutant, v, x)


def propose_random(cube: UnitCube, rng: np.random.Generator, **note: object) -> Proposal:
    """Propose a random architecture. `note` is added to the note of the proposal.

    Many points of the unit cube decode to the same architecture; the note holds the center of these points.
    """
    architecture = cube.space.sample(rng)
    return Proposal(architecture, note={"origin": "random", **note, "x": cube.to_note(cube.encode(architecture))})


class SlotPopulation:
    """A population for one objective. It has a slot for each member; a child competes for the slot of its parent.

    The member of a slot depends only on the trials of this slot. Of equally good trials, the member is the one proposed
    later. So the population does not depend on the order in which parallel trials end.

    Args:
        size: the number of slots.
        objectives, constraints: define the order of trials, as in `ogive.objective.rank_costs`.
        step: for one of several populations (DEHB): proposals whose note has this `step` belong to it. None if there is
            only one population.
    """

    def __init__(
        self,
        size: int,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        step: Step | None = None,
    ) -> None:
        self.size, self.step = size, step
        self._ranking = tuple(objectives), tuple(constraints)
        self._trial_ids: set[TrialId] = set()  # all trials that `tell` has received
        self._trial_counts: Counter[int] = Counter()  # the number of trials of each slot
        # The trials of each slot that have a value.
        self._with_value: list[dict[TrialId, Trial]] = [{} for _ in range(size)]
        self._best: dict[int, Trial] = {}  # a cache: the member of a slot
        self._without_slot: dict[TrialId, Trial] = {}  # trials of other strategies that have a value
        self._members: dict[int, Trial] | None = None  # a cache of `members`

    def tell(self, trial: Trial) -> None:
        """Receive the record of a trial."""
        self._members = None
        slot = self._slot(trial.proposal)
        if trial.id not in self._trial_ids and slot is not None:
            self._trial_counts[slot] += 1
        self._trial_ids.add(trial.id)
        group = self._without_slot if slot is None else self._with_value[slot]
        had_value = group.pop(trial.id, None) is not None
        has_value = bool(trial.reports) and not trial.status.failed
        if has_value:
            group[trial.id] = trial
        if slot is None:
            return
        if had_value:
            # The earlier record took part in the selection, so `members` selects the best of the slot again.
            self._best.pop(slot, None)
        elif has_value and (slot in self._best or len(group) == 1):  # in other cases, `members` selects the best later
            self._best[slot] = self._select(self._best.get(slot, trial), trial)

    def count_children(self, pending: Pending) -> Counter[int]:
        """Return the number of trials of each slot, including pending trials."""
        counts = self._trial_counts.copy()
        for trial_id, proposal in pending.proposals.items():
            slot = self._slot(proposal)
            if slot is not None and trial_id not in self._trial_ids:
                counts[slot] += 1
        return counts

    def members(self) -> dict[int, Trial]:
        """Return the members by slot. A trial of another strategy may fill a slot that has no trial with a value."""
        if self._members is None:
            for slot, group in enumerate(self._with_value):
                if slot not in self._best and group:
                    self._best[slot] = reduce(self._select, group.values())
            self._members = self._merge_without_slot(dict(sorted(self._best.items())))
        return self._members

    def best(self, count: int) -> list[Trial]:
        """Return the best `count` members, best first."""
        return sort_best_first(list(self.members().values()), *self._ranking)[:count]

    def _select(self, a: Trial, b: Trial) -> Trial:
        """Return the trial that was proposed later, unless it is worse."""
        # Selection of algorithm 1: u_i replaces x_i if f(u_i) <= f(x_i).
        parent, child = sorted((a, b), key=lambda trial: trial.id)
        ranked = rank_trials([parent, child], *self._ranking)
        return parent if len(ranked) == 2 and ranked[1][0] > ranked[0][0] else child

    def _merge_without_slot(self, members: dict[int, Trial]) -> dict[int, Trial]:
        """Put trials of other strategies into free slots, and in place of members that are worse than these trials."""
        if not self._without_slot:
            return members
        slots = {trial.id: slot for slot, trial in members.items()}
        candidates = sorted([*members.values(), *self._without_slot.values()], key=lambda trial: trial.id)
        survivors = sort_best_first(candidates, *self._ranking)[: self.size]
        with_slot = {slots[trial.id]: trial for trial in survivors if trial.id in slots}
        free_slots = iter(slot for slot in range(self.size) if slot not in with_slot)
        added = {next(free_slots): trial for trial in survivors if trial.id not in slots}
        return dict(sorted({**with_slot, **added}.items()))

    def _slot(self, proposal: Proposal) -> int | None:
        """Return the slot that a proposal was made for; None for a proposal of another strategy or population."""
        slot, step = proposal.note.get("slot"), proposal.note.get("step")
        return slot if isinstance(slot, int) and 0 <= slot < self.size and step == self.step else None


class ElitePopulation:
    """A population for several objectives: the best `size` of all trials that have a value.

    The arguments are those of `SlotPopulation`. Slots only serve to give each member about the same number of children.
    """

    def __init__(
        self,
        size: int,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        step: Step | None = None,
    ) -> None:
        self.size, self.step = size, step
        self._ranking = tuple(objectives), tuple(constraints)
        self._trial_ids: set[TrialId] = (
            set()
        )  # trials whose note has the `step` of this population (or none, as for None)
        self._with_value: dict[TrialId, Trial] = {}
        self._best: list[Trial] | None = None  # a cache of `best`

    def tell(self, trial: Trial) -> None:
        """Receive the record of a trial."""
        if trial.proposal.note.get("step") == self.step:
            self._trial_ids.add(trial.id)
        self._with_value.pop(trial.id, None)
        if trial.reports and not trial.status.failed:
            self._with_value[trial.id] = trial
        self._best = None

    def count_children(self, pending: Pending) -> Counter[int]:
        """Return the number of trials of each slot, including pending trials. Trials are assigned to the slots in turn."""
        pending_ids = (trial_id for trial_id, p in pending.proposals.items() if p.note.get("step") == self.step)
        count = len(self._trial_ids) + sum(trial_id not in self._trial_ids for trial_id in pending_ids)
        return Counter({slot: count // self.size + (slot < count % self.size) for slot in range(self.size)})

    def members(self) -> dict[int, Trial]:
        """Return the members by slot, in the order in which they were proposed."""
        return dict(enumerate(sorted(self.best(self.size), key=lambda trial: trial.id)))

    def best(self, count: int) -> list[Trial]:
        """Return the best `count` members, best first."""
        if self._best is None:
            trials = sorted(self._with_value.values(), key=lambda trial: trial.id)
            self._best = sort_best_first(trials, *self._ranking)[: self.size]
        return self._best[:count]
