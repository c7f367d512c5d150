"""SMAC: sequential model-based optimization with a random forest.

Hutter, Hoos and Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm Configuration" (LION 2011),
sections 4.1 to 4.3: a random forest predicts means and variances. The expected improvement is maximized by local searches
from the best configurations, and among random configurations.

Symbols: n trials, m candidates, d columns of the encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import check_share, check_whole_number
from ogive.space import Architecture, Space
from ogive.strategy.acquisition import expected_improvement
from ogive.strategy.base import Strategy
from ogive.strategy.candidate_pool import first_allowed
from ogive.strategy.fallback import random_on_numerical_error
from ogive.strategy.observations import Observations, collect_observations, normal_scores
from ogive.surrogates.metric_models import select_rows_by_rank
from ogive.surrogates.random_forest import Forest, import_regressor
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'smac'"

MIN_LEAF, FEATURE_SHARE = 3, 5 / 6
"""The smallest number of trials in a leaf and at a split, and the share of columns considered at a split, as in the authors'
program.
"""

MAX_NEIGHBORS, MAX_STEPS = 100, 10
"""A local search has at most this many neighbours in each step, and at most this many steps."""


class SMAC(Strategy):
    """Proposes the candidate with the greatest expected improvement, which a random forest predicts.

    Options:
        initial: the number of trials that must have a value before the forest is used. Until then, proposals are random.
        trees: the number of trees in the forest.
        starts: the number of best trials from which local searches for the expected improvement start.
        candidates: the number of random architectures that are scored together with the results of the local searches.
        random_fraction: the share of proposals that are drawn at random even with a forest. (In the paper, every second
            proposal is random.)
        max_fit: at most this many trials are used to fit the forest. If there are more, a third of them are the best trials,
            and the others are spread evenly over the remaining ranks. The proposal's note gives the numbers of used and of
            all trials as `fitted_on` and `of`.

    The forest predicts normal scores of ranks (`ogive.objective.rank_costs`), so that several objectives and constraints
    need no common scale. Trials that failed because of their architecture count as the worst. In the encoding, inactive
    decisions have the value 0. The forest is fitted as if pending trials had ended with the predicted values.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 10,
        trees: int = 10,
        starts: int = 5,
        candidates: int = 500,
        random_fraction: float = 0.1,
        max_fit: int = 1000,
    ) -> None:
        super().__init__(space, objectives, constraints)
        # Raise MissingExtra now, not at the first use of the forest.
        import_regressor()
        self.initial = check_whole_number(NAME, "initial", initial, at_least=2)
        self.trees = check_whole_number(NAME, "trees", trees, at_least=2)
        self.starts = check_whole_number(NAME, "starts", starts, at_least=1)
        self.candidates = check_whole_number(NAME, "candidates", candidates, at_least=1)
        self.random_fraction = check_share(NAME, "random_fraction", random_fraction)
        self.max_fit = check_whole_number(NAME, "max_fit", max_fit, at_least=3)
        self._trials: dict[TrialId, Trial] = {}
        self._fitted: _FittedModel | None = None  # a cache of `_model`

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        self._fitted = None

    @random_on_numerical_error
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Section 4.3 interleaves random configurations, so that the search does not depend on the model alone.
        model = self._model()
        if model.forest is None or rng.random() < self.random_fraction:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        pending_architectures = [proposal.architecture for proposal in pending]
        forest = self._condition_on_pending(model, pending_architectures)
        # Section 4.3: candidates are the results of local searches of the expected improvement, and random configurations.
        excluded = model.evaluated | {architecture.id for architecture in pending_architectures}
        candidates, origins = self._collect_candidates(forest, model, excluded, rng)
        if not candidates:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "all are known"})
        # Propose the candidate with the greatest expected improvement, here among those that no wrapper would reject.
        improvement = self._expected_improvement(forest, candidates, model.best_score)
        index = first_allowed(np.argsort(-improvement, kind="stable"), candidates, self.allowed)
        return Proposal(candidates[index], note={"origin": "model", "candidate": origins[index], **model.note})

    def _model(self) -> _FittedModel:
        """Return the forest for the trials so far, fitted again only if a trial was received since the last call."""
        if self._fitted is None:
            trials = list(self._trials.values())
            observations = collect_observations(
                trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
            )
            self._fitted = self._fit(observations, {trial.architecture.id for trial in trials})
        return self._fitted

    def _fit(self, observations: Observations, evaluated: set[str]) -> _FittedModel:
        """Fit the forest to observations and failed trials; `evaluated` has the ids of all architectures with a trial."""
        trial_ranks = observations.ranks().astype(np.float64) if len(observations.trials) else np.zeros(0)
        if len(trial_ranks) < self.initial:
            return _FittedModel(forest=None, evaluated=evaluated, best=[], x=np.zeros((0, 0)), y=np.zeros(0), note={})
        # All failed trials have the rank after the worst one.
        failed = [trial.architecture for trial in observations.failed]
        ranks = np.concatenate([trial_ranks, np.full(len(failed), trial_ranks.max() + 1)])
        architectures = [*(trial.architecture for trial in observations.trials), *failed]
        # Section 4.1: fit a random forest.
        rows = select_rows_by_rank(ranks, self.max_fit)
        x = self.space.encode([architectures[row] for row in rows])
        y = normal_scores(ranks[rows])
        return _FittedModel(
            forest=Forest.fit(x, y, self.trees),
            evaluated=evaluated,
            best=[architectures[row] for row in np.argsort(ranks, kind="stable")[: self.starts]],
            x=x,
            y=y,
            note={"fitted_on": len(rows), "of": len(ranks)} if len(rows) < len(ranks) else {},
        )

    def _condition_on_pending(self, model: _FittedModel, pending: Sequence[Architecture]) -> Forest:
        """Return the forest fitted as if pending architectures had the predicted values ("Kriging believer")."""
        assert model.forest is not None
        if not pending:
            return model.forest
        z = self.space.encode(pending)
        y = np.concatenate([model.y, model.forest.predict(z)[0]])
        return Forest.fit(np.concatenate([model.x, z]), y, self.trees)

    def _collect_candidates(
        self, forest: Forest, model: _FittedModel, excluded: set[str], rng: np.random.Generator
    ) -> tuple[list[Architecture], list[str]]:
        """Return different architectures whose ids are not `excluded`, and the origin of each ("local search", "sample")."""
        by_id: dict[str, tuple[Architecture, str]] = {}
        # The paper starts local searches from the ten evaluated configurations with the greatest expected improvement. Here
        # they start from the best trials.
        for start in model.best:
            for architecture in self._climb(forest, start, excluded, best=model.best_score, rng=rng):
                by_id.setdefault(architecture.id, (architecture, "local search"))
        for _ in range(self.candidates):
            architecture = self.space.sample(rng)
            if architecture.id not in excluded:
                by_id.setdefault(architecture.id, (architecture, "sample"))
        return [architecture for architecture, _ in by_id.values()], [origin for _, origin in by_id.values()]

    def _climb(
        self, forest: Forest, start: Architecture, excluded: set[str], *, best: float, rng: np.random.Generator
    ) -> list[Architecture]:
        """Return the architectures that a local search of the expected improvement visits.

        The search moves to the neighbour with the greatest expected improvement, until no neighbour has a greater one than
        the current architecture.
        """
        visited: list[Architecture] = []
        current, current_improvement = start, -np.inf
        for _ in range(MAX_STEPS):
            neighbors = self._neighbors(current, excluded, rng)
            if not neighbors:
                break
            improvement = self._expected_improvement(forest, neighbors, best)
            best_row = int(np.argmax(improvement))
            if improvement[best_row] <= current_improvement:
                break
            current, current_improvement = neighbors[best_row], float(improvement[best_row])
            visited.append(current)
        return visited

    def _neighbors(
        self, architecture: Architecture, excluded: set[str], rng: np.random.Generator
    ) -> list[Architecture]:
        """Return neighbours whose ids are not `excluded`: all of them, or random ones if there are many."""
        sizes = {decision.name: decision.domain.size for decision in self.space.decisions}
        if sum(min(sizes[name], MAX_NEIGHBORS) for name in architecture) <= MAX_NEIGHBORS:
            return [n for n in self.space.neighbors(architecture, rng) if n.id not in excluded]
        by_id: dict[str, Architecture] = {}
        for _ in range(MAX_NEIGHBORS):
            try:
                neighbor = self.space.mutate(architecture, rng)
            except SpaceError:
                # The space's constraint allows no architecture that is one change away.
                break
            if neighbor.id not in excluded:
                by_id.setdefault(neighbor.id, neighbor)
        return list(by_id.values())

    def _expected_improvement(self, forest: Forest, architectures: Sequence[Architecture], best: float) -> FloatArray:
        mean, variance = forest.predict(self.space.encode(architectures))
        return expected_improvement(mean, np.sqrt(variance), best)


@dataclass(frozen=True, kw_only=True)
class _FittedModel:
    """A forest and the data that it was fitted to.

    Attributes:
        forest: the forest; None while there are too few trials.
        evaluated: the ids of all architectures that have a trial.
        best: the architectures from which local searches start.
        x: [n, d] the encoded architectures that the forest was fitted to.
        y: [n] the normal scores of these architectures; less is better.
        note: the entries `fitted_on` and `of` of a proposal's note; empty if the forest was fitted to all trials.
    """

    forest: Forest | None
    evaluated: set[str]
    best: Sequence[Architecture]
    x: FloatArray
    y: FloatArray
    note: Mapping[str, Any]

    @property
    def best_score(self) -> float:
        """The lowest normal score, which the expected improvement refers to."""
        return float(self.y.min())
