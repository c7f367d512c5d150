"""Worker processes: warm, clean between trials, and clear about what is wrong with them."""

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
from ogive.run.manifest import cores
from ogive.trial import Status


def search(folder: Path, estimator: Estimator, **options: object) -> og.Run:
    return og.search(SPACE, estimator, run=folder, strategy="random", **options)  # type: ignore[arg-type]


class Curious(Estimator):
    """Reports what a worker looks like from inside, and leaves it untidy."""

    def __init__(self) -> None:
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1
        self.here = Path.cwd()
        self.helper = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(1000,), daemon=True)
        self.helper.start()

    def evaluate(self, evaluation: Evaluation) -> None:
        metrics = {
            "accuracy": 0.5,
            "pid": os.getpid(),
            "prepared": self.prepared,
            "at_home": Path.cwd() == self.here,
            "helped": self.helper.is_alive(),
            "threads": int(os.environ["OMP_NUM_THREADS"]),
            "hash": hash("ogive"),
        }
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        evaluation.report(1, metrics)


def test_workers_are_warm_and_tidied_between_trials(tmp_path: Path) -> None:
    run = search(tmp_path / "run", Curious(), workers=2, max_trials=40)
    trials = [trial.metrics for trial in run.trials]
    assert run.state.count[Status.FINISHED] == 40
    assert 1 <= len({trial["pid"] for trial in trials}) <= 2
    assert {trial["prepared"] for trial in trials} == {1}
    assert {trial["at_home"] for trial in trials} == {1.0}
    assert {trial["helped"] for trial in trials} == {1.0}, "what the estimator itself has started stays"
    assert {trial["threads"] for trial in trials} == {max(1, cores() // 2)}
    assert len({trial["hash"] for trial in trials}) == 1, "all workers hash alike"
    assert run.state.warnings == []
    assert left_running(run.folder) == []


class Pooled(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        for method in ("fork", "forkserver"):
            pool = multiprocessing.get_context(method).Pool(2)
            evaluated = sum(pool.map(abs, [-1, 2, -3]))
            pool.terminate()  # by SIGTERM, which means something else to the worker itself
            pool.join()
        evaluation.report(1, {"accuracy": evaluated})


def test_a_trial_may_use_multiprocessing_again_and_again(tmp_path: Path) -> None:
    run = search(tmp_path / "run", Pooled(), max_trials=3, time_limit=60)
    assert [(trial.status, trial.metrics) for trial in run.trials] == [(Status.FINISHED, {"accuracy": 6.0})] * 3


class Broken(Estimator):
    def __init__(self, how: str) -> None:
        self.how = how

    def prepare(self) -> None:
        if self.how == "raise":
            raise FileNotFoundError("no data in data/train.npz")
        print("the last words", flush=True)
        os._exit(7)

    def evaluate(self, evaluation: Evaluation) -> None:
        raise AssertionError("never prepared")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", r"the workers cannot start: FileNotFoundError: no data in data/train.npz\n[\s\S]*in prepare"),
        ("exit", r"a worker ended while it was starting \(.*exit code 7\); .*worker-0.log ends with:\nthe last words"),
    ],
)
def test_workers_that_cannot_start_end_the_search_with_the_reason(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(RunError, match=words):
        search(tmp_path / "run", Broken(how))
    assert left_running(tmp_path / "run") == []


class Loud(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        print("from Python \udc80")
        os.system("echo from a child")
        os.write(2, b"from native code\n")
        evaluation.report(1, {"accuracy": 0.5})


def test_output_goes_to_the_trials_folder(tmp_path: Path) -> None:
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
            except BaseException:  # noqa: BLE001 - as careless users do
                (evaluation.folder / "swallowed").touch()


def test_the_controllers_own_failure_is_never_a_trials(tmp_path: Path) -> None:
    def fail(state: object, event: object) -> None:
        if event is not None and event.step == 2:  # type: ignore[attr-defined]
            raise ZeroDivisionError("in the observer")

    for executor in ("inline", "processes"):
        with pytest.raises(ZeroDivisionError):
            search(tmp_path / executor, FailsToReport(), epochs=3, executor=executor, observer=fail)
        assert og.open_run(tmp_path / executor).state.failed == 0
        assert left_running(tmp_path / executor) == []
