"""Sinks: the conformance suite over all of them, and that none can hurt a run."""

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
from ogive.sinks.rows import Names
from ogive.testing import check_sink
from ogive.testing.sinks import EVENTS, RUN

EFFORT = {"mlflow": {"every": 20, "kills": 2}, "wandb": {"every": 20, "kills": 2}}


def make(name: str, template: Path | None, folder: Path) -> Sink:
    if template is not None and not (folder / "mlflow.db").exists():
        shutil.copy(template, folder / "mlflow.db")  # to make one takes MLflow ten seconds
    return sinks.SINKS.factory(name)(folder)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow's."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    made: Any = sinks.SINKS.factory("mlflow")(folder)
    made._make_client(made.place).get_experiment_by_name("none")
    return folder / "mlflow.db"


@pytest.mark.parametrize("name", sinks.names())
def test_sinks_keep_their_contract(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    for hook in ("exit", "excepthook"):  # wandb wraps them anew whenever it begins: put them back
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    if name not in ("jsonl", "csv"):
        pytest.importorskip(name)
    template = request.getfixturevalue("database") if name == "mlflow" else None
    check_sink(functools.partial(make, name, template), sink_readers.READERS[name], **EFFORT.get(name, {}))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with the journal of the conformance suite."""
    folder = tmp_path / "run"
    folder.mkdir()
    Journal.create(folder / "journal.db", EVENTS[:1])
    journal = Journal(folder / "journal.db")
    journal.acquire()
    journal.append(EVENTS[1:])
    journal.close()
    return folder


def read(folder: Path) -> list[Event]:
    journal = Journal(folder / "journal.db", writable=False)
    events = list(journal.read())
    journal.close()
    return events


def shown(name: str, folder: Path, events: list[Event]) -> Any:
    sinks.write(sinks.create(name, folder)[0], events, folder)
    return sink_readers.READERS[name](folder / "sinks", RUN)


def test_a_line_for_every_event_and_strict_json(run: Path) -> None:
    lines = shown("jsonl", run, EVENTS)
    assert [(line["seq"], line["kind"]) for line in lines] == [(event.seq, event.kind) for event in EVENTS]
    assert not [line for line in lines if any(isinstance(v, float) and math.isnan(v) for v in line["data"].values())]
    improved = [(line["seq"], [item["trial"] for item in line["best"]]) for line in lines if "best" in line]
    ends = {e.trial: e.seq for e in EVENTS if e.kind in ("finished", "paused") and e.trial in (0, 1)}
    first_pause = next(e.seq for e in EVENTS if e.kind == "paused")
    assert improved == [(first_pause, [0]), (ends[1], [1])]  # trial 0 ends at step 3, trial 1 at step 9


def test_the_tables_have_a_row_for_each_trial_and_each_value(run: Path) -> None:
    found = shown("csv", run, EVENTS)
    assert [(row["trial"], row["status"], row["accuracy"]) for row in found["trials"]] == [
        ("0", "finished", "0.7"), ("1", "finished", "0.54"), ("2", "error", "0.1"),
        ("3", "not_finite", "nan"), ("4", "stopped", "0.3"), ("5", "infeasible", ""),
    ]  # fmt: skip
    assert found["trials"][0]["names"] == "ä+b"
    values = sum(len(event.data["metrics"]) for event in EVENTS if event.kind == "reported")
    assert len(found["reports"]) == values


def test_tensorboard_shows_curves_hyperparameters_and_the_best(run: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    shown("tensorboard", run, EVENTS)

    def values(name: str, tag: str) -> list[tuple[int, float]]:
        events = EventAccumulator(str(run / "sinks" / "tensorboard" / name)).Reload().Tensors(tag)
        return [(event.step, round(float(tensor_util.make_ndarray(event.tensor_proto)), 4)) for event in events]

    assert values("trial-000000", "accuracy") == [(1, 0.5), (2, 0.6), (3, 0.7)]
    assert [value for _, value in values("search", "best/accuracy")] == [0.5, *[0.54] * 6]
    assert values("search", "failed")[-1] == (7, 3.0)


def test_a_trial_of_mlflow_has_its_parameters_history_and_parent(run: Path, database: Path) -> None:
    (run / "sinks").mkdir()
    shutil.copy(database, run / "sinks" / "mlflow.db")
    found = shown("mlflow", run, EVENTS)
    assert sorted(found) == ["0", "1", "2", "3", "4", "5", "search"]
    tags, parameters, history, status, _ = found["0"]
    assert parameters["0.iterable.0.conv.kernel"] == "3"
    assert parameters["depth_ or so"] == "1"
    assert [(step, value) for step, _, value in history["accuracy"]] == [(1, "0.5"), (2, "0.6"), (3, "0.7")]
    assert (tags["ogive.origin"], status) == ("random", "FINISHED")
    assert (found["2"][3], found["2"][0]["ogive.reason"]) == ("FAILED", "ValueError: too\nmany 'ß'")
    assert found["search"][0]["ogive.best"] == "1"
    assert [value for *_, value in found["search"][2]["best/accuracy"]][-1] == "0.54"


# -- none of them hurts a run ------------------------------------------------------------------------------------


class Spiteful(Sink):
    """Does what it is told to at an event."""

    name, place = "spiteful", "nowhere"

    def __init__(self, deed: Any, at: int = 10) -> None:
        self.deed, self.at, self.seen = deed, at, 0

    def open(self, created: Event) -> int:
        return 0

    def write(self, entry: Entry) -> None:
        self.seen = entry.event.seq
        if self.seen == self.at:
            self.deed()

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def leave() -> None:
    raise SystemExit("enough")


@pytest.mark.parametrize(
    ("deed", "words"),
    [(lambda: 1 / 0, "ZeroDivisionError"), (leave, "SystemExit: enough"), (lambda: time.sleep(1000), "was not done")],
)
def test_a_sink_that_fails_is_one_message_and_harms_no_other(run: Path, deed: Any, words: str) -> None:
    good = sinks.create("jsonl", run)
    followers = Followers(run / "journal.db", [Spiteful(deed), *good], close_seconds=1.0)
    messages = followers.close()
    assert len(messages) == 1
    assert words in messages[0]
    assert "`ogive log RUN --to spiteful`" in messages[0]
    assert len(sink_readers.jsonl(run / "sinks", RUN)) == len(EVENTS)


def test_a_full_disk_drops_the_sink_and_the_rest_is_written_later(run: Path) -> None:
    journal = Journal(run / "journal.db", writable=False)  # whose index is now as large as it gets
    list(journal.read())
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, former[1]))  # a write beyond is cut short, as on a full disk
    try:
        messages = Followers(run / "journal.db", sinks.create("jsonl", run)).close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        journal.close()
    assert len(messages) == 1
    assert "OSError" in messages[0]
    assert 0 < (run / "sinks" / "events.jsonl").stat().st_size <= 5000
    assert len(shown("jsonl", run, read(run))) == len(EVENTS)


def test_sinks_follow_a_journal_that_grows(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal.db", EVENTS[:1])
    journal = Journal(tmp_path / "journal.db")
    journal.acquire()
    followers = Followers(tmp_path / "journal.db", sinks.create(["jsonl", "csv"], tmp_path))
    for event in EVENTS[1:]:
        journal.append([event])
        followers(None, event)  # type: ignore[arg-type]
    journal.close()
    assert followers.close() == []
    assert len(sink_readers.jsonl(tmp_path / "sinks", RUN)) == len(EVENTS)
    assert len(sink_readers.tables(tmp_path / "sinks", RUN)["trials"]) == 6


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("jsonlines", "did you mean 'jsonl'"),
        ({"csv": {"pth": "x"}}, "no option 'pth' .did you mean 'path'"),
        ({"csv": {"path": 3}}, "path is 3, but must be a text"),
        (["csv", "csv"], "two of them write to"),
        ({"csv": {}, "jsonl": {}}, "allowed: a name"),
        (7, "a list of names"),
        ({"wandb": {"mode": "shouting"}}, "allowed: offline and online"),
    ],
)
def test_wrong_sinks_are_refused(tmp_path: Path, spec: Any, words: str) -> None:
    with pytest.raises(JobError, match=words):
        sinks.create(spec, tmp_path)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_names_its_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {"tensorboard": "tensorboard.summary.writer.record_writer", "mlflow": "mlflow.tracking"}.get(name, name)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match=rf"ogive\[{name}\]"):
        sinks.create(name, tmp_path)


def test_files_of_another_origin_are_left_alone(run: Path) -> None:
    (run / "sinks" / "csv").mkdir(parents=True)
    (run / "sinks" / "csv" / "trials.csv").write_text("mine")
    (run / "sinks" / "events.jsonl").write_text('{"mine": 1}\n')
    for name in ("csv", "jsonl"):
        with pytest.raises(RunError, match="something else"):
            shown(name, run, EVENTS)
    assert (run / "sinks" / "csv" / "trials.csv").read_text() == "mine"
    assert json.loads((run / "sinks" / "events.jsonl").read_text()) == {"mine": 1}


def test_two_writers_are_refused(run: Path) -> None:
    waiting = Spiteful(lambda: time.sleep(1000))
    followers = Followers(run / "journal.db", [waiting], close_seconds=0.1)
    while waiting.seen < waiting.at:
        time.sleep(0.01)
    with pytest.raises(RunError, match="another process is writing nowhere"):
        sinks.write(Spiteful(lambda: None), EVENTS, run)
    followers.close()


def test_names_that_a_tool_forbids_stay_apart() -> None:
    keys = Names(r"[^\w]", 12)
    assert [keys[name] for name in ("a[0]", "a(0)", "a[0]", "x" * 20)] == ["a_0_", "a_0__2", "a_0_", "x" * 8]
