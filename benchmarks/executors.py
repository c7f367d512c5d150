"""Worker processes: the number of empty trials per second, and the share of time in which workers are idle.

    python benchmarks/executors.py

Workers are warm: each one counts from the end of its first trial. A worker is idle while it waits for the controller: its
idle time is the time between its first and last report in the journal, minus the compute time in between. "Computing"
trials keep a core busy, so that controller and workers compete for the cores; "sleeping" trials do not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ogive as og
from ogive.run.estimator import Estimator, Evaluation
from ogive.trial import Trial

SPACE = og.Space(og.layer(dict, **{f"d{i}": og.one_of(*range(9)) for i in range(6)}))


@dataclass
class TimedEstimator(Estimator):
    """An estimator that takes `seconds` for a trial, computing or sleeping."""

    seconds: float
    computing: bool = False

    def evaluate(self, evaluation: Evaluation) -> None:
        if self.computing:
            end = time.perf_counter() + self.seconds
            while time.perf_counter() < end:
                pass
        elif self.seconds:
            time.sleep(self.seconds)
        evaluation.report(1, {"accuracy": 0.5})


def run_trials(estimator: TimedEstimator, count: int, workers: int) -> list[Trial]:
    with tempfile.TemporaryDirectory() as folder:
        run = og.search(
            SPACE,
            estimator,
            strategy="random",
            max_trials=count,
            workers=workers,
            run=Path(folder) / "run",
            observer=lambda state, event: None,
        )
        assert run.state.failed_count == 0
        return run.trials


def group_by_worker(trials: list[Trial]) -> Mapping[str, list[Trial]]:
    return {name: [t for t in trials if t.worker == name] for name in sorted({t.worker for t in trials})}


def trials_per_second(trials: list[Trial]) -> float:
    """Return the number of trials per second after each worker has finished its first trial."""
    warm = max(group[0].reports[-1].time for group in group_by_worker(trials).values())
    times = [t.reports[-1].time for t in trials if t.reports[-1].time > warm]
    return len(times) / (max(times) - warm)


def idle_share(trials: list[Trial]) -> float:
    """Return the share of time in which workers wait for the controller."""
    idle = total = 0.0
    for group in group_by_worker(trials).values():
        seconds = group[-1].reports[-1].time - group[0].reports[-1].time
        idle += seconds - sum(t.reports[-1].seconds for t in group[1:])
        total += seconds
    return idle / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=1000, help="number of empty trials (default: 1000)")
    parser.add_argument("--seconds", type=float, default=0.1, help="duration of the other trials (default: 0.1)")
    parser.add_argument("--lasting", type=int, default=200, help="number of the other trials (default: 200)")
    options = parser.parse_args()
    rate = trials_per_second(run_trials(TimedEstimator(0.0), options.trials, options.workers))
    print(f"{options.workers} warm workers, empty trials:  {rate:6.0f} per second   (goal: at least 100)")
    for computing in (False, True):
        share = idle_share(run_trials(TimedEstimator(options.seconds, computing), options.lasting, options.workers))
        kind = "computing" if computing else "sleeping"
        print(
            f"trials of {options.seconds:g} s, {kind:<9}: workers are idle {share:7.2%} of the time   (goal: at most 5%)"
        )


if __name__ == "__main__":
    main()
