"""How good plans are: the split they recommend, what a split is worth, and a real search against its forecast.

python benchmarks/plan.py machines --samples 10    # plans from noisy samples, judged on what they did not see
python benchmarks/plan.py splits --seeds 10        # what the right split is worth, by schedule and number of workers
python benchmarks/plan.py real --repeats 3         # digits on this machine: plan, search, compare
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

import ogive as og
from ogive.bench.simulated_search import PluginSpec
from ogive.objective import Objective
from ogive.planner import (
    Epoch,
    Landscape,
    Machine,
    PlannedSearch,
    Shape,
    StartUp,
    Timings,
    WorkerSplit,
    build_plan,
    list_splits,
    simulate_split,
)
from ogive.seeds import generator

MACHINES = {
    "mostly serial": Machine(8.0, 4.0, 0.1, 10, 2, 1.0, 0.0, 0.4, 0.05),
    "scales well": Machine(0.3, 12.0, 0.02, 10, 2, 1.0, 0.0, 0.4, 0.05),
    "scales up to eight": Machine(1.0, 12.0, 0.25, 10, 2, 1.0, 0.0, 0.4, 0.05),
    "slow start that grows": Machine(
        0.3, 12.0, 0.05, 0, 30, 0.0, 8.0, 0.4, 0.05
    ),  # eight start four times as long as two
    "unlike architectures": Machine(1.0, 8.0, 0.05, 10, 2, 1.0, 0.0, 0.9, 0.15),
}
"""Seconds; the last two figures are the spread of architectures and the noise of epochs."""
GPUS = Machine(2.0, 58.0, 0.05, 5.0, 2.5, 0.0, 2.5, 0.5, 0.05)
"""A minute an epoch on one device, ten times faster on 64; processes meet in 5 s where they are two, in 20 s where they are
eight, and do so again for every trial.
"""
JOBS = {
    "full": (PluginSpec("random"), PluginSpec("full"), 24),
    "asha": (PluginSpec("regularized_evolution"), PluginSpec("asha"), 64),
}
MEASURED = (1, 2, 4, 8)
TRIALS, EPOCHS = 6, 3
SHAPE = Shape("share", math.log(0.1))


@cache
def landscape(epochs: int, seed: int) -> Landscape:
    return Landscape(og.bench.load("chain").space, Objective("accuracy"), epochs, SHAPE, seed)


def sample(machine: Machine, seed: int) -> Timings:
    """What a plan would measure on a machine: a few trials of a few epochs, and three workers' start."""
    rng = generator(seed, "sample")
    epochs, starts = [], []
    for trial in range(TRIALS):
        factor = math.exp(rng.normal(0, machine.spread))
        for workers in MEASURED:
            for epoch in range(1, EPOCHS + 1):
                seconds = machine.epoch(workers) * factor * math.exp(rng.normal(0, machine.noise))
                seconds += machine.attempt(workers) if epoch == 1 else 0.0
                epochs.append(Epoch(f"{trial}", workers, epoch, seconds, epoch == 1))
    for workers in MEASURED:
        starts += [StartUp(workers, machine.start_up(workers) * math.exp(rng.normal(0, 0.1))) for _ in range(3)]
    return Timings(tuple(epochs), tuple(starts), "devices", "a simulated machine")


def truth(
    machine: Machine, search: PlannedSearch, workers: int, epochs: int, seeds: int
) -> dict[WorkerSplit, tuple[float, float]]:
    """Mean seconds and mean regret of every split, on seeds that no plan has seen."""
    found = {}
    for split in list_splits(workers, search.trials):
        runs = [simulate_split(landscape(epochs, s), search, machine, split, s) for s in range(1000, 1000 + seeds)]
        found[split] = float(np.mean([r.seconds for r in runs])), float(np.mean([r.curve[-1, 1] for r in runs]))
    return found


def machines(samples: int) -> None:
    workers, epochs = 16, 9
    print(
        f"{workers} workers, {epochs} epochs; {TRIALS} trials of {EPOCHS} epochs measured with {MEASURED} workers each"
    )
    print(
        f"{'machine':<24}{'schedule':<11}{'best':>8}{'best/worst':>12}{'within 10 %':>13}{'worst excess':>14}{'covered':>9}"
    )
    excesses, covered = [], []
    for name, machine in MACHINES.items():
        for job, (strategy, schedule, trials) in JOBS.items():
            search = PlannedSearch(strategy, schedule, trials)
            true = truth(machine, search, workers, epochs, 12)
            fastest = min(seconds for seconds, _ in true.values())
            slowest = max(seconds for seconds, _ in true.values())
            own, inside = [], []
            for number in range(samples):
                plan = build_plan(
                    sample(machine, number),
                    search,
                    lambda s: landscape(epochs, s),
                    workers,
                    seed=number,
                    proposal_seconds=0.0,
                )
                own.append(true[plan.recommended][0] / fastest - 1)
                fresh = simulate_split(
                    landscape(epochs, 5000 + number), search, machine, plan.recommended, 5000 + number
                )
                inside.append(plan.row.seconds.low <= fresh.seconds <= plan.row.seconds.high)
            excesses += own
            covered += inside
            best = min(true, key=lambda split: true[split][0])
            share = np.mean([e <= 0.1 for e in own])
            print(
                f"{name:<24}{job:<11}{best!s:>8}{slowest / fastest:>12.1f}{share:>13.0%}{max(own):>14.1%}"
                f"{np.mean(inside):>9.0%}",
                flush=True,
            )
    print(
        f"all {len(excesses)}: within 10 % of the fastest {np.mean([e <= 0.1 for e in excesses]):.1%}, worst "
        f"{max(excesses):.1%}; 90 % intervals held the time of a search that they had not seen in {np.mean(covered):.0%}"
    )


def compare_splits(seeds: int, trials: int) -> None:
    epochs = 27
    print(
        f"{trials} trials, up to {epochs} epochs, {seeds} seeds; an epoch on k devices takes, in the middle, in seconds:"
    )
    print("  " + ", ".join(f"{k}: {GPUS.epoch(k):.0f}" for k in (1, 2, 4, 8, 16, 64)))
    one = f"{'hours':>8}{'regret':>9}"
    print(f"{'schedule':<11}{'W':>4}{'best':>8}{one}{'worst':>8}{one}{'factor':>8}{'+-':>6}{'one each':>10}{one}")
    for name, strategy, schedule in (
        ("hyperband", PluginSpec("random"), PluginSpec("hyperband")),
        ("asha", PluginSpec("random"), PluginSpec("asha")),
        ("bohb", PluginSpec("bohb"), PluginSpec(*next(iter(og.strategy.brought("bohb", {}).items())))),
    ):
        for workers in (2, 4, 8, 16, 64):
            search = PlannedSearch(strategy, schedule, trials)
            runs = {
                split: [simulate_split(landscape(epochs, s), search, GPUS, split, s) for s in range(seeds)]
                for split in list_splits(workers, trials)
            }
            regret = {split: np.array([run.curve[-1, 1] for run in own]) for split, own in runs.items()}
            hours = {split: np.array([run.seconds for run in own]) / 3600 for split, own in runs.items()}
            least = min(regret, key=lambda split: regret[split].mean())
            equal = [split for split in runs if _equal(regret[split] - regret[least])]
            best, worst = (chosen(equal, key=lambda split: hours[split].mean()) for chosen in (min, max))
            factors = hours[worst] / hours[best]
            cells = [f"{s!s:>8}{hours[s].mean():>8.2f}{regret[s].mean():>9.4f}" for s in (best, worst, max(runs))]
            factor = f"{hours[worst].mean() / hours[best].mean():>8.2f}{factors.std(ddof=1) / math.sqrt(seeds):>6.2f}"
            print(f"{name:<11}{workers:>4}{cells[0]}{cells[1]}{factor}  {cells[2]}", flush=True)


def _equal(gap: np.ndarray) -> bool:
    """Whether regrets are not significantly above those of the best split: paired, two standard errors."""
    return bool(gap.mean() <= 2 * gap.std(ddof=1) / math.sqrt(len(gap)) or np.ptp(gap) == 0)


def real(repeats: int) -> None:
    task = og.task.classification("digits", test=500, validation=500, train=400)
    print(f"{'job':<36}{'split':>7}{'foretold':>10}{'90 %':>16}{'took':>8}{'error':>8}{'load before, after':>20}")
    errors = []
    for number in range(repeats):
        for name, schedule, trials in (
            ("regularized_evolution, asha", "asha", 40),
            ("regularized_evolution, full", None, 15),
        ):
            estimator = og.estimate.classifier(task, og.task.Recipe(learning_rate=3e-3), epochs=9)
            given = {
                "objectives": "log_loss",
                "strategy": "regularized_evolution",
                "schedule": schedule,
                "max_trials": trials,
                "seed": number,
            }
            before = os.getloadavg()[0]
            plan = og.plan(og.zoo.chain(), estimator, **given)
            with tempfile.TemporaryDirectory() as folder:
                run = og.search(
                    og.zoo.chain(),
                    estimator,
                    workers=plan,
                    cache=False,
                    run=Path(folder) / "run",
                    observer=lambda state, event: None,
                    **given,
                )
                took = run.state.elapsed
            seconds = plan.row.seconds
            errors.append(seconds.expected / took - 1)
            interval = f"{seconds.low:.1f} to {seconds.high:.1f}"
            load = f"{before:.1f}, {os.getloadavg()[0]:.1f}"
            print(
                f"{name:<36}{plan.chosen!s:>7}{seconds.expected:>10.1f}{interval:>16}{took:>8.1f}{errors[-1]:>8.0%}{load:>20}",
                flush=True,
            )
    within = sum(abs(error) <= 0.2 for error in errors)
    print(f"{within} of {len(errors)} forecasts within 20 % of what it took; mean error {np.mean(np.abs(errors)):.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("machines", "splits", "real"))
    parser.add_argument("--samples", type=int, default=10, help="of every machine and schedule")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    began = time.monotonic()
    if options.part == "machines":
        machines(options.samples)
    elif options.part == "splits":
        compare_splits(options.seeds, options.trials)
    else:
        real(options.repeats)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
