"""SMAC: sequential model-based optimisation with a random forest.

Hutter, Hoos and Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm Configuration" (LION 2011),
sections 4.1 to 4.3: the variance of a prediction is that within and between the trees, and the expected improvement is
maximised by local search from the best, and among random configurations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import MissingExtra, SpaceError
from ogive.objective import Constraint, Objective
from ogive.registry import share, whole
from ogive.space import Architecture, Space
from ogive.strategy.acquisition import expected_improvement
from ogive.strategy.base import Strategy
from ogive.strategy.fallback import random_if_numbers_fail
from ogive.strategy.observations import Observations, collect_observations, normal_scores
from ogive.surrogates.metric_models import spread
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'smac'"

LEAF, FEATURES = 3, 5 / 6
"""The fewest trials in a leaf, and the share of columns that a split is chosen from, as in the authors' program."""

NEIGHBORS, STEPS = 100, 10
"""The most neighbours that are looked at in a step of local search, and the most steps."""


class SMAC(Strategy):
    """Propose what a random forest expects to improve most.

    Options:
        initial: how many trials need a value before the forest is used; random until then.
        trees: of the forest.
        starts: local searches of expected improvement begin at so many of the best trials.
        candidates: random architectures that are weighed beside what those find.
        random_fraction: the share of proposals that are drawn at random whatever is known (in the paper every second).
        max_fit: with more trials than this the forest is fitted to a third of it, the best, and an even spread of the
            others; the proposal's note then says to how many of how many.

    The forest predicts normal scores of ranks (`ogive.objective.rank`), so that several objectives and constraints need no
    scale; trials that failed by what they are count as the worst. Decisions that are not active have zeros in the encoding:
    imputation by a constant. Trials in flight are believed to come out as predicted.

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
        _regressor()
        self.initial = whole(NAME, "initial", initial, at_least=2)
        self.trees = whole(NAME, "trees", trees, at_least=2)
        self.starts = whole(NAME, "starts", starts, at_least=1)
        self.candidates = whole(NAME, "candidates", candidates, at_least=1)
        self.random_fraction = share(NAME, "random_fraction", random_fraction)
        self.max_fit = whole(NAME, "max_fit", max_fit, at_least=3)
        self._trials: dict[TrialId, Trial] = {}
        self._known: _Incumbents | None = None  # a cache

    def tell(self, trial: Trial) -> None:
        self._trials[trial.id] = trial
        self._known = None

    @random_if_numbers_fail
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        known = self._fitted()
        if known.forest is None or rng.random() < self.random_fraction:
            return Proposal(self.space.sample(rng), note={"origin": "random"})
        taken = known.ids | {proposal.architecture.id for proposal in pending}
        forest = self._believing(known, [proposal.architecture for proposal in pending])
        found = self._candidates(forest, known, taken, rng)
        if not found:
            return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "all are known"})
        gain = self._gain(forest, [architecture for architecture, _ in found], known.best_score)
        by_gain = np.argsort(-gain, kind="stable")
        chosen = next((i for i in by_gain if self.allowed(found[i][0])), by_gain[0])
        architecture, origin = found[chosen]
        return Proposal(architecture, note={"origin": "model", "candidate": origin, **known.said})

    def _fitted(self) -> _Incumbents:
        if self._known is None:
            trials = list(self._trials.values())
            reached = collect_observations(
                trials, self.objectives, self.constraints, at_least=max(self.initial, len(trials) // 4)
            )
            self._known = self._fit(reached, {trial.architecture.id for trial in trials})
        return self._known

    def _fit(self, reached: Observations, ids: set[str]) -> _Incumbents:
        order = reached.ranks().astype(np.float64) if len(reached.trials) else np.zeros(0)
        if len(order) < self.initial:
            return _Incumbents(None, ids, [], np.zeros((0, 0)), np.zeros(0), {})
        failed = [trial.architecture for trial in reached.failed]
        ranks = np.concatenate([order, np.full(len(failed), order.max() + 1)])
        rows = spread(ranks, self.max_fit)
        architectures = [*(trial.architecture for trial in reached.trials), *failed]
        y = normal_scores(ranks[rows])
        x = self.space.encode([architectures[row] for row in rows])
        best = [architectures[row] for row in np.argsort(ranks, kind="stable")[: self.starts]]
        said = {"fitted_on": len(rows), "of": len(ranks)} if len(rows) < len(ranks) else {}
        return _Incumbents(Forest.fit(x, y, self.trees), ids, best, x, y, said)

    def _believing(self, known: _Incumbents, flying: Sequence[Architecture]) -> Forest:
        """The forest, were what is in flight to come out as it predicts."""
        assert known.forest is not None
        if not flying:
            return known.forest
        z = self.space.encode(flying)
        y = np.concatenate([known.y, known.forest.predict(z)[0]])
        return Forest.fit(np.concatenate([known.x, z]), y, self.trees)

    def _candidates(
        self, forest: Forest, known: _Incumbents, taken: set[str], rng: np.random.Generator
    ) -> list[tuple[Architecture, str]]:
        """What local searches end at, and random architectures; none of them `taken`."""
        found: dict[str, tuple[Architecture, str]] = {}
        for start in known.best:
            for architecture in self._climb(forest, start, taken, known.best_score, rng):
                found.setdefault(architecture.id, (architecture, "local search"))
        for _ in range(self.candidates):
            architecture = self.space.sample(rng)
            if architecture.id not in taken:
                found.setdefault(architecture.id, (architecture, "sample"))
        return list(found.values())

    def _climb(
        self, forest: Forest, start: Architecture, taken: set[str], best: float, rng: np.random.Generator
    ) -> list[Architecture]:
        """The steps of a local search from neighbour to neighbour, as long as more improvement is expected."""
        steps: list[Architecture] = []
        here, height = start, -np.inf
        for _ in range(STEPS):
            around = self._around(here, taken, rng)
            if not around:
                break
            gain = self._gain(forest, around, best)
            top = int(np.argmax(gain))
            if gain[top] <= height:
                break
            here, height = around[top], float(gain[top])
            steps.append(here)
        return steps

    def _around(self, here: Architecture, taken: set[str], rng: np.random.Generator) -> list[Architecture]:
        """Neighbours that are not taken; mutations where there are too many to look at all."""
        if sum(min(self._sizes[name], NEIGHBORS) for name in here) <= NEIGHBORS:
            return [n for n in self.space.neighbors(here, rng) if n.id not in taken]
        found: dict[str, Architecture] = {}
        for _ in range(NEIGHBORS):
            try:
                neighbor = self.space.mutate(here, rng)
            except SpaceError:  # the space's constraint allows nothing so near
                break
            if neighbor.id not in taken:
                found.setdefault(neighbor.id, neighbor)
        return list(found.values())

    @property
    def _sizes(self) -> dict[str, float]:
        return {decision.name: decision.domain.size for decision in self.space.decisions}

    def _gain(self, forest: Forest, architectures: Sequence[Architecture], best: float) -> FloatArray:
        mean, variance = forest.predict(self.space.encode(architectures))
        return expected_improvement(mean, np.sqrt(variance), best)


@dataclass(frozen=True)
class _Incumbents:
    """The forest, None while there is too little for one, and what it was fitted to; ids that are known; where local
    searches begin.
    """

    forest: Forest | None
    ids: set[str]
    best: Sequence[Architecture]
    x: FloatArray
    y: FloatArray
    said: Mapping[str, Any]

    @property
    def best_score(self) -> float:
        return float(self.y.min())


class Forest:
    """Regression trees on bootstrap samples, with the mean and the variance of every leaf."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trees = [tree.tree_ for tree in model.estimators_]

    @staticmethod
    def fit(x: FloatArray, y: FloatArray, trees: int) -> Forest:
        """[n, d] encoded architectures and [n] targets; the same forest for the same data."""
        model = _regressor()(
            n_estimators=trees, min_samples_leaf=LEAF, min_samples_split=LEAF, max_features=FEATURES, random_state=0
        )
        return Forest(model.fit(x, y))

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[m, d] -> means [m] and variances [m]: the mean of the leaves' variances and the variance of their means.

        Law of total variance (Hutter et al. 2014, "Algorithm runtime prediction", section 4.3.2).
        """
        x32 = np.ascontiguousarray(x, dtype=np.float32)
        leaves = [(tree, tree.apply(x32)) for tree in self._trees]
        means = np.array([tree.value[rows, 0, 0] for tree, rows in leaves])
        within = np.array([tree.impurity[rows] for tree, rows in leaves])
        return means.mean(axis=0), np.maximum(within.mean(axis=0) + means.var(axis=0), 1e-10)


def _regressor() -> Any:
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError as error:
        raise MissingExtra("scikit-learn", "data", "the strategy 'smac'") from error
    return RandomForestRegressor
