"""The tree-structured Parzen estimator.

Bergstra, Bardenet, Bengio and Kegl, "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011), section 4. Symbols of the
paper: l(x) the density of the best share gamma of the trials, g(x) that of all others; expected improvement grows with
l(x) / g(x). The widths of kernels, the weights of trials and gamma are those of later practice (Watanabe 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective
from ogive.registry import flag, positive, share, whole
from ogive.space import Architecture, Space
from ogive.space.domain import Label
from ogive.space.table import Decision
from ogive.strategy.base import Strategy
from ogive.strategy.density_ratio import GoodBadSplit, likeliest, split
from ogive.strategy.fallback import random_if_numbers_fail
from ogive.strategy.observations import collect_observations
from ogive.surrogates.parzen import Mixture, columns, tpe_kernel
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'tpe'"

MOST_GOOD = 25
"""The largest number of trials that l(x) is made of, and that have full weight in either density."""

TRIES = 20
"""Architectures that are made until the space's constraint allows one; then one is drawn at random."""


class TPE(Strategy):
    """Draw candidates from where good trials lie, and propose the one that lies least where the others do.

    Options:
        initial: how many trials need a value before the model is used; random until then.
        candidates: drawn from l(x) at each ask.
        gamma: the share of trials that is good; 25 at most.
        multivariate: one density of whole architectures; else one for each decision, of the trials in which it is active,
            so that the tree of conditions is gone through from its root (as published).
        prior_weight: of the uniform prior, in trials.
        max_fit: with more trials than this only the good ones and the latest of the others are used; the proposal's note
            then says how many of how many.

    Trials are ordered as by `ogive.objective.rank`: with several objectives by front and crowding distance, with constraints
    by violation where they are not kept. Trials that failed by what they are, and those in flight, count among the others
    ("constant liar"). Trials are compared at the highest step that a quarter of them have reached (at least `initial`).
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 10,
        candidates: int = 24,
        gamma: float = 0.1,
        multivariate: bool = True,
        prior_weight: float = 1.0,
        max_fit: int = 1000,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.initial = whole(NAME, "initial", initial, at_least=2)
        self.candidates = whole(NAME, "candidates", candidates, at_least=1)
        self.gamma = share(NAME, "gamma", gamma)
        self.multivariate = flag(NAME, "multivariate", multivariate)
        self.prior_weight = positive(NAME, "prior_weight", prior_weight)
        self.max_fit = whole(NAME, "max_fit", max_fit, at_least=2 * MOST_GOOD)
        self._trials: dict[TrialId, Trial] = {}
        self._known: GoodBadSplit | None = None  # a cache

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        self._known = None

    @random_if_numbers_fail
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        cut = self._cut()
        if cut.of < self.initial:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        bad = [*cut.bad, *(proposal.architecture for proposal in pending)]
        make = self._jointly if self.multivariate else self._one_by_one
        architecture = make(cut.good, bad, rng)
        if architecture is None:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "none is allowed"})
        return Proposal(architecture, note={"origin": "model", **cut.said})

    def _cut(self) -> GoodBadSplit:
        """Good and other trials, each in the order of their numbers, so that the latest weigh most."""
        if self._known is None:
            trials = list(self._trials.values())
            known = collect_observations(
                trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
            )
            best = min(math.ceil(self.gamma * len(known.trials)), MOST_GOOD)
            self._known = split(known, best, self.max_fit, in_order=True)
        return self._known

    def _jointly(
        self, good: Sequence[Architecture], bad: Sequence[Architecture], rng: np.random.Generator
    ) -> Architecture | None:
        decisions = self.space.decisions
        l, g = (self._mixture(decisions, columns(self.space, group)) for group in (good, bad))  # noqa: E741
        drawn = [Architecture(self.space, l.draw(rng)) for _ in range(self.candidates)]
        return likeliest(self.space, drawn, l, g)

    def _one_by_one(
        self, good: Sequence[Architecture], bad: Sequence[Architecture], rng: np.random.Generator
    ) -> Architecture | None:
        tables = columns(self.space, good), columns(self.space, bad)
        known: dict[str, tuple[Mixture, Mixture]] = {}
        for _ in range(TRIES):
            choices: dict[str, Label] = {}
            for decision in self.space.decisions:
                if decision.active(choices):
                    name = decision.name
                    if name not in known:
                        l, g = (self._mixture([decision], {name: _active(table[name])}) for table in tables)  # noqa: E741
                        known[name] = l, g
                    choices[name] = self._label(decision, *known[name], rng)
            architecture = Architecture(self.space, choices)
            if self.space.violation(architecture) is None:
                return architecture
        return None

    def _label(self, decision: Decision, l: Mixture, g: Mixture, rng: np.random.Generator) -> Label:  # noqa: E741
        components = rng.choice(len(l.weights), size=self.candidates, p=l.weights)
        drawn = [{decision.name: l.kernels[0].draw(int(c), rng)} for c in components]
        return drawn[int(np.argmax(l.log_density(drawn) - g.log_density(drawn)))][decision.name]

    def _mixture(self, decisions: Sequence[Decision], table: dict[str, list[Label | None]]) -> Mixture:
        n = len(next(iter(table.values())))
        weights = np.append(_weights(n), self.prior_weight)
        kernels = [tpe_kernel(d.domain, table[d.name], self.prior_weight) for d in decisions]
        return Mixture(decisions, kernels, weights / weights.sum())


def _active(labels: Sequence[Label | None]) -> list[Label | None]:
    return [label for label in labels if label is not None]


def _weights(n: int) -> FloatArray:
    """Of n trials in their order: 1 for the last 25, and less for earlier ones, down to 1 / n."""
    ramp = np.linspace(1.0 / max(n, 1), 1.0, num=max(0, n - MOST_GOOD))
    return np.concatenate([ramp, np.ones(min(n, MOST_GOOD))])
