"""Child processes of user code: signals have the same effect as in the children of any Python program."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from faults import left_running
from staged import SPACE
from torch.utils.data import DataLoader

import ogive as og
from ogive.run.estimator import Estimator, Evaluation
from ogive.trial import Status

PARTS = torch.arange(8.0)
ENDED_BY_TERM = -signal.SIGTERM


def fork_and_signal() -> int:
    """Send a signal that arrives before the child has executed any Python code."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork_in_thread() -> int:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(fork_and_signal()))
    thread.start()
    thread.join()
    return codes[0]


def pool() -> int:
    for _ in range(5):
        with multiprocessing.get_context("fork").Pool(2) as processes:
            assert processes.map(abs, [-1, 2, -3]) == [1, 2, 3]
    return ENDED_BY_TERM


def data_loader() -> int:
    for _ in DataLoader(PARTS, num_workers=2, multiprocessing_context="fork"):
        break  # the loader kills its workers while they are working
    return ENDED_BY_TERM


def subprocess_of_python() -> int:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


def handlers_of_a_child() -> int:
    """Check that SIGINT and SIGTERM have the handlers of a new interpreter, also in a grandchild.

    (A shell makes background commands ignore SIGINT.)
    """
    pid = os.fork()
    if pid == 0:
        pid = os.fork()
        interrupt, terminate = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        plain = interrupt in (signal.default_int_handler, signal.SIG_IGN) and terminate is signal.SIG_DFL
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        ended_well = pid == 0 or os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os._exit(0 if plain and not blocked and ended_well else 1)
    return ENDED_BY_TERM if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 else 0


CHECKS = (fork_and_signal, fork_in_thread, pool, data_loader, subprocess_of_python, handlers_of_a_child)


class WithChildren(Estimator):
    def evaluate(self, evaluation: Evaluation) -> None:
        evaluation.report(1, {"accuracy": 0.5, **{check.__name__: check() for check in CHECKS}})


@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_a_signal_ends_a_child_process_of_user_code(tmp_path: Path, executor: str) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    limit: dict[str, Any] = {"time_limit": 60} if executor == "processes" else {}
    run = og.search(
        SPACE, WithChildren(), run=tmp_path / "run", strategy="random", max_trials=2, executor=executor, **limit
    )
    for trial in run.trials:
        assert trial.status is Status.FINISHED, trial.reason
        codes = {check.__name__: trial.metrics[check.__name__] for check in CHECKS}
        assert codes == dict.fromkeys(codes, ENDED_BY_TERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert left_running(run.folder) == []


class ForksWithoutExit(Estimator):
    """Forks a child that returns from the evaluation, as its parent does."""

    def evaluate(self, evaluation: Evaluation) -> None:
        if os.fork() == 0:
            return
        os.wait()
        evaluation.report(1, {"accuracy": 0.5})


@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_a_forked_child_never_reports_in_place_of_its_parent(tmp_path: Path, executor: str) -> None:
    run = og.search(SPACE, ForksWithoutExit(), run=tmp_path / "run", strategy="random", max_trials=3, executor=executor)
    assert [trial.status for trial in run.trials] == [Status.FINISHED] * 3
    assert run.state.warnings == []


class KeepsItsLoader(Estimator):
    """Keeps a loader with persistent workers after its trial."""

    def evaluate(self, evaluation: Evaluation) -> None:
        global loader
        loader = DataLoader(PARTS, num_workers=2, persistent_workers=True, multiprocessing_context="fork")
        total = float(sum(part.sum() for part in loader))
        evaluation.report(1, {"accuracy": total})


def test_a_loader_that_outlives_its_trial_is_killed_but_the_worker_is_not(tmp_path: Path) -> None:
    run = og.search(SPACE, KeepsItsLoader(), run=tmp_path / "run", strategy="random", max_trials=4)
    assert [(trial.status, trial.metrics["accuracy"]) for trial in run.trials] == [(Status.FINISHED, 28.0)] * 4
    assert run.state.warnings == []
    assert left_running(run.folder) == []


SCRIPT = """
import multiprocessing
import ogive as og

def square(number):
    return number * number

def evaluate(architecture):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return {"accuracy": sum(pool.map(square, range(3)))}

if __name__ == "__main__":
    space = og.Space(og.layer(dict, a=og.integer(0, 9, name="a")))
    run = og.search(space, og.estimate.function(evaluate), max_trials=2, run="run")
    print(*[(trial.status.value, trial.reason) for trial in run.trials])
"""


def test_a_pool_finds_the_functions_of_the_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout == "('finished', None) ('finished', None)\n"
