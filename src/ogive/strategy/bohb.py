"""BOHB: Hyperband, with architectures that are drawn from kernel density estimators.

Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale" (ICML 2018), algorithm 2 and
section 3.2. This module draws architectures; the schedule `hyperband` decides which trials are trained further.

Symbols of the paper: rho the share of random proposals, q the percentile of good trials, N_min the smallest number of points
of a density, N_s the number of samples, b_w the bandwidth factor, l(x) and g(x) the densities of good and of other trials,
l'(x) the density l(x) with wider kernels, N_b the number of trials at budget b (a number of epochs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import check_positive, check_share, check_whole_number
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.density_ratio import GoodBadSplit, maximize_density_ratio, split_good_bad
from ogive.strategy.fallback import random_on_numerical_error
from ogive.strategy.observations import collect_observations
from ogive.surrogates.parzen import Mixture, collect_label_columns, make_normal_reference_kernel
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'bohb'"

MIN_BANDWIDTH = 1e-3
"""The smallest width of a kernel, as in the authors' program (HpBandSter)."""


class BOHB(Strategy):
    """Samples architectures near the good trials at the highest budget that has enough trials for a model.

    Until there is such a budget, architectures are sampled from the space.

    Options:
        random_fraction: rho, the share of proposals that are drawn at random even with a model.
        top_n_percent: q, the percentage of trials that counts as good.
        samples: N_s, the number of candidates for each proposal.
        bandwidth_factor: b_w, the factor by which kernels of numbers are widened when candidates are drawn.
        min_points: N_min; None for the number of decisions + 1. A model needs 2 N_min trials at one budget.
        max_fit: at most this many trials at the budget are used for a model. If there are more, the good trials and the
            latest of the others are used. The proposal's note gives the numbers of used and of all trials as `fitted_on`
            and `of`.
        min_epochs, max_epochs, eta: options of the schedule `hyperband`, which is used with this strategy.

    Pending trials count as not good. With several objectives or constraints, trials are ordered as in
    `ogive.objective.rank_costs`.
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
        self.rho = check_share(NAME, "random_fraction", random_fraction)
        self.q = check_whole_number(NAME, "top_n_percent", top_n_percent, at_least=1)
        if self.q > 99:
            raise JobError(f"{NAME}: top_n_percent is {self.q}, but must be at most 99")
        self.samples = check_whole_number(NAME, "samples", samples, at_least=1)
        self.bandwidth_factor = check_positive(NAME, "bandwidth_factor", bandwidth_factor)
        min_points = len(space.decisions) + 1 if min_points is None else min_points
        self.min_points = check_whole_number(NAME, "min_points", min_points, at_least=2)
        self.max_fit = check_whole_number(NAME, "max_fit", max_fit, at_least=2 * self.min_points)
        self.min_epochs, self.max_epochs, self.eta = min_epochs, max_epochs, eta
        self._trials: dict[TrialId, Trial] = {}
        self._split: GoodBadSplit | None = None  # a cache of `_split_trials`

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        self._split = None

    @random_on_numerical_error
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Algorithm 2, lines 1 to 3: propose at random with probability rho, and while no budget has enough trials.
        split = self._split_trials()
        if not split.good or rng.random() < self.rho:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Line 4: fit the densities. Pending trials count as bad, so that parallel trials do not repeat each other.
        bad = [*split.bad, *(proposal.architecture for proposal in pending)]
        l, g = self._density(split.good), self._density(bad)  # noqa: E741 - the paper's symbols
        # Line 5: draw N_s samples from l'(x), whose kernels are b_w times as wide, to explore around the good trials.
        wide = self._density(split.good, self.bandwidth_factor)
        samples = [Architecture(self.space, wide.draw(rng)) for _ in range(self.samples)]
        # Line 6: propose the sample with the greatest l(x) / g(x).
        architecture = maximize_density_ratio(self.space, samples, l, g)
        if architecture is None:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "none is allowed"})
        return Proposal(architecture, note={"origin": "model", **split.note})

    def _split_trials(self) -> GoodBadSplit:
        """Return the good and the other trials at the highest budget with enough trials; none without such a budget."""
        if self._split is None:
            trials = list(self._trials.values())
            # Line 2: the highest budget with enough trials. The paper requires N_min + 2 trials. Here 2 N_min are required,
            # so that each of the two densities has N_min trials and no trial is used for both.
            observations = collect_observations(trials, self.objectives, self.constraints, at_least=2 * self.min_points)
            n = len(observations.trials)
            if n < 2 * self.min_points:
                self._split = GoodBadSplit(good=[], bad=[], total=n)
            else:
                # Equation 3: N_(b,l) = max(N_min, q N_b) trials are good. Here at most half of `max_fit`, so that bad trials
                # are used as well.
                good_count = min(max(self.min_points, self.q * n // 100), self.max_fit // 2)
                self._split = split_good_bad(observations, good_count, self.max_fit)
        return self._split

    def _density(self, architectures: Sequence[Architecture], bandwidth_factor: float = 1.0) -> Mixture:
        """Return a kernel density estimator with equal weights (section 3.2), a product of kernels of all decisions."""
        decisions, columns = self.space.decisions, collect_label_columns(self.space, architectures)
        kernels = [
            make_normal_reference_kernel(
                decision.domain,
                columns[decision.name],
                dimensions=len(decisions),
                min_width=MIN_BANDWIDTH,
                width_factor=bandwidth_factor,
            )
            for decision in decisions
        ]
        n = len(architectures)
        return Mixture(decisions, kernels, np.full(n, 1.0 / n))
