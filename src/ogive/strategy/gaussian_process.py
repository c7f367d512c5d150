"""Bayesian optimization with Gaussian processes over architectures.

- The kernel respects categories, order, inactive decisions and equal alternatives (`ogive.surrogates.architecture_kernel`).
- The kernel's parameters are drawn from their posterior, and the acquisition function is averaged over the draws (Snoek,
  Larochelle and Adams, "Practical Bayesian optimization of machine learning algorithms", NeurIPS 2012, section 3.1).
- The acquisition function is the expected improvement with one objective, and the expected hypervolume improvement with
  several (`ogive.strategy.acquisition`), times the probability that every constraint holds (Gardner et al., "Bayesian
  optimization with inequality constraints", ICML 2014) and that the trial does not fail.
- The models are conditioned on pending architectures as if these had ended with the predicted values (Ginsbourger, Le Riche
  and Carraro, "Kriging is well-suited to parallelize optimization", 2010: "Kriging believer").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.arrays import FloatArray
from ogive.objective import Constraint, Objective, find_pareto_front
from ogive.registry import check_whole_number
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.strategy.candidate_pool import CandidatePool, CandidateSet, first_allowed
from ogive.strategy.fallback import fallback_note, random_on_numerical_error
from ogive.strategy.gp_acquisition import Acquisition, AcquisitionData
from ogive.strategy.local_search import LocalSearch
from ogive.strategy.observations import Observations, collect_observations
from ogive.surrogates.architecture_kernel import ArchitectureKernel, Embedding
from ogive.surrogates.graph_features import parse_graph_option
from ogive.surrogates.metric_models import MetricModels, RowIndices, find_last_milestone, select_rows_by_rank
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'gp'"

MAX_CORE_TRIALS = 150
"""The parameters of a kernel are drawn from at most this many trials; from fewer if there are more than two outputs."""

BEST_TRIALS = 5
"""The number of best trials near which candidates are drawn."""

REFINEMENTS = 2
"""The number of rounds of moves around the best candidates, in a space that is too large to enumerate."""

FRONT_TRIALS = 20
"""With several objectives, the number of trials of the Pareto front near which candidates are drawn."""

VOLUME_INTERVAL = 3
"""With several objectives, every third ask uses the models of the objectives; the other asks use the model of the rank."""


class GaussianProcess(Strategy):
    """Proposes the candidate with the highest acquisition value.

    In a space small enough to enumerate, the candidates are drawn from the list of all architectures. In a larger space,
    they are random samples, and architectures a few mutations or crossovers away from the best.

    Options:
        initial: the number of trials that must have a value before the models are used. Until then, proposals are random.
        candidates: the number of architectures that are drawn for each proposal. If the space is too large to enumerate,
            half as many are drawn, and then moves around the best of these are added. All are scored with a few of the
            models, and the best of them with all models.
        draws: the number of draws of the kernel's parameters from their posterior.
        local: for every `local`-th proposal, the candidates are only the neighbours of the best architecture that have no
            trial yet; if it has no such neighbours, those of the next best, up to the fifth. Such a step of local search
            finds improvements that the model misjudges. The search is stagnant if at least as many trials came after the
            best trial as up to and including it. In a stagnant search, only the neighbours of the best architecture are
            candidates. If all of them have a trial, the strategy `local_search`, which starts from random architectures,
            makes the proposal. So the search leaves a part of the space where the model expects no better architecture. 0
            disables these steps. They are also disabled with several objectives, where there is no single best architecture,
            and where they did not improve the results.
        max_fit: at most this many trials are used to fit the models. If there are more, a third of them are the best trials,
            and the others are spread evenly over the remaining ranks. The proposal's note gives the numbers of used and of
            all trials as `fitted_on` and `of`. (The time of a fit grows with the cube of the number of trials.)
        graph: the graph of an architecture, for its Weisfeiler-Lehman features and the features of its paths. One of: a
            function that returns (labels of nodes, edges as pairs of node indices); "module:function", the name of such a
            function; "decisions", the graph whose edges lead from a decision to the decisions that it activates; "none", no
            graph. None for the graph that the space declares, if any. Without a graph, the kernel compares how often each
            label occurs among the decisions with equal alternatives.
        depth: the number of iterations of the Weisfeiler-Lehman features.

    With several objectives, every third ask uses a model of each objective and the hypervolume. The other asks use a model
    of the rank among all trials (front, then crowding distance), which finds good trials that the models of the objectives
    misjudge. Trials are compared at the highest step that a quarter of all trials, and at least `initial`, have reached.
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
        self.initial = check_whole_number(NAME, "initial", initial, at_least=2)
        self.candidates = check_whole_number(NAME, "candidates", candidates, at_least=4)
        self.draws = check_whole_number(NAME, "draws", draws, at_least=1)
        self.local = check_whole_number(NAME, "local", local, at_least=0) if len(self.objectives) == 1 else 0
        self.max_fit = check_whole_number(NAME, "max_fit", max_fit, at_least=3)
        embedding = Embedding(
            space, parse_graph_option(graph, space), check_whole_number(NAME, "depth", depth, at_least=0)
        )
        self._pool = CandidatePool(space, embedding)
        self._surrogate = MetricModels(ArchitectureKernel(embedding), self.draws)
        self._local_search = LocalSearch(space, objectives, constraints)
        self._trials: dict[TrialId, Trial] = {}

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        if self.local:
            self._local_search.tell(trial)

    @random_on_numerical_error
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Step 1: collect the trials that can be compared. The first proposals are random.
        trials = list(self._trials.values())
        observations = collect_observations(
            trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
        )
        if len(observations.trials) < self.initial:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        # Step 2: fit the models, with pending architectures as if they had ended with the predicted values.
        ask_number = len(trials) + len(pending)
        ranks = observations.ranks().astype(np.float64)
        data = self._select_data(observations, ranks, by_rank=self._uses_rank(ask_number))
        self._surrogate.sampling_error = None  # `Acquisition.fit` sets it if drawing the kernel's parameters fails
        pending_x = self._pool.embed([proposal.architecture for proposal in pending])
        acquisition = Acquisition.fit(self._surrogate, data, pending_x)
        # Step 3: collect candidates. At every `local`-th ask they are neighbours of the best trials, or the ask is passed to
        # local search.
        excluded = {trial.architecture.id for trial in trials} | {proposal.architecture.id for proposal in pending}
        best_rows = self._select_best_rows(observations, ranks, rng)
        best = [observations.trials[row].architecture for row in best_rows]
        candidates = None
        if self.local and ask_number % self.local == 0:
            # Row i is the (i + 1)-th trial. The search is stagnant if the best trial is the n-th, and at least n trials came
            # after it.
            is_stagnant = len(observations.trials) >= 2 * (best_rows[0] + 1)
            candidates = self._find_new_neighbors(best[:1] if is_stagnant else best, excluded, rng)
            if candidates is None and is_stagnant:
                return self._local_search.ask(rng, pending, fidelity)
        if candidates is None:
            candidates = self._draw_candidates(best, excluded, acquisition.cheap_version(), rng)
        # Step 4: propose the candidate with the highest acquisition value among those that the strategies wrapped around
        # this one accept. (They reject duplicates, and violations of hard constraints.)
        scores = acquisition(candidates.x)
        note = {
            "fitted_on": len(data.fit_rows),
            "of": len(observations.trials),
            **fallback_note(self._surrogate.sampling_error),
        }
        if not len(candidates):
            return Proposal(self.space.sample(rng), note={"origin": "random", **note})
        index = first_allowed(np.argsort(-scores, kind="stable"), candidates.architectures, self.allowed)
        origin = {"origin": "model", "candidate": candidates.origins[index]}
        return Proposal(candidates.architectures[index], note={**origin, **note})

    def _uses_rank(self, ask_number: int) -> bool:
        """Return whether this ask uses the model of the rank in place of the models of the objectives."""
        return len(self.objectives) > 1 and ask_number % VOLUME_INTERVAL != 0

    def _select_best_rows(
        self, observations: Observations, ranks: FloatArray, rng: np.random.Generator
    ) -> Sequence[int]:
        """Return the rows of the best observations, near which candidates are drawn.

        With several objectives these rows are drawn at random from the Pareto front. The best by rank would only be the ends
        of the front, since the ends have the greatest crowding distance.
        """
        feasible = observations.feasible
        front = np.flatnonzero(feasible & find_pareto_front(np.where(feasible[:, None], observations.costs, np.inf)))
        if len(self.objectives) == 1 or not len(front):
            return [int(row) for row in np.argsort(ranks, kind="stable")[:BEST_TRIALS]]
        return [int(row) for row in rng.permutation(front)[:FRONT_TRIALS]]

    def _find_new_neighbors(
        self, centers: Sequence[Architecture], excluded: set[str], rng: np.random.Generator
    ) -> CandidateSet | None:
        """Return the neighbours of the first center that has neighbours without `excluded` ids; None if there is none."""
        neighbors = (self._pool.neighbors(center, excluded, rng) for center in centers)
        return next((candidates for candidates in neighbors if len(candidates)), None)

    def _draw_candidates(
        self, best: Sequence[Architecture], excluded: set[str], cheap_acquisition: Acquisition, rng: np.random.Generator
    ) -> CandidateSet:
        """Return candidates from all parts of the space: those with the best scores of `cheap_acquisition`."""
        count = self.candidates if self._pool.is_enumerated else self.candidates // 2
        candidates = self._pool.draw(best, excluded, count, rng)
        # In a large space, add moves around the candidates that look best so far.
        for _ in range(0 if self._pool.is_enumerated else REFINEMENTS):
            best_candidates = candidates.select_best(cheap_acquisition(candidates.x), BEST_TRIALS).architectures
            excluded_now = excluded | {architecture.id for architecture in candidates.architectures}
            candidates = candidates.extended_with(self._pool.draw_near(best_candidates, excluded_now, count // 4, rng))
        # Keep only the best, since the full acquisition function takes longer to compute.
        return candidates.select_best(cheap_acquisition(candidates.x), count // 4)

    def _select_data(self, observations: Observations, ranks: FloatArray, by_rank: bool) -> AcquisitionData:
        """Return the data that the models are fitted to: all observations, or a subset if there are too many."""
        n, outputs = len(ranks), observations.costs.shape[1] + observations.excess.shape[1]
        # The more outputs, the fewer trials for each, so that the total time of drawing parameters hardly grows.
        limit = min(MAX_CORE_TRIALS, 2 * MAX_CORE_TRIALS // (outputs + bool(observations.failed)), self.max_fit)
        # The model of failure gets half as many rows, since up to the same number of failed trials is added to them.
        limits = [limit] * outputs + [limit // 2]

        def core_rows(output: int) -> RowIndices:
            # Parameters are drawn again at milestones. The milestones of each output are shifted by one trial, so that no
            # ask draws the parameters of all outputs.
            first_rows = np.arange(find_last_milestone(max(1, n - output)))
            return select_rows_by_rank(observations.select(first_rows).ranks().astype(np.float64), limits[output])

        return AcquisitionData(
            observations=observations,
            embed=self._pool.embed,
            fit_rows=select_rows_by_rank(ranks, self.max_fit),
            core_rows=core_rows,
            by_rank=by_rank,
        )
