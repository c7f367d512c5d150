"""What candidates promise, by the models of everything that is measured: the acquisition function of `gp`.

Symbols: n trials, m candidates, o objectives, c constraints, p columns of the embedding, S draws of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ogive.objective import pareto_front
from ogive.strategy.acquisition import (
    directions,
    expected_growth_of_area,
    expected_improvement,
    hypervolume_improvement,
    probability_below,
)
from ogive.strategy.regression import Regression
from ogive.strategy.surrogate import Output, Rows, Surrogate, Transform
from ogive.strategy.targets import Told, margins, normal_scores, winsorized

FloatArray = NDArray[np.float64]

DIRECTIONS, NORMALS = 128, 4
"""Directions, and pairs of opposite normal numbers, over which the improvement of the hypervolume is averaged."""


MARGIN = 0.1
"""Standard deviations by which the hypervolume's reference point is behind the worst that was told."""


@dataclass(frozen=True)
class Data:
    """What models are fitted to.

    Attributes:
        told: what is known of trials.
        x: [n, p] their embedding.
        fitted: rows that models are conditioned on.
        core: rows that the parameters are drawn from, by the number of the output: objectives, constraints, failure.
        failed: [f, p] embedding of trials that failed.
    """

    told: Told
    x: FloatArray
    fitted: Rows
    core: Callable[[int], Rows]
    failed: FloatArray


@dataclass(frozen=True)
class Promise:
    """The acquisition: expected improvement times the probability of being feasible.

    Attributes:
        objectives: [o] models of each objective, less is better.
        limits: models of what should stay at or below 0.
        feasible: [n] which of the trials that the objectives' models were fitted to keep every constraint.
    """

    objectives: Sequence[Sequence[Regression]]
    limits: Sequence[Sequence[Regression]]
    feasible: NDArray[np.bool_]

    @staticmethod
    def of(surrogate: Surrogate, data: Data, waiting: FloatArray) -> Promise:
        """Fit models to `data` while architectures at `waiting` [w, p] are in flight."""
        told, m = data.told, data.told.costs.shape[1]
        transforms = (normal_scores, winsorized) if m == 1 else (winsorized,)

        def models(number: int, name: str, values: FloatArray, transform: Transform) -> list[Regression]:
            return surrogate.models(Output(name, data.x, values, data.fitted, data.core(number), transform))

        objectives = []
        for j, column in enumerate(told.costs.T):
            draws = zip(*(models(j, f"{t.__name__} {j} of {m}", column, t) for t in transforms), strict=True)
            objectives.append([model.believing(waiting) for draw in draws for model in draw])
        limits = [
            models(m + j, f"constraint {j}", column, margins)
            for j, column in enumerate(told.excess.T)
            if (column > 0).any()
        ]
        if len(data.failed):
            limits.append(surrogate.models(_failure(data)))
        return Promise(objectives, limits, told.feasible[data.fitted])

    def glimpse(self) -> Promise:
        """The same from the first models of each list only: quicker, and good enough to leave out what is hopeless."""
        return Promise(
            [models[:2] for models in self.objectives], [models[:1] for models in self.limits], self.feasible
        )

    def __call__(self, x: FloatArray) -> FloatArray:
        """[m, p] -> [m]; the more the better."""
        promise = np.ones(len(x))
        for models in self.limits:
            promise *= np.mean([probability_below(*model.predict(x), 0.0) for model in models], axis=0)
        if self.feasible.any():
            promise *= self._improvement(x) if len(self.objectives) == 1 else self._growth(x)
        return promise

    def _improvement(self, x: FloatArray) -> FloatArray:
        known = np.flatnonzero(self.feasible)
        gains = [
            expected_improvement(*model.predict(x), best=float(model.y[known].min())) for model in self.objectives[0]
        ]
        return np.asarray(np.mean(gains, axis=0))

    def _growth(self, x: FloatArray) -> FloatArray:
        """Expected growth of the hypervolume up to the worst that was told (`winsorized` bounds how bad that is).

        Were it bounded by the front that is known, nothing beyond the ends of that would promise anything. What a model
        calls noise counts as doubt of a candidate: much of it is what the kernel cannot express, and a model that is too
        sure of what it has not seen leaves parts of the front alone.
        """
        rows = np.flatnonzero(self.feasible)
        y = np.stack([models[0].y[rows] for models in self.objectives], axis=1)
        front = y[pareto_front(y)]
        reference = y.max(axis=0) + MARGIN
        draws = []
        for models in zip(*self.objectives, strict=True):
            moments = [model.predict(x, noise=True) for model in models]
            draws.append(tuple(np.stack(part, axis=1) for part in zip(*moments, strict=True)))  # [m, o] each
        if len(self.objectives) == 2:
            growth = [expected_growth_of_area(mean, deviation, front, reference) for mean, deviation in draws]
            return np.asarray(np.mean(growth, axis=0))
        rng = np.random.default_rng(0)  # the same numbers for all candidates and all asks
        half = rng.standard_normal((NORMALS, len(self.objectives)))
        normals = np.concatenate([half, -half])[:, None, :]  # [2 NORMALS, 1, o]
        samples = np.concatenate([mean + normals * deviation for mean, deviation in draws])
        ways = directions(DIRECTIONS, len(self.objectives), rng)
        return hypervolume_improvement(samples, front, reference, ways)


def _failure(data: Data) -> Output:
    """1 where a trial failed and -1 where it did not."""
    x = np.concatenate([data.x, data.failed])
    values = np.concatenate([-np.ones(len(data.x)), np.ones(len(data.failed))])
    failures = np.arange(len(data.x), len(x))
    known = data.core(data.told.costs.shape[1] + data.told.excess.shape[1])
    fitted, core = (np.concatenate([rows, failures[: len(rows)]]) for rows in (data.fitted, known))
    return Output("failure", x, values, fitted, core, np.asarray)
