"""The forecast for each split of the workers, from its simulated searches and the uncertainty of the machine.

Symbol: d is the number of machines that are drawn from the machine's uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ogive.arrays import FloatArray
from ogive.monitor.cost import Interval
from ogive.planner.machine import INTERVAL_LEVEL, Machine, MachineFit
from ogive.planner.plan import SplitForecast
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.seeds import generator

MAX_NEAR_RATIO = 1.1
"""A split is near the fastest split if it takes at most this multiple of the fastest split's time."""
COMPARISON_DRAWS = 1000
"""The number of draws of the mean time of each split, by which the splits are compared."""
PREDICTION_DRAWS = 2000
"""About this many draws of the duration of one search are made, or one for each drawn machine if that is more."""
MAX_DEVIATIONS = 10.0
"""Draws of Student's distribution are clipped to this many standard deviations."""
PACE_POINTS = 10
"""The number of points of a search at which its progress is forecast."""

Searches = Mapping[WorkerSplit, Sequence[SimulatedSearch]]
"""The simulated searches of each split, one for each seed; every split has the same seeds."""


def forecast_splits(
    searches: Searches, fitted: MachineFit, planned: PlannedSearch, *, regret: float, seed: int
) -> list[SplitForecast]:
    """Return the forecast for each split.

    Args:
        searches: the searches that were simulated with the fitted machine.
        fitted: the machine and its uncertainty.
        planned: the search that was simulated.
        regret: the target regret, in the unit of the first objective; the time until it is reached is forecast.
        seed: the seed of the draws.
    """
    mean_seconds = draw_mean_seconds(searches, fitted, seed)
    least_seconds, fastest_index = mean_seconds.min(axis=0), mean_seconds.argmin(axis=0)
    rows = []
    for index, (split, split_searches) in enumerate(searches.items()):
        workers_per_trial = split.workers_per_trial
        simulated_seconds = [search.seconds for search in split_searches]
        seconds = _predict_seconds(_draw_machine_seconds(simulated_seconds, split, fitted), simulated_seconds, seed)
        money_per_second = None
        if planned.price is not None:
            money_per_second = planned.price.compute_hourly_cost(planned.count_billed_workers(split)) / SECONDS_PER_HOUR
        rows.append(
            SplitForecast(
                split=split,
                epoch=fitted.compute_interval(partial(Machine.compute_mean_epoch_seconds, workers=workers_per_trial)),
                start_up=fitted.compute_interval(partial(Machine.compute_start_up_seconds, workers=workers_per_trial)),
                seconds=seconds,
                regret_seconds=_predict_regret_seconds(
                    [search.find_time_to_regret(regret) for search in split_searches], split, fitted
                ),
                worker_hours=seconds.scaled_by(split.workers / SECONDS_PER_HOUR),
                money=None if money_per_second is None else seconds.scaled_by(money_per_second),
                value=predict_value([search.value for search in split_searches]),
                fastest=float(np.mean(fastest_index == index)),
                near=float(np.mean(mean_seconds[index] <= MAX_NEAR_RATIO * least_seconds)),
                pace=_predict_pace(split_searches, split, fitted),
                beyond=workers_per_trial > fitted.measured[-1],
                computes=float(np.mean([search.compute_seconds for search in split_searches])),
            )
        )
    return rows


def draw_mean_seconds(searches: Searches, fitted: MachineFit, seed: int) -> FloatArray:
    """Return draws of the true mean duration of each split, as an array [number of splits, COMPARISON_DRAWS].

    Each draw resamples the seeds, and takes another machine that fits the measurements. A draw uses the same seeds and the
    same machine for all splits, so that the splits are compared under equal conditions.
    """
    n = len(next(iter(searches.values())))
    seed_samples = generator(seed, "plan", "seeds").integers(n, size=(COMPARISON_DRAWS, n))
    # The standard deviation of a bootstrap mean is too small by the factor sqrt((n - 1) / n).
    widening = math.sqrt(n / (n - 1)) if n > 1 else 1.0
    rows = []
    for split, split_searches in searches.items():
        seconds = np.array([search.seconds for search in split_searches])
        seed_means = seconds.mean() + widening * (seconds[seed_samples].mean(axis=1) - seconds.mean())
        machine_ratios = _draw_machine_seconds(seconds, split, fitted) / seconds.mean()
        # `np.resize` repeats the draws [d] as often as necessary.
        rows.append(seed_means * np.resize(machine_ratios, COMPARISON_DRAWS))
    return np.stack(rows)


def _draw_machine_seconds(seconds: Sequence[float] | FloatArray, split: WorkerSplit, fitted: MachineFit) -> FloatArray:
    """Return draws [d] of the mean of `seconds` with other machines that fit the measurements.

    The searches need not be simulated again for this: if all durations are multiplied by a factor, the duration of the
    search is multiplied by the same factor, because decisions depend only on the order of events. The start-up has a
    separate factor.
    """
    start_up = fitted.machine.compute_start_up_seconds(split.workers_per_trial)
    mean = float(np.mean(seconds))
    start_ups = start_up * fitted.draw_start_up_ratios(split.workers_per_trial)
    return np.asarray(start_ups + max(0.0, mean - start_up) * fitted.draw_epoch_ratios(split.workers_per_trial))


def _predict_seconds(draws: FloatArray, seconds: Sequence[float], seed: int) -> Interval:
    """Return the duration of one search with its interval.

    Args:
        draws: draws [d] of the mean duration, for different machines.
        seconds: the durations of the simulated searches, which show how much single searches differ from the mean.
        seed: the seed of the draws of single searches.
    """
    mean = float(np.mean(seconds))
    rng = generator(seed, "plan", "predicted")
    n = len(seconds)
    if n > 1 and mean > 0:
        # Student's prediction distribution of the logarithm, for one search that was not simulated.
        spread = float(np.std(np.log(seconds), ddof=1)) * math.sqrt(1 + 1 / n)
        repeated = np.repeat(draws, max(1, PREDICTION_DRAWS // len(draws)))
        deviations = np.clip(rng.standard_t(n - 1, size=len(repeated)), -MAX_DEVIATIONS, MAX_DEVIATIONS)
        draws = repeated * np.exp(spread * deviations)
    low, high = np.quantile(draws, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
    return Interval(min(float(low), mean), mean, max(float(high), mean))


def _predict_regret_seconds(times: Sequence[float], split: WorkerSplit, fitted: MachineFit) -> Interval | None:
    """Return the time at which a search reaches the target regret; None if fewer than half of the searches reach it.

    The expected time is the mean over the searches that reach the target regret. The bounds are the earliest and the latest
    of their times, widened by the uncertainty of the machine. The upper bound is infinite if a search does not reach it.

    Args:
        times: the time at which each simulated search reached the target regret; infinite if it did not.
        split: the split of the workers.
        fitted: the machine and its uncertainty.
    """
    finite_times = [seconds for seconds in times if math.isfinite(seconds)]
    if 2 * len(finite_times) < len(times) or not finite_times:
        return None
    ratios = fitted.draw_epoch_ratios(split.workers_per_trial)
    low, high = np.quantile(ratios, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
    latest = max(finite_times) * max(1.0, float(high)) if len(finite_times) == len(times) else math.inf
    return Interval(min(finite_times) * min(1.0, float(low)), float(np.mean(finite_times)), latest)


def predict_value(values: Sequence[float]) -> Interval:
    """Return the value of the best architecture of a search, with its interval.

    The expected value is the median of the simulated searches. The mean would not be typical for a loss with a few very
    large values. The interval is Student's prediction interval for one more search (Hahn and Meeker 1991, section 4); it is
    infinite with a single value. Without values, all numbers are NaN.

    Args:
        values: the value that each simulated search found; NaN if it found none.
    """
    from scipy.special import expit, logit, stdtrit

    finite = np.array([value for value in values if math.isfinite(value)])
    n = len(finite)
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    expected = float(np.median(finite))
    if n == 1:
        return Interval(-math.inf, expected, math.inf)
    # Compute the interval on logits if all values are in (0, 1), and on logarithms if all are positive, so that it stays in
    # the range of the metric.
    is_positive, is_share = finite.min() > 0, finite.min() > 0 and finite.max() < 1
    transformed = logit(finite) if is_share else np.log(finite) if is_positive else finite
    half_width = stdtrit(n - 1, (1 + INTERVAL_LEVEL) / 2) * transformed.std(ddof=1) * math.sqrt(1 + 1 / n)
    bounds = np.array([transformed.mean() - half_width, transformed.mean() + half_width])
    low, high = expit(bounds) if is_share else np.exp(bounds) if is_positive else bounds
    return Interval(min(float(low), expected), expected, max(float(high), expected))


def _predict_pace(
    searches: Sequence[SimulatedSearch], split: WorkerSplit, fitted: MachineFit
) -> tuple[tuple[int, float, float, float], ...]:
    """Return the seconds until the first report and until each tenth of the reports, in the form of `SplitForecast.pace`."""
    total = min(len(search.report_times) for search in searches)
    if total == 0:
        return ()
    points = []
    for number in sorted({math.ceil(total * tenth / PACE_POINTS) for tenth in range(1, PACE_POINTS + 1)} | {1}):
        seconds = [float(search.report_times[number - 1]) for search in searches]
        interval = _predict_seconds(_draw_machine_seconds(seconds, split, fitted), seconds, seed=number)
        points.append((number, interval.low, interval.expected, interval.high))
    return tuple(points)
