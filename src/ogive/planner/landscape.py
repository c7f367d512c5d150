"""The metric values of a simulated search: random learning curves over the space of the search, or a bundled table.

The simulation has the strategy and the schedule of the search. They make their decisions by these values.

Symbols: x is an architecture; e is a number of epochs, and E the largest one; err is the distance of the metric from its
ideal value.

    log err(x, e) = level + spread z(x) + decay log(E / e) + early_error w(x) sqrt(log(E / e) / log E) + noise

z and w are sums over the decisions with random coefficients, scaled to mean 0 and variance 1 over the space. z determines
the final error of an architecture. w determines how much the error after few epochs is better or worse than z suggests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench.problem import Bounds, Problem, StepResult
from ogive.bench.wrappers import Wrapper
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.planner.timings import MeasuredEpoch
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.surrogates.learning_curves import extrapolate_curve
from ogive.trial import Fidelity, count_steps

SAMPLE_SIZE = 400
"""The number of architectures that are sampled to scale the landscape and to find its optimum."""
DECAY, SPREAD, EARLY_ERROR, NOISE = 0.5, 0.3, 0.2, 0.05
"""The shape without measurements. Errors fall with the square root of the epochs, and architectures differ by a third. The
ranks after one epoch have a correlation of about 0.8 with the final ranks."""
MIN_SPREAD, MAX_DECAY = 0.05, 1.0
"""Bounds of measured shapes. Curves are steepest in the first epochs, so a slope from few epochs may be too large."""
MIN_TRIALS = 3
"""The spread is computed from the measurements if there are at least this many trials."""
SLOPE_EPOCHS = 5
"""The slope of a curve predicts its later course if at least this many epochs were measured.

In the bundled curves of digits, which fall late, the later slope differs from a slope measured over fewer epochs by about
`DECAY` (one standard deviation), and from a slope measured over more epochs by half of that. Therefore slopes from fewer
epochs are averaged with `DECAY`. The later slopes of architectures are then assumed to differ by `DECAY` as well, since
networks that have barely begun to learn are more similar than they will be."""


@dataclass(frozen=True)
class Shape:
    """The shape of the learning curves of one metric.

    Attributes:
        kind: "share" (at most 1, more is better), "loss" (above 0, less is better), or "plain" (any other metric).
        level: the mean of log err over architectures, at the last epoch.
        decay: the slope with which log err falls with log e.
        spread: the standard deviation of log err between architectures, at the last epoch.
        early_error: the standard deviation of the term with w after the first epoch.
        noise: the standard deviation of log err between epochs.
        level_std: the standard deviation of `level`, which is extrapolated.
        unit: the unit of a "plain" metric. A difference of one unit corresponds to a factor of 2.72 in the error of other
            metrics.
        basis: the origin of the shape, in words that follow "learning curves are".
    """

    kind: str
    level: float
    decay: float = DECAY
    spread: float = SPREAD
    early_error: float = EARLY_ERROR
    noise: float = NOISE
    level_std: float = 0.0
    unit: float = 1.0
    basis: str = "assumed, because no metric was measured"

    def to_metric(self, log_error: float, maximize: bool) -> float:
        """Return the value of the metric that corresponds to a log error."""
        if self.kind == "share":
            return 1 - math.exp(min(0.0, log_error))
        if self.kind == "loss":
            # Limited, so that the result is finite.
            return math.exp(min(50.0, log_error))
        return self.unit * (-log_error if maximize else log_error)

    def to_log_error(self, value: float, maximize: bool) -> float:
        """Return the log error that corresponds to a value of the metric; the inverse of `to_metric`.

        The distance of a "share" from 1 counts as 1e-4 or more, and a "loss" as 1e-6 or more, because 0 has no logarithm.
        """
        if self.kind == "share":
            return math.log(max(1e-4, 1 - value))
        if self.kind == "loss":
            return math.log(max(1e-6, value))
        return (-value if maximize else value) / self.unit


def fit_shape(epochs: Sequence[MeasuredEpoch], objective: Objective, last: int) -> Shape:
    """Return the shape of measured learning curves.

    Args:
        epochs: the measured epochs of all trials.
        objective: the metric and its goal.
        last: the last epoch of the search, to which the curves are extrapolated.
    """
    # Step 1: collect the curves.
    maximize = objective.goal == "maximize"
    # The value at each epoch, by the name of the trial.
    curves: dict[str, dict[int, float]] = {}
    for epoch in epochs:
        value = epoch.metrics.get(objective.metric, math.nan)
        if math.isfinite(value):
            # A trial that was measured with several numbers of workers has one curve, the first one.
            curves.setdefault(epoch.trial, {}).setdefault(epoch.epoch, value)
    values = [value for curve in curves.values() for value in curve.values()]
    if not values:
        # Without measurements, assume a mean final error of 0.1.
        return Shape("share" if maximize else "loss", math.log(0.1))
    # Step 2: transform the metric to log errors, on which curves are nearly straight lines.
    kind = _choose_kind(values, maximize)
    unit = _compute_unit([curve[max(curve)] for curve in curves.values()]) if kind == "plain" else 1.0
    # This shape is used for its transformation only; its other values are replaced at the end.
    shape = Shape(kind, 0.0, unit=unit)
    errors = {n: {e: shape.to_log_error(v, maximize) for e, v in curve.items()} for n, curve in curves.items()}
    longest = max(max(curve) for curve in errors.values())
    has_trend = longest >= min(SLOPE_EPOCHS, last)
    # Step 3: the decay is the median of the slopes of log errors over log epochs.
    slopes = {name: _compute_slope(curve, has_trend) for name, curve in errors.items()}
    measured_slopes = [slope for slope in slopes.values() if slope is not None]
    decay = min(max(float(np.median(measured_slopes)), 0.0), MAX_DECAY) if measured_slopes else DECAY
    # Step 4: extrapolate the log errors to the last epoch. Their mean is the level, their standard deviation the spread.
    final_errors = np.array([_extrapolate(curve, last, decay, slopes[name]) for name, curve in errors.items()])
    log_remaining = math.log(max(1.0, last / longest))
    spread = SPREAD
    if len(final_errors) >= MIN_TRIALS:
        spread = math.hypot(float(final_errors.std(ddof=1)), 0.0 if has_trend else DECAY * log_remaining)
    # Step 5: the level is uncertain, because the later slopes are unknown and only few curves were measured. The error of
    # the slope is common to all curves, so it does not decrease with their number.
    slope_std = max(float(np.std(measured_slopes)) if measured_slopes else 0.0, DECAY / 2 if has_trend else DECAY)
    level_std = math.hypot(slope_std * log_remaining, spread / math.sqrt(len(final_errors)))
    quantity = f"values (in units of {shape.unit:.2g})" if kind == "plain" else "log errors"
    averaging = (
        ""
        if has_trend
        else f"; before epoch {SLOPE_EPOCHS}, slopes are averaged with {DECAY:g} and assumed to differ by as much"
    )
    basis = (
        f"extrapolated from {len(curves)} measured curves of {longest} of {last} epochs: {quantity} improve with a slope of "
        f"{decay:.2g} and finally differ by {spread:.2g} (one standard deviation){averaging}"
    )
    level, spread = float(final_errors.mean()), max(MIN_SPREAD, spread)
    # A larger final spread does not make the ranks after the first epochs more reliable.
    early_error = EARLY_ERROR * max(1.0, spread / SPREAD)
    return replace(
        shape,
        level=level,
        decay=decay,
        spread=spread,
        early_error=early_error,
        level_std=level_std,
        basis=basis,
    )


def _compute_unit(final_values: Sequence[float]) -> float:
    """Return the unit of a "plain" metric, in which architectures differ by `SPREAD`, as the log errors of other metrics.

    Args:
        final_values: the last measured value of each trial.
    """
    spread = float(np.std(final_values, ddof=1)) if len(final_values) > 1 else 0.0
    # Without a spread, the largest absolute value takes its place; if it is 0 too, the unit is 1.
    return (spread or max(map(abs, final_values))) / SPREAD or 1.0


def _choose_kind(values: Sequence[float], maximize: bool) -> str:
    """Return the kind of a metric (see `Shape.kind`) by its values and its goal."""
    if maximize and min(values) >= 0 and max(values) <= 1:
        return "share"
    return "loss" if not maximize and min(values) > 0 else "plain"


def _compute_slope(curve: Mapping[int, float], has_trend: bool) -> float | None:
    """Return the slope with which the log error falls with the log of the epochs, over the later half of a curve.

    If too few epochs were measured for a trend, the slope is averaged with `DECAY`. None with fewer than two epochs.

    Args:
        curve: the log error by epoch.
        has_trend: whether enough epochs were measured.
    """
    epochs = sorted(curve)[len(curve) // 2 - 1 if len(curve) > 2 else 0 :]
    if len(epochs) < 2:
        return None
    slope = float(-np.polyfit(np.log(np.array(epochs, dtype=float)), [curve[e] for e in epochs], 1)[0])
    return slope if has_trend else (slope + DECAY) / 2


def _extrapolate(curve: Mapping[int, float], last: int, decay: float, slope: float | None) -> float:
    """Return the log error of a curve at epoch `last`.

    Args:
        curve: the log error by epoch.
        last: the last epoch of the search.
        decay: the median slope of all curves.
        slope: the slope of this curve; None if it has fewer than two epochs.
    """
    last_measured = max(curve)
    if last_measured >= last:
        return curve[last] if last in curve else curve[last_measured]
    # With five epochs or more, fit growth curves. With fewer, `extrapolate_curve` returns None; then use the mean of two
    # slopes: the slope of this curve and the median slope of all curves.
    forecast = extrapolate_curve([curve[e] for e in sorted(curve)], last)
    if forecast is not None:
        return forecast.mean
    slope = decay if slope is None else (decay + min(max(slope, 0.0), MAX_DECAY)) / 2
    return curve[last_measured] - slope * math.log(last / last_measured)


class Landscape(Problem):
    """A problem on the space of the search, with random learning curves of a certain shape.

    Args:
        space: the space of the search.
        objective: the metric and its goal.
        epochs: the largest number of epochs; None without epochs.
        shape: the shape of the curves.
        seed: the seed of the random coefficients. Another seed gives another landscape of the same shape.
    """

    name = "landscape"
    continuable = True
    split = "validation"

    def __init__(self, space: Space, objective: Objective, epochs: int | None, shape: Shape, seed: int) -> None:
        self.space, self.epochs = space, epochs
        self.shape = replace(shape, level=shape.level + shape.level_std * float(generator(seed, "level").normal()))
        self.objectives = (objective,)
        self._maximize = objective.goal == "maximize"
        self._metric = objective.metric
        self._seed = seed
        # Center and scale z and w by a sample, so that they have mean 0 and variance 1 over the space.
        self._sample = [space.sample(generator(seed, "landscape", index)) for index in range(SAMPLE_SIZE)]
        encoded = space.encode(self._sample)
        self._coefficients = generator(seed, "parts").normal(size=(encoded.shape[1], 2))
        raw = encoded @ self._coefficients
        self._center, self._scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
        self._effects: dict[str, FloatArray] = {}

    def compute_effects(self, architecture: Architecture) -> FloatArray:
        """Return the array [z, w] of an architecture; the lower z, the better."""
        if architecture.id not in self._effects:
            raw = self.space.encode([architecture])[0] @ self._coefficients
            self._effects[architecture.id] = (raw - self._center) / self._scale
        return self._effects[architecture.id]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        """Yield the metric after each epoch. Every epoch takes one second."""
        # Without epochs, a trial has a single step.
        shape, last_epoch = self.shape, self.epochs or 1
        z, w = self.compute_effects(architecture)
        noise = generator(seed, "noise").normal(0, shape.noise, size=max(last_epoch, count_steps(fidelity)))
        for step in range(1, count_steps(fidelity) + 1):
            # The equation of the module docstring, with log_remaining = log(E / e).
            log_remaining = math.log(last_epoch / step) if step < last_epoch else 0.0
            early = shape.early_error * w * math.sqrt(log_remaining / math.log(last_epoch)) if log_remaining else 0.0
            error = shape.level + shape.spread * z + shape.decay * log_remaining + early + float(noise[step - 1])
            yield StepResult(step, {self._metric: shape.to_metric(error, self._maximize)}, seconds=1.0)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        """Return the metric at the last epoch, without noise."""
        z, _ = self.compute_effects(architecture)
        return {self._metric: self.shape.to_metric(self.shape.level + self.shape.spread * z, self._maximize)}

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        """The best value, by local search from the best architecture of the sample, and the worst value of the sample."""
        best_first = sorted(self._sample, key=lambda architecture: float(self.compute_effects(architecture)[0]))
        best = best_first[0]
        while True:
            neighbor = min(self.space.neighbors(best), key=lambda a: float(self.compute_effects(a)[0]), default=best)
            if self.compute_effects(neighbor)[0] >= self.compute_effects(best)[0]:
                break
            best = neighbor
        worst = self.truth(best_first[-1])[self._metric]
        return {self._metric: Bounds(best=self.truth(best)[self._metric], worst=worst)}

    def describe(self) -> dict[str, Any]:
        """Return the problem's facts as JSON, with the seed of the landscape."""
        return {**super().describe(), "seed": self._seed}


class _LimitedTable(Wrapper):
    """A table whose curves end at the epoch `epochs`. Its true values and bounds are still from the complete curves."""

    def __init__(self, problem: Problem, epochs: int) -> None:
        super().__init__(problem, f"up to {epochs} epochs")
        self.epochs = epochs


def limit_epochs(problem: Problem, epochs: int | None) -> Callable[[int], Problem]:
    """Return a function that takes a seed and always returns the same problem: `problem` with curves up to `epochs`.

    Raises:
        JobError: `epochs` is larger than the number of epochs in the table.
    """
    if epochs is None or problem.epochs is None or epochs == problem.epochs:
        return lambda seed: problem
    if epochs > problem.epochs:
        raise JobError(
            f"epochs={epochs}, but the curves of {problem.name} have {problem.epochs} epochs; give at most "
            f"epochs={problem.epochs}"
        )
    limited = _LimitedTable(problem, epochs)
    return lambda seed: limited


def find_bundled_table(space: Space, objective: Objective) -> Problem | None:
    """Return the bundled table of learning curves if it has this space and this objective's metric; None otherwise."""
    from ogive.bench import digits

    table_space = digits.make_space_without_layers()
    if not digits.TABLE_FILE.exists() or space.to_json()["decisions"] != table_space.to_json()["decisions"]:
        return None
    return digits.load(objective.metric) if objective.metric in ("accuracy", "log_loss") else None
