"""A model of how an epoch's time and a worker's start-up depend on the workers of a trial, fitted with its uncertainty.

Symbols: k workers of one trial; n trials measured, with K different numbers of workers; u_i the logarithm of the cost factor
of architecture i.

    seconds of an epoch = (serial + parallel / k + communication (k - 1)) exp(u_i) exp(noise)

The first two terms are Amdahl's law (1967). The third is the exchange of gradients, which takes longer with every further
worker. A worker's start-up, and the time of an attempt beside its epochs, are linear in k.
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

RESAMPLES = 200
"""Resamplings of the trials from which intervals are computed."""
LEVEL = 0.9
"""The nominal coverage of the intervals."""
START_NOISE = 0.1
"""The least standard deviation of the logarithm of start-up times. A few measured start-ups, or one, show less."""
_Z = 1.6448536269514722  # the (1 + LEVEL) / 2 quantile of the normal distribution


@dataclass(frozen=True)
class Machine:
    """The parameters of the model; all times in seconds.

    Attributes:
        serial: the part of an epoch that does not get faster with more workers, of an architecture of median cost.
        parallel: the part of an epoch that the workers share.
        communication: the time by which an epoch takes longer with every further worker.
        start: a worker's start-up is `start + start_each k`.
        start_each: see `start`.
        extra: the time of an attempt beside its epochs is `extra + extra_each k`.
        extra_each: see `extra`.
        spread: standard deviation of the logarithm of the architectures' cost factors.
        noise: standard deviation of the logarithm of an epoch's own noise.
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
        """Return the seconds of an epoch of an architecture of median cost."""
        return self.serial + self.parallel / workers + self.communication * (workers - 1)

    def mean_epoch(self, workers: int) -> float:
        """Return the mean seconds of an epoch over architectures."""
        return self.epoch(workers) * math.exp((self.spread**2 + self.noise**2) / 2)

    def start_up(self, workers: int) -> float:
        """Return the seconds from the start of a worker to its first job."""
        return self.start + self.start_each * workers

    def attempt(self, workers: int) -> float:
        """Return the seconds of an attempt beside its epochs."""
        return self.extra + self.extra_each * workers


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted machine and its uncertainty.

    Attributes:
        machine: fitted to all trials.
        resampled: machines that were fitted to resampled trials.
        measured: the numbers of workers that were measured, in increasing order.
        trials: how many were measured.
        widening: the factor by which the logarithms of `resampled` are stretched around the fit, because resampling few
            trials gives intervals that are too narrow.
    """

    machine: Machine
    resampled: tuple[Machine, ...]
    measured: tuple[int, ...]
    trials: int
    widening: float

    @cached_property
    def has_one_size(self) -> bool:
        """Whether only one number of workers was measured, so that the scaling is unknown."""
        return len(self.measured) == 1

    def ratios(self, workers: int) -> FloatArray:
        """Return samples [draws] of the ratio of the true mean epoch to the fitted one."""
        return self._widened_ratios(lambda machine: machine.mean_epoch(workers))

    def start_ratios(self, workers: int) -> FloatArray:
        """Return samples [draws] of the ratio of the true start-up to the fitted one; ones if it takes no time."""
        return self._widened_ratios(lambda machine: machine.start_up(workers))

    def _widened_ratios(self, quantity: Callable[[Machine], float]) -> FloatArray:
        fitted = quantity(self.machine)
        values = np.array([quantity(machine) for machine in self.resampled])
        if fitted <= 0:
            return np.ones(len(values))
        return np.asarray(np.maximum(values, 1e-3 * fitted) / fitted) ** self.widening

    def interval(self, quantity: Callable[[Machine], float]) -> Interval:
        """Return a positive quantity of the machine with its interval at `LEVEL`."""
        fitted = quantity(self.machine)
        low, high = np.quantile(self._widened_ratios(quantity), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(fitted * min(1.0, float(low)), fitted, fitted * max(1.0, float(high)))

    def term_interval(self, term: Callable[[Machine], float]) -> Interval:
        """Return a term of the model, which may be 0, with its interval at `LEVEL`; differences are widened, not ratios."""
        fitted = term(self.machine)
        values = fitted + self.widening * (np.array([term(machine) for machine in self.resampled]) - fitted)
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(max(0.0, min(fitted, float(low))), fitted, max(fitted, float(high)))


def fit_machine(timings: Timings, seed: int = 0, resamples: int = RESAMPLES) -> Fit:
    """Fit the model to measured durations, and to resampled trials for the intervals.

    A trial is resampled with all of its measurements. A trial that was measured with several numbers of workers shows how
    they scale, whatever its own cost is. Two numbers of workers determine one term beside the serial one; a single number
    determines none.

    Args:
        timings: of at least one epoch.
        seed: of the resampling.
        resamples: how many times the trials are resampled.
    """
    from scipy.special import stdtrit

    cells, n = _summarize(timings), len(timings.trials)
    rng, start_rng = generator(seed, "plan", "resample"), generator(seed, "plan", "start")
    start_noise = START_NOISE / math.sqrt(max(1, len(timings.start_ups)))
    machine = _fit(cells, timings.start_ups)
    resampled = []
    for _ in range(resamples if n > 1 else 0):
        chosen = cells.select(rng.integers(n, size=n))
        factor = math.exp(start_noise * start_rng.normal())
        starts = [StartUp(s.workers, s.seconds * factor) for s in _resample(timings.start_ups, rng)]
        # A resample without any trial of some number of workers cannot be fitted; it keeps the machine of all trials.
        resampled.append(_fit(chosen, starts) if chosen.is_measured.any(axis=0).all() else machine)
    # Student's quantile over the normal one, and the bias of the resampled variance, correct for few trials.
    widening = math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, (1 + LEVEL) / 2)) / _Z if n > 1 else 1.0
    return Fit(
        machine=machine,
        resampled=tuple(resampled) or (machine,),
        measured=timings.workers,
        trials=n,
        widening=widening,
    )


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """Measurements of n trials with K numbers of workers: a cell for each pair.

    Attributes:
        workers: the K numbers.
        means: [n, K] mean logarithm of an epoch's seconds, without first epochs if there are others; 0 in empty cells.
        is_measured: [n, K] whether the cell has measurements.
        noise: [n, K] variance of the logarithms; NaN with fewer than two.
        extras: [n, K] seconds by which the first epoch took longer than the others; NaN if unknown.
    """

    workers: tuple[int, ...]
    means: FloatArray
    is_measured: BoolArray
    noise: FloatArray
    extras: FloatArray

    def select(self, trials: IntArray) -> _Cells:
        """Return the cells of some of the trials, which may repeat."""
        return _Cells(
            workers=self.workers,
            means=self.means[trials],
            is_measured=self.is_measured[trials],
            noise=self.noise[trials],
            extras=self.extras[trials],
        )


def _summarize(timings: Timings) -> _Cells:
    rows, columns = {name: i for i, name in enumerate(timings.trials)}, {k: i for i, k in enumerate(timings.workers)}
    cells: dict[tuple[int, int], list[Epoch]] = {}
    for epoch in timings.epochs:
        cells.setdefault((rows[epoch.trial], columns[epoch.workers]), []).append(epoch)
    means, noise, extras = np.zeros((3, len(rows), len(columns)))
    is_measured = np.zeros((len(rows), len(columns)), dtype=bool)
    noise[:], extras[:] = np.nan, np.nan
    for cell, epochs in cells.items():
        first, later = ([epoch.seconds for epoch in epochs if epoch.first is which] for which in (True, False))
        logs = np.log(later or first)
        is_measured[cell], means[cell] = True, logs.mean()
        if len(logs) > 1:
            noise[cell] = logs.var(ddof=1)
        if first and later:
            extras[cell] = max(0.0, float(np.mean(first) - np.mean(later)))
    return _Cells(workers=timings.workers, means=means, is_measured=is_measured, noise=noise, extras=extras)


def _resample(starts: Sequence[StartUp], rng: np.random.Generator) -> list[StartUp]:
    """Return start-ups that are resampled among those with the same number of workers."""
    result = []
    for workers in sorted({start.workers for start in starts}):
        same = [start for start in starts if start.workers == workers]
        result += [same[i] for i in rng.integers(len(same), size=len(same))]
    return result


def _fit(cells: _Cells, starts: Sequence[StartUp]) -> Machine:
    levels, spread = _fit_random_effects(cells)
    serial, parallel, communication = _fit_amdahl(cells.workers, np.exp(levels))
    start, start_each = _fit_line([(s.workers, s.seconds) for s in starts])
    extras = [(k, float(extra)) for k, column in zip(cells.workers, cells.extras.T, strict=True) for extra in column]
    extra, extra_each = _fit_line([(k, extra) for k, extra in extras if not math.isnan(extra)])
    variances = cells.noise[~np.isnan(cells.noise)]
    noise = math.sqrt(float(variances.mean())) if len(variances) else 0.0
    return Machine(
        serial=serial,
        parallel=parallel,
        communication=communication,
        start=start,
        start_each=start_each,
        extra=extra,
        extra_each=extra_each,
        spread=spread,
        noise=noise,
    )


def _fit_random_effects(cells: _Cells) -> tuple[FloatArray, float]:
    """Return the mean logarithms [K] over architectures, and the spread between architectures.

    A random-effects model by generalised least squares (Swamy and Arora 1972). A trial's cost factor
    multiplies its durations with every number of workers, so the differences within a trial show the scaling.
    """
    is_measured, counts = cells.is_measured, cells.is_measured.sum(axis=1)
    levels, spread = _solve_levels(cells, np.zeros(len(counts))), 0.0
    for _ in range(3):  # the first pass has no effects; the next ones use the variances of the last residuals
        # Variance components: within trials, and between the trials' mean residuals.
        residuals = np.where(is_measured, cells.means - levels, 0.0)
        effects = residuals.sum(axis=1) / counts
        degrees = int((counts - 1).sum())
        within = (
            float((np.where(is_measured, residuals - effects[:, None], 0.0) ** 2).sum()) / degrees if degrees else 0.0
        )
        between = float(effects.var(ddof=1)) if len(effects) > 1 else 0.0
        spread = math.sqrt(max(0.0, between - within / float(counts.mean())))
        # Least squares after a share of each trial's mean is subtracted.
        levels = _solve_levels(cells, np.array([_demeaning_share(within, count * spread**2) for count in counts]))
    return levels, spread


def _demeaning_share(within: float, between: float) -> float:
    """Return the share of a trial's mean to subtract, from its variances; below 1, or the level would be undetermined."""
    return min(0.95, 1 - math.sqrt(within / (within + between))) if within + between > 0 else 0.0


def _solve_levels(cells: _Cells, shares: FloatArray) -> FloatArray:
    """Return the levels [K] by least squares, after `shares` [n] of each trial's mean are subtracted (normal equations)."""
    is_measured, counts = cells.is_measured.astype(float), cells.is_measured.sum(axis=1)
    weights = 2 * shares - shares**2
    matrix = np.diag(is_measured.sum(axis=0)) - is_measured.T @ (is_measured * (weights / counts)[:, None])
    right = cells.means.sum(axis=0) - is_measured.T @ (weights * cells.means.sum(axis=1) / counts)
    return np.asarray(np.linalg.solve(matrix, right))


def _fit_amdahl(workers: Sequence[int], seconds: FloatArray) -> tuple[float, float, float]:
    """Return serial, parallel and communication, all at least 0, by least squares of the relative errors."""
    from scipy.optimize import nnls

    k = np.array(workers, dtype=float)
    if len(k) == 1:
        return float(seconds[0]), 0.0, 0.0
    terms = np.stack([np.ones_like(k), 1 / k, k - 1], axis=1)
    # Two numbers of workers determine two terms: the second is `parallel` if more workers are faster.
    used = [0, 1, 2] if len(k) > 2 else [0, 1] if seconds[1] <= seconds[0] else [0, 2]
    values = np.zeros(3)
    values[used], _ = nnls(terms[:, used] / seconds[:, None], np.ones_like(k))
    return float(values[0]), float(values[1]), float(values[2])


def _fit_line(pairs: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope of seconds over workers, both at least 0, by least squares of the relative errors."""
    from scipy.optimize import nnls

    grouped: dict[int, list[float]] = {}
    for workers, seconds in pairs:
        grouped.setdefault(workers, []).append(seconds)
    if not grouped:
        return 0.0, 0.0
    k = np.array(sorted(grouped), dtype=float)
    medians = np.array([float(np.median(grouped[int(each)])) for each in k])
    if len(k) == 1 or medians.min() <= 0:
        return max(0.0, float(medians.mean())), 0.0
    values, _ = nnls(np.stack([np.ones_like(k), k], axis=1) / medians[:, None], np.ones_like(k))
    return float(values[0]), float(values[1])
