"""Worker processes: trials per second that do nothing, and the share of a worker's time that is idle.

    python benchmarks/executors.py

Warm workers only: counted from the first trial that each of them has ended. Idle is the time in which a worker waits for
the controller, told by the journal: the time between a worker's first and last report, less the compute time between.
"Computing" trials keep a core busy, so that controller and workers compete for the cores; "sleeping" trials do not.
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
class Lasting(Estimator):
    """A trial that takes `seconds`, asleep or computing."""

    seconds: float
    computing: bool = False

    def evaluate(self, evaluation: Evaluation) -> None:
        if self.computing:
            until = time.perf_counter() + self.seconds
            while time.perf_counter() < until:
                pass
        elif self.seconds:
            time.sleep(self.seconds)
        evaluation.report(1, {"accuracy": 0.5})


def trials(estimator: Lasting, count: int, workers: int) -> list[Trial]:
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
        assert run.state.failed == 0
        return run.trials


def by_worker(done: list[Trial]) -> Mapping[str, list[Trial]]:
    return {name: [t for t in done if t.worker == name] for name in sorted({t.worker for t in done})}


def per_second(done: list[Trial]) -> float:
    """Trials a second once every worker has ended one."""
    warm = max(some[0].reports[-1].time for some in by_worker(done).values())
    times = [t.reports[-1].time for t in done if t.reports[-1].time > warm]
    return len(times) / (max(times) - warm)


def idle(done: list[Trial]) -> float:
    """The share of the workers' time in which they wait."""
    waited = total = 0.0
    for some in by_worker(done).values():
        lasted = some[-1].reports[-1].time - some[0].reports[-1].time
        waited += lasted - sum(t.reports[-1].seconds for t in some[1:])
        total += lasted
    return waited / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=1000, help="trials that do nothing (default: 1000)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a trial that does something (default: 0.1)")
    parser.add_argument("--lasting", type=int, default=200, help="trials that do something (default: 200)")
    options = parser.parse_args()
    rate = per_second(trials(Lasting(0.0), options.trials, options.workers))
    print(f"{options.workers} warm workers, trials that do nothing:  {rate:6.0f} a second   (goal: at least 100)")
    for computing in (False, True):
        share = idle(trials(Lasting(options.seconds, computing), options.lasting, options.workers))
        what = "computing" if computing else "sleeping"
        print(f"trials of {options.seconds:g} s, {what:<9}: idle {share:7.2%} of a worker's time   (goal: at most 5 %)")


if __name__ == "__main__":
    main()
