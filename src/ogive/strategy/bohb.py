"""BOHB: Hyperband with architectures from kernel density estimators.

Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale" (ICML 2018), algorithm 2 and
section 3.2. Symbols of the paper: rho random fraction, q top percentile, N_min fewest points of a density, N_s samples,
b_w bandwidth factor. Which trials go on is the schedule `hyperband`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import positive, share, whole
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.density_ratio import GoodBadSplit, likeliest, split
from ogive.strategy.fallback import random_if_numbers_fail
from ogive.strategy.observations import collect_observations
from ogive.surrogates.parzen import Mixture, columns, normal_reference_kernel
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'bohb'"

MIN_BANDWIDTH = 1e-3
"""The least width of a kernel, as in the authors' program."""


class BOHB(Strategy):
    """Sample around the best share of the trials at the highest budget that has enough of them; else at random.

    Options:
        random_fraction: rho, the share of proposals that are drawn at random whatever is known.
        top_n_percent: q, the share of trials that is good, in percent.
        samples: N_s, candidates at each ask.
        bandwidth_factor: b_w, by how much wider kernels are from which numbers are drawn.
        min_points: N_min; None: the number of decisions + 1. A model needs twice as many trials at one budget.
        max_fit: with more trials at that budget than this, only the good ones and the latest of the others are used; the
            proposal's note then says how many of how many.
        min_epochs, max_epochs, eta: of the brackets; see the schedule `hyperband`, which this strategy brings along.

    Trials in flight count among those that are not good. With several objectives or constraints "good" is by the ranks of
    `ogive.objective.rank`.
    """

    schedule: ClassVar[str] = "hyperband"
    schedule_options: ClassVar[tuple[str, ...]] = ("min_epochs", "max_epochs", "eta")

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        random_fraction: float = 1 / 3,
        top_n_percent: int = 15,
        samples: int = 64,
        bandwidth_factor: float = 3.0,
        min_points: int | None = None,
        max_fit: int = 1000,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.rho = share(NAME, "random_fraction", random_fraction)
        self.q = whole(NAME, "top_n_percent", top_n_percent, at_least=1)
        if self.q > 99:
            raise JobError(f"{NAME}: top_n_percent is {self.q}, but must be at most 99")
        self.samples = whole(NAME, "samples", samples, at_least=1)
        self.bandwidth_factor = positive(NAME, "bandwidth_factor", bandwidth_factor)
        fewest = len(space.decisions) + 1 if min_points is None else min_points
        self.min_points = whole(NAME, "min_points", fewest, at_least=2)
        self.max_fit = whole(NAME, "max_fit", max_fit, at_least=2 * self.min_points)
        self.min_epochs, self.max_epochs, self.eta = min_epochs, max_epochs, eta
        self._trials: dict[TrialId, Trial] = {}
        self._known: GoodBadSplit | None = None  # a cache

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        self._known = None

    @random_if_numbers_fail
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        cut = self._cut()
        if not cut.good or rng.random() < self.rho:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        bad = [*cut.bad, *(proposal.architecture for proposal in pending)]
        l, g = self._mixture(cut.good), self._mixture(bad)  # noqa: E741 - the paper's symbols
        around = self._mixture(cut.good, self.bandwidth_factor)
        found = likeliest(self.space, [Architecture(self.space, around.draw(rng)) for _ in range(self.samples)], l, g)
        if found is None:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "none is allowed"})
        return Proposal(found, note={"origin": "model", **cut.said})

    def _cut(self) -> GoodBadSplit:
        """The trials at the highest budget with enough of them; none without a model."""
        if self._known is None:
            trials = list(self._trials.values())
            known = collect_observations(trials, self.objectives, self.constraints, at_least=2 * self.min_points)
            n = len(known.trials)
            if n < 2 * self.min_points:
                self._known = GoodBadSplit([], [], n)
            else:
                best = min(max(self.min_points, self.q * n // 100), self.max_fit // 2)
                self._known = split(known, best, self.max_fit)
        return self._known

    def _mixture(self, architectures: Sequence[Architecture], wider: float = 1.0) -> Mixture:
        decisions, table = self.space.decisions, columns(self.space, architectures)
        d, n = len(decisions), len(architectures)
        kernels = [normal_reference_kernel(x.domain, table[x.name], d, MIN_BANDWIDTH, wider) for x in decisions]
        return Mixture(decisions, kernels, np.full(n, 1.0 / n))
