"""BANANAS: Bayesian optimisation with neural architectures for neural architecture search.

White, Neiswanger and Savani (AAAI 2021), algorithm 1: an ensemble of networks predicts how good an architecture is from
its path encoding; among mutations of the best so far, the one is evaluated that independent Thompson sampling chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.fallback import random_if_numbers_fail
from ogive.strategy.observations import Observations, collect_observations, normal_scores
from ogive.surrogates.graph_features import graph_of, paths
from ogive.surrogates.metric_models import spread
from ogive.surrogates.network_ensemble import Ensemble, fit_ensemble
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'bananas'"


class Bananas(Strategy):
    """Mutate the best, and propose what an ensemble of predictors thinks best, with its doubts drawn at random.

    Options:
        initial: how many trials need a value before the ensemble is used (t_0 in the paper); random until then.
        members: networks of the ensemble.
        candidates: mutations of the best that are weighed at each ask.
        parents: how many of the best are mutated.
        graph: of an architecture (see the strategy `gp`; by default the space's own, where it declares one): then
            architectures are encoded by which paths from an input to an output there are, else by their choices (one-hot).
        max_paths: columns of that encoding: the shortest paths of the architectures told are kept (the paper's
            truncated path encoding, section 4).
        max_fit: with more trials than this the ensemble is trained on a third of it, the best, and an even spread of
            the others; the proposal's note then says on how many of how many.

    The networks have 3 hidden layers of width 20 rather than the paper's 10, and are trained on normal scores of ranks
    by the squared error: with several objectives or constraints ranks are what there is.
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
        self.initial = whole(NAME, "initial", initial, at_least=2)
        self.members = whole(NAME, "members", members, at_least=2)
        self.candidates = whole(NAME, "candidates", candidates, at_least=1)
        self.parents = whole(NAME, "parents", parents, at_least=1)
        self.max_paths = whole(NAME, "max_paths", max_paths, at_least=1)
        self.max_fit = whole(NAME, "max_fit", max_fit, at_least=3)
        self._graph = graph_of(graph, space)
        self._trials: dict[TrialId, Trial] = {}
        self._trained: tuple[bytes, Ensemble] | None = None  # a cache

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial

    @random_if_numbers_fail
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        trials = list(self._trials.values())
        known = collect_observations(
            trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
        )
        if len(known.trials) < self.initial:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        taken = {trial.architecture.id for trial in trials} | {proposal.architecture.id for proposal in pending}
        order = known.ranks()
        best = [known.trials[row] for row in np.argsort(order, kind="stable")[: self.parents]]
        found = self._mutations(best, taken, rng)
        if not found:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_mutation": "all are known"})
        rows = spread(order.astype(np.float64), self.max_fit)
        scores = self._thompson(
            known.rows(rows), normal_scores(order[rows].astype(np.float64)), [a for a, _ in found], rng
        )
        by_score = np.argsort(scores, kind="stable")
        chosen = next((i for i in by_score if self.allowed(found[i][0])), by_score[0])
        architecture, parent = found[chosen]
        note = {"origin": "model", "parent": parent, "fitted_on": len(rows), "of": len(order)}
        return Proposal(architecture, note=note)

    def _mutations(
        self, best: Sequence[Trial], taken: set[str], rng: np.random.Generator
    ) -> list[tuple[Architecture, TrialId]]:
        """Different architectures that are one change away from one of the best, or two where the first is known."""
        found: dict[str, tuple[Architecture, TrialId]] = {}
        for i in range(self.candidates):
            parent = best[i % len(best)]
            try:
                child = self.space.mutate(parent.architecture, rng)
                if child.id in taken or child.id in found:
                    child = self.space.mutate(child, rng)
            except SpaceError:  # the space's constraint allows nothing so near
                continue
            if child.id not in taken:
                found.setdefault(child.id, (child, parent.id))
        return list(found.values())

    def _thompson(
        self, known: Observations, y: FloatArray, candidates: Sequence[Architecture], rng: np.random.Generator
    ) -> FloatArray:
        """A draw for each candidate from N(mean, deviation^2) of the ensemble, independently of the others."""
        architectures = [trial.architecture for trial in known.trials]
        x, z = self._encode(architectures, candidates)
        key = x.tobytes() + y.tobytes()
        if self._trained is None or self._trained[0] != key:
            self._trained = key, fit_ensemble(x, y, generator(0, "bananas", len(y)), self.members)
        predicted = self._trained[1].predict(z)  # [members, m]
        return np.asarray(rng.normal(predicted.mean(axis=0), predicted.std(axis=0, ddof=1)))

    def _encode(
        self, known: Sequence[Architecture], candidates: Sequence[Architecture]
    ) -> tuple[FloatArray, FloatArray]:
        """[n] and [m] architectures -> [n, p] and [m, p]: path encoding, or one-hot without a graph."""
        if self._graph is None:
            return self.space.encode(known), self.space.encode(candidates)
        rows = [frozenset(paths(*self._graph(a), self.max_paths)) for a in (*known, *candidates)]
        there = frozenset().union(*rows[: len(known)])
        shortest = sorted(there, key=lambda path: (len(path), path))[: self.max_paths]
        encoded = np.array([[path in row for path in shortest] for row in rows], dtype=np.float64)
        return encoded[: len(known)], encoded[len(known) :]
