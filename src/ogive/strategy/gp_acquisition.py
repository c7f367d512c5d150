"""The acquisition function of the strategy `gp`: expected improvement times the probability that a trial is feasible.

Symbols: n trials, m candidates, o objectives, c constraints, p columns of the embedding, w pending architectures, S draws of
the kernel's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ogive.arrays import BoolArray, FloatArray
from ogive.objective import find_pareto_front
from ogive.space import Architecture
from ogive.strategy.acquisition import (
    exact_expected_hypervolume_improvement,
    expected_improvement,
    probability_below,
    sample_directions,
    sampled_expected_hypervolume_improvement,
)
from ogive.strategy.observations import Observations, normal_scores, scale_excess, winsorize
from ogive.surrogates.gp_regression import GPRegression
from ogive.surrogates.metric_models import MetricModels, ModelledOutput, RowIndices, find_last_milestone

Transform = Callable[[FloatArray], FloatArray]

TRANSFORMS: dict[str, Transform] = {"normal_scores": normal_scores, "winsorized": winsorize}
"""The transforms of objectives by name. The name is a part of `ModelledOutput.name`, which seeds the draws of parameters."""

DIRECTIONS, NORMAL_PAIRS = 128, 4
"""With three or more objectives, the hypervolume improvement is an average over this many random directions from the
reference point (each of which scalarizes the costs), and over this many pairs (z, -z) of normal numbers."""

MARGIN = 0.1
"""The distance, in standard deviations, of the hypervolume's reference point beyond the worst costs of feasible trials."""


@dataclass(frozen=True, kw_only=True)
class AcquisitionData:
    """The data that the models are fitted to.

    Attributes:
        observations: the observations of all trials.
        embed: a function that returns the embedding [k, p] of k architectures.
        fit_rows: the rows of the observations that the models are conditioned on.
        core_rows: a function that returns the rows from which the kernel's parameters are drawn, for the index of an output.
            The outputs are the objectives, the constraints, and failure, in this order.
        by_rank: whether the rank among the rows is modelled in place of the objectives.
    """

    observations: Observations
    embed: Callable[[Sequence[Architecture]], FloatArray]
    fit_rows: RowIndices
    core_rows: Callable[[int], RowIndices]
    by_rank: bool

    def embed_rows(self, rows: RowIndices) -> FloatArray:
        """Return the embedding [k, p] of k rows."""
        return self.embed([self.observations.trials[row].architecture for row in rows])

    def select_costs(self, rows: RowIndices) -> FloatArray:
        """Return the modelled costs [k, o] of k rows. Ranks are computed among these rows only."""
        observations = self.observations.select(rows)
        return observations.ranks().astype(np.float64)[:, None] if self.by_rank else observations.costs

    def make_output(self, name: str, index: int, values: Callable[[RowIndices], FloatArray]) -> ModelledOutput:
        """Return the output with this index; `values(rows)` returns its values [k] for k rows."""
        core = self.core_rows(index)
        # Models of ranks use different draws of the parameters at each ask, since otherwise many asks would share the same
        # few draws. With different draws, two objectives reach 98.10% of the hypervolume (standard error 0.14), with the
        # same draws 98.01% (standard error 0.10); see docs/measured.md.
        thinning_offset = len(self.observations.trials) if self.by_rank else 0
        return ModelledOutput(
            name=name,
            x=self.embed_rows(self.fit_rows),
            y=values(self.fit_rows),
            core_x=self.embed_rows(core),
            core_y=values(core),
            thinning_offset=thinning_offset,
        )

    def make_failure_output(self) -> ModelledOutput:
        """Return the output that is 1 for failed trials, and -1 for others."""
        failed = [trial.architecture for trial in self.observations.failed]
        core = self.core_rows(self.observations.costs.shape[1] + self.observations.excess.shape[1])
        # Use at most as many failed trials as other trials. The core takes further failed trials only at milestones, so that
        # not every failure makes the kernel's parameters be drawn again.
        core_failed = failed[: min(find_last_milestone(len(failed)), len(core))]
        x, y = self._failure_data(self.fit_rows, failed[: len(self.fit_rows)])
        core_x, core_y = self._failure_data(core, core_failed)
        return ModelledOutput(name="failure", x=x, y=y, core_x=core_x, core_y=core_y)

    def _failure_data(self, rows: RowIndices, failed: Sequence[Architecture]) -> tuple[FloatArray, FloatArray]:
        x = np.concatenate([self.embed_rows(rows), self.embed(failed)])
        return x, np.repeat([-1.0, 1.0], [len(rows), len(failed)])


@dataclass(frozen=True)
class Acquisition:
    """The acquisition function; more is better.

    Attributes:
        objective_models: the models of each of o objectives; less is better.
        feasibility_models: the models of each output that must be at most 0 for a feasible trial (constraints, failure).
        feasible: for each of the `fit_rows`, whether the trial satisfies all constraints.
    """

    objective_models: Sequence[Sequence[GPRegression]]
    feasibility_models: Sequence[Sequence[GPRegression]]
    feasible: BoolArray

    @staticmethod
    def fit(surrogate: MetricModels, data: AcquisitionData, pending: FloatArray) -> Acquisition:
        """Return the acquisition function for `data` and pending architectures with the embeddings `pending` [w, p]."""
        observations, outputs = data.observations, 1 if data.by_rank else data.observations.costs.shape[1]
        # For one output (one objective, or the rank), each draw of the parameters gives two models, one for each transform:
        # normal scores are robust, and winsorized values keep the distances among good trials. For several outputs only
        # winsorized values are modelled, because the hypervolume needs distances.
        transforms = ("normal_scores", "winsorized") if outputs == 1 else ("winsorized",)

        def fit_objective(j: int, name: str) -> list[GPRegression]:
            transform = TRANSFORMS[name]
            output = data.make_output(
                f"{name} {j} of {outputs}", j, lambda rows: transform(data.select_costs(rows)[:, j])
            )
            return surrogate.fit(output)

        def fit_constraint(j: int) -> list[GPRegression]:
            index = observations.costs.shape[1] + j
            output = data.make_output(f"constraint {j}", index, lambda rows: scale_excess(observations.excess[rows, j]))
            return surrogate.fit(output)

        # Ginsbourger et al. (2010), "Kriging believer": condition on pending architectures with their predicted costs.
        objective_models = []
        for j in range(outputs):
            draws = zip(*(fit_objective(j, name) for name in transforms), strict=True)
            objective_models.append([model.condition_on_pending(pending) for draw in draws for model in draw])
        # Model only the constraints that some trial has violated, and failure only if a trial has failed.
        feasibility_models = [fit_constraint(j) for j, column in enumerate(observations.excess.T) if (column > 0).any()]
        if observations.failed:
            feasibility_models.append(surrogate.fit(data.make_failure_output()))
        return Acquisition(objective_models, feasibility_models, observations.feasible[data.fit_rows])

    def cheap_version(self) -> Acquisition:
        """Return an acquisition function with fewer models: it is faster, and accurate enough to drop poor candidates."""
        return Acquisition(
            # Two models of each objective. For one output these are the two transforms of the first draw, and for several
            # outputs the first two draws.
            objective_models=[models[:2] for models in self.objective_models],
            feasibility_models=[models[:1] for models in self.feasibility_models],
            feasible=self.feasible,
        )

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the scores [m] of candidates with the embeddings `x` [m, p]."""
        # Gardner et al. (2014): the improvement times the probability that each constraint holds. Snoek et al. (2012): each
        # factor is averaged over the models, which differ in the draw of the kernel's parameters.
        score = np.ones(len(x))
        for models in self.feasibility_models:
            score *= np.mean([probability_below(*model.predict(x), 0.0) for model in models], axis=0)
        # While no trial is feasible, only the probability of being feasible counts.
        if self.feasible.any():
            score *= self._improvement(x) if len(self.objective_models) == 1 else self._hypervolume_improvement(x)
        return score

    def _improvement(self, x: FloatArray) -> FloatArray:
        """Return the expected improvement [m] over the best feasible trial, averaged over the models."""
        rows = np.flatnonzero(self.feasible)
        improvements = [
            expected_improvement(*model.predict(x), best=float(model.y[rows].min()))
            for model in self.objective_models[0]
        ]
        return np.asarray(np.mean(improvements, axis=0))

    def _hypervolume_improvement(self, x: FloatArray) -> FloatArray:
        """Return the expected hypervolume improvement [m], averaged over the models.

        The reference point is beyond the worst costs of all feasible trials, which `winsorize` has limited. With a reference
        point at the ends of the current front, candidates beyond these ends would have no improvement at all.

        The noise of a model counts as uncertainty of a candidate. Much of this noise is variation that the kernel cannot
        express, and a model that is too certain about unknown architectures never explores parts of the front.
        """
        rows = np.flatnonzero(self.feasible)
        y = np.stack([models[0].y[rows] for models in self.objective_models], axis=1)
        front = y[find_pareto_front(y)]
        reference = y.max(axis=0) + MARGIN
        draws = []
        for models in zip(*self.objective_models, strict=True):
            moments = [model.predict(x, noise=True) for model in models]
            # Means and deviations [m, o] of all objectives.
            draws.append(tuple(np.stack(part, axis=1) for part in zip(*moments, strict=True)))
        # Two objectives have a closed form.
        if len(self.objective_models) == 2:
            improvements = [
                exact_expected_hypervolume_improvement(mean, deviation, front, reference) for mean, deviation in draws
            ]
            return np.asarray(np.mean(improvements, axis=0))
        # More objectives: sample costs, and average over directions. All candidates and all asks share the random numbers.
        rng = np.random.default_rng(0)
        z = rng.standard_normal((NORMAL_PAIRS, len(self.objective_models)))
        normals = np.concatenate([z, -z])[:, None, :]  # [2 NORMAL_PAIRS, 1, o]
        samples = np.concatenate([mean + normals * deviation for mean, deviation in draws])
        directions = sample_directions(DIRECTIONS, len(self.objective_models), rng)
        return sampled_expected_hypervolume_improvement(samples, front, reference, directions)
