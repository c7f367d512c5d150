"""TPE: the tree-structured Parzen estimator.

Bergstra, Bardenet, Bengio and Kegl, "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011), section 4. Kernel widths,
weights of trials, and gamma follow later practice: Watanabe, "Tree-structured Parzen estimator: understanding its algorithm
components and their roles for better empirical performance" (2023).

Symbols of the paper: gamma the share of trials that counts as good, l(x) the density of the good trials, g(x) the density of
the others. In shapes of arrays, n is the number of trials that a density is fitted to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective
from ogive.registry import check_flag, check_positive, check_share, check_whole_number
from ogive.space import Architecture, Space
from ogive.space.domain import Label
from ogive.space.table import Decision
from ogive.strategy.base import Strategy
from ogive.strategy.density_ratio import GoodBadSplit, maximize_density_ratio, split_good_bad
from ogive.strategy.fallback import random_on_numerical_error
from ogive.strategy.observations import collect_observations
from ogive.surrogates.parzen import Mixture, collect_label_columns, make_tpe_kernel
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'tpe'"

MAX_GOOD = 25
"""At most this many trials count as good. The same number of latest trials have full weight in a density."""

MAX_TRIES = 20
"""At most this many architectures are drawn until the space's constraint allows one; if it allows none, the proposal is
random."""


class TPE(Strategy):
    """Draws candidates from the density of the good trials, and proposes the candidate with the greatest l(x) / g(x).

    Options:
        initial: the number of trials that must have a value, or have failed because of their architecture, before the
            densities are used. Until then, proposals are random.
        candidates: the number of candidates that are drawn from l(x) for each proposal.
        gamma: the share of trials that counts as good; at most 25 trials count as good.
        multivariate: True for a joint density of all decisions. False, as in the paper, for a separate density of each
            decision, which is fitted to the trials in which the decision is active.
        prior_weight: the weight of the uniform prior; a recent trial has weight 1.
        max_fit: at most this many trials are used. If there are more, the good trials and the latest of the others are used.
            The proposal's note gives the numbers of used and of all trials as `fitted_on` and `of`.

    Trials are ordered as in `ogive.objective.rank_costs`: several objectives by front and crowding distance, infeasible
    trials by violation. Trials that failed because of their architecture, and pending trials, count among the others
    ("constant liar"). Trials are compared at the highest step that a quarter of all trials, and at least `initial`, have
    reached.
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
        self.initial = check_whole_number(NAME, "initial", initial, at_least=2)
        self.candidates = check_whole_number(NAME, "candidates", candidates, at_least=1)
        self.gamma = check_share(NAME, "gamma", gamma)
        self.multivariate = check_flag(NAME, "multivariate", multivariate)
        self.prior_weight = check_positive(NAME, "prior_weight", prior_weight)
        self.max_fit = check_whole_number(NAME, "max_fit", max_fit, at_least=2 * MAX_GOOD)
        self._trials: dict[TrialId, Trial] = {}
        self._split: GoodBadSplit | None = None  # a cache of `_split_trials`

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        self._split = None

    @random_on_numerical_error
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Section 4, equation 2: split the trials at the quantile gamma of their costs.
        split = self._split_trials()
        if split.total < self.initial:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Pending trials count as bad, so that parallel trials do not repeat each other.
        bad = [*split.bad, *(proposal.architecture for proposal in pending)]
        # Section 4.1: draw candidates from l(x), and propose the one with the greatest l(x) / g(x).
        draw = self._draw_jointly if self.multivariate else self._draw_by_decision
        architecture = draw(split.good, bad, rng)
        if architecture is None:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "none is allowed"})
        return Proposal(architecture, note={"origin": "model", **split.note})

    def _split_trials(self) -> GoodBadSplit:
        """Return the good and the other trials, both sorted by their ids, because later trials have more weight."""
        if self._split is None:
            trials = list(self._trials.values())
            observations = collect_observations(
                trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
            )
            good_count = min(math.ceil(self.gamma * len(observations.trials)), MAX_GOOD)
            self._split = split_good_bad(observations, good_count, self.max_fit, good_by_id=True)
        return self._split

    def _draw_jointly(
        self, good: Sequence[Architecture], bad: Sequence[Architecture], rng: np.random.Generator
    ) -> Architecture | None:
        """Return the best of the candidates that are drawn from a joint density of all decisions."""
        decisions = self.space.decisions
        l, g = (self._mixture(decisions, collect_label_columns(self.space, group)) for group in (good, bad))  # noqa: E741
        candidates = [Architecture(self.space, l.draw(rng)) for _ in range(self.candidates)]
        return maximize_density_ratio(self.space, candidates, l, g)

    def _draw_by_decision(
        self, good: Sequence[Architecture], bad: Sequence[Architecture], rng: np.random.Generator
    ) -> Architecture | None:
        """Return an architecture that has, for each decision, the best of several candidate labels.

        None if the space's constraint allows none of `MAX_TRIES` such architectures.
        """
        columns = collect_label_columns(self.space, good), collect_label_columns(self.space, bad)
        densities: dict[str, tuple[Mixture, Mixture]] = {}  # a cache: l and g of each decision
        for _ in range(MAX_TRIES):
            labels: dict[str, Label] = {}
            # Section 4: follow the tree of conditions from its root; only active decisions are drawn.
            for decision in self.space.decisions:
                if decision.is_active(labels):
                    name = decision.name
                    if name not in densities:
                        l, g = (self._mixture([decision], {name: _active_labels(c[name])}) for c in columns)  # noqa: E741
                        densities[name] = l, g
                    labels[name] = self._draw_label(decision, *densities[name], rng)
            architecture = Architecture(self.space, labels)
            if self.space.violation(architecture) is None:
                return architecture
        return None

    def _draw_label(
        self,
        decision: Decision,
        l: Mixture,  # noqa: E741 - the paper's symbol
        g: Mixture,
        rng: np.random.Generator,
    ) -> Label:
        """Return the label with the greatest l(x) / g(x) among candidates that are drawn from l(x)."""
        components = rng.choice(len(l.weights), size=self.candidates, p=l.weights)
        candidates = [{decision.name: l.kernels[0].draw(int(component), rng)} for component in components]
        log_ratios = l.log_density(candidates) - g.log_density(candidates)
        return candidates[int(np.argmax(log_ratios))][decision.name]

    def _mixture(self, decisions: Sequence[Decision], columns: dict[str, list[Label | None]]) -> Mixture:
        """Return the density of `decisions` around the n trials of `columns`, and the prior as the last component."""
        n = len(next(iter(columns.values())))
        # Section 4.2: the prior is one more component of the mixture. The published weights are equal; those of
        # `_trial_weights` come from later practice.
        weights = np.append(_trial_weights(n), self.prior_weight)
        kernels = [make_tpe_kernel(d.domain, columns[d.name], self.prior_weight) for d in decisions]
        return Mixture(decisions, kernels, weights / weights.sum())


def _active_labels(labels: Sequence[Label | None]) -> list[Label | None]:
    """Return the labels of the architectures in which the decision is active; the others have None."""
    return [label for label in labels if label is not None]


def _trial_weights(n: int) -> FloatArray:
    """Return the weights [n] of n trials in their order: 1 / n for the first, rising linearly to 1 for the last 25."""
    ramp = np.linspace(1.0 / max(n, 1), 1.0, num=max(0, n - MAX_GOOD))
    return np.concatenate([ramp, np.ones(min(n, MAX_GOOD))])
