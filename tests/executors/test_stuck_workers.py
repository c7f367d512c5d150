"""Workers that hang, or whose channel is misused. Only one worker is lost each time, and the search continues."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from faults import left_running
from staged import SPACE

import ogive as og
from ogive.errors import JobError, RunError
from ogive.executors.channel import MAGIC, MAX_BYTES, encode
from ogive.run.estimator import Estimator, Evaluation
from ogive.trial import Status

REJECTED = "wrote bytes to its worker's channel that are not a message"
LIMIT = "the time limit of 5 s is used up"
FAULTS = {
    "good": (Status.FINISHED, ""),
    "stop_in_a_message": (Status.TIME_LIMIT, LIMIT),
    "stop_before_the_answer": (Status.TIME_LIMIT, LIMIT),
    "leave_a_child_with_the_channel": (Status.TIME_LIMIT, LIMIT),
    "write_garbage": (Status.EXITED, REJECTED),
    "write_half_a_header": (Status.EXITED, REJECTED),
    "write_an_invalid_frame": (Status.EXITED, REJECTED),
    "announce_a_huge_message": (Status.EXITED, REJECTED),
    "flood": (Status.EXITED, REJECTED),
    "flood_with_reports": (Status.EXITED, REJECTED),
    "send_broken": (Status.EXITED, REJECTED),
    "close_all": (Status.EXITED, "closed its worker's connection to the controller"),
    "replace_all": (Status.EXITED, "closed its worker's connection to the controller"),
    "send_a_huge_report": (Status.ERROR, "of 1 metrics, is a message of 6"),
    "interrupt_a_report": (Status.FINISHED, ""),
}


def sockets() -> list[int]:
    """Return the descriptors of the sockets of this process: the worker's end of its channel."""
    numbers = []
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                numbers.append(number)
        except OSError:
            pass
    return numbers


class MisusesChannel(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        getattr(self, str(evaluation.architecture["fault"]))(evaluation)
        evaluation.report(2, {"accuracy": 0.5})

    def good(self, evaluation: Evaluation) -> None:
        pass

    def stop_in_a_message(self, evaluation: Evaluation) -> None:
        os.write(sockets()[0], MAGIC + b"\0\0")
        os.kill(os.getpid(), signal.SIGSTOP)

    def stop_before_the_answer(self, evaluation: Evaluation) -> None:
        os.write(sockets()[0], encode({"is": "report", "step": 1, "metrics": {}, "seconds": 0.0}))
        os.kill(os.getpid(), signal.SIGSTOP)

    def leave_a_child_with_the_channel(self, evaluation: Evaluation) -> None:
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
        time.sleep(1000)

    def write_garbage(self, evaluation: Evaluation) -> None:
        os.write(sockets()[0], b"\0\0\0\5hello")
        time.sleep(1000)

    def write_half_a_header(self, evaluation: Evaluation) -> None:
        os.write(sockets()[0], MAGIC[:2])  # the next bytes, written by the worker, do not continue it

    def write_an_invalid_frame(self, evaluation: Evaluation) -> None:
        os.write(sockets()[0], MAGIC + b"\0\0\0\2{}")
        time.sleep(1000)

    def announce_a_huge_message(self, evaluation: Evaluation) -> None:
        os.write(sockets()[0], MAGIC + b"\xff\xff\xff\xff")
        time.sleep(1000)

    def flood(self, evaluation: Evaluation) -> None:
        while True:
            os.write(sockets()[0], b"x" * 100_000)

    def flood_with_reports(self, evaluation: Evaluation) -> None:
        while True:
            os.write(sockets()[0], encode({"is": "report", "step": 1, "metrics": {"accuracy": 0.5}, "seconds": 0.0}))

    def send_broken(self, evaluation: Evaluation) -> None:
        message = {"is": "broken", "status": "error", "reason": "x", "traceback": "", "seconds": 0.0}
        os.write(sockets()[0], encode(message))
        time.sleep(1000)

    def close_all(self, evaluation: Evaluation) -> None:
        os.closerange(3, 100)

    def replace_all(self, evaluation: Evaluation) -> None:
        file = os.open(evaluation.folder / "mine", os.O_RDWR | os.O_CREAT)
        for number in sockets():
            os.dup2(file, number)

    def send_a_huge_report(self, evaluation: Evaluation) -> None:
        evaluation.report(1, {"x" * (MAX_BYTES + 1): 0.5})

    def interrupt_a_report(self, evaluation: Evaluation) -> None:
        """Interrupt a report with an alarm: users may limit the time of a step, including its report."""

        def raise_timeout(*_: Any) -> None:
            raise TimeoutError

        signal.signal(signal.SIGALRM, raise_timeout)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError):
            evaluation.report(1, {"accuracy": 0.25})


def test_misuse_of_a_channel_affects_only_one_worker(tmp_path: Path) -> None:
    def slow(state: Any, event: Any) -> None:
        if event is not None and event.data.get("metrics") == {"accuracy": 0.25}:
            time.sleep(0.5)  # the answer comes after the timeout of the evaluation

    run = og.search(
        og.Space(og.layer(dict, fault=og.one_of(*FAULTS))),
        MisusesChannel(),
        run=tmp_path / "run",
        strategy="random",
        epochs=2,
        workers=2,
        max_trials=1000,
        max_failed_trials=1000,
        time_limit=5,
        observer=slow,
    )
    trials = {str(trial.architecture["fault"]): trial for trial in run.trials}
    for fault, (status, reason) in FAULTS.items():
        trial = trials[fault]
        assert (trial.status, trial.attempts) == (status, 1), (fault, trial.reason)
        assert reason in (trial.reason or ""), fault
    assert not (run.folder / f"trials/{trials['replace_all'].id:06d}/mine").read_bytes()
    assert run.state.warnings == []
    assert left_running(run.folder) == []


class HangsAtTheStart(Estimator):
    """Hangs in `prepare`, in every process except the first `good` ones."""

    def __init__(self, folder: Path, good: int) -> None:
        self.folder, self.good = folder, good

    def prepare(self) -> None:
        (self.folder / f"{os.getpid()}").touch()
        if len(list(self.folder.iterdir())) > self.good:
            waits_for_a_disk_that_does_not_answer()

    def evaluate(self, evaluation: Evaluation) -> None:
        if evaluation.trial == 1:
            os._exit(3)
        evaluation.report(1, {"accuracy": 0.5})


def waits_for_a_disk_that_does_not_answer() -> None:
    time.sleep(1000)


def test_workers_that_hang_while_they_start_end_the_search(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    with pytest.raises(
        RunError,
        match=r"was not ready after the startup_limit of 3 s; raise it if [\s\S]*worker-\d.log ends with:\n"
        r"[\s\S]*in waits_for_a_disk_that_does_not_answer",
    ):
        og.search(SPACE, HangsAtTheStart(tmp_path / "pids", 0), run=tmp_path / "run", workers=2, startup_limit=3)
    assert left_running(tmp_path / "run") == []


def test_a_replaced_worker_that_hangs_while_it_starts_is_replaced_again(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    run = og.search(
        SPACE,
        HangsOnce(tmp_path / "pids"),
        run=tmp_path / "run",
        strategy="random",
        max_trials=3,
        max_failed_trials=3,
        startup_limit=6,
    )
    assert [trial.status for trial in run.trials] == [Status.FINISHED, Status.EXITED, Status.FINISHED]
    assert len(list((tmp_path / "pids").iterdir())) == 3


class HangsOnce(HangsAtTheStart):
    """Hangs in `prepare` in the second process, but not in the third."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1)

    def prepare(self) -> None:
        if len(list(self.folder.iterdir())) == 2:
            self.good = 3
        super().prepare()


def test_the_startup_limit_is_validated(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="startup_limit=0: expected a number above 0"):
        og.search(SPACE, MisusesChannel(), run=tmp_path / "run", startup_limit=0)
    with pytest.raises(JobError, match="does not support a time, memory or startup limit"):
        og.search(SPACE, MisusesChannel(), run=tmp_path / "run", startup_limit=5, executor="inline")
    assert not (tmp_path / "run").exists()


class LosesItsFolder(Estimator):
    """Deletes the working directory of the search, and leaves a thread running."""

    def evaluate(self, evaluation: Evaluation) -> None:
        threading.Thread(target=time.sleep, args=(1000,)).start()
        Path.cwd().rmdir()
        evaluation.report(1, {"accuracy": 0.5})


def test_deleting_the_working_directory_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(
        RunError, match=f"the working directory {tmp_path / 'here'} of the search does not exist any more"
    ):
        og.search(SPACE, LosesItsFolder(), run=tmp_path / "run", max_trials=3)
    assert left_running(tmp_path / "run") == []
