"""Making a plan: the machine fitted, every split simulated until it is decided, and the choice with its reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench.problem import Problem
from ogive.executors.simulated import FaultModel
from ogive.formatting import duration, plural
from ogive.monitor.cost import Interval
from ogive.planner.machine import LEVEL, Fit, Machine, fit
from ogive.planner.plan import Plan, Row
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit, simulate_split, splits
from ogive.planner.timings import Timings
from ogive.run.spending import HOUR
from ogive.seeds import generator

SEEDS = 10
LEAST_SEEDS = 2
PROCESSOR_SECONDS = 120.0
"""After so long no further seed is simulated: some strategies think for longer than they need to."""
SURE, MORE = 0.95, 4
"""Up to so many times as many seeds are simulated where it is less probable that the fastest split is near the fastest."""
NEAR = 1.1
"""A split whose time is at most so many times the fastest one's is as good."""
WORTH = 1.5
"""A split that finds better architectures, but takes more than so many times as long, is not preferred for it."""
NEGLIGIBLE = 0.002
"""Thinking that takes a smaller share of the search is left out."""
REACHED = 0.75
"""The regret whose time is told, where none is asked for, is what this share of the simulated searches reach."""
RESAMPLED = 1000
MOST = 10.0
"""Standard deviations that the draws of Student's distribution are cut at."""
PACE = 10
"""At so many points of a search its progress is foretold."""

Problems = Callable[[int], Problem]
"""The problem that a seed is simulated on."""


def build_plan(
    timings: Timings,
    search: PlannedSearch,
    problems: Problems,
    workers: int,
    *,
    seeds: int = SEEDS,
    seed: int = 0,
    regret: float | None = None,
    faults: FaultModel | None = None,
    thinking: float | None = None,
    assumptions: Sequence[str] = (),
    fingerprint: str = "",
    say: Callable[[str], object] = lambda message: None,
) -> Plan:
    """Plan a search of `workers` workers.

    Args:
        timings: of some trials.
        search: what is to be searched, and how.
        problems: the problem that each seed is simulated on.
        workers: to be split.
        seeds: simulations of each split; more where they do not decide, fewer where the strategy takes too long.
        seed: of all randomness.
        regret: whose time is told, in the unit of the first objective; what three of four simulations reach where None.
        faults: stragglers, failures and preemptions.
        thinking: seconds of the controller for one proposal; measured where None.
        assumptions: about the metrics.
        fingerprint: of the job.
        say: told what is being done.
    """
    fitted = fit(timings, seed)
    candidates = splits(workers, search.trials)
    if fitted.single:  # nothing tells how an epoch scales
        (only,) = fitted.measured
        candidates = [WorkerSplit(max(1, min(workers // only, search.trials)), only)]
    found: dict[WorkerSplit, list[SimulatedSearch]] = {split: [] for split in candidates}
    spent, first = 0.0, problems(0)
    for number in range(MORE * seeds):
        if number >= seeds and _decided(found, fitted, seed):
            break
        if number >= LEAST_SEEDS and spent > PROCESSOR_SECONDS:
            break
        if number in (0, seeds):
            say(f"simulating {plural(len(candidates), 'split')}" + (": more searches, to decide" if number else ""))
        problem = first if number == 0 else problems(number)
        if thinking is None:
            thinking = _thinking(problem, search, fitted, candidates[0], faults)
        for split in candidates:
            run = simulate_split(
                problem, search, fitted.machine, split, seed + number, thinking=thinking, faults=faults
            )
            spent += run.processor
            found[split].append(run)
    done = len(found[candidates[0]])
    last = [_last(run) for runs in found.values() for run in runs]
    target = float(np.quantile(last, REACHED)) if regret is None else regret
    rows = rows_of(found, fitted, search, target, seed)
    best, why, sure = choose(rows, found, fitted)
    told = [*_told(timings, fitted, rows, done, seeds, thinking or 0.0), *assumptions]
    metric, epochs = first.objectives[0].metric, first.epochs
    return Plan(
        workers,
        timings.unit,
        tuple(rows),
        best,
        best,
        why,
        sure,
        metric,
        target,
        search.trials,
        epochs,
        done,
        search.price,
        tuple(told),
        timings,
        fingerprint,
    )


def _decided(found: Mapping[WorkerSplit, Sequence[SimulatedSearch]], fitted: Fit, seed: int) -> bool:
    """Whether the simulations tell which split is the fastest: more of them would change nothing."""
    means = _means(found, fitted, seed)
    near = (means <= NEAR * means.min(axis=0)).mean(axis=1)
    return bool(near[means.mean(axis=1).argmin()] >= SURE)


def _thinking(
    problem: Problem, search: PlannedSearch, fitted: Fit, split: WorkerSplit, faults: FaultModel | None
) -> float:
    """Seconds of this process for one proposal, its reports included; 0 where that does not matter."""
    run = simulate_split(problem, search, fitted.machine, split, 0, faults=faults)
    return 0.0 if run.processor < NEGLIGIBLE * run.seconds else run.processor / search.trials


def rows_of(
    found: Mapping[WorkerSplit, Sequence[SimulatedSearch]], fitted: Fit, search: PlannedSearch, target: float, seed: int
) -> list[Row]:
    """A row for each split, of its simulated searches and of how well the machine is known."""
    times = {split: _draws([run.seconds for run in runs], split, fitted) for split, runs in found.items()}
    means = _means(found, fitted, seed)
    fastest, winners = means.min(axis=0), means.argmin(axis=0)
    rows = []
    for place, (split, runs) in enumerate(found.items()):
        k = split.workers_per_trial
        seconds = _predicted(times[split], [run.seconds for run in runs], seed)
        held = split.workers / HOUR
        rate = None if search.price is None else search.price.rate(search.paid(split)) / HOUR
        reach = [run.reach(target) for run in runs]
        rows.append(
            Row(
                split,
                fitted.interval(partial(Machine.mean_epoch, workers=k)),
                fitted.interval(partial(Machine.start_up, workers=k)),
                seconds,
                _reached(reach, split, fitted),
                seconds.times(held),
                None if rate is None else seconds.times(rate),
                _values([run.value for run in runs]),
                float(np.mean(winners == place)),
                float(np.mean(means[place] <= NEAR * fastest)),
                _pace(runs, split, fitted),
                k > fitted.measured[-1],
                float(np.mean([run.compute for run in runs])),
            )
        )
    return rows


def _draws(seconds: Sequence[float] | FloatArray, split: WorkerSplit, fitted: Fit) -> FloatArray:
    """[draws] the mean of `seconds` over the simulations, had the machine been another that fits what was measured.

    That all durations are so many times as long makes the search that many times as long: decisions depend on the order
    of events alone. The start-up is apart, since it is paid once.
    """
    start = fitted.machine.start_up(split.workers_per_trial)
    mean = float(np.mean(seconds))
    starts = start * fitted.start_ratios(split.workers_per_trial)
    return np.asarray(starts + max(0.0, mean - start) * fitted.ratios(split.workers_per_trial))


def _means(found: Mapping[WorkerSplit, Sequence[SimulatedSearch]], fitted: Fit, seed: int) -> FloatArray:
    """[splits, draws] what the mean time of each split may really be: machine and simulated seeds drawn anew, the same
    for all splits.
    """
    n = len(next(iter(found.values())))
    chosen = generator(seed, "plan", "seeds").integers(n, size=(RESAMPLED, n))
    widen = math.sqrt(n / (n - 1)) if n > 1 else 1.0
    rows = []
    for split, runs in found.items():
        seconds = np.array([run.seconds for run in runs])
        drawn = seconds.mean() + widen * (seconds[chosen].mean(axis=1) - seconds.mean())
        own = _draws(seconds, split, fitted) / seconds.mean()
        rows.append(drawn * np.resize(own, RESAMPLED))
    return np.stack(rows)


def _predicted(draws: FloatArray, seconds: Sequence[float], seed: int) -> Interval:
    """What one search will take: the machine is known as well as `draws` say, and searches differ as `seconds` do."""
    mean = float(np.mean(seconds))
    rng = generator(seed, "plan", "predicted")
    n = len(seconds)
    if n > 1 and mean > 0:
        spread = float(np.std(np.log(seconds), ddof=1)) * math.sqrt(1 + 1 / n)
        many = np.repeat(draws, max(1, 2000 // len(draws)))
        draws = many * np.exp(spread * np.clip(rng.standard_t(n - 1, size=len(many)), -MOST, MOST))
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(min(float(low), mean), mean, max(float(high), mean))


def _reached(reach: Sequence[float], split: WorkerSplit, fitted: Fit) -> Interval | None:
    """When the regret is reached: the mean of the simulations that do, and the earliest and the latest of them all."""
    there = [seconds for seconds in reach if math.isfinite(seconds)]
    if 2 * len(there) < len(reach) or not there:
        return None
    low, high = np.quantile(fitted.ratios(split.workers_per_trial), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    latest = max(there) * max(1.0, float(high)) if len(there) == len(reach) else math.inf
    return Interval(min(there) * min(1.0, float(low)), float(np.mean(there)), latest)


def _values(values: Sequence[float]) -> Interval:
    """The median of the simulations, since a loss that may be several times as high has a mean that none comes to, and what
    one more would find: Student's prediction interval (Hahn and Meeker 1991, section 4), of logits where all lie between 0
    and 1, of logarithms where all are positive.
    """
    from scipy.special import expit, logit, stdtrit

    known = np.array([value for value in values if math.isfinite(value)])
    n = len(known)
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    middle = float(np.median(known))
    if n == 1:
        return Interval(-math.inf, middle, math.inf)
    positive, share = known.min() > 0, known.min() > 0 and known.max() < 1
    seen = logit(known) if share else np.log(known) if positive else known
    half = stdtrit(n - 1, (1 + LEVEL) / 2) * seen.std(ddof=1) * math.sqrt(1 + 1 / n)
    ends = np.array([seen.mean() - half, seen.mean() + half])
    low, high = expit(ends) if share else np.exp(ends) if positive else ends
    return Interval(min(float(low), middle), middle, max(float(high), middle))


def _pace(
    runs: Sequence[SimulatedSearch], split: WorkerSplit, fitted: Fit
) -> tuple[tuple[int, float, float, float], ...]:
    """When shares of the reports will have come, in seconds of the session."""
    most = min(len(run.reports) for run in runs)
    if most == 0:
        return ()
    points = []
    for number in sorted({math.ceil(most * share / PACE) for share in range(1, PACE + 1)} | {1}):
        seconds = [float(run.reports[number - 1]) for run in runs]
        interval = _predicted(_draws(seconds, split, fitted), seconds, number)
        points.append((number, interval.low, interval.expected, interval.high))
    return tuple(points)


# -- choosing --------------------------------------------------------------------------------------------------------


def choose(
    rows: Sequence[Row], found: Mapping[WorkerSplit, Sequence[SimulatedSearch]], fitted: Fit
) -> tuple[WorkerSplit, str, str]:
    """The fastest among those that find as good an architecture; why, and how sure that is."""
    good = [row for row in rows if not _worse(row, rows, found)]
    best = min(good, key=lambda row: row.seconds.expected)
    ties = [row for row in good if row.seconds.expected <= 1.01 * best.seconds.expected and row.regret_seconds]
    if best.regret_seconds is None or len(ties) > 1:  # such as where a budget of hours ends them all
        best = min(ties or [best], key=lambda row: row.regret_seconds.expected if row.regret_seconds else math.inf)
    if len(rows) == 1:
        why = f"{duration(best.seconds.expected)}; it is the only split that can be told of"
        sure = (
            "how an epoch's time depends on the workers of a trial was not measured"
            if fitted.single
            else "there is no other"
        )
        return best.split, why, sure
    return best.split, _why(best, rows, good), _sure(best, good, fitted)


def _why(best: Row, rows: Sequence[Row], good: Sequence[Row]) -> str:
    slowest = max(row.seconds.expected for row in rows)
    factor = slowest / best.seconds.expected
    others = f"of {duration(slowest)} with the slowest split ({factor:.2g} times)" if factor >= NEAR else "as with any"
    why = f"{duration(best.seconds.expected)}, {others}"
    if any(row.seconds.expected < best.seconds.expected for row in good):
        why += "; of those that take as long, it comes to the regret first"
    worse = [row for row in rows if row not in good]
    if worse:
        why += f"; {', '.join(str(row.split) for row in worse)} would find worse architectures"
    return why


def _sure(best: Row, good: Sequence[Row], fitted: Fit) -> str:
    near = f"within {NEAR - 1:.0%} of the fastest with a probability of {probability(best.near)}"
    if any(row.seconds.expected < best.seconds.expected for row in good):
        sure = f"it is {near}"
    else:
        sure = f"it is the fastest with a probability of {probability(best.fastest)}, and {near}"
    if best.beyond:
        sure += f"; {best.split.workers_per_trial} workers a trial are more than were measured ({fitted.measured[-1]})"
    rivals = [row for row in good if row is not best and row.near >= 0.5]
    if rivals:
        sure += f"; {', '.join(str(row.split) for row in rivals[:3])} may do as well"
    return sure


def probability(share: float) -> str:
    """A share of resamplings; certain is nothing that was measured."""
    return "over 99%" if share > 0.99 else "below 1%" if share < 0.01 else f"{share:.0%}"


def _worse(row: Row, rows: Sequence[Row], found: Mapping[WorkerSplit, Sequence[SimulatedSearch]]) -> bool:
    """Whether another split finds significantly better architectures, paired by seed at 99 %, and is worth its time."""
    from scipy.special import stdtr

    own = np.array([_last(run) for run in found[row.split]])
    for other in rows:
        if other.seconds.expected > WORTH * row.seconds.expected:
            continue
        theirs = np.array([_last(run) for run in found[other.split]])
        gap, n = own - theirs, len(own)
        if n >= 3 and gap.mean() > 0 and np.ptp(gap) > 0:
            t = float(gap.mean() / gap.std(ddof=1) * math.sqrt(n))
            if stdtr(n - 1, -t) < 0.01 / (len(rows) - 1):
                return True
    return False


def _last(run: SimulatedSearch) -> float:
    return float(run.curve[-1, 1]) if len(run.curve) else math.inf


def _seconds(interval: Interval) -> str:
    low, middle, high = (duration(seconds) for seconds in (interval.low, interval.expected, interval.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _told(timings: Timings, fitted: Fit, rows: Sequence[Row], done: int, seeds: int, thinking: float) -> list[str]:
    """What was measured, how well the machine is known, and what is left out."""
    machine, told = fitted.machine, []
    told.append(f"durations: {timings.source}")
    told += timings.notes
    if fitted.single:
        given = plural(fitted.measured[0], timings.unit.removesuffix("s"))
        told.append(f"trials were measured with {given} each, so no other number is forecast")
    else:
        parts = [
            f"{_seconds(fitted.term(lambda m: m.serial))} serial",
            f"{_seconds(fitted.term(lambda m: m.parallel))} that is shared by the {timings.unit}",
        ]
        if machine.communication:
            parts.append(f"{_seconds(fitted.term(lambda m: m.communication))} more for each further one")
        told.append(f"an epoch of an architecture of middle cost: {', '.join(parts)}")
    told.append(
        f"architectures differ in cost by a factor of {math.exp(machine.spread):.2f} (one standard deviation, "
        f"{fitted.trials} measured), and those that are searched are taken to be like random ones"
    )
    if not timings.start_ups:
        told.append("the start-up of workers is not in the durations, and is left out")
    if fitted.trials == 1:
        told.append("a single trial says nothing of how trials differ: the intervals are too narrow")
    if any(row.beyond for row in rows):
        told.append(f"more than {fitted.measured[-1]} workers a trial were not measured: those rows are extrapolated")
    if thinking:
        told.append(f"the strategy takes {duration(thinking)} of thinking for a proposal")
    if done < seeds:
        told.append(f"{done} of {seeds} seeds were simulated, since the strategy is slow")
    return told
