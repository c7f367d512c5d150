"""Differential evolution.

Awad, Mallik and Hutter, "Differential Evolution for Neural Architecture Search" (NAS workshop at ICLR 2020), algorithm 1,
after Storn and Price (1997): rand/1 mutation, binomial crossover, and a parent that gives way to a child that is no worse.
Symbols of the paper: NP population size, F scaling factor, Cr crossover rate; x_i target, v_i mutant, u_i trial vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective
from ogive.registry import share, whole
from ogive.space import Space
from ogive.strategy.base import Strategy
from ogive.strategy.ranking import ranked
from ogive.strategy.unit_cube import UnitCube
from ogive.trial import Fidelity, Pending, Proposal, Step, Trial, TrialId

NAME = "strategy 'differential_evolution'"

TRIES = 50
"""Mutants that are made until the space's constraint allows one; then an architecture is drawn at random."""


class DifferentialEvolution(Strategy):
    """NP members move through the unit cube, each towards where others differ, and only to what is no worse.

    Options:
        population: NP; the first NP trials are drawn at random.
        F: how far along the difference of two members a mutant lies from a third.
        crossover: Cr, the probability with which a coordinate comes from the mutant rather than from the target.

    Asynchronous: the target of an ask is the member with the fewest children, told or in flight. A child is compared with
    the member that it is a child of when it is told. What another strategy proposed takes the place of the worst member, if
    it is better. With several objectives the members are the best NP of members and children, by front and then crowding
    distance (Robic and Filipic, "DEMO: Differential evolution for multiobjective optimization", EMO 2005).
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
        self.NP = whole(NAME, "population", population, at_least=4)
        self._cube = UnitCube(space)
        self._vary = Variation(self._cube, share(NAME, "F", F), share(NAME, "crossover", crossover), self._point)
        kind = Slots if len(self.objectives) == 1 else Elite
        self._members: Slots | Elite = kind(self.NP, objectives, constraints)
        self._points: dict[TrialId, FloatArray] = {}  # a cache

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        children = self._members.children(pending)
        target = min(range(self.NP), key=lambda slot: (children[slot], slot))
        members = self._members.members()
        others = [trial for slot, trial in members.items() if slot != target]
        if children[target] == 0 or target not in members or len(others) < 3:
            return begin(self._cube, rng, slot=target)
        return self._vary.child(members[target], others, rng, slot=target) or begin(self._cube, rng, slot=target)

    def tell(self, trial: Trial) -> None:
        self._members.tell(trial)
        self._points.pop(trial.id, None)

    def _point(self, trial: Trial) -> FloatArray:
        if trial.id not in self._points:
            self._points[trial.id] = self._cube.read(trial.proposal.note, trial.architecture)
        return self._points[trial.id]


@dataclass(frozen=True)
class Variation:
    """How a child is made: rand/1 mutation and binomial crossover.

    Attributes:
        F: how far along the difference of two members a mutant lies from a third.
        Cr: the probability with which a coordinate comes from the mutant.
        point: where a trial lies in the cube.
    """

    cube: UnitCube
    F: float
    Cr: float
    point: Callable[[Trial], FloatArray]

    def child(self, target: Trial, pool: Sequence[Trial], rng: np.random.Generator, **note: object) -> Proposal | None:
        """A child of `target` by a mutant from three of `pool`; None where the space's constraint allows none of many."""
        x = self.point(target)
        for _ in range(TRIES):
            r1, r2, r3 = (self.point(pool[int(i)]) for i in rng.choice(len(pool), size=3, replace=False))
            u = self.cube.noted(_crossed(x, _bounded(r1 + self.F * (r2 - r3), rng), self.Cr, rng))
            architecture = self.cube.architecture(np.asarray(u))
            if self.cube.space.violation(architecture) is None:
                return Proposal(architecture, note={"origin": "mutation", "parent": target.id, **note, "x": u})
        return None


def _bounded(v: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A mutant whose coordinates outside of [0, 1] are drawn anew."""
    return np.where((v < 0) | (v > 1), rng.random(len(v)), v)


def _crossed(x: FloatArray, v: FloatArray, rate: float, rng: np.random.Generator) -> FloatArray:
    """Binomial crossover: each coordinate from the mutant `v` with probability `rate`, one at least."""
    taken = rng.random(len(x)) < rate
    if len(x):
        taken[int(rng.integers(len(x)))] = True
    return np.where(taken, v, x)


def begin(cube: UnitCube, rng: np.random.Generator, **note: object) -> Proposal:
    """A random architecture, with a point in the middle of its bin."""
    architecture = cube.space.sample(rng)
    return Proposal(architecture, note={"origin": "random", **note, "x": cube.noted(cube.point(architecture))})


class Slots:
    """The places of a population, each with the best of the trials that were told of it; one objective.

    Selection never looks elsewhere, so the population is a function of who was told, whatever the order: of equals the
    member is the one that was proposed last.

    Args:
        step: only proposals that note this `step` have a slot here; None where there is no other population.
    """

    def __init__(
        self,
        size: int,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        step: Step | None = None,
    ) -> None:
        self.size, self.step = size, step
        self._sought = tuple(objectives), tuple(constraints)
        self._told: set[TrialId] = set()
        self._counts: Counter[int] = Counter()
        self._valued: list[dict[TrialId, Trial]] = [{} for _ in range(size)]
        self._best: dict[int, Trial] = {}  # a cache: the member of a slot
        self._foreign: dict[TrialId, Trial] = {}  # with a value, that have no slot
        self._merged: dict[int, Trial] | None = None  # a cache of `members`

    def tell(self, trial: Trial) -> None:
        """Take note of a trial, by what is known of it so far."""
        self._merged = None
        slot = self._slot(trial.proposal)
        if trial.id not in self._told and slot is not None:
            self._counts[slot] += 1
        self._told.add(trial.id)
        group = self._foreign if slot is None else self._valued[slot]
        told_before = group.pop(trial.id, None) is not None
        has_value = bool(trial.reports) and not trial.status.failed
        if has_value:
            group[trial.id] = trial
        if slot is None:
            return
        if told_before:
            self._best.pop(slot, None)  # what was concluded from it may be otherwise now
        elif has_value and (slot in self._best or len(group) == 1):
            self._best[slot] = self._selected(self._best.get(slot, trial), trial)

    def children(self, pending: Pending) -> Counter[int]:
        """For each slot how many trials were told or are in flight."""
        counts = self._counts.copy()
        for number, proposal in pending.in_flight.items():
            slot = self._slot(proposal)
            if slot is not None and number not in self._told:
                counts[slot] += 1
        return counts

    def members(self) -> dict[int, Trial]:
        """By slot; there is none where no trial of a slot has a value, unless one without a slot fills it."""
        if self._merged is None:
            for slot, group in enumerate(self._valued):
                if slot not in self._best and group:
                    self._best[slot] = reduce(self._selected, group.values())
            self._merged = self._with_foreign(dict(sorted(self._best.items())))
        return self._merged

    def best(self, count: int) -> list[Trial]:
        """The best members, the best first."""
        ordered = sorted(ranked(list(self.members().values()), *self._sought), key=lambda item: item[0])
        return [trial for _, trial in ordered[:count]]

    def _selected(self, a: Trial, b: Trial) -> Trial:
        """The one that was proposed later, unless it is worse."""
        parent, child = sorted((a, b), key=lambda trial: trial.id)
        order = ranked([parent, child], *self._sought)
        return parent if len(order) == 2 and order[1][0] > order[0][0] else child

    def _with_foreign(self, members: dict[int, Trial]) -> dict[int, Trial]:
        """Those without a slot in the free places, and in place of who is worse than they are."""
        if not self._foreign:
            return members
        slots = {trial.id: slot for slot, trial in members.items()}
        everyone = sorted([*members.values(), *self._foreign.values()], key=lambda trial: trial.id)
        ordered = sorted(ranked(everyone, *self._sought), key=lambda item: item[0])
        alive = [trial for _, trial in ordered[: self.size]]
        kept = {slots[trial.id]: trial for trial in alive if trial.id in slots}
        free = iter(slot for slot in range(self.size) if slot not in kept)
        return dict(sorted({**kept, **{next(free): trial for trial in alive if trial.id not in slots}}.items()))

    def _slot(self, proposal: Proposal) -> int | None:
        slot, step = proposal.note.get("slot"), proposal.note.get("step")
        return slot if isinstance(slot, int) and 0 <= slot < self.size and step == self.step else None


class Elite:
    """The places of a population with several objectives: the best `size` of all who were told."""

    def __init__(
        self,
        size: int,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        step: Step | None = None,
    ) -> None:
        self.size, self.step = size, step
        self._sought = tuple(objectives), tuple(constraints)
        self._told: set[TrialId] = set()  # proposed for this population
        self._valued: dict[TrialId, Trial] = {}
        self._best: list[Trial] | None = None  # a cache

    def tell(self, trial: Trial) -> None:
        """Take note of a trial, by what is known of it so far."""
        if trial.proposal.note.get("step") == self.step:
            self._told.add(trial.id)
        self._valued.pop(trial.id, None)
        if trial.reports and not trial.status.failed:
            self._valued[trial.id] = trial
        self._best = None

    def children(self, pending: Pending) -> Counter[int]:
        """Told and in flight, dealt out to the slots in turn."""
        ours = (number for number, p in pending.in_flight.items() if p.note.get("step") == self.step)
        known = len(self._told) + sum(number not in self._told for number in ours)
        return Counter({slot: known // self.size + (slot < known % self.size) for slot in range(self.size)})

    def members(self) -> dict[int, Trial]:
        """By slot, in the order in which they were proposed."""
        return dict(enumerate(sorted(self.best(self.size), key=lambda trial: trial.id)))

    def best(self, count: int) -> list[Trial]:
        """The best members, the best first."""
        if self._best is None:
            everyone = sorted(self._valued.values(), key=lambda trial: trial.id)
            ordered = sorted(ranked(everyone, *self._sought), key=lambda item: item[0])
            self._best = [trial for _, trial in ordered[: self.size]]
        return self._best[:count]
