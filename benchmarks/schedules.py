"""The savings by schedules: simulated searches of tabular benchmarks at equal cost.

    python benchmarks/schedules.py --what two-fidelities
    python benchmarks/schedules.py --what misleading
    python benchmarks/schedules.py --what curves --figure docs/images/schedules.svg
    python benchmarks/schedules.py --what stopping
    python benchmarks/schedules.py --what calibration
    python benchmarks/schedules.py --what idle
    python benchmarks/schedules.py --what rungs
    python benchmarks/schedules.py --what pbt

- two-fidelities: NAS-Bench-201 with 12 epochs, at a cost of 12, and all 200 epochs, at a cost of 200; with one worker, and
  with 8 workers and trials of unequal duration. Mean regret in accuracy points at the cost of some full trainings.
- misleading: the same with a cheap column of which the middle half is permuted; each method compared with full training.
- curves: all schedules with one strategy, and the named pairs, at equal numbers of epochs; any-time curves.
- stopping: the savings and losses of `curve` and `median` for the same trials, and at equal numbers of epochs, compared with
  training every trial for fewer epochs.
- calibration: how often the forecasts of `curve` come true, by their probability.
- idle: the idle time of 8 workers with each schedule, if one of ten trials is ten times as slow.
- rungs: the rungs of the schedules with their numbers of trials, and the sequences of budgets of Hyperband and DEHB,
  compared with those of the authors' programs (tests/support/authors_budgets.py).
- pbt: the share of comparisons at which `pbt` replaces a member, and the final accuracy, by the number of workers
  (tests/support/populations.py).

The NAS-Bench-201 table must be where the tests expect it: in the folder OGIVE_TEST_DATA, or in `shared/data` next to the
repository. With `--folder`, each search is stored there when it ends, and is not run again.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import numpy as np
from authors_budgets import DEHB, HPBANDSTER, budgets, unrolled
from populations import final, population, replaced

from ogive import bench
from ogive.bench import comparison_figures
from ogive.bench.catalog import parse_method
from ogive.bench.comparison_results import BenchmarkResults
from ogive.bench.problem import Problem, StepResult
from ogive.bench.table_problem import Table
from ogive.bench.wrappers import Wrapper
from ogive.document.markdown import make_standalone
from ogive.objective import Objective
from ogive.schedule.base import Action
from ogive.schedule.dehb import DEHBBrackets
from ogive.schedule.hyperband import Hyperband
from ogive.schedule.ladder import list_rung_epochs
from ogive.schedule.successive_halving import SuccessiveHalving
from ogive.seeds import generator
from ogive.space import Architecture
from ogive.trial import Fidelity, Status, Trial

DATA = Path(os.environ.get("OGIVE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FULL, CHEAP = "cifar10_test_accuracy_full_training", "cifar10_test_accuracy_12_epochs"
COSTS = (10.0, 25.0, 50.0)
"""The costs at which regrets are printed, in full trainings."""

PLAIN = "asha:min_epochs=12,eta=17"
"""With eta equal to the ratio of costs, 200 / 12, the same cost is spent on both rungs."""

ASHA = f"{PLAIN},grace=17"
"""None of the first eta trials, most of which are random, is promoted."""

TWO_FIDELITY_METHODS = [
    f"auto@{ASHA}",
    f"local_search@{ASHA}",
    f"regularized_evolution@{ASHA}",
    f"local_search@{PLAIN}",
    f"regularized_evolution@{PLAIN}",
    f"regularized_evolution@{PLAIN},capped=false",
    "regularized_evolution@successive_halving:min_epochs=12,eta=17,trials=17",
    "bohb:min_epochs=12,eta=17",
    "dehb:min_epochs=12,eta=17",
    "auto",
    "local_search",
    "regularized_evolution",
]
SCHEDULES = [
    "",
    "@successive_halving",
    "@hyperband",
    "@asha",
    "@asha:capped=false",
    "@asha:variant=stopping",
    "@pasha",
    "@median",
    "@progressive_dynamic_hurdles",
    "@curve",
]
PAIRS = ["bohb", "dehb"]
FIGURE_SCHEDULES = [name for name in SCHEDULES if name not in ("@asha:capped=false", "@pasha")]
"""The schedules in the figure of curves: as many as there are colours. The others have nearly the curve of `asha`."""
TRIALS = 100
BINS = ((0, 0.001), (0.001, 0.01), (0.01, 0.1), (0.1, 0.5), (0.5, 1.01))
UNEVEN = 0.5
"""The standard deviation of the logarithm of a trial's duration relative to the table: two of three within 0.6 to 1.6."""


# -- problems ----------------------------------------------------------------------------------------------------------


@cache
def nasbench201() -> Table:
    from ogive.bench.nasbench201 import load

    return load(DATA / "nasbench201_cifar10.csv.gz", column=FULL, cheap=CHEAP)


class Uneven(Wrapper):
    """Multiplies the duration of each trial by a random factor with mean 1."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, "with unequal durations")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        rng = generator(seed, "duration", architecture.id, int(fidelity.get("epochs", 0)))
        factor = float(np.exp(rng.normal(-(UNEVEN**2) / 2, UNEVEN)))
        for result in super().evaluate(architecture, fidelity, seed):
            yield replace(result, seconds=result.seconds * factor)


class Misleading(Wrapper):
    """Permutes the values at the lowest level among the rows between the quartiles of that level."""

    def __init__(self, problem: Table) -> None:
        super().__init__(problem, "with a misleading cheap level")
        self.table, self.lowest = problem, problem.levels[0]
        values = problem.values("accuracy", 0)[:, 0]
        low, high = np.quantile(values, [0.25, 0.75])
        middle = np.flatnonzero((values >= low) & (values <= high))
        self.values = values.copy()
        self.values[middle] = values[generator(0, "misleading").permutation(middle)]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        value = float(self.values[self.table.find_row(architecture)])
        for result in super().evaluate(architecture, fidelity, seed):
            is_lowest = result.step == self.lowest
            yield replace(result, metrics={**result.metrics, "accuracy": value}) if is_lowest else result


class Epochs(Wrapper):
    """Sets the duration of each epoch to one second, so that cost is counted in epochs."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, "by epochs")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        for result in super().evaluate(architecture, fidelity, seed):
            yield replace(result, seconds=1.0)

    @property
    def full_seconds(self) -> float:
        return float(self.epochs or 1)


class Slow(Epochs):
    """Makes one architecture in ten ten times as slow."""

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        factor = 10.0 if generator(seed, "slow", architecture.id).random() < 0.1 else 1.0
        for result in super().evaluate(architecture, fidelity, seed):
            yield replace(result, seconds=result.seconds * factor)


class Truncated(Epochs):
    """Ends each trial after a few epochs, which are the full fidelity of the search. The truth stays that of all epochs."""

    def __init__(self, problem: Problem, epochs: int) -> None:
        super().__init__(problem)
        self.all_epochs, self.epochs = float(problem.epochs or 1), epochs
        self.name = f"{problem.name}, {epochs} epochs"

    @property
    def full_seconds(self) -> float:
        return self.all_epochs


# -- running and printing ----------------------------------------------------------------------------------------------


class Study:
    """Comparisons of methods on one problem with one protocol, stored in a separate folder."""

    def __init__(self, options: argparse.Namespace, name: str, make: Callable[[], Problem], **protocol: float) -> None:
        bench.register(name, make)
        self.name, self.seeds = name, options.seeds
        self.folder = Path(options.folder) / name
        self.protocol = bench.Protocol(**{"trials": 100_000, **protocol})  # type: ignore[arg-type]

    def run(self, methods: Sequence[str]) -> BenchmarkResults:
        def print_progress(done: int, total: int) -> None:
            print(f"\r{self.name}: {done} of {total} searches", end="", file=sys.stderr, flush=True)

        comparison = bench.compare(
            [self.name], methods, self.folder, seeds=self.seeds, protocol=self.protocol, progress=print_progress
        )
        print(file=sys.stderr)
        return BenchmarkResults(comparison, self.name)


def print_regrets(results: BenchmarkResults, title: str, costs: Sequence[float], reference: str) -> None:
    """Print the mean regret (standard error) of each method at some costs, and its differences from `reference`."""
    seeds = len(results.comparison.seeds)
    print(
        f"\n{title}\nmean regret, {results.measures[-1]} (standard error), {seeds} seeds, at the cost of full trainings"
    )
    width = max(map(len, results.names))
    print(f"{'':<{width}}" + "".join(f"{cost:>16g}" for cost in costs) + f"   minus {reference}, signed-rank test")
    reference_regrets = final_regrets(results, reference, costs)
    for name in results.names:
        regrets = final_regrets(results, name, costs)
        errors = regrets.std(axis=0, ddof=1) / np.sqrt(seeds)
        cells = "".join(f"{m:>8.3f} ({e:.3f})" for m, e in zip(regrets.mean(axis=0), errors, strict=True))
        is_reference = name == str(parse_method(reference))
        print(f"{name:<{width}}{cells}   {'' if is_reference else _format_differences(regrets, reference_regrets)}")


def final_regrets(results: BenchmarkResults, name: str, costs: Sequence[float]) -> np.ndarray:
    """Return the regrets [s, t] by the last measure; the options in `name` may have any order."""
    return results.compute_regrets(str(parse_method(name)), results.axis, list(costs))[:, :, -1]


def _format_differences(regrets: np.ndarray, reference: np.ndarray) -> str:
    from ogive.stats.paired import compare_pairs

    tests = [compare_pairs(a.tolist(), b.tolist()) for a, b in zip(regrets.T, reference.T, strict=True)]
    return "  ".join(f"{test.mean:+.3f} (p={test.p:.3f})" for test in tests)


# -- the studies -------------------------------------------------------------------------------------------------------


def two_fidelities(options: argparse.Namespace) -> None:
    methods = options.entrants or TWO_FIDELITY_METHODS
    one = Study(options, "two-fidelities", nasbench201, cost=COSTS[-1])
    print_regrets(one.run(methods), "one worker", COSTS, methods[-1])
    eight = Study(options, "two-fidelities-uneven", lambda: Uneven(nasbench201()), cost=COSTS[-1], workers=8)
    print_regrets(eight.run(methods), "8 workers, trials of unequal duration", COSTS, methods[-1])


def misleading(options: argparse.Namespace) -> None:
    methods = options.entrants or [f"auto@{ASHA}", "auto", f"local_search@{ASHA}", "local_search"]
    study = Study(options, "misleading", lambda: Misleading(nasbench201()), cost=COSTS[-1])
    without_schedule = list(dict.fromkeys(name.partition("@")[0] for name in methods))
    results = study.run(list(dict.fromkeys([*methods, *without_schedule])))
    for strategy in without_schedule:
        print_regrets(results, f"{strategy} compared with itself at full training", COSTS, strategy)


def curves(options: argparse.Namespace) -> None:
    methods = options.entrants or [f"{options.strategy}{schedule}" for schedule in SCHEDULES] + PAIRS
    study = Study(options, "curves-at-equal-epochs", lambda: Epochs(bench.load(options.benchmark)), cost=COSTS[-1])
    results = study.run(methods)
    print_regrets(results, f"{options.benchmark} at equal epochs", (5.0, *COSTS), methods[0])
    if options.figure:
        figure = study.run(options.entrants or [f"{options.strategy}{schedule}" for schedule in FIGURE_SCHEDULES])
        measure, reference = len(figure.measures) - 1, str(parse_method(methods[0]))
        svg = comparison_figures.draw_anytime_curves(figure, figure.axis, measure, reference)
        Path(options.figure).write_text(make_standalone(svg, comparison_figures.EXTRA_STYLE), encoding="utf-8")


def stopping(options: argparse.Namespace) -> None:
    """Compare the same trials with and without stopping; then searches with the same number of epochs."""

    def problem() -> Problem:
        return Epochs(bench.load(options.benchmark))

    methods = [options.strategy, f"{options.strategy}@median", f"{options.strategy}@curve"]
    same_trials = Study(options, "stopping-the-same-trials", problem, trials=TRIALS).run(methods)
    print(f"\nthe same {TRIALS} trials: share of the epochs; regret; minus that of full training, signed-rank test")
    for name in methods:
        shares = [
            episode["cost"] / same_trials.problem.full_seconds / TRIALS for episode in same_trials.list_episodes(name)
        ]
        cells = _format_measures(same_trials, name, same_trials, methods[0], math.inf)
        print(f"{name:<24}{np.mean(shares):8.1%}{cells}")
    study = Study(options, "stopping-at-equal-epochs", problem, cost=COSTS[1])
    results = study.run(methods)
    all_epochs = int(results.problem.epochs or 1)
    rows = [(name, results, name) for name in methods]
    for epochs in sorted({max(1, round(all_epochs * share)) for share in (1 / 8, 1 / 4, 3 / 8, 1 / 2)}):
        make = partial(Truncated, bench.load(options.benchmark), epochs)
        truncated = Study(options, f"stopping-all-after-{epochs}", make, cost=COSTS[1]).run([options.strategy])
        rows.append((f"all for {epochs} epochs", truncated, options.strategy))
    for cost in COSTS[:2]:
        print(
            f"\nat the cost of {cost:g} full trainings: regret (standard error); minus that of curve, signed-rank test"
        )
        for label, item, name in rows:
            print(f"{label:<24}" + _format_measures(item, name, results, f"{options.strategy}@curve", cost))


def _format_measures(
    results: BenchmarkResults, name: str, reference_results: BenchmarkResults, reference: str, cost: float
) -> str:
    """Format the regret of a method by each measure, and its difference from a reference, at some cost."""
    cells = []
    for index, measure in enumerate(results.measures):
        regrets, reference_regrets = (
            item.compute_regrets(str(parse_method(method)), item.axis, [cost])[:, :, index]
            for item, method in ((results, name), (reference_results, reference))
        )
        error = regrets.std(ddof=1) / np.sqrt(len(regrets))
        differences = _format_differences(regrets, reference_regrets)
        cells.append(f"   {measure} {regrets.mean():.4f} ({error:.4f}) {differences}")
    return "".join(cells)


def calibration(options: argparse.Namespace) -> None:
    """Compare the forecasts of `curve` for the trials of random searches with the fully trained values."""
    problem = bench.load(options.benchmark)
    all_epochs = int(problem.epochs or 1)
    rows: list[tuple[int, float, bool]] = []
    for seed in range(options.seeds):
        state = bench.simulate(problem, bench.PluginSpec(options.strategy), trials=TRIALS, seed=seed)
        rows += _collect_forecasts(problem, all_epochs, list(state.trials.values()))
    forecasts = np.array(rows)
    print(
        f"\n{options.benchmark}: probability to beat the best, and how often it did, in {options.seeds} searches of "
        f"{TRIALS} trials"
    )
    print(f"{'epochs':<14}" + "".join(f"{f'{low:g} to {high:g}':>26}" for low, high in BINS))
    for epochs in np.unique(forecasts[:, 0]):
        cells = []
        for low, high in BINS:
            group = forecasts[(forecasts[:, 0] == epochs) & (forecasts[:, 1] >= low) & (forecasts[:, 1] < high)]
            cells.append(
                f"{group[:, 1].mean():.4f}, {group[:, 2].mean():.4f} of {len(group)}" if len(group) else "none"
            )
        print(f"{epochs:<14g}" + "".join(f"{cell:>26}" for cell in cells))


def _collect_forecasts(problem: Problem, all_epochs: int, trials: Sequence[Trial]) -> list[tuple[int, float, bool]]:
    """Return the forecasts of `curve` for fully trained trials, until it would stop each of them.

    Returns:
        For each forecast: the number of epochs, the probability to beat the best trial, and whether the trial did.
    """
    from ogive.schedule.curve_stopping import CurveStopping

    schedule, best = CurveStopping(problem.objectives, epochs=all_epochs), math.inf
    rows = []
    for trial in trials:
        final_cost = problem.objectives[0].cost(trial.metrics)
        for epoch in range(1, all_epochs + 1):
            partial_trial = replace(trial, status=Status.RUNNING, reports=trial.reports[:epoch])
            is_checked = epoch in (all_epochs // 8, all_epochs // 4, all_epochs // 2)
            if is_checked and (chance := schedule.improvement_probability(partial_trial)) is not None:
                rows.append((epoch, chance, final_cost < best))
            if schedule.on_report(partial_trial, partial_trial.reports[-1]) is Action.STOP:
                break
        status = Status.FINISHED if epoch == all_epochs else Status.STOPPED
        schedule.on_end(replace(partial_trial, status=status))
        best = min(best, final_cost) if epoch == all_epochs else best
    return rows


def idle(options: argparse.Namespace) -> None:
    """Print the share of time in which 8 workers do not train."""
    methods = [f"{options.strategy}{schedule}" for schedule in SCHEDULES]
    study = Study(options, "idle", lambda: Slow(bench.load(options.benchmark)), workers=8, cost=COSTS[-1])
    results = study.run([*methods, f"{options.strategy}@hyperband:overlap=false"])
    print(f"\nshare of time in which 8 workers do not train, {options.seeds} seeds (minimum, maximum)")
    for name in results.names:
        shares = [1 - episode["cost"] / (8 * episode["seconds"]) for episode in results.list_episodes(name)]
        print(f"{name:<46}{np.mean(shares):8.1%}  ({min(shares):.1%}, {max(shares):.1%})")


def rungs(options: argparse.Namespace) -> None:
    """Print the rungs and budgets of the schedules, for one worker; there is no search."""
    objectives = (Objective("accuracy"),)
    print(
        "rungs, from 1 epoch, eta 3 (asha, pasha, successive_halving, hyperband, dehb); trials of a bracket of halving"
    )
    for highest in (9, 27, 50, 81, 200):
        steps = list_rung_epochs(1, highest, 3)
        halving = SuccessiveHalving(objectives, epochs=highest)
        assert steps == halving.ladder.steps == Hyperband(objectives, epochs=highest).ladder.steps
        print(f"to {highest:<4} epochs: {_join(steps):<22} trials: {_join(halving.sizes)}")
    for highest, brackets in HPBANDSTER.items():
        print(f"\nhyperband to {highest} epochs: trials at epochs of each bracket; hpbandster 0.7.4")
        schedule = Hyperband(objectives, epochs=highest)
        for number, (sizes, steps) in enumerate(brackets):
            first, own_sizes = schedule.plan_bracket(number)
            ours = _format_bracket(own_sizes, schedule.ladder.steps[first:])
            theirs = _format_bracket(sizes, steps)
            print(f"  {number + 1}: {ours:<44} {theirs:<44} {_format_equality(ours, theirs)}")
        all_theirs = unrolled([run for sizes, steps in brackets for run in zip(steps, sizes, strict=True)])
        own_budgets = budgets(Hyperband(objectives, epochs=highest), len(all_theirs))
        _print_sequences(own_budgets, all_theirs, "hpbandster 0.7.4")
    for highest, runs in DEHB.items():
        print(f"\ndehb to {highest} epochs: the sequence of trials at epochs, with the second round of brackets")
        own_budgets = budgets(DEHBBrackets(objectives, epochs=highest), len(unrolled(runs)))
        _print_sequences(own_budgets, unrolled(runs), "dehb 0.1.2")


def pbt(options: argparse.Namespace) -> None:
    """Print statistics of a population of 10 in virtual time, with epochs of equal duration, or different by 10%."""
    print("\nworkers     epochs 10% apart: share replaced, accuracy     equal epochs: share replaced, accuracy")
    for workers in range(1, 13):
        cells = []
        for jitter in (0.1, 0.0):
            states = [population(workers, seed, jitter=jitter) for seed in range(options.seeds)]
            cells.append(f"{np.mean([replaced(s) for s in states]):.3f} {np.mean([final(s) for s in states]):.3f}")
        print(f"{workers:<12}{cells[0]:<48}{cells[1]}")


def _join(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def _format_bracket(sizes: Sequence[int], steps: Sequence[int]) -> str:
    return ", ".join(f"{size} at {step}" for size, step in zip(sizes, steps, strict=True))


def _format_equality(ours: object, theirs: object) -> str:
    return "the same" if ours == theirs else "NOT THE SAME"


def _print_sequences(ours: list[int], theirs: list[int], program: str) -> None:
    """Print two sequences of budgets; equal budgets in a row are counted."""
    for name, sequence in (("ogive", ours), (program, theirs)):
        runs = [(len(list(group)), budget) for budget, group in groupby(sequence)]
        print(f"  {name:<17} {', '.join(f'{count} at {budget}' for count, budget in runs)}")
    print(f"  {len(theirs)} evaluations: {_format_equality(ours, theirs)}")


STUDIES = {
    "two-fidelities": two_fidelities,
    "misleading": misleading,
    "curves": curves,
    "stopping": stopping,
    "calibration": calibration,
    "idle": idle,
    "rungs": rungs,
    "pbt": pbt,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=STUDIES, default="two-fidelities")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--entrants", nargs="+", help="methods instead of the default ones, such as tpe@asha:eta=4")
    parser.add_argument("--strategy", default="random", help="strategy in curves, stopping, calibration and idle")
    parser.add_argument(
        "--benchmark",
        default="digits",
        help="benchmark with learning curves, for curves, stopping, calibration and idle",
    )
    parser.add_argument("--figure", help="file for the figure of curves (SVG)")
    parser.add_argument("--folder", help="folder in which searches are stored")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.folder = options.folder or folder
        STUDIES[options.what](options)


if __name__ == "__main__":
    main()
