"""Sinks of a search: while it runs, in a continued run, and afterwards from the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.errors import JobError, RunError
from ogive.run.events import Event, Kind
from ogive.sinks.base import Entry, Sink

SPACE = og.Space(og.layer(dict, a=og.integer(0, 99, name="a")))


def evaluate(architecture: Any) -> dict[str, float]:
    return {"accuracy": architecture["a"] / 99}


def search(run: Path, **options: Any) -> og.Run:
    defaults: dict[str, Any] = {
        "strategy": "random",
        "max_trials": 5,
        "executor": "inline",
        "observer": lambda s, e: None,
    }
    return og.search(SPACE, og.estimate.function(evaluate), run=run, **{**defaults, **options})


def read_lines(run: og.Run) -> list[Any]:
    return [json.loads(line) for line in (run.folder / "sinks" / "events.jsonl").read_text().splitlines()]


def read_accuracies(run: og.Run) -> list[str]:
    with (run.folder / "sinks" / "csv" / "trials.csv").open(newline="") as file:
        return [row["accuracy"] for row in csv.DictReader(file)]


def test_a_continued_search_continues_its_sinks(tmp_path: Path) -> None:
    search(tmp_path / "run", sinks=["jsonl", "csv"])
    run = search(tmp_path / "run", max_trials=9)  # the sinks are as stored
    seqs = [line["seq"] for line in read_lines(run)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert sum(line["kind"] == "finished" for line in read_lines(run)) == 9
    assert read_accuracies(run) == [repr(trial.metrics["accuracy"]) for trial in run.trials]


def test_a_finished_run_is_written_to_a_sink_only_once(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    for _ in range(2):
        place = run.log("jsonl")
    assert Path(place) == run.folder / "sinks" / "events.jsonl"
    assert len(read_lines(run)) == run.state.seq
    command = [sys.executable, "-m", "ogive", "log", "run", "--to", "csv", "-o", "tables"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "tables"
    assert len((tmp_path / "tables" / "trials.csv").read_text().splitlines()) == 6
    with pytest.raises(RunError, match="holds the events of another run"):
        search(tmp_path / "other").log("jsonl", path=str(run.folder / "sinks" / "events.jsonl"))


class Broken(Sink):
    """A sink that fails at the first report."""

    name, target = "broken", "nowhere"

    def open(self, created: Event) -> int:
        return 0

    def write(self, entry: Entry) -> None:
        if entry.event.kind is Kind.REPORTED:
            raise OSError(28, "No space left on device")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_broken_sink_gives_one_warning_and_does_not_end_the_search(tmp_path: Path) -> None:
    run = search(tmp_path / "run", sinks=[Broken(), "jsonl"])
    assert run.ended == "all 5 trials are done"
    warnings = [message for message, _ in run.state.warnings]
    assert len(warnings) == 1
    assert "the sink 'broken' (nowhere) was dropped: OSError: [Errno 28] No space left" in warnings[0]
    assert sum(line["kind"] == "finished" for line in read_lines(run)) == 5


def test_unknown_sinks_are_refused_before_the_run_is_created(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no sink 'tensorbord'"):
        search(tmp_path / "run", sinks="tensorbord")
    assert not (tmp_path / "run").exists()
