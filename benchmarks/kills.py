"""`kill -9` at random moments of a search, a funnel and the second stage; each time the same call goes on.

    python benchmarks/kills.py --kills 60 --seed 0
    python benchmarks/kills.py --kills 60 --seed 0 --workers 2

A third of the kills is for each kind of work; a work that ends before it has had its share is begun again in another folder.
At the end of each: no step that was in the journal at a kill is missing or changed, no (trial, step) is there twice, every
trial has ended or is paused, no process is left, and every report is of as many epochs as it says. With one worker
the journals are also, event by event, those of the same work without a kill, and so is the winner. Exit code 1 if not.
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
"""Seconds of an epoch."""
LATEST = 4.0
"""A kill comes after so many seconds at most, counted from the start of the process."""


class Trainer:
    """Reports a value that shows how many epochs its weights were trained, whatever was interrupted."""

    def __init__(self, pause: float) -> None:
        self.pause = pause

    def __call__(self, model: dict[str, int], trial: Any) -> None:
        trained = (trial.restore() or {"trained": 0})["trained"]
        for epoch in trial.epochs():
            time.sleep(self.pause)
            trained += 1
            trial.checkpoint(model={"trained": trained}, trained=trained)
            trial.report(accuracy=value(model, trained), trained=trained, epoch=epoch)


def value(model: dict[str, int], trained: int) -> float:
    return (1 - abs(model["width"] - 23) / 40 - abs(model["depth"] - 3) / 20) * (1 - 0.7**trained)


def work(kind: str, folder: Path, workers: int, pause: float) -> str:
    """Do a work, or go on with it; returns its winner."""
    judge = og.estimate.train(Trainer(pause))
    search = partial(
        og.search, SPACE, judge, objectives="accuracy", strategy="regularized_evolution", workers=workers, seed=3
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


def journals(folder: Path) -> dict[str, list[Event]]:
    """The events of every run of a work that has been created, by its place."""
    found = {}
    for path in sorted(folder.rglob("journal.db")):
        journal = Journal(path, writable=False)
        try:
            found[str(path.parent.relative_to(folder))] = list(journal.read())
        finally:
            journal.close()
    return found


def reports(events: list[Event]) -> dict[tuple[int | None, int | None], Any]:
    """The metrics of every report that a journal has, by (trial, step)."""
    return {(e.trial, e.step): e.data["metrics"] for e in events if e.kind is Kind.REPORTED}


class Campaign:
    """The kills of one kind of work."""

    def __init__(self, kind: str, workers: int, seed: int, folder: Path) -> None:
        self.kind, self.workers, self.folder = kind, workers, folder
        self.random = random.Random(f"{kind} {seed}")
        self.wrong: Counter[str] = Counter()
        self.kills = self.works = 0

    def run(self, kills: int) -> None:
        whole = self.folder / "whole"
        winner = self._finish(whole, 0.0)
        expected = {place: comparable_events(events) for place, events in journals(whole).items()}
        while self.kills < kills:
            self.works += 1
            folder = self.folder / f"work-{self.works}"
            seen, again = self._kill(folder, kills)
            again = self._finish(folder, PAUSE) if again is None else again
            self._check(folder, seen)
            if self.workers == 1:
                self._note(again != winner, "another winner")
                found = {place: comparable_events(events) for place, events in journals(folder).items()}
                self._note(found != expected, f"journal unlike that without kills: {difference(expected, found)}")

    def _start(self, folder: Path, pause: float) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, "--work", self.kind, str(folder), str(self.workers), str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _kill(self, folder: Path, kills: int) -> tuple[dict[str, dict[Any, Any]], str | None]:
        """Begin the work and kill it until it ends or all kills are done; what its journals held at the kills, and its
        winner where it came to its end.
        """
        seen: dict[str, dict[Any, Any]] = {}
        while self.kills < kills:
            process = self._start(folder, PAUSE)
            try:
                process.wait(self.random.uniform(0.2, LATEST))
            except subprocess.TimeoutExpired:
                kill_tree(process)
                self.kills += 1
                for place, events in journals(folder).items():
                    now = reports(events)
                    self._note(bool(lost(seen.get(place, {}), now)), "a reported step is lost")
                    seen[place] = now
                continue
            return seen, self._winner(process)
        return seen, None

    def _finish(self, folder: Path, pause: float) -> str:
        return self._winner(self._start(folder, pause))

    def _winner(self, process: subprocess.Popen[str]) -> str:
        """What a process that is not killed prints last."""
        out, error = process.communicate(timeout=600)
        self._note(process.returncode != 0, f"the call failed: {error.strip().splitlines()[-1:]}")
        return out.strip().splitlines()[-1] if out.strip() else ""

    def _check(self, folder: Path, seen: dict[str, dict[Any, Any]]) -> None:
        for place, events in journals(folder).items():
            now = reports(events)
            self._note(bool(lost(seen.get(place, {}), now)), "a reported step is lost")
            self._note(len(now) != sum(e.kind is Kind.REPORTED for e in events), "a (trial, step) is there twice")
            trials = list(State.of(events).trials.values())
            self._note(any(not (t.status.ended or t.status is Status.PAUSED) for t in trials), "a trial has not ended")
            self._note(any(t.status.failed for t in trials), "a trial has failed")
            right = all(m["trained"] == m["epoch"] == step for (_, step), m in now.items())
            self._note(not right, "a report is not of so many epochs")
            eventually(lambda run=folder / place: left_running(run) == [])  # type: ignore[misc]

    def _note(self, wrong: bool, what: str) -> None:
        if wrong:
            self.wrong[what] += 1

    def summary(self) -> str:
        wrong = ", ".join(f"{what} ({times})" for what, times in self.wrong.items()) or "nothing wrong"
        return f"{self.kind}: {self.kills} kills in {self.works} works, {self.workers} workers: {wrong}"


def difference(expected: dict[str, list[Any]], found: dict[str, list[Any]]) -> str:
    """The first event in which journals differ; "" where none does."""
    for place in expected.keys() | found.keys():
        for number, (one, other) in enumerate(zip_longest(expected.get(place, []), found.get(place, []))):
            if one != other:
                return f"{place}, event {number}: {one} without, {other} with kills"
    return ""


def lost(before: dict[Any, Any], now: dict[Any, Any]) -> list[Any]:
    """What was reported before, and is not there now or not the same."""
    return [key for key, metrics in before.items() if now.get(key) != metrics]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        kind, folder, workers, pause = options.work
        print(work(kind, Path(folder), int(workers), float(pause)))
        return 0
    print(f"seed {options.seed}", flush=True)
    wrong = False
    with tempfile.TemporaryDirectory() as place:
        for number, kind in enumerate(options.kinds):
            share = (options.kills + number) // len(options.kinds)
            campaign = Campaign(kind, options.workers, options.seed, Path(place) / kind)
            campaign.run(share)
            print(campaign.summary(), flush=True)
            wrong |= bool(campaign.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
