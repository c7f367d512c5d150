"""BANANAS: Bayesian optimization with a neural predictor and a path encoding of architectures.

White, Neiswanger and Savani, "BANANAS: Bayesian optimization with neural architectures for neural architecture search"
(AAAI 2021), algorithm 1. An ensemble of networks predicts how good an architecture is. Candidates are mutations of the best
architectures so far, and independent Thompson sampling selects one of them.

Symbols of the paper: t_0 initial trials, c candidates, x mutated architectures, phi acquisition function. Symbols in shapes
of arrays: n trials, m candidates, p columns of the encoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import check_whole_number
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.candidate_pool import first_allowed
from ogive.strategy.fallback import random_on_numerical_error
from ogive.strategy.observations import collect_observations, normal_scores
from ogive.surrogates.graph_features import list_paths, parse_graph_option
from ogive.surrogates.metric_models import select_rows_by_rank
from ogive.surrogates.network_ensemble import Ensemble, fit_ensemble
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'bananas'"


class Bananas(Strategy):
    """Proposes the mutation of one of the best architectures that has the best score, sampled from an ensemble of networks.

    Options:
        initial: t_0, the number of trials that must have a value before the ensemble is used. Until then, proposals are
            random.
        members: the number of networks in the ensemble.
        candidates: c, the number of mutations that are scored for each proposal.
        parents: x, the number of the best architectures that are mutated.
        graph: the graph of an architecture, as for the strategy `gp`; None for the graph that the space declares. With a
            graph, an architecture is encoded by its paths from an input to an output. Without a graph, it is encoded by its
            labels (one-hot).
        max_paths: the number of columns of the path encoding, one for each of the shortest paths (the paper's truncated
            path encoding).
        max_fit: at most this many trials are used to train the ensemble. If there are more, a third of them are the best
            trials, and the others are spread evenly over the remaining ranks. The proposal's note gives the numbers of used
            and of all trials as `fitted_on` and `of`.

    Differences from the paper: the networks have 3 hidden layers of width 20, those of the paper have 10 hidden layers. They
    are trained on normal scores of ranks with the squared error, since ranks are also defined for several objectives and
    constraints.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 10,
        members: int = 5,
        candidates: int = 100,
        parents: int = 10,
        graph: object = None,
        max_paths: int = 100,
        max_fit: int = 500,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.initial = check_whole_number(NAME, "initial", initial, at_least=2)
        self.members = check_whole_number(NAME, "members", members, at_least=2)
        self.candidates = check_whole_number(NAME, "candidates", candidates, at_least=1)
        self.parents = check_whole_number(NAME, "parents", parents, at_least=1)
        self.max_paths = check_whole_number(NAME, "max_paths", max_paths, at_least=1)
        self.max_fit = check_whole_number(NAME, "max_fit", max_fit, at_least=3)
        self._graph = parse_graph_option(graph, space)
        self._trials: dict[TrialId, Trial] = {}
        self._fitted: tuple[bytes, Ensemble] | None = None  # a cache: the latest training data, and the ensemble

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial

    @random_on_numerical_error
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        trials = list(self._trials.values())
        observations = collect_observations(
            trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
        )
        # Step 1: draw t_0 architectures at random.
        if len(observations.trials) < self.initial:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Step 2.ii: generate candidates by mutating the x best architectures.
        ranks = observations.ranks()
        best = [observations.trials[row] for row in np.argsort(ranks, kind="stable")[: self.parents]]
        excluded = {trial.architecture.id for trial in trials} | {proposal.architecture.id for proposal in pending}
        candidates, parents = self._mutate(best, excluded, rng)
        if not candidates:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": "all are known"})
        # Steps 2.i and 2.iii: train the ensemble, and evaluate the acquisition function phi at each candidate.
        rows = select_rows_by_rank(ranks.astype(np.float64), self.max_fit)
        architectures = [observations.trials[row].architecture for row in rows]
        scores = self._sample_scores(
            architectures, normal_scores(ranks[rows].astype(np.float64)), candidates=candidates, rng=rng
        )
        # Step 2.iv: propose the candidate with the least phi. Here, the least among those that no wrapper would reject.
        index = first_allowed(np.argsort(scores, kind="stable"), candidates, self.allowed)
        note = {"origin": "model", "parent": parents[index], "fitted_on": len(rows), "of": len(ranks)}
        return Proposal(candidates[index], note=note)

    def _mutate(
        self, best: Sequence[Trial], excluded: set[str], rng: np.random.Generator
    ) -> tuple[list[Architecture], list[TrialId]]:
        """Return different architectures whose ids are not `excluded`, and the id of the trial that each was made from.

        Each architecture is one change away from one of the `best`. It is two changes away if the first change led to an
        architecture that is excluded, or that is already a candidate.
        """
        # The child and its parent, by the id of the child.
        pairs: dict[str, tuple[Architecture, TrialId]] = {}
        for i in range(self.candidates):
            parent = best[i % len(best)]
            try:
                child = self.space.mutate(parent.architecture, rng)
                if child.id in excluded or child.id in pairs:
                    child = self.space.mutate(child, rng)
            except SpaceError:
                # The space's constraint allows no architecture that is one change away.
                continue
            if child.id not in excluded:
                pairs.setdefault(child.id, (child, parent.id))
        return [child for child, _ in pairs.values()], [parent for _, parent in pairs.values()]

    def _sample_scores(
        self,
        architectures: Sequence[Architecture],
        y: FloatArray,
        *,
        candidates: Sequence[Architecture],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Train the ensemble on y [n] of `architectures`. Return a random score [m] of each candidate; less is better."""
        training_x, candidate_x = self._encode(architectures, candidates)
        # Step 2.i. The ensemble is a function of its training data, so it is trained only when they have changed.
        key = training_x.tobytes() + y.tobytes()
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = key, fit_ensemble(training_x, y, generator(0, "bananas", len(y)), self.members)
        predictions = self._fitted[1].predict(candidate_x)  # [members, m]
        # Step 2.iii, independent Thompson sampling: a draw from N(mean, deviation^2) of the ensemble for each candidate.
        return np.asarray(rng.normal(predictions.mean(axis=0), predictions.std(axis=0, ddof=1)))

    def _encode(
        self, architectures: Sequence[Architecture], candidates: Sequence[Architecture]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the encodings [n, p] of `architectures` and [m, p] of `candidates`."""
        if self._graph is None:
            return self.space.encode(architectures), self.space.encode(candidates)
        path_sets = [frozenset(list_paths(*self._graph(a), self.max_paths)) for a in (*architectures, *candidates)]
        # The columns are the shortest paths in the training data, because the ensemble cannot learn anything about others.
        trained_paths = frozenset().union(*path_sets[: len(architectures)])
        shortest = sorted(trained_paths, key=lambda path: (len(path), path))[: self.max_paths]
        encoding = np.array([[path in path_set for path in shortest] for path_set in path_sets], dtype=np.float64)
        return encoding[: len(architectures)], encoding[len(architectures) :]
