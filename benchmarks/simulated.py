"""What simulated workers cost: processor time and memory of a whole search on machines that are not there.

python benchmarks/simulated.py [--trials 100000] [--workers 10000] [--sqlite 10000] [--small]

`regularized_evolution` under `asha` (1 to 81 epochs, eta 3), with stop rules and alerts as a real search has them. The space
has ten decisions of five alternatives; an epoch takes about a minute, log-normal between trials; one trial in a hundred
fails. Each line is a process of its own: seconds of its one core, events, peak memory. The journal is a list in memory that
keeps every event, or a SQLite file.
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
from ogive.executors.simulated import FaultModel, Next, Simulated, VirtualClock
from ogive.monitor.advisor import Advisor
from ogive.run.controller import Controller
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.journal import Journal
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.session.run_declaration import RunSpec, make_schedule, make_strategy
from ogive.trial import until

SPACE = og.Space(og.layer(dict, **{f"edge{i}": og.one_of(*range(5), name=f"edge{i}") for i in range(10)}))
EPOCHS, MINUTE = 81, 60.0
SEARCH = "regularized_evolution"


class MemoryJournal:
    """Events in a list."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = list(events)

    def append(self, events: Sequence[Event]) -> list[Event]:
        numbered = [event.at(event.time, len(self.events) + i) for i, event in enumerate(events, 1)]
        self.events += numbered
        return numbered


def course(assignment: Assignment) -> Iterator[Next]:
    """One report, at the end of the job: a value with some structure and a luck of the trial's own."""
    value = sum(int(label) * (place % 3 + 1) for place, label in enumerate(assignment.choices.values())) / 80
    luck = assignment.seed % 1000 / 1000
    epochs = until(assignment.fidelity)
    pace = MINUTE * math.exp(0.5 * (luck - 0.5))
    yield epochs, {"accuracy": value + 0.05 * luck - 1 / (epochs + 1)}, pace * (epochs - assignment.reported)


def search(trials: int, workers: int, sqlite: bool, faults: FaultModel) -> None:
    """One search; prints a line."""
    estimator = og.estimate.function(dict)
    declared = RunSpec.of(SPACE, estimator, "accuracy", (), SEARCH, "asha", None, 0)
    settings = Settings(max_trials=trials, workers=workers, max_failed_trials=trials)
    created = Event(Kind.CREATED, data={**declared.to_json(), "epochs": EPOCHS, "settings": settings.to_json()}, seq=1)
    clock = VirtualClock(1.0)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "journal.db"
        if sqlite:
            Journal.create(path, [created], clock=clock)
        log = Journal(path, clock=clock) if sqlite else MemoryJournal([created])
        if isinstance(log, Journal):
            log.acquire()
        state = State.of([created], SPACE)
        controller = Controller(
            log,
            log.append([Event(Kind.OPENED, data={"workers": workers}, time=clock.now())]),
            state,
            strategy=make_strategy(SEARCH, SPACE, state.objectives, (), estimator.screen),
            schedule=make_schedule("asha", state.objectives, (), EPOCHS),
            executor=Simulated(clock, course, workers, faults=faults),
            folder=Path(temporary),
            clock=clock,
            monitor=Advisor(state, clock),
        )
        controller.run()
        if isinstance(log, Journal):
            log.close()
    seconds = time.process_time() - began
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
        "--sqlite", type=int, default=10_000, metavar="TRIALS", help="of the search with a SQLite journal"
    )
    parser.add_argument("--small", action="store_true", help="a tenth of the trials and workers first")
    parser.add_argument("--one", nargs=3, metavar=("TRIALS", "WORKERS", "JOURNAL"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        trials, workers, journal = asked.one
        search(int(trials), int(workers), journal == "SQLite", FaultModel(fail=0.01))
        return
    lines = [(asked.trials, asked.workers, "memory"), (asked.sqlite, asked.workers // 10, "SQLite")]
    if asked.small:
        lines.insert(0, (asked.trials // 10, asked.workers // 10, "memory"))
    heads = ("trials", "workers", "CPU s", "ms/trial")
    print(
        f"{'journal':8} {' '.join(f'{head:>9}' for head in heads)} {'events':>11} {'peak MB':>9} {'hours':>9} {'alerts':>7}"
    )
    for trials, workers, journal in lines:
        command = [sys.executable, __file__, "--one", str(trials), str(workers), journal]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
