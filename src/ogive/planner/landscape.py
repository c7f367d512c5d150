"""The metric values of a simulated search: a model of learning curves over the job's space, or a bundled table.

Strategy and schedule of the simulation are the real ones; they decide by these values.

Symbols: x an architecture; e epochs, E the largest number; err the distance of the metric from its ideal value.

    log err(x, e) = level + spread z(x) + decay log(E / e) + early_error w(x) sqrt(log(E / e) / log E) + noise

z and w are sums over the decisions with random coefficients, scaled to mean 0 and variance 1 over the space. z is the
quality of an architecture; w is the error of its rank after few epochs.
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
from ogive.planner.timings import Epoch
from ogive.schedule.extrapolation import extrapolate_curve
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.trial import Fidelity, steps_of

SAMPLED = 400
"""Architectures that are sampled to scale the landscape and to start the climb to its optimum."""
DECAY, SPREAD, EARLY_ERROR, NOISE = 0.5, 0.3, 0.2, 0.05
"""The shape without measurements: errors fall with the square root of the epochs and differ by a third, and their ranks
after one epoch correlate with the final ranks at about 0.8."""
MIN_SPREAD, MAX_DECAY = 0.05, 1.0
"""Bounds of measured shapes. Curves are steepest in the first epochs, so a few epochs predict too much of the others."""
MIN_TRIALS = 3
"""The least number of trials from which the spread is computed."""
SLOPE_EPOCHS = 5
"""The epochs after which the slope of a curve predicts its end. Before that, the later slope differs from the measured one
by about `DECAY` (one standard deviation); from then on by half of it. This holds for the bundled curves of digits, which
fall late. Before that, slopes are therefore averaged with `DECAY`, and later slopes are assumed to differ as much between
architectures: networks that have barely begun to learn look more similar than they will be."""


@dataclass(frozen=True)
class Shape:
    """The shape of the learning curves of one metric.

    Attributes:
        kind: "share" (at most 1, more is better), "loss" (above 0, less is better), or "plain" (any other metric).
        level: log err at the last epoch, mean over architectures.
        decay: how fast log err falls with log e.
        spread: standard deviation of log err between architectures, at the last epoch.
        early_error: standard deviation of the error that the first epoch makes about an architecture.
        noise: standard deviation of log err between epochs.
        level_std: standard deviation of `level`, which is extrapolated.
        unit: of a "plain" metric: the difference that corresponds to a factor of e in the error of another metric.
        basis: what the shape was derived from, in words that follow "learning curves are".
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

    def value(self, log_error: float, maximize: bool) -> float:
        """Return the metric for a log error."""
        if self.kind == "share":
            return 1 - math.exp(min(0.0, log_error))
        if self.kind == "loss":
            return math.exp(min(50.0, log_error))
        return self.unit * (-log_error if maximize else log_error)

    def log_error(self, value: float, maximize: bool) -> float:
        """Return the log error for a metric; the inverse of `value`."""
        if self.kind == "share":
            return math.log(max(1e-4, 1 - value))
        if self.kind == "loss":
            return math.log(max(1e-6, value))
        return (-value if maximize else value) / self.unit


def fit_shape(epochs: Sequence[Epoch], objective: Objective, last: int) -> Shape:
    """Return the shape of measured learning curves, extrapolated to epoch `last` by their own power law."""
    maximize = objective.goal == "maximize"
    curves: dict[str, dict[int, float]] = {}
    for epoch in epochs:
        value = epoch.metrics.get(objective.metric, math.nan)
        if math.isfinite(value):
            curves.setdefault(epoch.trial, {}).setdefault(epoch.epoch, value)
    values = [value for curve in curves.values() for value in curve.values()]
    if not values:
        return Shape("share" if maximize else "loss", math.log(0.1))
    kind = "share" if maximize and min(values) >= 0 and max(values) <= 1 else _loss_or_plain(values, maximize)
    unit = _plain_unit([curve[max(curve)] for curve in curves.values()]) if kind == "plain" else 1.0
    scale = Shape(kind, 0.0, unit=unit)
    errors = {n: {e: scale.log_error(v, maximize) for e, v in curve.items()} for n, curve in curves.items()}
    longest = max(max(curve) for curve in errors.values())
    has_trend = longest >= min(SLOPE_EPOCHS, last)
    # The slopes of log errors over log epochs, and their median.
    slopes = {name: _slope(curve, has_trend) for name, curve in errors.items()}
    measured_slopes = [slope for slope in slopes.values() if slope is not None]
    decay = min(max(float(np.median(measured_slopes)), 0.0), MAX_DECAY) if measured_slopes else DECAY
    # The log errors at the last epoch: their mean is the level, their standard deviation the spread.
    ends = np.array([_extrapolate(curve, last, decay, slopes[name]) for name, curve in errors.items()])
    remaining = math.log(max(1.0, last / longest))
    spread = SPREAD
    if len(ends) >= MIN_TRIALS:
        spread = math.hypot(float(ends.std(ddof=1)), 0.0 if has_trend else DECAY * remaining)
    # The level is uncertain by the later slopes, which are common to all curves, and by the few curves.
    slope_std = max(float(np.std(measured_slopes)) if measured_slopes else 0.0, DECAY / 2 if has_trend else DECAY)
    level_std = math.hypot(slope_std * remaining, spread / math.sqrt(len(ends)))
    what = f"values (in units of {scale.unit:.2g})" if kind == "plain" else "log errors"
    averaged = (
        ""
        if has_trend
        else f"; before epoch {SLOPE_EPOCHS}, slopes are averaged with {DECAY:g} and assumed to differ by as much"
    )
    basis = (
        f"extrapolated from {len(curves)} measured curves of {longest} of {last} epochs: {what} improve with a slope of "
        f"{decay:.2g} and finally differ by {spread:.2g} (one standard deviation){averaged}"
    )
    level, spread = float(ends.mean()), max(MIN_SPREAD, spread)
    # A larger final spread does not make the ranks after the first epochs more reliable.
    early_error = EARLY_ERROR * max(1.0, spread / SPREAD)
    return replace(
        scale,
        level=level,
        decay=decay,
        spread=spread,
        early_error=early_error,
        level_std=level_std,
        basis=basis,
    )


def _plain_unit(ends: Sequence[float]) -> float:
    """Return the unit of a metric of any scale in which architectures differ by `SPREAD`, as log errors do."""
    spread = float(np.std(ends, ddof=1)) if len(ends) > 1 else 0.0
    return (spread or max(map(abs, ends))) / SPREAD or 1.0


def _loss_or_plain(values: Sequence[float], maximize: bool) -> str:
    return "loss" if not maximize and min(values) > 0 else "plain"


def _slope(curve: Mapping[int, float], has_trend: bool) -> float | None:
    """Return how fast the log error falls with the log of the epochs, over the later half of a curve.

    If too few epochs were measured for a trend, the slope is averaged with `DECAY`. None with fewer than two epochs.
    """
    epochs = sorted(curve)[len(curve) // 2 - 1 if len(curve) > 2 else 0 :]
    if len(epochs) < 2:
        return None
    slope = float(-np.polyfit(np.log(np.array(epochs, dtype=float)), [curve[e] for e in epochs], 1)[0])
    return slope if has_trend else (slope + DECAY) / 2


def _extrapolate(curve: Mapping[int, float], last: int, decay: float, slope: float | None) -> float:
    """Return the log error at epoch `last`.

    Growth curves are fitted to five epochs or more. Fewer epochs are extrapolated with the mean of the curve's own slope
    and that of all curves, `decay`.
    """
    measured = max(curve)
    if measured >= last:
        return curve[last] if last in curve else curve[measured]
    forecast = extrapolate_curve([curve[e] for e in sorted(curve)], last)
    if forecast is not None:
        return forecast.mean
    slope = decay if slope is None else (decay + min(max(slope, 0.0), MAX_DECAY)) / 2
    return curve[measured] - slope * math.log(last / measured)


class Landscape(Problem):
    """A problem on the job's space with learning curves of a given shape.

    Args:
        space: of the job.
        objective: the metric and its goal.
        epochs: the full fidelity; None without epochs.
        shape: of the curves.
        seed: of the random coefficients. Another seed gives another landscape of the same shape.
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
        self._sample = [space.sample(generator(seed, "landscape", index)) for index in range(SAMPLED)]
        encoded = space.encode(self._sample)
        self._coefficients = generator(seed, "parts").normal(size=(encoded.shape[1], 2))
        raw = encoded @ self._coefficients
        self._center, self._scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
        self._effects: dict[str, FloatArray] = {}

    def effects(self, architecture: Architecture) -> FloatArray:
        """Return z and w of an architecture [2]; a low z is good."""
        if architecture.id not in self._effects:
            raw = self.space.encode([architecture])[0] @ self._coefficients
            self._effects[architecture.id] = (raw - self._center) / self._scale
        return self._effects[architecture.id]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        """Yield the metric after each epoch, by the equation of the module; every epoch takes one second."""
        shape, last = self.shape, self.epochs or 1
        z, w = self.effects(architecture)
        noise = generator(seed, "noise").normal(0, shape.noise, size=max(last, steps_of(fidelity)))
        for step in range(1, steps_of(fidelity) + 1):
            remaining = math.log(last / step) if step < last else 0.0
            early = shape.early_error * w * math.sqrt(remaining / math.log(last)) if remaining else 0.0
            error = shape.level + shape.spread * z + shape.decay * remaining + early + float(noise[step - 1])
            yield StepResult(step, {self._metric: shape.value(error, self._maximize)}, 1.0)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        """Return the metric at the last epoch, without noise."""
        z, _ = self.effects(architecture)
        return {self._metric: self.shape.value(self.shape.level + self.shape.spread * z, self._maximize)}

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        """The best value, found by climbing from the best of the sample, and the worst value of the sample."""
        order = sorted(self._sample, key=lambda architecture: float(self.effects(architecture)[0]))
        best = order[0]
        while True:
            neighbor = min(self.space.neighbors(best), key=lambda a: float(self.effects(a)[0]), default=best)
            if self.effects(neighbor)[0] >= self.effects(best)[0]:
                break
            best = neighbor
        worst = self.truth(order[-1])[self._metric]
        return {self._metric: Bounds(self.truth(best)[self._metric], worst)}

    def describe(self) -> dict[str, Any]:
        """Return the problem's facts as JSON, with the seed of the landscape."""
        return {**super().describe(), "seed": self._seed}


class _Limited(Wrapper):
    """A table whose curves end at `epochs`; truths and bounds stay those of the whole table."""

    def __init__(self, problem: Problem, epochs: int) -> None:
        super().__init__(problem, f"up to {epochs} epochs")
        self.epochs = epochs


def limit_epochs(problem: Problem, epochs: int | None) -> Callable[[int], Problem]:
    """Return a function that gives the table for every seed, with curves up to the epochs of the job.

    Raises:
        JobError: the job trains for more epochs than the table has.
    """
    if epochs is None or problem.epochs is None or epochs == problem.epochs:
        return lambda seed: problem
    if epochs > problem.epochs:
        raise JobError(
            f"epochs={epochs}, but the curves of {problem.name} have {problem.epochs} epochs; give at most as many"
        )
    limited = _Limited(problem, epochs)
    return lambda seed: limited


def find_bundled_table(space: Space, objective: Objective) -> Problem | None:
    """Return the bundled table of learning curves if it has this space and this metric; None otherwise."""
    from ogive.bench import digits

    plain = digits.space_without_layers()
    if not digits.FILE.exists() or space.to_json()["decisions"] != plain.to_json()["decisions"]:
        return None
    return digits.load(objective.metric) if objective.metric in ("accuracy", "log_loss") else None
