"""Metric values for a simulated search: what the schedule and the strategy decide by. How they decide is real; the values
are a model of learning curves over the job's own space, or a bundled table where there is one for it.

Symbols: x an architecture, e epochs, E all of them; err the distance of the metric from its ideal.

    log err(x, e) = level + spread z(x) + decay log(E / e) + cross w(x) sqrt(log(E / e) / log E) + noise

z and w are additive over the decisions with random parts, of mean 0 and variance 1 over the space: z is what an
architecture is worth, w is by how much few epochs mislead about it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench.problem import Bounds, Observation, Problem
from ogive.bench.wrappers import Wrapper
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.planner.timings import Epoch
from ogive.schedule.extrapolation import parametric
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.trial import Fidelity, until

SAMPLED = 400
"""Architectures by which the landscape is scaled, and from the best of which its optimum is climbed to."""
DECAY, SPREAD, CROSS, NOISE = 0.5, 0.3, 0.2, 0.05
"""Where nothing was measured: errors fall with the root of the epochs, differ by a third, and their ranks after one epoch
correlate with those at the end at about 0.8."""
LEAST_SPREAD, MOST_DECAY = 0.05, 1.0
"""Bounds of what is measured: a few epochs, in which curves are steepest, promise too much of the others."""
ENOUGH = 3
"""Trials, and epochs of each, from which the shape of curves is taken."""
SHAPED = 5
"""Epochs from which a curve's shape tells where it goes. Before that, the slope to come is taken to differ from those seen
by `DECAY` (one standard deviation), from then on by half of it: the bundled curves of digits, which fall late, do. So
before that, slopes are taken halfway to `DECAY`, and those to come to differ as much between architectures: networks that
have barely begun to learn look more alike than they will be."""


@dataclass(frozen=True)
class Shape:
    """Of the curves of one metric.

    Attributes:
        kind: "share" (of 1, more is better), "loss" (above 0, less is better), or "plain" (anything else).
        level: of log err at the last epoch, the mean over architectures.
        decay, spread, cross, noise: see the module.
        doubt: standard deviation of `level`, which is extrapolated.
        unit: of a "plain" metric, what stands for a factor of e in the error of another.
        basis: where they are from, in words.
    """

    kind: str
    level: float
    decay: float = DECAY
    spread: float = SPREAD
    cross: float = CROSS
    noise: float = NOISE
    doubt: float = 0.0
    unit: float = 1.0
    basis: str = "assumed, since no metric was measured"

    def value(self, log_error: float, maximize: bool) -> float:
        """The metric."""
        if self.kind == "share":
            return 1 - math.exp(min(0.0, log_error))
        if self.kind == "loss":
            return math.exp(min(50.0, log_error))
        return self.unit * (-log_error if maximize else log_error)

    def log_error(self, value: float, maximize: bool) -> float:
        """The inverse of `value`."""
        if self.kind == "share":
            return math.log(max(1e-4, 1 - value))
        if self.kind == "loss":
            return math.log(max(1e-6, value))
        return (-value if maximize else value) / self.unit


def learn(epochs: Sequence[Epoch], objective: Objective, last: int) -> Shape:
    """The shape of the curves that were measured, extrapolated to epoch `last` by their own power law."""
    maximize = objective.goal == "maximize"
    curves: dict[str, dict[int, float]] = {}
    for epoch in epochs:
        value = epoch.metrics.get(objective.metric, math.nan)
        if math.isfinite(value):
            curves.setdefault(epoch.trial, {}).setdefault(epoch.epoch, value)
    values = [value for curve in curves.values() for value in curve.values()]
    if not values:
        return Shape("share" if maximize else "loss", math.log(0.1))
    kind = "share" if maximize and min(values) >= 0 and max(values) <= 1 else _loss(values, maximize)
    unit = _unit([curve[max(curve)] for curve in curves.values()]) if kind == "plain" else 1.0
    measured = Shape(kind, 0.0, unit=unit)
    errors = {n: {e: measured.log_error(v, maximize) for e, v in curve.items()} for n, curve in curves.items()}
    deepest = max(max(curve) for curve in errors.values())
    shaped = deepest >= min(SHAPED, last)
    slopes = {name: _slope(curve, shaped) for name, curve in errors.items()}
    known = [slope for slope in slopes.values() if slope is not None]
    decay = min(max(float(np.median(known)), 0.0), MOST_DECAY) if known else DECAY
    ends = np.array([_end(curve, last, decay, slopes[name]) for name, curve in errors.items()])
    left = math.log(max(1.0, last / deepest))
    spread = math.hypot(float(ends.std(ddof=1)), 0.0 if shaped else DECAY * left) if len(ends) >= ENOUGH else SPREAD
    slack = max(float(np.std(known)) if known else 0.0, DECAY / 2 if shaped else DECAY)
    doubt = math.hypot(slack * left, spread / math.sqrt(len(ends)))
    what = f"values (in units of {measured.unit:.2g})" if kind == "plain" else "log errors"
    few = "" if shaped else f"; before epoch {SHAPED} slopes are taken halfway to {DECAY:g}, and to differ by as much"
    basis = (
        f"{len(curves)} measured curves of {deepest} of {last} epochs show: {what} that improve with a slope of "
        f"{decay:.2g} and end {spread:.2g} apart (one standard deviation){few}"
    )
    level, spread = float(ends.mean()), max(LEAST_SPREAD, spread)
    cross = CROSS * max(1.0, spread / SPREAD)  # what differs more in the end is not told better by the first epochs
    return replace(measured, level=level, decay=decay, spread=spread, cross=cross, doubt=doubt, basis=basis)


def _unit(ends: Sequence[float]) -> float:
    """Of a metric of any scale: such that architectures differ by `SPREAD` units, as errors differ by that factor."""
    apart = float(np.std(ends, ddof=1)) if len(ends) > 1 else 0.0
    return (apart or max(map(abs, ends))) / SPREAD or 1.0


def _loss(values: Sequence[float], maximize: bool) -> str:
    return "loss" if not maximize and min(values) > 0 else "plain"


def _slope(curve: Mapping[int, float], shaped: bool) -> float | None:
    """By how much the logarithm of the error falls with that of the epochs, over the later half of a curve; halfway to
    `DECAY` where so few epochs tell little.
    """
    epochs = sorted(curve)[len(curve) // 2 - 1 if len(curve) > 2 else 0 :]
    if len(epochs) < 2:
        return None
    seen = float(-np.polyfit(np.log(np.array(epochs, dtype=float)), [curve[e] for e in epochs], 1)[0])
    return seen if shaped else (seen + DECAY) / 2


def _end(curve: Mapping[int, float], last: int, decay: float, own: float | None) -> float:
    """The log error at epoch `last`: by growth curves where five epochs were seen, else halfway between its own slope and
    that of all.
    """
    seen = max(curve)
    if seen >= last:
        return curve[last] if last in curve else curve[seen]
    found = parametric([curve[e] for e in sorted(curve)], last)
    if found is not None:
        return found.mean
    slope = decay if own is None else (decay + min(max(own, 0.0), MOST_DECAY)) / 2
    return curve[seen] - slope * math.log(last / seen)


class Landscape(Problem):
    """A problem on the job's own space, whose curves have a given shape.

    Args:
        space: of the job.
        objective: what is sought.
        epochs: the full fidelity; None where there are no epochs.
        shape: of the curves.
        seed: of the random parts: another seed is another landscape of the same kind.
    """

    name = "landscape"
    continuable = True
    split = "validation"

    def __init__(self, space: Space, objective: Objective, epochs: int | None, shape: Shape, seed: int) -> None:
        self.space, self.epochs = space, epochs
        self.shape = replace(shape, level=shape.level + shape.doubt * float(generator(seed, "level").normal()))
        self.objectives = (objective,)
        self._maximize = objective.goal == "maximize"
        self._metric = objective.metric
        self._seed = seed
        self._sample = [space.sample(generator(seed, "landscape", index)) for index in range(SAMPLED)]
        encoded = space.encode(self._sample)
        self._parts = generator(seed, "parts").normal(size=(encoded.shape[1], 2))
        raw = encoded @ self._parts
        self._center, self._scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
        self._known: dict[str, FloatArray] = {}

    def parts(self, architecture: Architecture) -> FloatArray:
        """[2] z and w; a low z is good."""
        if architecture.id not in self._known:
            raw = self.space.encode([architecture])[0] @ self._parts
            self._known[architecture.id] = (raw - self._center) / self._scale
        return self._known[architecture.id]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        shape, last = self.shape, self.epochs or 1
        z, w = self.parts(architecture)
        noise = generator(seed, "noise").normal(0, shape.noise, size=max(last, until(fidelity)))
        for step in range(1, until(fidelity) + 1):
            left = math.log(last / step) if step < last else 0.0
            mislead = shape.cross * w * math.sqrt(left / math.log(last)) if left else 0.0
            error = shape.level + shape.spread * z + shape.decay * left + mislead + float(noise[step - 1])
            yield Observation(step, {self._metric: shape.value(error, self._maximize)}, 1.0)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        z, _ = self.parts(architecture)
        return {self._metric: self.shape.value(self.shape.level + self.shape.spread * z, self._maximize)}

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        """The best found by climbing from the best of the sample, and the worst of the sample."""
        order = sorted(self._sample, key=lambda architecture: float(self.parts(architecture)[0]))
        best = order[0]
        while True:
            nearest = min(self.space.neighbors(best), key=lambda a: float(self.parts(a)[0]), default=best)
            if self.parts(nearest)[0] >= self.parts(best)[0]:
                break
            best = nearest
        worst = self.truth(order[-1])[self._metric]
        return {self._metric: Bounds(self.truth(best)[self._metric], worst)}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "seed": self._seed}


class Limited(Wrapper):
    """A table whose curves are seen up to `epochs` only; what is best in the end stays what it is."""

    def __init__(self, problem: Problem, epochs: int) -> None:
        super().__init__(problem, f"up to {epochs} epochs")
        self.epochs = epochs


def limited(problem: Problem, epochs: int | None) -> Callable[[int], Problem]:
    """The table for every seed, up to as many epochs as the job trains.

    Raises:
        JobError: the job trains for longer than the table knows.
    """
    if epochs is None or problem.epochs is None or epochs == problem.epochs:
        return lambda seed: problem
    if epochs > problem.epochs:
        raise JobError(f"epochs={epochs}, but the curves of {problem.name} have {problem.epochs}; give at most as many")
    shorter = Limited(problem, epochs)
    return lambda seed: shorter


def bundled(space: Space, objective: Objective) -> Problem | None:
    """The bundled table of learning curves, where it is of this space and knows the objective; None where it is not."""
    from ogive.bench import digits

    plain = digits.space_without_layers()
    if not digits.FILE.exists() or space.to_json()["decisions"] != plain.to_json()["decisions"]:
        return None
    return digits.load(objective.metric) if objective.metric in ("accuracy", "log_loss") else None
