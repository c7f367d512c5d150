"""Bayesian optimisation with Gaussian processes over architectures.

The kernel knows categories, order, activity and equal alternatives (`ogive.surrogates.architecture_kernel`); its
parameters are drawn from their posterior, and the acquisition is averaged over the draws (Snoek et al. 2012, section
3.2). With one objective the acquisition is expected improvement, with several the expected improvement of the
hypervolume (`ogive.strategy.acquisition`); either times the probability that every constraint is kept (Gardner et al.
2014) and that the trial does not fail. Architectures in flight are believed to come out as predicted (Ginsbourger et
al. 2010)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective, pareto_front
from ogive.registry import whole
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.candidate_pool import Candidates, Source
from ogive.strategy.fallback import noted, random_if_numbers_fail
from ogive.strategy.gp_acquisition import Acquisition, AcquisitionData
from ogive.strategy.local_search import LocalSearch
from ogive.strategy.observations import Observations, collect_observations
from ogive.surrogates.architecture_kernel import ArchitectureKernel, Embedding
from ogive.surrogates.graph_features import graph_of
from ogive.surrogates.metric_models import MetricModels, Rows, milestone, spread
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'gp'"

CORE = 150
"""The largest number of trials from which the kernel's parameters are drawn; fewer where more than two outputs share it."""

BEST = 5
"""How many of the best trials candidates are drawn near to."""

REFINEMENTS = 2
"""Rounds of moves around the most promising candidates, where the space is too large to list."""


class GaussianProcess(Strategy):
    """Propose what promises most improvement: among all of a small space, else among samples and moves around the best.

    Options:
        initial: how many trials need a value before the model is used; random until then.
        candidates: how many architectures are weighed at each ask; half of them where the space is too large to list.
        draws: how many times the kernel's parameters are drawn from their posterior.
        local: every so many asks only neighbours of the best are weighed that are not known yet: a step of local search,
            which ends where the model is mistaken about them. Once all around the best one are known, and as many trials
            were told after it as up to it, such an ask belongs to a local search that begins anew elsewhere, so that a
            model which is sure of one part of the space does not stay there for good; 0 for never. Not with several
            objectives, where the best are many and such steps were found to lose more than they gain.
        max_fit: with more trials than this the model is fitted to a third of it, the best, and an even spread of the
            others; the proposal's note then says to how many of how many. (Fitting takes time cubic in their number.)
        graph: for the Weisfeiler-Lehman kernel and the paths, the graph of an architecture: a function that returns (labels
            of nodes, edges as pairs of their numbers), "module:function" of one, or "decisions" for the graph of what
            activates what. By default the space's own, where it declares one; without one, or with "none", the labels
            of decisions with equal alternatives are counted.
        depth: how many steps of the graph a label of that kernel takes in.

    With several objectives, every third ask improves on a model of each, by the hypervolume; the others on one model of
    the rank among all (front, then crowding distance), which finds its way where the former is mistaken of the front.
    Trials are compared at the highest step that a quarter of them have reached (at least `initial`).
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        initial: int = 5,
        candidates: int = 2000,
        draws: int = 4,
        local: int = 4,
        max_fit: int = 300,
        graph: object = None,
        depth: int = 1,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.initial = whole(NAME, "initial", initial, at_least=2)
        self.candidates = whole(NAME, "candidates", candidates, at_least=4)
        self.draws = whole(NAME, "draws", draws, at_least=1)
        self.local = whole(NAME, "local", local, at_least=0) if len(self.objectives) == 1 else 0
        self.max_fit = whole(NAME, "max_fit", max_fit, at_least=3)
        embedding = Embedding(space, graph_of(graph, space), whole(NAME, "depth", depth, at_least=0))
        self._source = Source(space, embedding)
        self._surrogate = MetricModels(ArchitectureKernel(embedding), self.draws)
        self._elsewhere = LocalSearch(space, objectives, constraints)
        self._trials: dict[TrialId, Trial] = {}

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        if self.local:
            self._elsewhere.tell(trial)

    @random_if_numbers_fail
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        trials = list(self._trials.values())
        known = collect_observations(
            trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
        )
        if len(known.trials) < self.initial:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        order = known.ranks().astype(np.float64)
        number = len(trials) + len(pending)
        by_rank = len(self.objectives) > 1 and number % 3 != 0
        data = self._data(known, order, by_rank)
        self._surrogate.trouble = None
        waiting = self._source.embed([proposal.architecture for proposal in pending])
        promise = Acquisition.of(self._surrogate, data, waiting)
        taken = {trial.architecture.id for trial in trials} | {proposal.architecture.id for proposal in pending}
        leaders = self._leaders(known, order, rng)
        best = [known.trials[row].architecture for row in leaders]
        found = None
        if self.local and number % self.local == 0:
            stuck = len(known.trials) >= 2 * (leaders[0] + 1)
            found = self._steps(best[:1] if stuck else best, taken, rng)
            if found is None and stuck:
                return self._elsewhere.ask(rng, pending, fidelity)
        if found is None:
            found = self._found(best, taken, promise.glimpse(), rng)
        gain = promise(found.x)
        note = {"fitted_on": len(data.fitted), "of": len(known.trials), **noted(self._surrogate.trouble)}
        if not len(found):
            return Proposal(self.space.sample(rng), note={"origin": "random", **note})
        by_gain = np.argsort(-gain, kind="stable")
        chosen = next((i for i in by_gain if self.allowed(found.architectures[i])), by_gain[0])
        origin = {"origin": "model", "candidate": found.origins[chosen]}
        return Proposal(found.architectures[chosen], note={**origin, **note})

    def _leaders(self, known: Observations, order: FloatArray, rng: np.random.Generator) -> Sequence[int]:
        """Rows of the best; with several objectives, of the Pareto front at random, or only its ends would lead."""
        front = np.flatnonzero(known.feasible & pareto_front(np.where(known.feasible[:, None], known.costs, np.inf)))
        if len(self.objectives) == 1 or not len(front):
            return [int(row) for row in np.argsort(order, kind="stable")[:BEST]]
        return [int(row) for row in rng.permutation(front)[: 4 * BEST]]

    def _steps(self, centers: Sequence[Architecture], taken: set[str], rng: np.random.Generator) -> Candidates | None:
        """The unknown neighbours of the first of these that has any."""
        around = (self._source.around(center, taken, rng) for center in centers)
        return next((found for found in around if len(found)), None)

    def _found(
        self, best: Sequence[Architecture], taken: set[str], glimpse: Acquisition, rng: np.random.Generator
    ) -> Candidates:
        """What of the whole space is weighed closely."""
        count = self.candidates if self._source.listed else self.candidates // 2
        found = self._source.draw(best, taken, count, rng)
        for _ in range(0 if self._source.listed else REFINEMENTS):
            leaders = found.leading(glimpse(found.x), BEST).architectures
            known = taken | {architecture.id for architecture in found.architectures}
            found = found.plus(self._source.near(leaders, known, count // 4, rng))
        return found.leading(glimpse(found.x), count // 4)

    def _data(self, known: Observations, order: FloatArray, by_rank: bool) -> AcquisitionData:
        n, measured = len(order), known.costs.shape[1] + known.excess.shape[1]
        most = min(CORE, 2 * CORE // (measured + bool(known.failed)), self.max_fit)
        mosts = [most] * measured + [most // 2]  # beside as many that failed

        def core(output: int) -> Rows:
            first = np.arange(milestone(max(1, n - output)))  # one after another: not all in the same ask
            return spread(known.rows(first).ranks().astype(np.float64), mosts[output])

        return AcquisitionData(known, self._source.embed, spread(order, self.max_fit), core, by_rank)
