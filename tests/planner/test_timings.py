"""Recorded durations: from files and from the journal of an earlier run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from ogive.errors import JobError
from ogive.planner import MeasuredEpoch, MeasuredStartUp, Timings, read_run_timings, read_timings
from ogive.run.events import Event, Kind
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.space import Space, layer, one_of

SPACE = Space(layer(dict, width=one_of(1, 2, 3, name="width")))
ROWS = "trial,workers,epoch,seconds,accuracy\na,1,0,4.5,\na,1,1,2.0,0.5\na,1,2,1.5,0.6\nb,2,1,1.0,\n"


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "durations.csv").write_text(ROWS)
    timings = read_timings(tmp_path / "durations.csv")
    assert timings.start_ups == (MeasuredStartUp(1, 4.5),)
    assert timings.epochs[0] == MeasuredEpoch("a", 1, 1, 2.0, True, {"accuracy": 0.5})
    assert [epoch.first for epoch in timings.epochs] == [True, False, True]
    assert timings.workers == (1, 2)


def test_a_file_may_have_a_unit_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "gpus.csv").write_text("\ufefftrial,unit,workers,epoch,seconds\na,devices,8,1,2\n", encoding="utf-8")
    assert read_timings(tmp_path / "gpus.csv").unit == "devices"
    assert read_timings(tmp_path / "gpus.csv").epochs == (MeasuredEpoch("a", 8, 1, 2.0, True),)


@pytest.mark.parametrize("timings", [3, {}, {"epochs": [{"trial": "a"}]}])
def test_a_malformed_plan_is_refused(tmp_path: Path, timings: object) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"timings": timings}))
    with pytest.raises(JobError, match=r"plan.json is not a plan"):
        read_timings(tmp_path / "plan.json")


def test_metrics_of_a_plan_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    timings = Timings((MeasuredEpoch("a", 1, 1, 2.0, True, {"loss": math.nan, "accuracy": 0.5}),)).to_json()
    timings["epochs"][0]["metrics"]["loss"] = "nan"
    (tmp_path / "plan.json").write_text(json.dumps({"timings": timings}))
    assert read_timings(tmp_path / "plan.json").epochs[0].metrics == {"accuracy": 0.5}


def test_a_json_file_of_rows_is_read(tmp_path: Path) -> None:
    rows = [
        {"architecture": "a", "workers": 1, "epoch": 1, "seconds": 2.0},
        {"trial": "a", "workers": 1, "epoch": 0, "seconds": 1},
    ]
    (tmp_path / "durations.json").write_text(json.dumps(rows))
    assert read_timings(tmp_path / "durations.json").epochs == (MeasuredEpoch("a", 1, 1, 2.0, True),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found no rows"),
        ("trial,workers,epoch,seconds\na,1,1,-2\n", r"row 1: seconds is '-2'; allowed: a number above 0"),
        ("trial,workers,epoch,seconds\na,0,1,2\n", r"row 1: workers is '0'; allowed: a whole number, at least 1"),
        ("trial,workers,epoch,seconds\na,1,1,2\na,1,x,2\n", r"row 2: epoch is 'x'"),
        ("trial,workers,epoch,seconds\n,1,1,2\n", r"row 1: no trial"),
        ("trial,workers,epoch,seconds\na,1,0,2\n", r"no epoch above 0"),
        ("time\n2\n", r"row 1: workers is None"),
        ("trial,unit,workers,epoch,seconds\na,gpus,1,1,2\n", r"unit is 'gpus'; allowed: one of threads, devices"),
    ],
)
def test_errors_in_a_file_name_the_row(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "durations.csv").write_text(text)
    with pytest.raises(JobError, match=words):
        read_timings(tmp_path / "durations.csv")


def journal(threads: int, *, cached: bool = False, **varied: float) -> State:
    """Return a run of two trials of two epochs on one worker that took 7 s to start; the second trial was paused once."""
    created = {
        "space": SPACE.to_json(),
        "objectives": [{"metric": "accuracy", "goal": "maximize"}],
        "constraints": [],
        "settings": Settings(max_trials=2).to_json(),
        "seed": 0,
    }
    events = [
        Event(Kind.CREATED, data=created),
        Event(Kind.OPENED, data={"host": "here", "workers": 1, "threads": threads}, time=100.0),
    ]
    times = iter((107.0, 110.0, 112.0, 113.0, 117.0, 118.0, 123.0))

    def add(kind: Kind, trial: int, step: int | None = None, seconds: float = 0.0) -> None:
        data: dict[str, object] = {"worker": "worker-0", "attempt": 1} if kind is Kind.STARTED else {}
        if kind is Kind.REPORTED:
            data = {"metrics": {"accuracy": 0.5}, "seconds": seconds}
        if kind is Kind.PROMOTED:
            data = {"fidelity": {"epochs": 2}}
        time = next(times) if kind in (Kind.STARTED, Kind.REPORTED) else events[-1].time
        events.append(Event(kind, trial, step, data, time))

    for trial in (0, 1):
        architecture = SPACE.architecture({"width": trial + 1})
        proposal = {"choices": architecture.to_json(), "id": architecture.id}
        data = {
            "proposal": proposal,
            "seed": 1,
            "fidelity": {"epochs": 2 - trial, **varied},
            **({"cached": True} if cached else {}),
        }
        events.append(Event(Kind.PROPOSED, trial, data=data, time=events[-1].time))
        add(Kind.STARTED, trial)
        add(Kind.REPORTED, trial, 1, 2.9)
        if trial == 0:
            add(Kind.REPORTED, trial, 2, 1.9)
            add(Kind.FINISHED, trial)
        else:
            add(Kind.PAUSED, trial)
            add(Kind.PROMOTED, trial)
            add(Kind.STARTED, trial)
            add(Kind.REPORTED, trial, 2, 4.9)
    return State.from_events(event.with_time(event.time, number) for number, event in enumerate(events, 1))


def test_a_journal_gives_epochs_and_start_ups() -> None:
    timings = read_run_timings(journal(threads=3), "a run")
    assert timings.start_ups == (MeasuredStartUp(3, 7.0),)
    assert [(e.trial, e.workers, e.epoch, e.seconds, e.first) for e in timings.epochs] == [
        ("0", 3, 1, 2.9, True),
        ("0", 3, 2, 1.9, False),
        ("1", 3, 1, 2.9, True),
        ("1", 3, 2, 4.9, True),  # it continued in another attempt
    ]


def test_workers_that_start_together_give_one_start_up() -> None:
    state = journal(threads=3)
    state.attempt_intervals.append(replace(state.attempt_intervals[0], worker="worker-1", begin=109.0))
    assert read_run_timings(state, "a run").start_ups == (MeasuredStartUp(3, 8.0),)


def test_a_run_without_computed_trials_is_refused() -> None:
    state = journal(1)
    state.trials.clear()
    with pytest.raises(JobError, match="no durations to plan with"):
        read_run_timings(state, "a run")


def test_a_run_whose_schedule_varied_another_fidelity_is_refused() -> None:
    with pytest.raises(JobError, match="its schedule varied data_fraction"):
        read_run_timings(journal(1, data_fraction=0.5), "a run")
