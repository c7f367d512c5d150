"""The computation of a plan: fit the machine, simulate every split until it is clear which is fastest, and recommend one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ogive.bench.problem import Problem
from ogive.executors.simulated import FaultModel
from ogive.formatting import duration, plural
from ogive.monitor.cost import Interval
from ogive.planner.machine import MachineFit, fit_machine
from ogive.planner.plan import Plan, SplitForecast
from ogive.planner.recommendation import recommend_split
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit, list_splits, simulate_split
from ogive.planner.split_forecasts import MAX_NEAR_RATIO, Searches, draw_mean_seconds, forecast_splits
from ogive.planner.timings import Timings

SIMULATED_SEEDS = 10
"""The default number of simulated searches of each split."""
MIN_SEEDS = 2
"""At least this many searches of each split are simulated, however long they take."""
MAX_CPU_SECONDS = 120.0
"""No further seed is simulated after this CPU time, because the proposals of some strategies take long."""
DECISION_PROBABILITY = 0.95
"""More seeds are simulated until the split with the least mean duration is near the fastest with this probability."""
MAX_SEED_FACTOR = 4
"""At most this multiple of the requested number of seeds is simulated."""
NEGLIGIBLE_SHARE = 0.002
"""The time that the strategy takes for proposals is ignored if it is less than this share of the search's duration."""
REGRET_QUANTILE = 0.75
"""The default target regret is the regret that this share of the simulated searches reach."""

Problems = Callable[[int], Problem]
"""A function that returns the problem on which the search with a seed is simulated."""


def build_plan(
    timings: Timings,
    search: PlannedSearch,
    problems: Problems,
    workers: int,
    *,
    seeds: int = SIMULATED_SEEDS,
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
        timings: the durations of some trials.
        search: the search to plan.
        problems: a function that returns the problem on which the search with a seed is simulated.
        workers: the number of workers to split.
        seeds: the number of simulations of each split. If they do not show which split is fastest, up to four times as many
            are simulated; if the strategy is slow, fewer.
        seed: the seed of all random choices.
        regret: the target regret, in the unit of the first objective; the plan forecasts the time until it is reached. None
            for the regret that three of four simulations reach.
        faults: stragglers, failures and preemptions of the workers; None for no faults.
        proposal_seconds: the controller's time for one proposal; None to measure it.
        assumptions: sentences on the origin of the metrics, for the plan.
        fingerprint: the fingerprint of the search; "" if the plan may be used for any search.
        say: receives messages on the progress.
    """
    # Step 1: fit the model of the machine to the durations.
    fitted = fit_machine(timings, seed)
    # Step 2: list the splits. If only one number of workers per trial was measured, the dependence of an epoch's time on
    # this number is unknown, so only the split with the measured number can be forecast.
    splits = list_splits(workers, search.trials)
    if fitted.has_one_size:
        (workers_per_trial,) = fitted.measured
        parallel_trials = max(1, min(workers // workers_per_trial, search.trials))
        splits = [WorkerSplit(parallel_trials, workers_per_trial)]
    # Step 3: simulate all splits, seed after seed, until the fastest split is known or the time is used up.
    searches: dict[WorkerSplit, list[SimulatedSearch]] = {split: [] for split in splits}
    cpu_seconds, first_problem = 0.0, problems(0)
    for number in range(MAX_SEED_FACTOR * seeds):
        if number >= seeds and _is_fastest_known(searches, fitted, seed):
            break
        if number >= MIN_SEEDS and cpu_seconds > MAX_CPU_SECONDS:
            break
        if number in (0, seeds):
            purpose = ": more seeds, because the fastest split is not clear yet" if number else ""
            say(f"simulating {plural(len(splits), 'split')}{purpose}")
        problem = first_problem if number == 0 else problems(number)
        if proposal_seconds is None:
            proposal_seconds = _measure_proposal_seconds(problem, search, fitted, splits[0], faults=faults)
        for split in splits:
            simulated = simulate_split(
                problem,
                search,
                fitted.machine,
                split,
                seed=seed + number,
                proposal_seconds=proposal_seconds,
                faults=faults,
            )
            cpu_seconds += simulated.cpu_seconds
            searches[split].append(simulated)
    # Step 4: forecast each split, and recommend one.
    simulated_seeds = len(searches[splits[0]])
    if regret is None:
        final_regrets = [simulated.final_regret for of_split in searches.values() for simulated in of_split]
        regret = float(np.quantile(final_regrets, REGRET_QUANTILE))
    rows = forecast_splits(searches, fitted, search, regret=regret, seed=seed)
    recommended, reason, certainty = recommend_split(rows, searches, fitted)
    machine_assumptions = _list_machine_assumptions(timings, fitted, rows)
    if proposal_seconds:
        machine_assumptions.append(f"the strategy takes {duration(proposal_seconds)} for a proposal")
    if simulated_seeds < seeds:
        machine_assumptions.append(f"{simulated_seeds} of {seeds} seeds were simulated, because the strategy is slow")
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
        assumptions=(*machine_assumptions, *assumptions),
        timings=timings,
        fingerprint=fingerprint,
    )


def _is_fastest_known(searches: Searches, fitted: MachineFit, seed: int) -> bool:
    """Return whether the split with the least mean time is near the fastest with a probability of `DECISION_PROBABILITY`."""
    # An array with a row for each split and a column for each draw.
    seconds = draw_mean_seconds(searches, fitted, seed)
    near_probabilities = (seconds <= MAX_NEAR_RATIO * seconds.min(axis=0)).mean(axis=1)
    return bool(near_probabilities[seconds.mean(axis=1).argmin()] >= DECISION_PROBABILITY)


def _measure_proposal_seconds(
    problem: Problem, search: PlannedSearch, fitted: MachineFit, split: WorkerSplit, *, faults: FaultModel | None
) -> float:
    """Return the CPU seconds per trial that the controller needs for the proposal and the reports; 0 if negligible."""
    # The simulation trains nothing, so nearly all of its CPU time is the controller's.
    simulated = simulate_split(problem, search, fitted.machine, split, seed=0, faults=faults)
    is_negligible = simulated.cpu_seconds < NEGLIGIBLE_SHARE * simulated.seconds
    return 0.0 if is_negligible else simulated.cpu_seconds / search.trials


def _list_machine_assumptions(timings: Timings, fitted: MachineFit, rows: Sequence[SplitForecast]) -> list[str]:
    """Return sentences on the measured durations, the fitted terms of the model, and what the model leaves out."""
    machine = fitted.machine
    sentences = [f"durations: {timings.source}", *timings.notes]
    if fitted.has_one_size:
        size = plural(fitted.measured[0], timings.unit.removesuffix("s"))
        sentences.append(f"trials were measured with {size} each, so only this number is forecast")
    else:
        terms = [
            f"{_format_seconds(fitted.compute_term_interval(lambda m: m.serial))} serial",
            f"{_format_seconds(fitted.compute_term_interval(lambda m: m.parallel))} that is shared by the {timings.unit}",
        ]
        if machine.communication:
            communication = fitted.compute_term_interval(lambda m: m.communication)
            terms.append(f"{_format_seconds(communication)} more for each further {timings.unit.removesuffix('s')}")
        sentences.append(f"the terms of an epoch, for an architecture of median duration: {', '.join(terms)}")
    sentences.append(
        f"the durations of architectures differ by a factor of {math.exp(machine.spread):.2f} (one standard deviation, "
        f"{fitted.trials} measured); architectures that the search proposes are assumed to take as long as random ones"
    )
    if not timings.start_ups:
        sentences.append("the durations do not include the start-up of workers, so it is left out")
    if fitted.trials == 1:
        sentences.append("a single trial does not show how trials differ, so the intervals are too narrow")
    if any(row.beyond for row in rows):
        sentences.append(
            f"more than {fitted.measured[-1]} workers per trial were not measured: the forecasts for these splits are "
            "extrapolated"
        )
    return sentences


def _format_seconds(interval: Interval) -> str:
    low, expected, high = (duration(seconds) for seconds in (interval.low, interval.expected, interval.high))
    return expected if low == high else f"{expected} ({low} to {high})"
