"""The quality of plans: the recommended split, the gain by the right split, and a real search compared with its forecast.

python benchmarks/plan.py machines --samples 10    # plans from noisy measurements, evaluated on other seeds
python benchmarks/plan.py splits --seeds 10        # the gain by the right split, by schedule and number of workers
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
    Landscape,
    Machine,
    MeasuredEpoch,
    MeasuredStartUp,
    PlannedSearch,
    Shape,
    Timings,
    WorkerSplit,
    build_plan,
    list_splits,
    simulate_split,
)
from ogive.seeds import generator

MACHINES = {
    "mostly serial": Machine(
        serial=8.0,
        parallel=4.0,
        communication=0.1,
        start_up_base=10,
        start_up_per_worker=2,
        attempt_base=1.0,
        attempt_per_worker=0.0,
        spread=0.4,
        noise=0.05,
    ),
    "scales well": Machine(
        serial=0.3,
        parallel=12.0,
        communication=0.02,
        start_up_base=10,
        start_up_per_worker=2,
        attempt_base=1.0,
        attempt_per_worker=0.0,
        spread=0.4,
        noise=0.05,
    ),
    "scales up to eight": Machine(
        serial=1.0,
        parallel=12.0,
        communication=0.25,
        start_up_base=10,
        start_up_per_worker=2,
        attempt_base=1.0,
        attempt_per_worker=0.0,
        spread=0.4,
        noise=0.05,
    ),
    # The start of eight workers takes four times as long as that of two.
    "slow start that grows": Machine(
        serial=0.3,
        parallel=12.0,
        communication=0.05,
        start_up_base=0,
        start_up_per_worker=30,
        attempt_base=0.0,
        attempt_per_worker=8.0,
        spread=0.4,
        noise=0.05,
    ),
    "unlike architectures": Machine(
        serial=1.0,
        parallel=8.0,
        communication=0.05,
        start_up_base=10,
        start_up_per_worker=2,
        attempt_base=1.0,
        attempt_per_worker=0.0,
        spread=0.9,
        noise=0.15,
    ),
}
"""In seconds; the last two numbers are the spread between architectures and the noise of epochs."""
GPUS = Machine(
    serial=2.0,
    parallel=58.0,
    communication=0.05,
    start_up_base=5.0,
    start_up_per_worker=2.5,
    attempt_base=0.0,
    attempt_per_worker=2.5,
    spread=0.5,
    noise=0.05,
)
"""An epoch takes a minute on one device, and a tenth of that on 64. The process group is initialized for each trial, in 5 s
with two processes and in 20 s with eight.
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


def measure(machine: Machine, seed: int) -> Timings:
    """Return simulated measurements of a machine: a few trials of a few epochs, and the start of three workers."""
    rng = generator(seed, "sample")
    epochs, starts = [], []
    for trial in range(TRIALS):
        factor = math.exp(rng.normal(0, machine.spread))
        for workers in MEASURED:
            for epoch in range(1, EPOCHS + 1):
                seconds = machine.compute_epoch_seconds(workers) * factor * math.exp(rng.normal(0, machine.noise))
                seconds += machine.compute_attempt_seconds(workers) if epoch == 1 else 0.0
                epochs.append(MeasuredEpoch(f"{trial}", workers, epoch, seconds, epoch == 1))
    for workers in MEASURED:
        starts += [
            MeasuredStartUp(workers, machine.compute_start_up_seconds(workers) * math.exp(rng.normal(0, 0.1)))
            for _ in range(3)
        ]
    return Timings(tuple(epochs), tuple(starts), "devices", "a simulated machine")


def true_means(
    machine: Machine, search: PlannedSearch, workers: int, epochs: int, seeds: int
) -> dict[WorkerSplit, tuple[float, float]]:
    """Return the mean seconds and the mean regret of each split, on seeds that plans do not use."""
    means = {}
    for split in list_splits(workers, search.trials):
        runs = [simulate_split(landscape(epochs, s), search, machine, split, s) for s in range(1000, 1000 + seeds)]
        means[split] = float(np.mean([r.seconds for r in runs])), float(np.mean([r.curve[-1, 1] for r in runs]))
    return means


def evaluate_plans(samples: int) -> None:
    """Print how much slower the recommended split is than the fastest, and how often the interval of the time is right."""
    workers, epochs = 16, 9
    print(
        f"{workers} workers, {epochs} epochs; {TRIALS} trials of {EPOCHS} epochs measured with {MEASURED} workers each"
    )
    print(
        f"{'machine':<24}{'schedule':<11}{'best':>8}{'best/worst':>12}{'within 10%':>13}{'worst excess':>14}{'covered':>9}"
    )
    all_excesses, all_covered = [], []
    for name, machine in MACHINES.items():
        for job, (strategy, schedule, trials) in JOBS.items():
            search = PlannedSearch(strategy, schedule, trials)
            means = true_means(machine, search, workers, epochs, 12)
            fastest = min(seconds for seconds, _ in means.values())
            slowest = max(seconds for seconds, _ in means.values())
            excesses, covered = [], []
            for number in range(samples):
                plan = build_plan(
                    measure(machine, number),
                    search,
                    lambda s: landscape(epochs, s),
                    workers,
                    seed=number,
                    proposal_seconds=0.0,
                )
                excesses.append(means[plan.recommended][0] / fastest - 1)
                new_search = simulate_split(
                    landscape(epochs, 5000 + number), search, machine, plan.recommended, 5000 + number
                )
                covered.append(
                    plan.chosen_forecast.seconds.low <= new_search.seconds <= plan.chosen_forecast.seconds.high
                )
            all_excesses += excesses
            all_covered += covered
            best = min(means, key=lambda split: means[split][0])
            share = np.mean([excess <= 0.1 for excess in excesses])
            print(
                f"{name:<24}{job:<11}{best!s:>8}{slowest / fastest:>12.1f}{share:>13.0%}{max(excesses):>14.1%}"
                f"{np.mean(covered):>9.0%}",
                flush=True,
            )
    print(
        f"all {len(all_excesses)}: within 10% of the fastest {np.mean([e <= 0.1 for e in all_excesses]):.1%}, worst "
        f"{max(all_excesses):.1%}; 90% intervals contain the time of a new search in {np.mean(all_covered):.0%}"
    )


def compare_splits(seeds: int, trials: int) -> None:
    """Print time and regret of the fastest and the slowest split with equal regret, and of one worker per trial."""
    epochs = 27
    print(
        f"{trials} trials, up to {epochs} epochs, {seeds} seeds; median seconds of an epoch by the number of devices:"
    )
    print("  " + ", ".join(f"{k}: {GPUS.compute_epoch_seconds(k):.0f}" for k in (1, 2, 4, 8, 16, 64)))
    columns = f"{'hours':>8}{'regret':>9}"
    head = f"{'schedule':<11}{'W':>4}{'best':>8}{columns}{'worst':>8}{columns}"
    print(f"{head}{'factor':>8}{'+-':>6}{'one each':>10}{columns}")
    for name, strategy, schedule in (
        ("hyperband", PluginSpec("random"), PluginSpec("hyperband")),
        ("asha", PluginSpec("random"), PluginSpec("asha")),
        ("bohb", PluginSpec("bohb"), PluginSpec(*next(iter(og.strategy.paired_schedule("bohb", {}).items())))),
    ):
        for workers in (2, 4, 8, 16, 64):
            search = PlannedSearch(strategy, schedule, trials)
            runs = {
                split: [simulate_split(landscape(epochs, s), search, GPUS, split, s) for s in range(seeds)]
                for split in list_splits(workers, trials)
            }
            regret = {split: np.array([run.curve[-1, 1] for run in group]) for split, group in runs.items()}
            hours = {split: np.array([run.seconds for run in group]) / 3600 for split, group in runs.items()}
            least = min(regret, key=lambda split: regret[split].mean())
            equal = [split for split in runs if _is_equal(regret[split] - regret[least])]
            best, worst = (select(equal, key=lambda split: hours[split].mean()) for select in (min, max))
            factors = hours[worst] / hours[best]
            cells = [f"{s!s:>8}{hours[s].mean():>8.2f}{regret[s].mean():>9.4f}" for s in (best, worst, max(runs))]
            factor = f"{hours[worst].mean() / hours[best].mean():>8.2f}{factors.std(ddof=1) / math.sqrt(seeds):>6.2f}"
            print(f"{name:<11}{workers:>4}{cells[0]}{cells[1]}{factor}  {cells[2]}", flush=True)


def _is_equal(differences: np.ndarray) -> bool:
    """Return whether paired differences of regret are not significantly above 0: at most two standard errors."""
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return bool(differences.mean() <= 2 * error or np.ptp(differences) == 0)


def compare_forecasts(repeats: int) -> None:
    """Plan and run real searches, and print forecast and actual duration of each."""
    task = og.task.classification("digits", test=500, validation=500, train=400)
    print(f"{'job':<36}{'split':>7}{'forecast':>10}{'90%':>16}{'actual':>8}{'error':>8}{'load before, after':>20}")
    errors = []
    for number in range(repeats):
        for name, schedule, trials in (
            ("regularized_evolution, asha", "asha", 40),
            ("regularized_evolution, full", None, 15),
        ):
            estimator = og.estimate.classifier(task, og.task.Recipe(learning_rate=3e-3), epochs=9)
            arguments = {
                "objectives": "log_loss",
                "strategy": "regularized_evolution",
                "schedule": schedule,
                "max_trials": trials,
                "seed": number,
            }
            before = os.getloadavg()[0]
            plan = og.plan(og.zoo.chain(), estimator, **arguments)
            with tempfile.TemporaryDirectory() as folder:
                run = og.search(
                    og.zoo.chain(),
                    estimator,
                    workers=plan,
                    cache=False,
                    run=Path(folder) / "run",
                    observer=lambda state, event: None,
                    **arguments,
                )
                actual = run.state.elapsed_seconds
            seconds = plan.chosen_forecast.seconds
            errors.append(seconds.expected / actual - 1)
            interval = f"{seconds.low:.1f} to {seconds.high:.1f}"
            load = f"{before:.1f}, {os.getloadavg()[0]:.1f}"
            print(
                f"{name:<36}{plan.chosen!s:>7}{seconds.expected:>10.1f}{interval:>16}{actual:>8.1f}{errors[-1]:>8.0%}"
                f"{load:>20}",
                flush=True,
            )
    within = sum(abs(error) <= 0.2 for error in errors)
    print(
        f"{within} of {len(errors)} forecasts within 20% of the actual time; mean error {np.mean(np.abs(errors)):.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("machines", "splits", "real"))
    parser.add_argument("--samples", type=int, default=10, help="plans for each machine and schedule")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    start = time.monotonic()
    if options.part == "machines":
        evaluate_plans(options.samples)
    elif options.part == "splits":
        compare_splits(options.seeds, options.trials)
    else:
        compare_forecasts(options.repeats)
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
