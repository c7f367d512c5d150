"""The cost of simulated workers: CPU time and memory of a whole search in virtual time.

python benchmarks/simulated.py [--trials 100000] [--workers 10000] [--sqlite 10000] [--small]

The search uses `regularized_evolution` with `asha` (1 to 81 epochs, eta 3), and the stop rules and alerts of a real search.
The space has ten decisions with five alternatives. An epoch takes about a minute, with a log-normal factor for each trial;
one trial in a hundred fails. Each line is a search in a separate process: its CPU seconds, events and peak memory. The
journal is a list in memory with all events, or a SQLite file.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import ogive as og
from ogive.executors.simulated import FaultModel, SimulatedExecutor, SimulatedReport, VirtualClock
from ogive.monitor.advisor import Advisor
from ogive.run.controller import Controller
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.journal import Journal
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.session.run_declaration import RunSpec, make_schedule, make_strategy
from ogive.trial import count_steps

SPACE = og.Space(og.layer(dict, **{f"edge{i}": og.one_of(*range(5), name=f"edge{i}") for i in range(10)}))
EPOCHS, MINUTE = 81, 60.0
SEARCH = "regularized_evolution"


class MemoryJournal:
    """A journal that stores its events in a list."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = list(events)

    def append(self, events: Sequence[Event]) -> list[Event]:
        numbered = [event.with_time(event.time, len(self.events) + i) for i, event in enumerate(events, 1)]
        self.events += numbered
        return numbered


def trajectory(assignment: Assignment) -> Iterator[SimulatedReport]:
    """Yield one report at the end of a job: a metric with some structure, and noise that depends on the trial."""
    value = sum(int(label) * (index % 3 + 1) for index, label in enumerate(assignment.choices.values())) / 80
    noise = assignment.seed % 1000 / 1000
    epochs = count_steps(assignment.fidelity)
    epoch_seconds = MINUTE * math.exp(0.5 * (noise - 0.5))
    yield (
        epochs,
        {"accuracy": value + 0.05 * noise - 1 / (epochs + 1)},
        epoch_seconds * (epochs - assignment.last_reported_step),
    )


def search(trials: int, workers: int, sqlite: bool, faults: FaultModel) -> None:
    """Run one search, and print its line."""
    estimator = og.estimate.function(dict)
    spec = RunSpec.of(
        SPACE,
        estimator,
        objectives="accuracy",
        constraints=(),
        strategy=SEARCH,
        schedule="asha",
        epochs=None,
        seed=0,
    )
    settings = Settings(max_trials=trials, workers=workers, max_failed_trials=trials)
    created = Event(Kind.CREATED, data={**spec.to_json(), "epochs": EPOCHS, "settings": settings.to_json()}, seq=1)
    clock = VirtualClock(1.0)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "journal.db"
        if sqlite:
            Journal.create(path, [created], clock=clock)
        log = Journal(path, clock=clock) if sqlite else MemoryJournal([created])
        if isinstance(log, Journal):
            log.acquire()
        state = State.from_events([created], SPACE)
        controller = Controller(
            log,
            log.append([Event(Kind.OPENED, data={"workers": workers}, time=clock.now())]),
            state,
            strategy=make_strategy(SEARCH, SPACE, state.objectives, (), estimator.screen),
            schedule=make_schedule("asha", state.objectives, (), EPOCHS),
            executor=SimulatedExecutor(clock, trajectory, workers, faults=faults),
            folder=Path(temporary),
            clock=clock,
            monitor=Advisor(state, clock),
        )
        controller.run()
        if isinstance(log, Journal):
            log.close()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{'SQLite' if sqlite else 'memory':8} {trials:9,} {workers:9,} {seconds:9.1f} {1e3 * seconds / trials:9.3f} "
        f"{state.seq:11,} {peak:9,.0f} {clock.now() / 3600:9.1f} {len(state.alerts):7}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument(
        "--sqlite", type=int, default=10_000, metavar="TRIALS", help="trials of the search with a SQLite journal"
    )
    parser.add_argument(
        "--small", action="store_true", help="first run a search with a tenth of the trials and workers"
    )
    parser.add_argument("--one", nargs=3, metavar=("TRIALS", "WORKERS", "JOURNAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        trials, workers, journal = options.one
        search(int(trials), int(workers), journal == "SQLite", FaultModel(fail=0.01))
        return
    lines = [(options.trials, options.workers, "memory"), (options.sqlite, options.workers // 10, "SQLite")]
    if options.small:
        lines.insert(0, (options.trials // 10, options.workers // 10, "memory"))
    heads = ("trials", "workers", "CPU s", "ms/trial")
    print(
        f"{'journal':8} {' '.join(f'{head:>9}' for head in heads)} {'events':>11} {'peak MB':>9} {'hours':>9} {'alerts':>7}"
    )
    for trials, workers, journal in lines:
        command = [sys.executable, __file__, "--one", str(trials), str(workers), journal]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
