"""The making of a plan: fit the machine, simulate every split until the fastest is clear, and recommend one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ogive.bench.problem import Problem
from ogive.executors.simulated import FaultModel
from ogive.formatting import duration, plural
from ogive.monitor.cost import Interval
from ogive.planner.machine import Fit, fit_machine
from ogive.planner.plan import Plan, SplitForecast
from ogive.planner.recommendation import recommend_split
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit, list_splits, simulate_split
from ogive.planner.split_forecasts import NEAR, Searches, draw_mean_seconds, forecast_splits
from ogive.planner.timings import Timings

SEEDS = 10
"""The default number of simulated searches of each split."""
MIN_SEEDS = 2
MAX_CPU_SECONDS = 120.0
"""The CPU time after which no further seed is simulated, because some strategies take long to propose."""
DECIDED = 0.95
"""More seeds are simulated while the probability that the fastest split is near the fastest is below this."""
MAX_SEED_FACTOR = 4
"""The largest number of seeds, as a multiple of the requested number."""
NEGLIGIBLE = 0.002
"""The time of proposals is left out if it is a smaller share of the search than this."""
REACHED = 0.75
"""The default regret whose time is forecast: this share of the simulated searches reach it."""

Problems = Callable[[int], Problem]
"""Returns the problem that a seed is simulated on."""


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
    proposal_seconds: float | None = None,
    assumptions: Sequence[str] = (),
    fingerprint: str = "",
    say: Callable[[str], object] = lambda message: None,
) -> Plan:
    """Return the plan of a search with `workers` workers.

    Args:
        timings: of some trials.
        search: the search to plan.
        problems: returns the problem that a seed is simulated on.
        workers: to be split.
        seeds: simulations of each split; up to four times as many if they do not decide, fewer if the strategy is slow.
        seed: of all random choices.
        regret: whose time is forecast, in the unit of the first objective; None for the regret that three of four
            simulations reach.
        faults: stragglers, failures and preemptions.
        proposal_seconds: the controller's time for one proposal; None to measure it.
        assumptions: sentences on the metrics.
        fingerprint: of the search.
        say: receives messages on the progress.
    """
    fitted = fit_machine(timings, seed)
    splits = list_splits(workers, search.trials)
    if fitted.has_one_size:  # how an epoch scales is unknown, so only splits with the measured number can be forecast
        (size,) = fitted.measured
        splits = [WorkerSplit(max(1, min(workers // size, search.trials)), size)]
    searches: dict[WorkerSplit, list[SimulatedSearch]] = {split: [] for split in splits}
    cpu_seconds, first_problem = 0.0, problems(0)
    for number in range(MAX_SEED_FACTOR * seeds):
        if number >= seeds and _is_decided(searches, fitted, seed):
            break
        if number >= MIN_SEEDS and cpu_seconds > MAX_CPU_SECONDS:
            break
        if number in (0, seeds):
            say(f"simulating {plural(len(splits), 'split')}" + (": more searches, to decide" if number else ""))
        problem = first_problem if number == 0 else problems(number)
        if proposal_seconds is None:
            proposal_seconds = _measure_proposal_seconds(problem, search, fitted, splits[0], faults=faults)
        for split in splits:
            run = simulate_split(
                problem,
                search,
                fitted.machine,
                split,
                seed=seed + number,
                proposal_seconds=proposal_seconds,
                faults=faults,
            )
            cpu_seconds += run.cpu_seconds
            searches[split].append(run)
    simulated_seeds = len(searches[splits[0]])
    if regret is None:
        final_regrets = [run.final_regret for runs in searches.values() for run in runs]
        regret = float(np.quantile(final_regrets, REACHED))
    rows = forecast_splits(searches, fitted, search, regret=regret, seed=seed)
    recommended, reason, certainty = recommend_split(rows, searches, fitted)
    measured = _list_assumptions(timings, fitted, rows)
    if proposal_seconds:
        measured.append(f"the strategy takes {duration(proposal_seconds)} for a proposal")
    if simulated_seeds < seeds:
        measured.append(f"{simulated_seeds} of {seeds} seeds were simulated, because the strategy is slow")
    return Plan(
        workers=workers,
        unit=timings.unit,
        rows=tuple(rows),
        chosen=recommended,
        recommended=recommended,
        why=reason,
        sure=certainty,
        metric=first_problem.objectives[0].metric,
        regret=regret,
        trials=search.trials,
        epochs=first_problem.epochs,
        seeds=simulated_seeds,
        price=search.price,
        assumptions=(*measured, *assumptions),
        timings=timings,
        fingerprint=fingerprint,
    )


def _is_decided(searches: Searches, fitted: Fit, seed: int) -> bool:
    """Return whether the split with the least expected time is near the fastest with a probability of `DECIDED`."""
    seconds = draw_mean_seconds(searches, fitted, seed)
    near = (seconds <= NEAR * seconds.min(axis=0)).mean(axis=1)
    return bool(near[seconds.mean(axis=1).argmin()] >= DECIDED)


def _measure_proposal_seconds(
    problem: Problem, search: PlannedSearch, fitted: Fit, split: WorkerSplit, *, faults: FaultModel | None
) -> float:
    """Return the seconds of this process for one proposal, its reports included; 0 if they are negligible."""
    run = simulate_split(problem, search, fitted.machine, split, seed=0, faults=faults)
    return 0.0 if run.cpu_seconds < NEGLIGIBLE * run.seconds else run.cpu_seconds / search.trials


def _list_assumptions(timings: Timings, fitted: Fit, rows: Sequence[SplitForecast]) -> list[str]:
    """Return what was measured, how well the machine is known, and what is left out, one sentence each."""
    machine = fitted.machine
    sentences = [f"durations: {timings.source}", *timings.notes]
    if fitted.has_one_size:
        size = plural(fitted.measured[0], timings.unit.removesuffix("s"))
        sentences.append(f"trials were measured with {size} each, so only this number is forecast")
    else:
        terms = [
            f"{_format_seconds(fitted.term_interval(lambda m: m.serial))} serial",
            f"{_format_seconds(fitted.term_interval(lambda m: m.parallel))} that is shared by the {timings.unit}",
        ]
        if machine.communication:
            communication = fitted.term_interval(lambda m: m.communication)
            terms.append(f"{_format_seconds(communication)} more for each further one")
        sentences.append(f"an epoch of an architecture of median cost: {', '.join(terms)}")
    sentences.append(
        f"architectures differ in cost by a factor of {math.exp(machine.spread):.2f} (one standard deviation, "
        f"{fitted.trials} measured); those that the search proposes are assumed to cost as much as random ones"
    )
    if not timings.start_ups:
        sentences.append("the durations do not include the start-up of workers, so it is left out")
    if fitted.trials == 1:
        sentences.append("a single trial does not show how trials differ, so the intervals are too narrow")
    if any(row.beyond for row in rows):
        sentences.append(
            f"more than {fitted.measured[-1]} workers a trial were not measured: those rows are extrapolated"
        )
    return sentences


def _format_seconds(interval: Interval) -> str:
    low, expected, high = (duration(seconds) for seconds in (interval.low, interval.expected, interval.high))
    return expected if low == high else f"{expected} ({low} to {high})"
