"""How an epoch's time and a worker's start depend on the workers given to a trial: a model, fitted with its uncertainty.

Symbols: k workers given to one trial; n trials measured; u_i the logarithm of architecture i's factor.

    seconds of an epoch = (serial + parallel / k + communication (k - 1)) exp(u_i) exp(noise)

The first two terms are Amdahl's law (1967); the third is what the exchange of gradients adds with every further worker.
A worker's start-up, and what an attempt takes beside its epochs, are linear in k.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.monitor.cost import Interval
from ogive.planner.timings import Epoch, StartUp, Timings
from ogive.seeds import generator

DRAWS = 200
"""Resamplings of the trials from which intervals are taken."""
LEVEL = 0.9
"""What the intervals hold, as far as the model is right."""
START_NOISE = 0.1
"""The least that start-ups are taken to differ by from one start of the same workers to the next: the standard deviation of
their logarithm. Few of them, or one, show less."""
_Z = 1.6448536269514722  # of the normal distribution at LEVEL, both sides


@dataclass(frozen=True)
class Machine:
    """The fitted model; all times in seconds.

    Attributes:
        serial, parallel, communication: of an epoch of an architecture of middle cost; none is negative.
        start, start_each: a worker's start-up is `start + start_each k`.
        extra, extra_each: what an attempt takes beside its epochs, likewise.
        spread: standard deviation of the logarithm of the architectures' factors.
        noise: of an epoch's own, likewise.
    """

    serial: float
    parallel: float
    communication: float = 0.0
    start: float = 0.0
    start_each: float = 0.0
    extra: float = 0.0
    extra_each: float = 0.0
    spread: float = 0.0
    noise: float = 0.0

    def epoch(self, workers: int) -> float:
        """Seconds of an epoch of an architecture of middle cost."""
        return self.serial + self.parallel / workers + self.communication * (workers - 1)

    def mean_epoch(self, workers: int) -> float:
        """Seconds of an epoch, the mean over architectures."""
        return self.epoch(workers) * math.exp((self.spread**2 + self.noise**2) / 2)

    def start_up(self, workers: int) -> float:
        """Seconds before the first job of a worker that was just started."""
        return self.start + self.start_each * workers

    def attempt(self, workers: int) -> float:
        """Seconds of an attempt beside its epochs."""
        return self.extra + self.extra_each * workers


@dataclass(frozen=True)
class Fit:
    """A machine and how sure it is.

    Attributes:
        machine: fitted to everything.
        draws: fitted to resampled trials.
        measured: the numbers of workers that a trial was given, in order.
        trials: how many were measured.
        widen: by how much the logarithms of the draws are stretched around the fit: few trials are resampled too narrowly.
    """

    machine: Machine
    draws: tuple[Machine, ...]
    measured: tuple[int, ...]
    trials: int
    widen: float

    @cached_property
    def single(self) -> bool:
        """Whether nothing is known of how an epoch scales."""
        return len(self.measured) == 1

    def ratios(self, workers: int) -> FloatArray:
        """[draws] how many times as long an epoch may really take, on average over architectures."""
        return self._stretched(lambda machine: machine.mean_epoch(workers))

    def start_ratios(self, workers: int) -> FloatArray:
        """[draws] the same of a worker's start-up; ones where it takes no time."""
        return self._stretched(lambda machine: machine.start_up(workers))

    def _stretched(self, of: Callable[[Machine], float]) -> FloatArray:
        middle = of(self.machine)
        values = np.array([of(machine) for machine in self.draws])
        if middle <= 0:
            return np.ones(len(values))
        return np.asarray(np.maximum(values, 1e-3 * middle) / middle) ** self.widen

    def interval(self, of: Callable[[Machine], float]) -> Interval:
        """A quantity of the machine, and what it lies in at `LEVEL`."""
        middle = of(self.machine)
        low, high = np.quantile(self._stretched(of), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(middle * min(1.0, float(low)), middle, middle * max(1.0, float(high)))

    def term(self, of: Callable[[Machine], float]) -> Interval:
        """A term of the model, which may be 0, and what it lies in at `LEVEL`: differences from it are stretched."""
        middle = of(self.machine)
        values = middle + self.widen * (np.array([of(machine) for machine in self.draws]) - middle)
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(max(0.0, min(middle, float(low))), middle, max(middle, float(high)))


def fit(timings: Timings, seed: int = 0, draws: int = DRAWS) -> Fit:
    """Fit the model; the trials, with all that was measured of each, are resampled for the intervals.

    A trial that was measured with several numbers of workers tells how they scale, whatever its own cost. Two numbers of
    workers tell of one term beside the serial one, a single number of none.
    """
    from scipy.special import stdtrit

    seen, n = _seen(timings), len(timings.trials)
    rng, shaken = generator(seed, "plan", "resample"), generator(seed, "plan", "start")
    least = START_NOISE / math.sqrt(max(1, len(timings.start_ups)))
    machine = _fit(seen, timings.start_ups)
    found = []
    for _ in range(draws if n > 1 else 0):
        chosen = seen.of(rng.integers(n, size=n))
        factor = math.exp(least * shaken.normal())
        starts = [StartUp(s.workers, s.seconds * factor) for s in _resampled(timings.start_ups, rng)]
        # a resampling that has lost a number of workers says nothing of it
        found.append(_fit(chosen, starts) if chosen.there.any(axis=0).all() else machine)
    widen = math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, (1 + LEVEL) / 2)) / _Z if n > 1 else 1.0
    return Fit(machine, tuple(found) or (machine,), timings.workers, n, widen)


@dataclass(frozen=True)
class _Seen:
    """What was seen of n trials with K numbers of workers.

    Attributes:
        workers: [K] the numbers.
        means: [n, K] mean logarithm of an epoch's seconds, first epochs left out where there are others; 0 where nothing was
            seen.
        there: [n, K] whether something was.
        noise: [n, K] variance of those logarithms; NaN where there are fewer than two.
        extras: [n, K] by how many seconds the first epoch took longer than the others; NaN where that is not known.
    """

    workers: tuple[int, ...]
    means: FloatArray
    there: BoolArray
    noise: FloatArray
    extras: FloatArray

    def of(self, trials: IntArray) -> _Seen:
        """Of some of the trials, which may repeat."""
        return _Seen(self.workers, self.means[trials], self.there[trials], self.noise[trials], self.extras[trials])


def _seen(timings: Timings) -> _Seen:
    rows, columns = {name: i for i, name in enumerate(timings.trials)}, {k: i for i, k in enumerate(timings.workers)}
    cells: dict[tuple[int, int], list[Epoch]] = {}
    for epoch in timings.epochs:
        cells.setdefault((rows[epoch.trial], columns[epoch.workers]), []).append(epoch)
    means, noise, extras = np.zeros((3, len(rows), len(columns)))
    there = np.zeros((len(rows), len(columns)), dtype=bool)
    noise[:], extras[:] = np.nan, np.nan
    for place, epochs in cells.items():
        first, later = ([epoch.seconds for epoch in epochs if epoch.first is which] for which in (True, False))
        logs = np.log(later or first)
        there[place], means[place] = True, logs.mean()
        if len(logs) > 1:
            noise[place] = logs.var(ddof=1)
        if first and later:
            extras[place] = max(0.0, float(np.mean(first) - np.mean(later)))
    return _Seen(timings.workers, means, there, noise, extras)


def _resampled(starts: Sequence[StartUp], rng: np.random.Generator) -> list[StartUp]:
    """Start-ups resampled among those with as many workers."""
    result = []
    for workers in sorted({start.workers for start in starts}):
        same = [start for start in starts if start.workers == workers]
        result += [same[i] for i in rng.integers(len(same), size=len(same))]
    return result


def _fit(seen: _Seen, starts: Sequence[StartUp]) -> Machine:
    levels, spread = _random_effects(seen)
    serial, parallel, communication = _amdahl(seen.workers, np.exp(levels))
    start, start_each = _line([(s.workers, s.seconds) for s in starts])
    known = [(k, float(extra)) for k, column in zip(seen.workers, seen.extras.T, strict=True) for extra in column]
    extra, extra_each = _line([(k, extra) for k, extra in known if not math.isnan(extra)])
    within = seen.noise[~np.isnan(seen.noise)]
    noise = math.sqrt(float(within.mean())) if len(within) else 0.0
    return Machine(serial, parallel, communication, start, start_each, extra, extra_each, spread, noise)


def _random_effects(seen: _Seen) -> tuple[FloatArray, float]:
    """[K] mean logarithms over architectures, and the spread between architectures.

    A model of random effects by generalised least squares (Swamy and Arora 1972): what a trial shows with one number of
    workers is shifted by its own factor as what it shows with another is, so differences within trials tell the scaling.
    """
    there, counts = seen.there, seen.there.sum(axis=1)
    levels, spread = _solve(seen, np.zeros(len(counts))), 0.0
    for _ in range(3):  # from no effects to those that the residuals show
        rests = np.where(there, seen.means - levels, 0.0)
        effects = rests.sum(axis=1) / counts
        degrees = int((counts - 1).sum())
        inner = float((np.where(there, rests - effects[:, None], 0.0) ** 2).sum()) / degrees if degrees else 0.0
        between = float(effects.var(ddof=1)) if len(effects) > 1 else 0.0
        spread = math.sqrt(max(0.0, between - inner / float(counts.mean())))
        levels = _solve(seen, np.array([_share(inner, count * spread**2) for count in counts]))
    return levels, spread


def _share(inner: float, outer: float) -> float:
    """How much of a trial's own mean is its own; below 1, since nothing would be left to tell the level."""
    return min(0.95, 1 - math.sqrt(inner / (inner + outer))) if inner + outer > 0 else 0.0


def _solve(seen: _Seen, shares: FloatArray) -> FloatArray:
    """[K] levels by least squares, after each trial's own mean was taken off to its share [n]: the normal equations."""
    there, counts = seen.there.astype(float), seen.there.sum(axis=1)
    taken = 2 * shares - shares**2
    matrix = np.diag(there.sum(axis=0)) - there.T @ (there * (taken / counts)[:, None])
    right = seen.means.sum(axis=0) - there.T @ (taken * seen.means.sum(axis=1) / counts)
    return np.asarray(np.linalg.solve(matrix, right))


def _amdahl(workers: Sequence[int], seconds: FloatArray) -> tuple[float, float, float]:
    """Serial, parallel and communication, none negative, by least squares of the relative errors."""
    from scipy.optimize import nnls

    k = np.array(workers, dtype=float)
    if len(k) == 1:
        return float(seconds[0]), 0.0, 0.0
    terms = np.stack([np.ones_like(k), 1 / k, k - 1], axis=1)
    used = [0, 1, 2] if len(k) > 2 else [0, 1] if seconds[1] <= seconds[0] else [0, 2]  # no more than can be told apart
    found = np.zeros(3)
    found[used], _ = nnls(terms[:, used] / seconds[:, None], np.ones_like(k))
    return float(found[0]), float(found[1]), float(found[2])


def _line(pairs: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Intercept and slope, none negative, of seconds over workers, by least squares of the relative errors."""
    from scipy.optimize import nnls

    grouped: dict[int, list[float]] = {}
    for workers, seconds in pairs:
        grouped.setdefault(workers, []).append(seconds)
    if not grouped:
        return 0.0, 0.0
    k = np.array(sorted(grouped), dtype=float)
    middle = np.array([float(np.median(grouped[int(each)])) for each in k])
    if len(k) == 1 or middle.min() <= 0:
        return max(0.0, float(middle.mean())), 0.0
    found, _ = nnls(np.stack([np.ones_like(k), k], axis=1) / middle[:, None], np.ones_like(k))
    return float(found[0]), float(found[1])
