"""What schedules save: searches of tables with known answers at equal cost, in simulated time.

    python benchmarks/schedules.py --what two-fidelities
    python benchmarks/schedules.py --what misleading
    python benchmarks/schedules.py --what curves --figure docs/images/schedules.svg
    python benchmarks/schedules.py --what stopping
    python benchmarks/schedules.py --what calibration
    python benchmarks/schedules.py --what idle
    python benchmarks/schedules.py --what rungs
    python benchmarks/schedules.py --what pbt

- two-fidelities: NAS-Bench-201, 12 epochs at a cost of 12 and all 200 at 200; one worker, and 8 whose trials take unequally
  long. Mean regret in accuracy points at the cost of some full trainings.
- misleading: the same with a cheap column that is permuted within its middle half; every entrant against full training.
- curves: every schedule under one strategy, and the named pairs, at equal epochs on learning curves; any-time curves.
- stopping: what `curve` and `median` save and lose over the same trials, and at equal epochs beside training every trial for
  fewer epochs.
- calibration: how often the forecasts of `curve` come true, by the chance that they gave.
- idle: how long 8 workers wait for work under each schedule, one of ten trials being ten times as slow.
- rungs: where rungs stand and how many trials come to them, and the budgets of Hyperband and DEHB one after the other,
  beside those that their authors' programs had (tests/support/authors_budgets.py).
- pbt: the share of comparisons at which `pbt` replaces a member, and the accuracy at the end, by the number of workers
  (tests/support/populations.py).

The NAS-Bench-201 table is looked for where the tests look for it: in the folder OGIVE_TEST_DATA, or in `shared/data` beside
the repository. With `--folder` every search is kept there as it ends, and not run again.
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
from ogive.bench.catalog import entrant
from ogive.bench.comparison_results import Results
from ogive.bench.problem import Observation, Problem
from ogive.bench.table_problem import Table
from ogive.bench.wrappers import Wrapper
from ogive.document.markdown import standalone
from ogive.objective import Objective
from ogive.schedule.base import Action
from ogive.schedule.dehb import DEHBBrackets
from ogive.schedule.hyperband import Hyperband
from ogive.schedule.ladder import rung_epochs
from ogive.schedule.successive_halving import SuccessiveHalving
from ogive.seeds import generator
from ogive.space import Architecture
from ogive.trial import Fidelity, Status, Trial

DATA = Path(os.environ.get("OGIVE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FULL, CHEAP = "cifar10_test_accuracy_full_training", "cifar10_test_accuracy_12_epochs"
AT = (10.0, 25.0, 50.0)
"""Where regrets are printed, in full trainings."""

PLAIN = "asha:min_epochs=12,eta=17"
"""eta is the cost of the upper rung over that of the lower, 200 / 12: both rungs then cost the same."""

ASHA = f"{PLAIN},grace=17"
"""The first eta trials, most of them random, earn no promotion."""

TWO = [
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
DRAWN = [name for name in SCHEDULES if name not in ("@asha:capped=false", "@pasha")]
"""In the figure of curves: as many as there are colours; those left out are nearly `asha` there."""
TRIALS = 100
BINS = ((0, 0.001), (0.001, 0.01), (0.01, 0.1), (0.1, 0.5), (0.5, 1.01))
UNEVEN = 0.5
"""Standard deviation of the logarithm of a trial's duration over what the table says: two in three within 0.6 to 1.6."""


# -- problems ----------------------------------------------------------------------------------------------------------


@cache
def nasbench201() -> Table:
    from ogive.bench.nasbench201 import load

    return load(DATA / "nasbench201_cifar10.csv.gz", column=FULL, cheap=CHEAP)


class Uneven(Wrapper):
    """Every trial takes longer or shorter than the table says, on average as long."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, "with unequal durations")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        rng = generator(seed, "duration", architecture.id, int(fidelity.get("epochs", 0)))
        factor = float(np.exp(rng.normal(-(UNEVEN**2) / 2, UNEVEN)))
        for seen in super().evaluate(architecture, fidelity, seed):
            yield replace(seen, seconds=seen.seconds * factor)


class Misleading(Wrapper):
    """The values at the lowest level exchanged at random among the rows between the quartiles of that level."""

    def __init__(self, problem: Table) -> None:
        super().__init__(problem, "with a misleading cheap level")
        self.table, self.lowest = problem, problem.levels[0]
        values = problem.values("accuracy", 0)[:, 0]
        low, high = np.quantile(values, [0.25, 0.75])
        middle = np.flatnonzero((values >= low) & (values <= high))
        self.values = values.copy()
        self.values[middle] = values[generator(0, "misleading").permutation(middle)]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        value = float(self.values[self.table.row(architecture)])
        for seen in super().evaluate(architecture, fidelity, seed):
            yield replace(seen, metrics={**seen.metrics, "accuracy": value}) if seen.step == self.lowest else seen


class Epochs(Wrapper):
    """Cost is counted in epochs: each takes one second."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, "by epochs")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        for seen in super().evaluate(architecture, fidelity, seed):
            yield replace(seen, seconds=1.0)

    @property
    def full_seconds(self) -> float:
        return float(self.epochs or 1)


class Slow(Epochs):
    """One architecture in ten takes ten times as long."""

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        factor = 10.0 if generator(seed, "slow", architecture.id).random() < 0.1 else 1.0
        for seen in super().evaluate(architecture, fidelity, seed):
            yield replace(seen, seconds=seen.seconds * factor)


class Truncated(Epochs):
    """Every trial ends after a few epochs: that is the full fidelity of such a search, judged by the truth all the same."""

    def __init__(self, problem: Problem, epochs: int) -> None:
        super().__init__(problem)
        self.whole, self.epochs = float(problem.epochs or 1), epochs
        self.name = f"{problem.name}, {epochs} epochs"

    @property
    def full_seconds(self) -> float:
        return self.whole


# -- what is printed ---------------------------------------------------------------------------------------------------


class Study:
    """Searches of one problem under one protocol, kept in a folder of their own."""

    def __init__(self, options: argparse.Namespace, name: str, make: Callable[[], Problem], **protocol: float) -> None:
        bench.register(name, make)
        self.name, self.seeds = name, options.seeds
        self.folder = Path(options.folder) / name
        self.protocol = bench.Protocol(**{"trials": 100_000, **protocol})  # type: ignore[arg-type]

    def run(self, entrants: Sequence[str]) -> Results:
        def progress(done: int, all_: int) -> None:
            print(f"\r{self.name}: {done} of {all_} searches", end="", file=sys.stderr, flush=True)

        done = bench.compare(
            [self.name], entrants, self.folder, seeds=self.seeds, protocol=self.protocol, progress=progress
        )
        print(file=sys.stderr)
        return Results(done, self.name)


def show(results: Results, title: str, at: Sequence[float], reference: str) -> None:
    """Mean regret (standard error) at some costs, and each entrant's difference from `reference` at the last of them."""
    seeds = len(results.comparison.seeds)
    print(
        f"\n{title}\nmean regret, {results.measures[-1]} (standard error), {seeds} seeds, at the cost of full trainings"
    )
    width = max(map(len, results.names))
    print(f"{'':<{width}}" + "".join(f"{mark:>16g}" for mark in at) + f"   minus {reference}, signed-rank test")
    base = values(results, reference, at)
    for name in results.names:
        found = values(results, name, at)
        errors = found.std(axis=0, ddof=1) / np.sqrt(seeds)
        cells = "".join(f"{m:>8.3f} ({e:.3f})" for m, e in zip(found.mean(axis=0), errors, strict=True))
        print(f"{name:<{width}}{cells}   {_differences(found, base) if name != str(entrant(reference)) else ''}")


def values(results: Results, name: str, at: Sequence[float]) -> np.ndarray:
    """[s, t] regrets by the measure that decides; options in any order."""
    return results.values(str(entrant(name)), results.axis, list(at))[:, :, -1]


def _differences(found: np.ndarray, base: np.ndarray) -> str:
    from ogive.stats.paired import paired

    tests = [paired(a.tolist(), b.tolist()) for a, b in zip(found.T, base.T, strict=True)]
    return "  ".join(f"{test.mean:+.3f} (p={test.p:.3f})" for test in tests)


# -- what there is -----------------------------------------------------------------------------------------------------


def two_fidelities(options: argparse.Namespace) -> None:
    entrants = options.entrants or TWO
    one = Study(options, "two-fidelities", nasbench201, cost=AT[-1])
    show(one.run(entrants), "one worker", AT, entrants[-1])
    eight = Study(options, "two-fidelities-uneven", lambda: Uneven(nasbench201()), cost=AT[-1], workers=8)
    show(eight.run(entrants), "8 workers, trials of unequal duration", AT, entrants[-1])


def misleading(options: argparse.Namespace) -> None:
    entrants = options.entrants or [f"auto@{ASHA}", "auto", f"local_search@{ASHA}", "local_search"]
    study = Study(options, "misleading", lambda: Misleading(nasbench201()), cost=AT[-1])
    alone = list(dict.fromkeys(name.partition("@")[0] for name in entrants))
    results = study.run(list(dict.fromkeys([*entrants, *alone])))
    for strategy in alone:
        show(results, f"{strategy} against itself with full training", AT, strategy)


def curves(options: argparse.Namespace) -> None:
    entrants = options.entrants or [f"{options.strategy}{schedule}" for schedule in SCHEDULES] + PAIRS
    study = Study(options, "curves-at-equal-epochs", lambda: Epochs(bench.load(options.benchmark)), cost=AT[-1])
    results = study.run(entrants)
    show(results, f"{options.benchmark} at equal epochs", (5.0, *AT), entrants[0])
    if options.figure:
        drawn = study.run(options.entrants or [f"{options.strategy}{schedule}" for schedule in DRAWN])
        svg = comparison_figures.anytime(drawn, drawn.axis, len(drawn.measures) - 1, str(entrant(entrants[0])))
        Path(options.figure).write_text(standalone(svg, comparison_figures.EXTRA_STYLE), encoding="utf-8")


def stopping(options: argparse.Namespace) -> None:
    """The same trials with and without stopping; then as many as the same epochs pay for."""

    def problem() -> Problem:
        return Epochs(bench.load(options.benchmark))

    entrants = [options.strategy, f"{options.strategy}@median", f"{options.strategy}@curve"]
    same = Study(options, "stopping-the-same-trials", problem, trials=TRIALS).run(entrants)
    print(f"\nthe same {TRIALS} trials: share of the epochs; regret; minus that of full training, signed-rank test")
    for name in entrants:
        spent = [fact["cost"] / same.problem.full_seconds / TRIALS for fact in same.facts(name)]
        print(f"{name:<24}{np.mean(spent):8.1%}" + _by_measure(same, name, same, entrants[0], math.inf))
    study = Study(options, "stopping-at-equal-epochs", problem, cost=AT[1])
    results = study.run(entrants)
    whole = int(results.problem.epochs or 1)
    rows = [(name, results, name) for name in entrants]
    for epochs in sorted({max(1, round(whole * share)) for share in (1 / 8, 1 / 4, 3 / 8, 1 / 2)}):
        make = partial(Truncated, bench.load(options.benchmark), epochs)
        cut = Study(options, f"stopping-all-after-{epochs}", make, cost=AT[1]).run([options.strategy])
        rows.append((f"all for {epochs} epochs", cut, options.strategy))
    for at in AT[:2]:
        print(f"\nat the cost of {at:g} full trainings: regret (standard error); minus that of curve, signed-rank test")
        for label, found, name in rows:
            print(f"{label:<24}" + _by_measure(found, name, results, f"{options.strategy}@curve", at))


def _by_measure(found: Results, name: str, base: Results, reference: str, at: float) -> str:
    """What a search can see, the validation's mean over the table's seeds, and the test, which has a noise of its own."""
    cells = []
    for number, measure in enumerate(found.measures):
        mine, other = (
            r.values(str(entrant(n)), r.axis, [at])[:, :, number] for r, n in ((found, name), (base, reference))
        )
        error = mine.std(ddof=1) / np.sqrt(len(mine))
        cells.append(f"   {measure} {mine.mean():.4f} ({error:.4f}) {_differences(mine, other)}")
    return "".join(cells)


def calibration(options: argparse.Namespace) -> None:
    """What `curve` says of trials in the order of a random search, while it stops some of them, and what would have come."""
    problem = bench.load(options.benchmark)
    whole = int(problem.epochs or 1)
    rows: list[tuple[int, float, bool]] = []
    for seed in range(options.seeds):
        state = bench.simulate(problem, bench.PluginSpec(options.strategy), trials=TRIALS, seed=seed)
        rows += _said_and_true(problem, whole, list(state.trials.values()))
    found = np.array(rows)
    print(
        f"\n{options.benchmark}: chance to beat the best, said and come true, {options.seeds} searches of {TRIALS} trials"
    )
    print(f"{'epochs seen':<14}" + "".join(f"{f'{low:g} to {high:g}':>26}" for low, high in BINS))
    for t in np.unique(found[:, 0]):
        cells = []
        for low, high in BINS:
            part = found[(found[:, 0] == t) & (found[:, 1] >= low) & (found[:, 1] < high)]
            cells.append(f"{part[:, 1].mean():.4f}, {part[:, 2].mean():.4f} of {len(part)}" if len(part) else "none")
        print(f"{t:<14g}" + "".join(f"{cell:>26}" for cell in cells))


def _said_and_true(problem: Problem, whole: int, trials: Sequence[Trial]) -> list[tuple[int, float, bool]]:
    """Of trials that were trained in full: what is said of each until it is stopped."""
    from ogive.schedule.curve_stopping import CurveStopping

    schedule, best = CurveStopping(problem.objectives, epochs=whole), math.inf
    rows = []
    for trial in trials:
        end = problem.objectives[0].cost(trial.metrics)
        for t in range(1, whole + 1):
            seen = replace(trial, status=Status.RUNNING, reports=trial.reports[:t])
            if (
                t in (whole // 8, whole // 4, whole // 2)
                and (chance := schedule.improvement_probability(seen)) is not None
            ):
                rows.append((t, chance, end < best))
            if schedule.on_report(seen, seen.reports[-1]) is Action.STOP:
                break
        schedule.on_end(replace(seen, status=Status.FINISHED if t == whole else Status.STOPPED))
        best = min(best, end) if t == whole else best
    return rows


def idle(options: argparse.Namespace) -> None:
    """What is not training, of the time of 8 workers."""
    entrants = [f"{options.strategy}{schedule}" for schedule in SCHEDULES]
    study = Study(options, "idle", lambda: Slow(bench.load(options.benchmark)), workers=8, cost=AT[-1])
    results = study.run([*entrants, f"{options.strategy}@hyperband:overlap=false"])
    print(f"\nshare of the time of 8 workers that is no training, {options.seeds} seeds (least, most)")
    for name in results.names:
        shares = [1 - fact["cost"] / (8 * fact["seconds"]) for fact in results.facts(name)]
        print(f"{name:<46}{np.mean(shares):8.1%}  ({min(shares):.1%}, {max(shares):.1%})")


def rungs(options: argparse.Namespace) -> None:
    """Nothing is searched: the schedules are asked, with one worker."""
    sought = (Objective("accuracy"),)
    print(
        "rungs, from 1 epoch, eta 3 (asha, pasha, successive_halving, hyperband, dehb); trials of a bracket of halving"
    )
    for highest in (9, 27, 50, 81, 200):
        stand = rung_epochs(1, highest, 3)
        halving = SuccessiveHalving(sought, epochs=highest)
        assert stand == halving.ladder.steps == Hyperband(sought, epochs=highest).ladder.steps
        print(f"to {highest:<4} epochs: {_row(stand):<22} trials: {_row(halving.sizes)}")
    for highest, brackets in HPBANDSTER.items():
        print(f"\nhyperband to {highest} epochs: trials at epochs of each bracket; hpbandster 0.7.4")
        schedule = Hyperband(sought, epochs=highest)
        for number, (sizes, at) in enumerate(brackets):
            first, own = schedule.plan(number)
            mine, theirs = _at(own, schedule.ladder.steps[first:]), _at(sizes, at)
            print(f"  {number + 1}: {mine:<44} {theirs:<44} {_same(mine, theirs)}")
        theirs_all = unrolled([run for sizes, at in brackets for run in zip(at, sizes, strict=True)])
        _beside(budgets(Hyperband(sought, epochs=highest), len(theirs_all)), theirs_all, "hpbandster 0.7.4")
    for highest, runs in DEHB.items():
        print(f"\ndehb to {highest} epochs: trials at epochs in a row, the second round of brackets included")
        _beside(budgets(DEHBBrackets(sought, epochs=highest), len(unrolled(runs))), unrolled(runs), "dehb 0.1.2")


def pbt(options: argparse.Namespace) -> None:
    """A population of 10, in virtual time; epochs differ by 10 % in their seconds, or take the same time."""
    print("\nworkers     epochs 10 % apart: share replaced, accuracy     equal epochs: share replaced, accuracy")
    for workers in range(1, 13):
        cells = []
        for jitter in (0.1, 0.0):
            states = [population(workers, seed, jitter=jitter) for seed in range(options.seeds)]
            cells.append(f"{np.mean([replaced(s) for s in states]):.3f} {np.mean([final(s) for s in states]):.3f}")
        print(f"{workers:<12}{cells[0]:<48}{cells[1]}")


def _row(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def _at(sizes: Sequence[int], steps: Sequence[int]) -> str:
    return ", ".join(f"{size} at {step}" for size, step in zip(sizes, steps, strict=True))


def _same(mine: object, theirs: object) -> str:
    return "the same" if mine == theirs else "NOT THE SAME"


def _beside(mine: list[int], theirs: list[int], program: str) -> None:
    """Two sequences of budgets, equal ones in a row counted."""
    for name, sequence in (("ogive", mine), (program, theirs)):
        runs = [(len(list(group)), budget) for budget, group in groupby(sequence)]
        print(f"  {name:<17} {', '.join(f'{count} at {budget}' for count, budget in runs)}")
    print(f"  {len(theirs)} evaluations: {_same(mine, theirs)}")


WHAT = {
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
    parser.add_argument("--what", choices=WHAT, default="two-fidelities")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--entrants", nargs="+", help="others than the usual ones, such as tpe@asha:eta=4")
    parser.add_argument("--strategy", default="random", help="of the schedules in curves, stopping and idle")
    parser.add_argument(
        "--benchmark", default="digits", help="with learning curves, for curves, stopping and calibration"
    )
    parser.add_argument("--figure", help="where curves writes its figure (SVG)")
    parser.add_argument("--folder", help="where searches are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.folder = options.folder or folder
        WHAT[options.what](options)


if __name__ == "__main__":
    main()
