"""A model of how the time of an epoch and the start-up of a worker depend on the workers of a trial, and its uncertainty.

Symbols: k is the number of workers of a trial; n trials were measured with K different numbers of workers; d machines are
fitted to resampled trials; u_i is the logarithm of the duration factor of architecture i, by which its epochs take longer
than those of the median architecture.

    seconds of an epoch = (serial + parallel / k + communication (k - 1)) exp(u_i) exp(noise)

The first two terms are Amdahl's law (1967). The third is the exchange of gradients, which takes longer with each further
worker. The start-up of a worker, and the time of an attempt besides its epochs, are linear in k.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.monitor.cost import Interval
from ogive.planner.timings import MeasuredEpoch, MeasuredStartUp, Timings
from ogive.seeds import generator

RESAMPLES = 200
"""The number of resamplings of the trials, from which intervals are computed."""
INTERVAL_LEVEL = 0.9
"""The nominal coverage of the intervals."""
START_NOISE = 0.1
"""The assumed standard deviation of the logarithm of a start-up time. It is assumed, because only few start-ups are
measured."""
_NORMAL_QUANTILE = 1.6448536269514722
"""The (1 + INTERVAL_LEVEL) / 2 quantile of the normal distribution."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The parameters of the model; all times are in seconds.

    Attributes:
        serial: the part of an epoch that does not depend on the number of workers, for an architecture of median duration.
        parallel: the part of an epoch that the workers share, for an architecture of median duration.
        communication: the additional time of an epoch for each further worker.
        start_up_base: the part of a worker's start-up that does not depend on the number of workers.
        start_up_per_worker: the additional time of a start-up for each worker.
        attempt_base: the part of an attempt, besides its epochs, that does not depend on the number of workers.
        attempt_per_worker: the additional time of an attempt for each worker.
        spread: the standard deviation of the logarithm of the architectures' duration factors.
        noise: the standard deviation of the logarithm of an epoch's time around its expectation.
    """

    serial: float
    parallel: float
    communication: float = 0.0
    start_up_base: float = 0.0
    start_up_per_worker: float = 0.0
    attempt_base: float = 0.0
    attempt_per_worker: float = 0.0
    spread: float = 0.0
    noise: float = 0.0

    def compute_epoch_seconds(self, workers: int) -> float:
        """Return the seconds of an epoch of an architecture of median duration."""
        return self.serial + self.parallel / workers + self.communication * (workers - 1)

    def compute_mean_epoch_seconds(self, workers: int) -> float:
        """Return the mean seconds of an epoch over architectures."""
        # The mean of a log-normal distribution with the median `compute_epoch_seconds`.
        return self.compute_epoch_seconds(workers) * math.exp((self.spread**2 + self.noise**2) / 2)

    def compute_start_up_seconds(self, workers: int) -> float:
        """Return the seconds from the start of a worker to its first job."""
        return self.start_up_base + self.start_up_per_worker * workers

    def compute_attempt_seconds(self, workers: int) -> float:
        """Return the seconds of an attempt besides its epochs."""
        return self.attempt_base + self.attempt_per_worker * workers


@dataclass(frozen=True, kw_only=True)
class MachineFit:
    """A fitted machine and its uncertainty.

    Attributes:
        machine: the machine that was fitted to all trials.
        resampled: the machines that were fitted to resampled trials.
        measured: the numbers of workers per trial that were measured, in increasing order.
        trials: the number of measured trials.
        widening: the factor by which the deviations of `resampled` from `machine` are multiplied, because resampling of few
            trials gives intervals that are too narrow.
    """

    machine: Machine
    resampled: tuple[Machine, ...]
    measured: tuple[int, ...]
    trials: int
    widening: float

    @cached_property
    def has_one_size(self) -> bool:
        """Whether only one number of workers per trial was measured, so that the scaling is unknown."""
        return len(self.measured) == 1

    def draw_epoch_ratios(self, workers: int) -> FloatArray:
        """Return draws [d] of the ratio of the true mean time of an epoch to its fitted mean time."""
        return self._draw_ratios(lambda machine: machine.compute_mean_epoch_seconds(workers))

    def draw_start_up_ratios(self, workers: int) -> FloatArray:
        """Return draws [d] of the ratio of the true start-up time to its fitted time; ones if the fitted time is 0."""
        return self._draw_ratios(lambda machine: machine.compute_start_up_seconds(workers))

    def _draw_ratios(self, quantity: Callable[[Machine], float]) -> FloatArray:
        """Return draws [d] of the ratio of the true value of a positive quantity to its fitted value."""
        fitted = quantity(self.machine)
        values = np.array([quantity(machine) for machine in self.resampled])
        if fitted <= 0:
            return np.ones(len(values))
        # The power multiplies the deviation of the logarithm, which a ratio of 0 would not have.
        return np.asarray(np.maximum(values, 1e-3 * fitted) / fitted) ** self.widening

    def compute_interval(self, quantity: Callable[[Machine], float]) -> Interval:
        """Return a positive quantity of the machine with its interval at `INTERVAL_LEVEL`."""
        fitted = quantity(self.machine)
        low, high = np.quantile(self._draw_ratios(quantity), [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
        return Interval(fitted * min(1.0, float(low)), fitted, fitted * max(1.0, float(high)))

    def compute_term_interval(self, term: Callable[[Machine], float]) -> Interval:
        """Return a term of the model, which may be 0, with its interval at `INTERVAL_LEVEL`."""
        # A term that may be 0 has no ratios, so the deviations themselves are multiplied.
        fitted = term(self.machine)
        values = fitted + self.widening * (np.array([term(machine) for machine in self.resampled]) - fitted)
        low, high = np.quantile(values, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
        return Interval(max(0.0, min(fitted, float(low))), fitted, max(fitted, float(high)))


def fit_machine(timings: Timings, seed: int = 0, resamples: int = RESAMPLES) -> MachineFit:
    """Fit the model to measured durations and, for the intervals, to resampled trials.

    A trial that was measured with several numbers of workers shows the scaling, even if its epochs are longer than those of
    other trials. With two numbers of workers, only one term besides the serial term can be fitted; with a single number,
    only the serial term.

    Args:
        timings: the durations of at least one epoch.
        seed: the seed of the resampling.
        resamples: the number of resamplings.
    """
    from scipy.special import stdtrit

    cells, n = _summarize(timings), len(timings.trials)
    rng, start_rng = generator(seed, "plan", "resample"), generator(seed, "plan", "start")
    start_noise = START_NOISE / math.sqrt(max(1, len(timings.start_ups)))
    machine = _fit(cells, timings.start_ups)
    resampled = []
    for _ in range(resamples if n > 1 else 0):
        # Bootstrap: a trial is resampled with all its measurements.
        sample = cells.select(rng.integers(n, size=n))
        factor = math.exp(start_noise * start_rng.normal())
        resampled_start_ups = [
            MeasuredStartUp(s.workers, s.seconds * factor) for s in _resample(timings.start_ups, rng)
        ]
        # A sample in which no trial has a certain number of workers cannot be fitted; use the machine of all trials instead.
        resampled.append(_fit(sample, resampled_start_ups) if sample.is_measured.any(axis=0).all() else machine)
    # Correct for few trials: by the bias of the bootstrap variance, and by Student's quantile instead of the normal one.
    quantile = float(stdtrit(n - 1, (1 + INTERVAL_LEVEL) / 2)) if n > 1 else _NORMAL_QUANTILE
    widening = math.sqrt(n / (n - 1)) * quantile / _NORMAL_QUANTILE if n > 1 else 1.0
    return MachineFit(
        machine=machine,
        # A single trial cannot be resampled; then there is no uncertainty.
        resampled=tuple(resampled) or (machine,),
        measured=timings.workers,
        trials=n,
        widening=widening,
    )


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The measurements of n trials with K numbers of workers: a cell for each pair of a trial and a number of workers.

    Attributes:
        workers: the K numbers of workers.
        means: the mean logarithm [n, K] of an epoch's seconds, without first epochs if there are others; 0 in empty cells.
        is_measured: whether each cell [n, K] has measurements.
        variances: the variance [n, K] of the logarithms; NaN with fewer than two epochs.
        extras: the seconds [n, K] by which the first epoch took longer than the others; NaN if unknown.
    """

    workers: tuple[int, ...]
    means: FloatArray
    is_measured: BoolArray
    variances: FloatArray
    extras: FloatArray

    def select(self, trials: IntArray) -> _Cells:
        """Return the cells of some of the trials, which may repeat."""
        return _Cells(
            workers=self.workers,
            means=self.means[trials],
            is_measured=self.is_measured[trials],
            variances=self.variances[trials],
            extras=self.extras[trials],
        )


def _summarize(timings: Timings) -> _Cells:
    """Return the measurements of all trials, summarized by cell."""
    rows, columns = {name: i for i, name in enumerate(timings.trials)}, {k: i for i, k in enumerate(timings.workers)}
    cells: dict[tuple[int, int], list[MeasuredEpoch]] = {}
    for epoch in timings.epochs:
        cells.setdefault((rows[epoch.trial], columns[epoch.workers]), []).append(epoch)
    means, variances, extras = np.zeros((3, len(rows), len(columns)))
    is_measured = np.zeros((len(rows), len(columns)), dtype=bool)
    variances[:], extras[:] = np.nan, np.nan
    for cell, epochs in cells.items():
        first_epoch_seconds = [epoch.seconds for epoch in epochs if epoch.first]
        later_epoch_seconds = [epoch.seconds for epoch in epochs if not epoch.first]
        logs = np.log(later_epoch_seconds or first_epoch_seconds)
        is_measured[cell], means[cell] = True, logs.mean()
        if len(logs) > 1:
            variances[cell] = logs.var(ddof=1)
        if first_epoch_seconds and later_epoch_seconds:
            extras[cell] = max(0.0, float(np.mean(first_epoch_seconds) - np.mean(later_epoch_seconds)))
    return _Cells(workers=timings.workers, means=means, is_measured=is_measured, variances=variances, extras=extras)


def _resample(start_ups: Sequence[MeasuredStartUp], rng: np.random.Generator) -> list[MeasuredStartUp]:
    """Return resampled start-ups: each one is replaced by a random one with the same number of workers."""
    result = []
    for workers in sorted({start_up.workers for start_up in start_ups}):
        same_size = [start_up for start_up in start_ups if start_up.workers == workers]
        result += [same_size[i] for i in rng.integers(len(same_size), size=len(same_size))]
    return result


def _fit(cells: _Cells, start_ups: Sequence[MeasuredStartUp]) -> Machine:
    """Return the machine that fits the measurements."""
    levels, spread = _fit_random_effects(cells)
    serial, parallel, communication = _fit_amdahl(cells.workers, np.exp(levels))
    start_up_base, start_up_per_worker = _fit_line([(s.workers, s.seconds) for s in start_ups])
    extras = [(k, float(extra)) for k, column in zip(cells.workers, cells.extras.T, strict=True) for extra in column]
    attempt_base, attempt_per_worker = _fit_line([(k, extra) for k, extra in extras if not math.isnan(extra)])
    variances = cells.variances[~np.isnan(cells.variances)]
    noise = math.sqrt(float(variances.mean())) if len(variances) else 0.0
    return Machine(
        serial=serial,
        parallel=parallel,
        communication=communication,
        start_up_base=start_up_base,
        start_up_per_worker=start_up_per_worker,
        attempt_base=attempt_base,
        attempt_per_worker=attempt_per_worker,
        spread=spread,
        noise=noise,
    )


def _fit_random_effects(cells: _Cells) -> tuple[FloatArray, float]:
    """Return the mean logarithms [K] of an epoch's seconds over architectures, and the spread between architectures.

    This is a random-effects model, fitted by generalised least squares (Swamy and Arora 1972). The random effect of a trial
    is the logarithm of its duration factor, which is the same for all numbers of workers. So the differences within a trial
    show the scaling.
    """
    is_measured, counts = cells.is_measured, cells.is_measured.sum(axis=1)
    levels, spread = _solve_levels(cells, np.zeros(len(counts))), 0.0
    # Start with levels that ignore the effects. Each pass estimates the variances from the residuals of the previous levels.
    for _ in range(3):
        # Step 1: the variance components, within trials and between the mean residuals of trials.
        residuals = np.where(is_measured, cells.means - levels, 0.0)
        effects = residuals.sum(axis=1) / counts
        degrees = int((counts - 1).sum())
        within = (
            float((np.where(is_measured, residuals - effects[:, None], 0.0) ** 2).sum()) / degrees if degrees else 0.0
        )
        between = float(effects.var(ddof=1)) if len(effects) > 1 else 0.0
        spread = math.sqrt(max(0.0, between - within / float(counts.mean())))
        # Step 2: least squares, after a share of each trial's mean is subtracted.
        levels = _solve_levels(
            cells, np.array([_compute_demeaning_share(within, count * spread**2) for count in counts])
        )
    return levels, spread


def _compute_demeaning_share(within: float, between: float) -> float:
    """Return the share of a trial's mean that is subtracted from its measurements, in [0, 0.95].

    The share must be below 1: if the whole mean were subtracted, the measurements would not determine the levels.

    Args:
        within: the variance of a measurement within the trial.
        between: the variance of the trial's effect, multiplied by the number of its measurements.
    """
    return min(0.95, 1 - math.sqrt(within / (within + between))) if within + between > 0 else 0.0


def _solve_levels(cells: _Cells, shares: FloatArray) -> FloatArray:
    """Return the levels [K] by least squares, after the share `shares` [n] of each trial's mean is subtracted."""
    # The normal equations: with the share s, the sum of squares contains the trial's mean with the weight 2 s - s^2.
    is_measured, counts = cells.is_measured.astype(float), cells.is_measured.sum(axis=1)
    weights = 2 * shares - shares**2
    matrix = np.diag(is_measured.sum(axis=0)) - is_measured.T @ (is_measured * (weights / counts)[:, None])
    right = cells.means.sum(axis=0) - is_measured.T @ (weights * cells.means.sum(axis=1) / counts)
    return np.asarray(np.linalg.solve(matrix, right))


def _fit_amdahl(workers: Sequence[int], seconds: FloatArray) -> tuple[float, float, float]:
    """Return the terms serial, parallel and communication, all at least 0, by least squares of the relative errors.

    Args:
        workers: the K numbers of workers, in increasing order.
        seconds: the seconds [K] of an epoch of an architecture of median duration.
    """
    from scipy.optimize import nnls

    k = np.array(workers, dtype=float)
    if len(k) == 1:
        return float(seconds[0]), 0.0, 0.0
    terms = np.stack([np.ones_like(k), 1 / k, k - 1], axis=1)
    # Two numbers of workers determine only two terms. The second is `parallel` if more workers are faster, and
    # `communication` otherwise.
    columns = [0, 1, 2] if len(k) > 2 else [0, 1] if seconds[1] <= seconds[0] else [0, 2]
    values = np.zeros(3)
    values[columns], _ = nnls(terms[:, columns] / seconds[:, None], np.ones_like(k))
    return float(values[0]), float(values[1]), float(values[2])


def _fit_line(pairs: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return the intercept and the slope of a line, both at least 0, by least squares of the relative errors.

    The line is fitted to the median of the seconds for each number of workers. Without pairs, intercept and slope are 0.

    Args:
        pairs: numbers of workers, with the measured seconds.
    """
    from scipy.optimize import nnls

    grouped: dict[int, list[float]] = {}
    for workers, seconds in pairs:
        grouped.setdefault(workers, []).append(seconds)
    if not grouped:
        return 0.0, 0.0
    k = np.array(sorted(grouped), dtype=float)
    medians = np.array([float(np.median(grouped[int(workers)])) for workers in k])
    if len(k) == 1 or medians.min() <= 0:
        return max(0.0, float(medians.mean())), 0.0
    values, _ = nnls(np.stack([np.ones_like(k), k], axis=1) / medians[:, None], np.ones_like(k))
    return float(values[0]), float(values[1])
