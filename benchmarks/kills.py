"""Kill a search, a funnel and full training with SIGKILL at random moments, and continue each by the same call.

    python benchmarks/kills.py --kills 60 --seed 0
    python benchmarks/kills.py --kills 60 --seed 0 --workers 2

Each kind of task gets a third of the kills. A task that ends before it has had its kills is started again in a new folder.
These conditions are checked: no reported step is lost or changed by a kill, no (trial, step) appears twice, every trial is
inactive in the end, no process remains, and the weights of every report were trained for as many epochs as it says. With one
worker, the journals and the winner must also equal those of a task without kills. The exit code is 1 if a condition fails.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from faults import eventually, kill_tree, left_running

import ogive as og
from ogive.run.events import Event, Kind
from ogive.run.journal import Journal
from ogive.run.state import State
from ogive.testing.journals import comparable_events
from ogive.trial import Status

SPACE = og.Space(og.layer(dict, width=og.integer(1, 40, name="width"), depth=og.integer(1, 5, name="depth")))
KINDS = ("search", "funnel", "finalize")
PAUSE = 0.02
"""The duration of an epoch in seconds."""
MAX_DELAY = 4.0
"""The maximum time from the start of a process to its kill, in seconds."""


class Trainer:
    """A train function whose metrics show how many epochs its weights were trained for, in spite of interruptions."""

    def __init__(self, pause: float) -> None:
        self.pause = pause

    def __call__(self, model: dict[str, int], trial: Any) -> None:
        trained = (trial.restore() or {"trained": 0})["trained"]
        for epoch in trial.epochs():
            time.sleep(self.pause)
            trained += 1
            trial.checkpoint(model={"trained": trained}, trained=trained)
            trial.report(accuracy=accuracy(model, trained), trained=trained, epoch=epoch)


def accuracy(model: dict[str, int], trained: int) -> float:
    return (1 - abs(model["width"] - 23) / 40 - abs(model["depth"] - 3) / 20) * (1 - 0.7**trained)


def run_task(kind: str, folder: Path, workers: int, pause: float) -> str:
    """Run or continue a task, and return its winner."""
    estimator = og.estimate.train(Trainer(pause))
    search = partial(
        og.search, SPACE, estimator, objectives="accuracy", strategy="regularized_evolution", workers=workers, seed=3
    )
    if kind == "search":
        return str(search(schedule="asha", epochs=9, max_trials=60, run=folder).best.architecture)
    if kind == "funnel":
        phases = [
            og.Phase("smoke", partial(search, epochs=1, max_trials=20)),
            og.Phase("short", partial(search, epochs=3, max_trials=20)),
            og.Phase("long", partial(search, schedule="asha", epochs=9, max_trials=30)),
        ]
        return str(og.funnel(phases, folder).run.best.architecture)
    if not (folder / "final" / "journal.db").exists():
        search(epochs=1, max_trials=15, run=folder)
    return str(og.open_run(folder, trust=True).finalize(top=6, seeds=(0, 1, 2), epochs=8, workers=workers).winners)


def read_journals(folder: Path) -> dict[str, list[Event]]:
    """Return the events of each run of a task, by the path of the run relative to `folder`."""
    events = {}
    for path in sorted(folder.rglob("journal.db")):
        journal = Journal(path, writable=False)
        try:
            events[str(path.parent.relative_to(folder))] = list(journal.read())
        finally:
            journal.close()
    return events


def reported_metrics(events: list[Event]) -> dict[tuple[int | None, int | None], Any]:
    """Return the metrics of each report, by (trial, step)."""
    return {(e.trial, e.step): e.data["metrics"] for e in events if e.kind is Kind.REPORTED}


class Campaign:
    """The kills of one kind of task, and the conditions that failed."""

    def __init__(self, kind: str, workers: int, seed: int, folder: Path) -> None:
        self.kind, self.workers, self.folder = kind, workers, folder
        self.random = random.Random(f"{kind} {seed}")
        self.failures: Counter[str] = Counter()
        self.kills = self.tasks = 0

    def run(self, kills: int) -> None:
        uninterrupted = self.folder / "whole"
        expected_winner = self._finish(uninterrupted, 0.0)
        expected = {run: comparable_events(events) for run, events in read_journals(uninterrupted).items()}
        while self.kills < kills:
            self.tasks += 1
            folder = self.folder / f"work-{self.tasks}"
            reports, winner = self._kill_repeatedly(folder, kills)
            winner = self._finish(folder, PAUSE) if winner is None else winner
            self._check(folder, reports)
            if self.workers == 1:
                self._count(winner != expected_winner, "another winner")
                actual = {run: comparable_events(events) for run, events in read_journals(folder).items()}
                self._count(
                    actual != expected, f"the journal differs from that without kills: {difference(expected, actual)}"
                )

    def _start(self, folder: Path, pause: float) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, "--work", self.kind, str(folder), str(self.workers), str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _kill_repeatedly(self, folder: Path, kills: int) -> tuple[dict[str, dict[Any, Any]], str | None]:
        """Start and kill the task until it ends, or until there were enough kills.

        Returns:
            The reports in its journals at the last kill, and its winner; None if the task has not ended.
        """
        reports: dict[str, dict[Any, Any]] = {}
        while self.kills < kills:
            process = self._start(folder, PAUSE)
            try:
                process.wait(self.random.uniform(0.2, MAX_DELAY))
            except subprocess.TimeoutExpired:
                kill_tree(process)
                self.kills += 1
                for run, events in read_journals(folder).items():
                    current = reported_metrics(events)
                    self._count(bool(lost_steps(reports.get(run, {}), current)), "a reported step is lost")
                    reports[run] = current
                continue
            return reports, self._read_winner(process)
        return reports, None

    def _finish(self, folder: Path, pause: float) -> str:
        return self._read_winner(self._start(folder, pause))

    def _read_winner(self, process: subprocess.Popen[str]) -> str:
        """Return the last line that a process prints."""
        output, error = process.communicate(timeout=600)
        self._count(process.returncode != 0, f"the call failed: {error.strip().splitlines()[-1:]}")
        return output.strip().splitlines()[-1] if output.strip() else ""

    def _check(self, folder: Path, reports: dict[str, dict[Any, Any]]) -> None:
        for run, events in read_journals(folder).items():
            current = reported_metrics(events)
            self._count(bool(lost_steps(reports.get(run, {}), current)), "a reported step is lost")
            self._count(len(current) != sum(e.kind is Kind.REPORTED for e in events), "a (trial, step) appears twice")
            trials = list(State.from_events(events).trials.values())
            is_active = any(not (t.status.ended or t.status is Status.PAUSED) for t in trials)
            self._count(is_active, "a trial has not ended")
            self._count(any(t.status.failed for t in trials), "a trial has failed")
            has_epochs = all(m["trained"] == m["epoch"] == step for (_, step), m in current.items())
            self._count(not has_epochs, "a report has another number of epochs than its weights")
            eventually(lambda path=folder / run: left_running(path) == [])  # type: ignore[misc]

    def _count(self, has_failed: bool, condition: str) -> None:
        if has_failed:
            self.failures[condition] += 1

    def summary(self) -> str:
        failures = ", ".join(f"{name} ({count})" for name, count in self.failures.items()) or "no failures"
        return f"{self.kind}: {self.kills} kills in {self.tasks} tasks, {self.workers} workers: {failures}"


def difference(expected: dict[str, list[Any]], actual: dict[str, list[Any]]) -> str:
    """Return a description of the first event in which journals differ; "" if they are equal."""
    for run in expected.keys() | actual.keys():
        for number, (without, with_kills) in enumerate(zip_longest(expected.get(run, []), actual.get(run, []))):
            if without != with_kills:
                return f"{run}, event {number}: {without} without kills, {with_kills} with kills"
    return ""


def lost_steps(before: dict[Any, Any], after: dict[Any, Any]) -> list[Any]:
    """Return the reports that are missing or changed in `after`."""
    return [key for key, metrics in before.items() if after.get(key) != metrics]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments of the kills")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        kind, folder, workers, pause = options.work
        print(run_task(kind, Path(folder), int(workers), float(pause)))
        return 0
    print(f"seed {options.seed}", flush=True)
    has_failed = False
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(options.kinds):
            kills = (options.kills + number) // len(options.kinds)
            campaign = Campaign(kind, options.workers, options.seed, Path(folder) / kind)
            campaign.run(kills)
            print(campaign.summary(), flush=True)
            has_failed |= bool(campaign.failures)
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
