"""What candidates promise, by the models of everything that is measured: the acquisition function of `gp`.

Symbols: n trials, m candidates, o objectives, c constraints, p columns of the embedding, S draws of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ogive.arrays import BoolArray, FloatArray
from ogive.objective import pareto_front
from ogive.space import Architecture
from ogive.strategy.acquisition import (
    directions,
    expected_growth_of_area,
    expected_improvement,
    hypervolume_improvement,
    probability_below,
)
from ogive.strategy.observations import Observations, margins, normal_scores, winsorized
from ogive.surrogates.gp_regression import GPRegression
from ogive.surrogates.metric_models import MetricModels, ModelledOutput, Rows, milestone

Transform = Callable[[FloatArray], FloatArray]

DIRECTIONS, NORMALS = 128, 4
"""Directions, and pairs of opposite normal numbers, over which the improvement of the hypervolume is averaged."""


MARGIN = 0.1
"""Standard deviations by which the hypervolume's reference point is behind the worst that was told."""


@dataclass(frozen=True)
class AcquisitionData:
    """What models are fitted to.

    Attributes:
        told: what is known of trials.
        embed: architectures [k] -> [k, p].
        fitted: rows that models are conditioned on.
        core: rows that the parameters are drawn from, by the number of the output: objectives, constraints, failure.
        by_rank: whether the rank among the rows is modelled in place of the objectives.
    """

    told: Observations
    embed: Callable[[Sequence[Architecture]], FloatArray]
    fitted: Rows
    core: Callable[[int], Rows]
    by_rank: bool

    def x(self, rows: Rows) -> FloatArray:
        """[k] rows -> [k, p] their embedding."""
        return self.embed([self.told.trials[row].architecture for row in rows])

    def costs(self, rows: Rows) -> FloatArray:
        """[k] rows -> [k, o] what is modelled of the objectives; a function of these rows alone."""
        told = self.told.rows(rows)
        return told.ranks().astype(np.float64)[:, None] if self.by_rank else told.costs

    def output(self, name: str, number: int, column: Callable[[Rows], FloatArray]) -> ModelledOutput:
        """Something that was measured of every trial that did not fail: `column` takes rows [k] to values [k]."""
        core = self.core(number)
        turn = len(self.told.trials) if self.by_rank else 0  # else many asks would see ranks through the same few draws
        return ModelledOutput(name, self.x(self.fitted), column(self.fitted), self.x(core), column(core), turn)

    def failure(self) -> ModelledOutput:
        """1 where a trial failed and -1 where it did not."""
        core = self.core(self.told.costs.shape[1] + self.told.excess.shape[1])
        drawn = min(milestone(len(self.told.failed)), len(core))
        return ModelledOutput("failure", *self._failed(self.fitted, len(self.fitted)), *self._failed(core, drawn))

    def _failed(self, rows: Rows, most: int) -> tuple[FloatArray, FloatArray]:
        failed = [trial.architecture for trial in self.told.failed[:most]]
        x = np.concatenate([self.x(rows), self.embed(failed)])
        return x, np.repeat([-1.0, 1.0], [len(rows), len(failed)])


@dataclass(frozen=True)
class Acquisition:
    """The acquisition: expected improvement times the probability of being feasible.

    Attributes:
        objectives: [o] models of each objective, less is better.
        limits: models of what should stay at or below 0.
        feasible: [n] which of the trials that the objectives' models were fitted to keep every constraint.
    """

    objectives: Sequence[Sequence[GPRegression]]
    limits: Sequence[Sequence[GPRegression]]
    feasible: BoolArray

    @staticmethod
    def of(surrogate: MetricModels, data: AcquisitionData, waiting: FloatArray) -> Acquisition:
        """Fit models to `data` while architectures at `waiting` [w, p] are in flight."""
        told, outputs = data.told, 1 if data.by_rank else data.told.costs.shape[1]
        transforms = (normal_scores, winsorized) if outputs == 1 else (winsorized,)

        def objective(j: int, transform: Transform) -> list[GPRegression]:
            name = f"{transform.__name__} {j} of {outputs}"
            return surrogate.models(data.output(name, j, lambda rows: transform(data.costs(rows)[:, j])))

        def limit(j: int) -> list[GPRegression]:
            number = told.costs.shape[1] + j
            return surrogate.models(data.output(f"constraint {j}", number, lambda rows: margins(told.excess[rows, j])))

        objectives = []
        for j in range(outputs):
            draws = zip(*(objective(j, transform) for transform in transforms), strict=True)
            objectives.append([model.believing(waiting) for draw in draws for model in draw])
        limits = [limit(j) for j, column in enumerate(told.excess.T) if (column > 0).any()]
        if told.failed:
            limits.append(surrogate.models(data.failure()))
        return Acquisition(objectives, limits, told.feasible[data.fitted])

    def glimpse(self) -> Acquisition:
        """The same from the first models of each list only: quicker, and good enough to leave out what is hopeless."""
        return Acquisition(
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
