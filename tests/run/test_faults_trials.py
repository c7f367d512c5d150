"""Faults of trials: each gives one failed trial with the right status, and the search ends normally."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from faults import events, left_running, with_command_line
from staged import FAULT_SPACE, FAULTS, SPACE, Faulty, Staged, sleep_seconds, started_steps

import ogive as og
from ogive.executors.limits import MAX_OUTPUT_BYTES
from ogive.executors.orphans import find_marked
from ogive.executors.processes import compute_run_mark
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.testing.journals import comparable_events
from ogive.trial import Status

EXPECTED = {
    "hang": (Status.TIME_LIMIT, "the time limit of 10 s is used up"),
    "use_memory": (Status.OUT_OF_MEMORY, "Unable to allocate"),
    "use_memory_in_children": (Status.OUT_OF_MEMORY, "more than the memory limit of 0.6 GB"),
    "exit_0": (Status.EXITED, "exit code 0"),
    "exit_3": (Status.EXITED, "exit code 3"),
    "sys_exit": (Status.EXITED, "sys.exit('enough')"),
    "segfault": (Status.EXITED, "SIGSEGV"),
    "unpicklable": (Status.ERROR, "Unpicklable: with a lock inside"),
    "without_message": (Status.ERROR, "WithoutMessage: (its message cannot be shown: ValueError)"),
    "interrupt": (Status.ERROR, "KeyboardInterrupt"),
    "infeasible": (Status.INFEASIBLE, "too narrow"),
    "disconnect": (Status.EXITED, "closed its worker's connection"),
    "detach_and_die": (Status.EXITED, "exit code 9"),
    "nan": (Status.NOT_FINITE, "accuracy is nan"),
    "no_report": (Status.MISSING_METRIC, "accuracy was never reported"),
}


def test_each_fault_of_a_trial_gives_one_trial_with_the_right_status(tmp_path: Path) -> None:
    """All faults are in one search, since starting workers takes long."""
    run = og.search(
        FAULT_SPACE,
        Faulty(),
        run=tmp_path / "run",
        strategy="random",
        workers=2,
        max_trials=1000,
        max_failed_trials=1000,
        time_limit=10,
        memory_limit=0.6,
    )
    assert "every architecture that the space allows was proposed" in run.ended
    assert run.state.warnings == []
    trials = {str(trial.architecture["fault"]): trial for trial in run.trials}
    expected = {fault: EXPECTED.get(fault, (Status.FINISHED, ""))[0] for fault in FAULTS}
    assert {fault: trial.status for fault, trial in trials.items()} == expected
    assert {trial.attempts for trial in trials.values()} == {1}
    for fault, (_, reason) in EXPECTED.items():
        assert reason in trials[fault].reason
    assert "in _unpicklable" in trials["unpicklable"].traceback
    check_output(run.folder / f"trials/{trials['print'].id:06d}/output.txt")
    assert left_running(run.folder) == []
    assert with_command_line("sleep", sleep_seconds(compute_run_mark(run.folder))) == []


def check_output(path: Path) -> None:
    """Check that a very long output was shortened to its beginning and end."""
    assert path.stat().st_size <= MAX_OUTPUT_BYTES
    text = path.read_text()
    assert text.startswith("the first words\n")
    assert text.endswith("the last words\n")
    assert "is left out here" in text


class SignalSender:
    """An observer that sends the worker of trial 1 the next of `signals` after each report of `step` or a later one."""

    def __init__(self, folder: Path, step: int, signals: Sequence[int]) -> None:
        self.folder, self.step, self.signals = folder, step, iter(signals)

    def __call__(self, state: State, event: Event | None) -> None:
        if event and event.kind is Kind.REPORTED and event.trial == 1 and (event.step or 0) >= self.step:
            for number in islice(self.signals, 1):
                os.kill(started_steps(self.folder / "trials/000001")[-1][0], number)


@pytest.mark.parametrize(
    ("signals", "lost"),
    [([signal.SIGKILL] * 2, 2), ([signal.SIGTERM] * 3 + [signal.SIGKILL], 1)],
    ids=["killed", "asked to leave, then killed"],
)
def test_a_trial_whose_worker_is_killed_continues_from_its_checkpoint(
    tmp_path: Path, signals: list[int], lost: int
) -> None:
    folder = tmp_path / "run"
    run = search(folder, SignalSender(folder, 3, signals))
    trial = run.trials[1]
    attempts = len(signals) + 1
    assert (trial.status, trial.attempts, run.state.lost_attempt_counts[1]) == (Status.FINISHED, attempts, lost)
    assert [step for _, step in started_steps(folder / "trials/000001")] == [*range(1, 9)], "no step was done twice"
    assert len({pid for pid, _ in started_steps(folder / "trials/000001")}) == attempts
    plain = search(tmp_path / "plain", None)
    assert comparable_events(events(run.folder)) == comparable_events(events(plain.folder))


def test_a_trial_whose_worker_is_killed_too_often_fails(tmp_path: Path) -> None:
    run = search(tmp_path / "run", SignalSender(tmp_path / "run", 2, [signal.SIGKILL] * 99))
    trial = run.trials[1]
    assert (trial.status, trial.attempts, trial.step) == (Status.KILLED, 3, 4)
    assert "SIGKILL" in trial.reason
    assert [t.status for t in run.trials].count(Status.FINISHED) == 3


def search(folder: Path, observer: SignalSender | None) -> og.Run:
    return og.search(
        SPACE,
        Staged(0.0),
        run=folder,
        strategy="random",
        epochs=8,
        max_trials=4,
        observer=observer or (lambda state, event: None),
    )


def test_both_executors_record_the_same_events(tmp_path: Path) -> None:
    faults = ("good", "nan", "no_report", "infeasible", "unpicklable", "without_message", "sys_exit")
    space = og.Space(og.layer(dict, fault=og.one_of(*faults)))
    runs = [
        og.search(space, Faulty(), run=tmp_path / name, strategy="random", max_failed_trials=99, executor=name)
        for name in ("inline", "processes")
    ]
    inline, processes = (comparable_events(events(run.folder)) for run in runs)
    assert inline == processes
    staged = [
        og.search(
            SPACE,
            Staged(0.0),
            run=tmp_path / f"staged-{name}",
            schedule={"asha": {"eta": 2}},
            strategy="regularized_evolution",
            epochs=4,
            max_trials=30,
            executor=name,
        )
        for name in ("inline", "processes")
    ]
    inline, processes = (comparable_events(events(run.folder)) for run in staged)
    assert inline == processes
    assert any(kind == "promoted" for kind, *_ in inline)


def test_a_thousand_trials_leak_no_descriptors_and_no_processes(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("descriptors are counted in /proc")
    folder = tmp_path / "run"
    counts: dict[int, list[int]] = {}

    def count(state: State, event: Event | None) -> None:
        if event and event.kind is Kind.FINISHED and event.trial in (*range(100, 120), *range(980, 1000)):
            for pid in [os.getpid(), *find_marked(compute_run_mark(folder))]:
                counts.setdefault(pid, []).append(len(os.listdir(f"/proc/{pid}/fd")))

    big = og.Space(og.layer(dict, a=og.integer(0, 10**6), fault="good"))
    run = og.search(big, Quick(), run=folder, strategy="random", workers=2, max_trials=1000, observer=count)
    assert run.state.ended_count == 1000
    assert len(counts) == 3
    # With a leak of one descriptor for each trial, there would be hundreds.
    assert all(max(series[20:]) <= max(series[:20]) + 5 for series in counts.values()), counts
    assert not [thread for thread in threading.enumerate() if thread.name == "ogive-heartbeat"]


class Quick(Faulty):
    def evaluate(self, evaluation: object) -> None:
        evaluation.report(1, {"accuracy": 0.5})  # type: ignore[attr-defined]
