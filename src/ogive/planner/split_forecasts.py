"""The forecast for each split of the workers, from its simulated searches and the uncertainty of the machine.

Symbols: s seeds (simulated searches) of each split; d draws of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ogive.arrays import FloatArray
from ogive.monitor.cost import Interval
from ogive.planner.machine import LEVEL, Fit, Machine
from ogive.planner.plan import SplitForecast
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit
from ogive.run.spending import HOUR
from ogive.seeds import generator

NEAR = 1.1
"""A split is as good as the fastest if its time is at most this many times the fastest one's."""
RESAMPLES = 1000
"""Draws of the mean time of each split, by which the splits are compared."""
PREDICTION_DRAWS = 2000
"""The least number of draws of the time of one search."""
MAX_DEVIATIONS = 10.0
"""Draws of Student's distribution are clipped to this many standard deviations."""
PACE_POINTS = 10
"""The points of a search at which its progress is forecast."""

Searches = Mapping[WorkerSplit, Sequence[SimulatedSearch]]
"""The simulated searches of each split, one for each seed; every split has the same seeds."""


def forecast_splits(
    searches: Searches, fitted: Fit, planned: PlannedSearch, *, regret: float, seed: int
) -> list[SplitForecast]:
    """Return the forecast for each split.

    Args:
        searches: simulated on the fitted machine.
        fitted: the machine and its uncertainty.
        planned: the search that was simulated.
        regret: whose time is forecast, in the unit of the first objective.
        seed: of the draws.
    """
    mean_seconds = draw_mean_seconds(searches, fitted, seed)
    fastest, winners = mean_seconds.min(axis=0), mean_seconds.argmin(axis=0)
    rows = []
    for index, (split, runs) in enumerate(searches.items()):
        k = split.workers_per_trial
        run_seconds = [run.seconds for run in runs]
        seconds = _predict_seconds(_draw_machine_seconds(run_seconds, split, fitted), run_seconds, seed)
        rate = None
        if planned.price is not None:
            rate = planned.price.rate(planned.count_billed_workers(split)) / HOUR
        rows.append(
            SplitForecast(
                split=split,
                epoch=fitted.interval(partial(Machine.mean_epoch, workers=k)),
                start_up=fitted.interval(partial(Machine.start_up, workers=k)),
                seconds=seconds,
                regret_seconds=_predict_regret_seconds([run.time_to_regret(regret) for run in runs], split, fitted),
                worker_hours=seconds.scaled_by(split.workers / HOUR),
                money=None if rate is None else seconds.scaled_by(rate),
                value=predict_value([run.value for run in runs]),
                fastest=float(np.mean(winners == index)),
                near=float(np.mean(mean_seconds[index] <= NEAR * fastest)),
                pace=_predict_pace(runs, split, fitted),
                beyond=k > fitted.measured[-1],
                computes=float(np.mean([run.compute for run in runs])),
            )
        )
    return rows


def draw_mean_seconds(searches: Searches, fitted: Fit, seed: int) -> FloatArray:
    """Return draws [splits, RESAMPLES] of the true mean time of each split.

    Each draw resamples the seeds and takes another machine that fits the measurements; both are the same for all splits, so
    that the splits are compared under equal conditions.
    """
    n = len(next(iter(searches.values())))
    resampled = generator(seed, "plan", "seeds").integers(n, size=(RESAMPLES, n))
    # The mean of a resample varies less than the mean of a sample by sqrt((n - 1) / n).
    widening = math.sqrt(n / (n - 1)) if n > 1 else 1.0
    rows = []
    for split, runs in searches.items():
        seconds = np.array([run.seconds for run in runs])
        by_seeds = seconds.mean() + widening * (seconds[resampled].mean(axis=1) - seconds.mean())
        by_machine = _draw_machine_seconds(seconds, split, fitted) / seconds.mean()
        rows.append(by_seeds * np.resize(by_machine, RESAMPLES))
    return np.stack(rows)


def _draw_machine_seconds(seconds: Sequence[float] | FloatArray, split: WorkerSplit, fitted: Fit) -> FloatArray:
    """Return draws [d] of the mean of `seconds`, had the machine been another one that fits the measurements.

    If all durations grow by a factor, the search grows by this factor, because decisions depend on the order of events
    alone; so the searches need not be simulated again. The start-up is scaled on its own, because it is paid only once.
    """
    start = fitted.machine.start_up(split.workers_per_trial)
    mean = float(np.mean(seconds))
    starts = start * fitted.start_ratios(split.workers_per_trial)
    return np.asarray(starts + max(0.0, mean - start) * fitted.ratios(split.workers_per_trial))


def _predict_seconds(draws: FloatArray, seconds: Sequence[float], seed: int) -> Interval:
    """Return the time of one search: `draws` [d] for the machine, varied as the simulated searches are."""
    mean = float(np.mean(seconds))
    rng = generator(seed, "plan", "predicted")
    n = len(seconds)
    if n > 1 and mean > 0:
        # Student's prediction interval of the logarithms, for one search that was not simulated.
        spread = float(np.std(np.log(seconds), ddof=1)) * math.sqrt(1 + 1 / n)
        repeated = np.repeat(draws, max(1, PREDICTION_DRAWS // len(draws)))
        deviations = np.clip(rng.standard_t(n - 1, size=len(repeated)), -MAX_DEVIATIONS, MAX_DEVIATIONS)
        draws = repeated * np.exp(spread * deviations)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(min(float(low), mean), mean, max(float(high), mean))


def _predict_regret_seconds(times: Sequence[float], split: WorkerSplit, fitted: Fit) -> Interval | None:
    """Return when the regret is reached: the mean over the searches that reach it, between the earliest and the latest.

    The latest is infinite if a search does not reach it. None if fewer than half of the searches reach it.
    """
    reached = [seconds for seconds in times if math.isfinite(seconds)]
    if 2 * len(reached) < len(times) or not reached:
        return None
    low, high = np.quantile(fitted.ratios(split.workers_per_trial), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    latest = max(reached) * max(1.0, float(high)) if len(reached) == len(times) else math.inf
    return Interval(min(reached) * min(1.0, float(low)), float(np.mean(reached)), latest)


def predict_value(values: Sequence[float]) -> Interval:
    """Return the value that a search finds: the median of the simulations, and an interval for one more search.

    The median, because the mean of a loss with a few very large values is a value that no search finds. The interval is
    Student's prediction interval (Hahn and Meeker 1991, section 4).
    """
    from scipy.special import expit, logit, stdtrit

    finite = np.array([value for value in values if math.isfinite(value)])
    n = len(finite)
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    middle = float(np.median(finite))
    if n == 1:
        return Interval(-math.inf, middle, math.inf)
    # The interval is computed on logits if all values lie in (0, 1), on logarithms if all are positive.
    is_positive, is_share = finite.min() > 0, finite.min() > 0 and finite.max() < 1
    transformed = logit(finite) if is_share else np.log(finite) if is_positive else finite
    half = stdtrit(n - 1, (1 + LEVEL) / 2) * transformed.std(ddof=1) * math.sqrt(1 + 1 / n)
    ends = np.array([transformed.mean() - half, transformed.mean() + half])
    low, high = expit(ends) if is_share else np.exp(ends) if is_positive else ends
    return Interval(min(float(low), middle), middle, max(float(high), middle))


def _predict_pace(
    runs: Sequence[SimulatedSearch], split: WorkerSplit, fitted: Fit
) -> tuple[tuple[int, float, float, float], ...]:
    """Return after how many seconds of the session each tenth of the reports, and the first one, will have arrived."""
    total = min(len(run.reports) for run in runs)
    if total == 0:
        return ()
    points = []
    for number in sorted({math.ceil(total * tenth / PACE_POINTS) for tenth in range(1, PACE_POINTS + 1)} | {1}):
        seconds = [float(run.reports[number - 1]) for run in runs]
        interval = _predict_seconds(_draw_machine_seconds(seconds, split, fitted), seconds, number)
        points.append((number, interval.low, interval.expected, interval.high))
    return tuple(points)
