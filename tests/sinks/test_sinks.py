"""Sinks: the conformance suite over all of them, and sinks that fail do not disturb a run."""

from __future__ import annotations

import functools
import json
import math
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sink_readers

from ogive import sinks
from ogive.errors import JobError, MissingExtra, RunError
from ogive.run.events import Event
from ogive.run.journal import Journal
from ogive.sinks.base import Entry, Sink
from ogive.sinks.follower import Followers
from ogive.sinks.rows import NameMapping
from ogive.testing import check_sink
from ogive.testing.sinks import EVENTS, RUN_IDENTITY

EFFORT = {"mlflow": {"every": 20, "kills": 2}, "wandb": {"every": 20, "kills": 2}}


def make_sink(name: str, template: Path | None, folder: Path) -> Sink:
    if template is not None and not (folder / "mlflow.db").exists():
        shutil.copy(template, folder / "mlflow.db")  # MLflow takes ten seconds to create a database
    return sinks.SINKS.factory(name)(folder)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    sink: Any = sinks.SINKS.factory("mlflow")(folder)
    sink._make_client(sink.target).get_experiment_by_name("none")
    return folder / "mlflow.db"


@pytest.mark.parametrize("name", sinks.names())
def test_sinks_keep_their_contract(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    for hook in ("exit", "excepthook"):  # wandb wraps them whenever it starts: restore them
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    if name not in ("jsonl", "csv"):
        pytest.importorskip(name)
    template = request.getfixturevalue("database") if name == "mlflow" else None
    check_sink(functools.partial(make_sink, name, template), sink_readers.READERS[name], **EFFORT.get(name, {}))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with the journal of the conformance suite."""
    folder = tmp_path / "run"
    folder.mkdir()
    Journal.create(folder / "journal.db", EVENTS[:1])
    journal = Journal(folder / "journal.db")
    journal.acquire()
    journal.append(EVENTS[1:])
    journal.close()
    return folder


def read_events(folder: Path) -> list[Event]:
    journal = Journal(folder / "journal.db", writable=False)
    events = list(journal.read())
    journal.close()
    return events


def written(name: str, folder: Path, events: list[Event]) -> Any:
    """Write events to a sink, and read its target."""
    sinks.write_events(sinks.create_sinks(name, folder)[0], events, folder)
    return sink_readers.READERS[name](folder / "sinks", RUN_IDENTITY)


def test_jsonl_has_a_line_of_strict_json_for_every_event(run: Path) -> None:
    lines = written("jsonl", run, EVENTS)
    assert [(line["seq"], line["kind"]) for line in lines] == [(event.seq, event.kind) for event in EVENTS]
    assert not [line for line in lines if any(isinstance(v, float) and math.isnan(v) for v in line["data"].values())]
    improved = [(line["seq"], [item["trial"] for item in line["best"]]) for line in lines if "best" in line]
    ends = {e.trial: e.seq for e in EVENTS if e.kind in ("finished", "paused") and e.trial in (0, 1)}
    first_pause = next(e.seq for e in EVENTS if e.kind == "paused")
    assert improved == [(first_pause, [0]), (ends[1], [1])]  # trial 0 ends at step 3, trial 1 at step 9


def test_csv_has_a_row_for_each_trial_and_for_each_value(run: Path) -> None:
    tables = written("csv", run, EVENTS)
    assert [(row["trial"], row["status"], row["accuracy"]) for row in tables["trials"]] == [
        ("0", "finished", "0.7"), ("1", "finished", "0.54"), ("2", "error", "0.1"),
        ("3", "not_finite", "nan"), ("4", "stopped", "0.3"), ("5", "infeasible", ""),
    ]  # fmt: skip
    assert tables["trials"][0]["names"] == "ä+b"
    values = sum(len(event.data["metrics"]) for event in EVENTS if event.kind == "reported")
    assert len(tables["reports"]) == values


def test_tensorboard_shows_curves_hyperparameters_and_the_best(run: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    written("tensorboard", run, EVENTS)

    def values(name: str, tag: str) -> list[tuple[int, float]]:
        events = EventAccumulator(str(run / "sinks" / "tensorboard" / name)).Reload().Tensors(tag)
        return [(event.step, round(float(tensor_util.make_ndarray(event.tensor_proto)), 4)) for event in events]

    assert values("trial-000000", "accuracy") == [(1, 0.5), (2, 0.6), (3, 0.7)]
    assert [value for _, value in values("search", "best/accuracy")] == [0.5, *[0.54] * 6]
    assert values("search", "failed")[-1] == (7, 3.0)


def test_a_trial_of_mlflow_has_its_parameters_history_and_parent(run: Path, database: Path) -> None:
    (run / "sinks").mkdir()
    shutil.copy(database, run / "sinks" / "mlflow.db")
    runs = written("mlflow", run, EVENTS)
    assert sorted(runs) == ["0", "1", "2", "3", "4", "5", "search"]
    tags, parameters, history, status, _ = runs["0"]
    assert parameters["0.iterable.0.conv.kernel"] == "3"
    assert parameters["depth_ or so"] == "1"
    assert [(step, value) for step, _, value in history["accuracy"]] == [(1, "0.5"), (2, "0.6"), (3, "0.7")]
    assert (tags["ogive.origin"], status) == ("random", "FINISHED")
    assert (runs["2"][3], runs["2"][0]["ogive.reason"]) == ("FAILED", "ValueError: too\nmany 'ß'")
    assert runs["search"][0]["ogive.best"] == "1"
    assert [value for *_, value in runs["search"][2]["best/accuracy"]][-1] == "0.54"


# -- sinks that fail ---------------------------------------------------------------------------------------------


class FaultySink(Sink):
    """Calls `fault` at the event with the number `at`."""

    name, target = "faulty", "nowhere"

    def __init__(self, fault: Any, at: int = 10) -> None:
        self.fault, self.at, self.last_seq = fault, at, 0

    def open(self, created: Event) -> int:
        return 0

    def write(self, entry: Entry) -> None:
        self.last_seq = entry.event.seq
        if self.last_seq == self.at:
            self.fault()

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def exit_process() -> None:
    raise SystemExit("enough")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (exit_process, "SystemExit: enough"),
        (lambda: time.sleep(1000), "had not written all events"),
    ],
)
def test_a_sink_that_fails_is_one_message_and_does_not_disturb_others(run: Path, fault: Any, text: str) -> None:
    good = sinks.create_sinks("jsonl", run)
    followers = Followers(run / "journal.db", [FaultySink(fault), *good], close_seconds=1.0)
    messages = followers.close()
    assert len(messages) == 1
    assert text in messages[0]
    assert "`ogive log RUN --to faulty`" in messages[0]
    assert len(sink_readers.jsonl(run / "sinks", RUN_IDENTITY)) == len(EVENTS)


def test_a_full_disk_drops_the_sink_and_the_missing_events_are_written_later(run: Path) -> None:
    journal = Journal(
        run / "journal.db", writable=False
    )  # SQLite's index file has its final size before the limit is set
    list(journal.read())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # a write beyond it is incomplete, as on a full disk
    try:
        messages = Followers(run / "journal.db", sinks.create_sinks("jsonl", run)).close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        journal.close()
    assert len(messages) == 1
    assert "OSError" in messages[0]
    assert 0 < (run / "sinks" / "events.jsonl").stat().st_size <= 5000
    assert len(written("jsonl", run, read_events(run))) == len(EVENTS)


def test_sinks_follow_a_journal_that_grows(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal.db", EVENTS[:1])
    journal = Journal(tmp_path / "journal.db")
    journal.acquire()
    followers = Followers(tmp_path / "journal.db", sinks.create_sinks(["jsonl", "csv"], tmp_path))
    for event in EVENTS[1:]:
        journal.append([event])
        followers(None, event)  # type: ignore[arg-type]
    journal.close()
    assert followers.close() == []
    assert len(sink_readers.jsonl(tmp_path / "sinks", RUN_IDENTITY)) == len(EVENTS)
    assert len(sink_readers.tables(tmp_path / "sinks", RUN_IDENTITY)["trials"]) == 6


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("jsonlines", "did you mean 'jsonl'"),
        ({"csv": {"pth": "x"}}, "no option 'pth' .did you mean 'path'"),
        ({"csv": {"path": 3}}, "path: found 3; allowed: text"),
        (["csv", "csv"], "two sinks write to"),
        ({"csv": {}, "jsonl": {}}, "allowed: a name"),
        (7, "a list of names"),
        ({"wandb": {"mode": "shouting"}}, "allowed: offline and online"),
    ],
)
def test_invalid_sinks_are_refused(tmp_path: Path, spec: Any, message: str) -> None:
    with pytest.raises(JobError, match=message):
        sinks.create_sinks(spec, tmp_path)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_the_error_for_a_missing_package_names_the_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = {"tensorboard": "tensorboard.summary.writer.record_writer", "mlflow": "mlflow.tracking"}.get(name, name)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match=rf"ogive\[{name}\]"):
        sinks.create_sinks(name, tmp_path)


def test_files_of_other_programs_are_not_changed(run: Path) -> None:
    (run / "sinks" / "csv").mkdir(parents=True)
    (run / "sinks" / "csv" / "trials.csv").write_text("mine")
    (run / "sinks" / "events.jsonl").write_text('{"mine": 1}\n')
    for name in ("csv", "jsonl"):
        with pytest.raises(RunError, match=r"something else|did not write"):
            written(name, run, EVENTS)
    assert (run / "sinks" / "csv" / "trials.csv").read_text() == "mine"
    assert json.loads((run / "sinks" / "events.jsonl").read_text()) == {"mine": 1}


def test_a_second_writer_is_refused(run: Path) -> None:
    hanging = FaultySink(lambda: time.sleep(1000))
    followers = Followers(run / "journal.db", [hanging], close_seconds=0.1)
    while hanging.last_seq < hanging.at:
        time.sleep(0.01)
    with pytest.raises(RunError, match="another process is writing nowhere"):
        sinks.write_events(FaultySink(lambda: None), EVENTS, run)
    followers.close()


def test_names_with_forbidden_characters_stay_different() -> None:
    keys = NameMapping(r"[^\w]", 12)
    assert [keys[name] for name in ("a[0]", "a(0)", "a[0]", "x" * 20)] == ["a_0_", "a_0__2", "a_0_", "x" * 8]
