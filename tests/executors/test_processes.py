"""Worker processes are reused, and are cleaned up between trials. Their errors are clear."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from faults import left_running
from staged import SPACE

import ogive as og
from ogive.errors import RunError
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.manifest import count_cores
from ogive.trial import Status


def search(folder: Path, estimator: Estimator, **options: object) -> og.Run:
    return og.search(SPACE, estimator, run=folder, strategy="random", **options)  # type: ignore[arg-type]


class Probe(Estimator):
    """Reports the state of its worker, and then changes it."""

    def __init__(self) -> None:
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1
        self.start_folder = Path.cwd()
        self.helper = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(1000,), daemon=True)
        self.helper.start()

    def evaluate(self, evaluation: Evaluation) -> None:
        metrics = {
            "accuracy": 0.5,
            "pid": os.getpid(),
            "prepared": self.prepared,
            "in_start_folder": Path.cwd() == self.start_folder,
            "helper_alive": self.helper.is_alive(),
            "threads": int(os.environ["OMP_NUM_THREADS"]),
            "hash": hash("ogive"),
        }
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        evaluation.report(1, metrics)


def test_workers_are_reused_and_cleaned_up_between_trials(tmp_path: Path) -> None:
    run = search(tmp_path / "run", Probe(), workers=2, max_trials=40)
    trials = [trial.metrics for trial in run.trials]
    assert run.state.status_counts[Status.FINISHED] == 40
    assert 1 <= len({trial["pid"] for trial in trials}) <= 2
    assert {trial["prepared"] for trial in trials} == {1}
    assert {trial["in_start_folder"] for trial in trials} == {1.0}
    assert {trial["helper_alive"] for trial in trials} == {1.0}, "processes of the estimator itself are spared"
    assert {trial["threads"] for trial in trials} == {max(1, count_cores() // 2)}
    assert len({trial["hash"] for trial in trials}) == 1, "all workers have the same hash seed"
    assert run.state.warnings == []
    assert left_running(run.folder) == []


class Pooled(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        for method in ("fork", "forkserver"):
            pool = multiprocessing.get_context(method).Pool(2)
            evaluated = sum(pool.map(abs, [-1, 2, -3]))
            pool.terminate()  # by SIGTERM, for which the worker has a handler
            pool.join()
        evaluation.report(1, {"accuracy": evaluated})


def test_a_trial_may_use_multiprocessing_repeatedly(tmp_path: Path) -> None:
    run = search(tmp_path / "run", Pooled(), max_trials=3, time_limit=60)
    assert [(trial.status, trial.metrics) for trial in run.trials] == [(Status.FINISHED, {"accuracy": 6.0})] * 3


class Broken(Estimator):
    def __init__(self, fault: str) -> None:
        self.fault = fault

    def prepare(self) -> None:
        if self.fault == "raise":
            raise FileNotFoundError("no data in data/train.npz")
        print("the last words", flush=True)
        os._exit(7)

    def evaluate(self, evaluation: Evaluation) -> None:
        raise AssertionError("never prepared")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", r"the workers cannot start: FileNotFoundError: no data in data/train.npz\n[\s\S]*in prepare"),
        ("exit", r"a worker ended while it was starting \(.*exit code 7\); .*worker-0.log ends with:\nthe last words"),
    ],
)
def test_workers_that_cannot_start_end_the_search_with_the_reason(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        search(tmp_path / "run", Broken(fault))
    assert left_running(tmp_path / "run") == []


class Loud(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        print("from Python \udc80")
        os.system("echo from a child")
        os.write(2, b"from native code\n")
        evaluation.report(1, {"accuracy": 0.5})


def test_output_is_written_to_the_folder_of_the_trial(tmp_path: Path) -> None:
    run = search(tmp_path / "run", Loud(), max_trials=2)
    for trial in run.trials:
        output = (run.folder / f"trials/{trial.id:06d}/output.txt").read_text().splitlines()
        assert output == ["from Python \\udc80", "from a child", "from native code"]
    assert (run.folder / "worker-0.log").read_text() == ""


class FailsToReport(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(1, 4):
            try:
                evaluation.report(step, {"accuracy": 0.5})
            except BaseException:  # noqa: BLE001 - users may do this
                (evaluation.folder / "swallowed").touch()


def test_an_error_of_the_controller_is_not_a_failure_of_a_trial(tmp_path: Path) -> None:
    def fail(state: object, event: object) -> None:
        if event is not None and event.step == 2:  # type: ignore[attr-defined]
            raise ZeroDivisionError("in the observer")

    for executor in ("inline", "processes"):
        with pytest.raises(ZeroDivisionError):
            search(tmp_path / executor, FailsToReport(), epochs=3, executor=executor, observer=fail)
        assert og.open_run(tmp_path / executor).state.failed_count == 0
        assert left_running(tmp_path / executor) == []
