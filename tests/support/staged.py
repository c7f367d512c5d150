"""Estimators for fault tests: a fast one that saves its progress, and one that causes faults. Workers import this module."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ogive.errors import Infeasible
from ogive.executors.orphans import MARK_VARIABLE
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.space import Space, layer, one_of

SPACE = Space(layer(dict, a=one_of(*range(12)), b=one_of(*range(12))))


@dataclass
class Staged(Estimator):
    """Reports values that depend on all earlier steps, and saves its progress in the folder of the trial.

    `steps.txt` has a line for each step that was started, with the process that started it.

    Attributes:
        pause: the duration of a step, in seconds.
    """

    pause: float = 0.01

    def evaluate(self, evaluation: Evaluation) -> None:
        saved = evaluation.folder / "progress.json"
        done, value = json.loads(saved.read_text()) if saved.exists() else (0, 0.0)
        if done > evaluation.last_reported_step and evaluation.report(done, {"accuracy": value}) is not Action.CONTINUE:
            return
        for step in range(done + 1, evaluation.until + 1):
            _note(evaluation.folder, step)
            time.sleep(self.pause)
            rng = np.random.default_rng([evaluation.seed, step])
            value = round(0.5 * value + evaluation.architecture["a"] + rng.random(), 6)
            draft = saved.with_suffix(".tmp")
            draft.write_text(json.dumps([step, value]))
            draft.replace(saved)
            if evaluation.report(step, {"accuracy": value}) is not Action.CONTINUE:
                return


def _note(folder: Path, step: int) -> None:
    with (folder / "steps.txt").open("a") as file:
        file.write(f"{os.getpid()} {step}\n")


def started_steps(folder: Path) -> list[tuple[int, int]]:
    """Return (process id of the worker, step) for each step that was started."""
    lines = (folder / "steps.txt").read_text().split("\n")[:-1]
    return [(int(pid), int(step)) for pid, step in (line.split() for line in lines)]


class Unpicklable(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


class WithoutMessage(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def _hang() -> None:
    ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock: no signal handler and no thread runs


def _use_memory() -> None:
    arrays = [np.ones(40_000_000) for _ in range(20)]
    raise AssertionError(f"{len(arrays)} arrays were allocated")


def _use_memory_in_children() -> None:
    for _ in range(8):  # each is below the limit, but not all together
        if os.fork() == 0:
            array = np.ones(25_000_000)
            time.sleep(1000)
            os._exit(len(array))
    time.sleep(1000)


def _segfault() -> None:
    ctypes.string_at(0)


def _unpicklable() -> None:
    raise Unpicklable("with a lock inside")


def _without_message() -> None:
    raise WithoutMessage


def _interrupt() -> None:
    raise KeyboardInterrupt


def _infeasible() -> None:
    raise Infeasible("too narrow")


def _disconnect() -> None:
    os.closerange(3, 1000)
    time.sleep(1000)


def _close_output() -> None:
    sys.stdout.close()
    sys.stderr.close()
    os.chdir("/")


def _print() -> None:
    print("the first words")
    block = "x" * 1_000_000 + "\n"
    for _ in range(300):
        sys.stdout.write(block)
    print("the last words")


def _fork() -> None:
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(1000)
            os._exit(0)


def sleep_seconds(mark: str) -> str:
    """Return a number of seconds that only trials of this run sleep, so that these processes can be found by it."""
    return f"1000.{int(mark[:8], 16)}"


def _detach() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    subprocess.Popen(
        ["sleep", sleep_seconds(os.environ[MARK_VARIABLE])], env={}, start_new_session=True
    )  # without the mark


def _detach_and_die() -> None:
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
    subprocess.Popen(["sleep", sleep_seconds(os.environ[MARK_VARIABLE])], env={})
    os._exit(9)


def _fork_back() -> None:
    os.fork()  # both processes continue


def _nothing() -> None:
    pass


FAULTS = {
    "hang": _hang,
    "use_memory": _use_memory,
    "use_memory_in_children": _use_memory_in_children,
    "exit_0": lambda: os._exit(0),
    "exit_3": lambda: os._exit(3),
    "sys_exit": lambda: sys.exit("enough"),
    "segfault": _segfault,
    "unpicklable": _unpicklable,
    "without_message": _without_message,
    "interrupt": _interrupt,
    "infeasible": _infeasible,
    "disconnect": _disconnect,
    "detach_and_die": _detach_and_die,
    "nan": _nothing,
    "no_report": _nothing,
    "close_output": _close_output,
    "print": _print,
    "fork": _fork,
    "detach": _detach,
    "fork_back": _fork_back,
    "good": _nothing,
}
FAULT_SPACE = Space(layer(dict, fault=one_of(*FAULTS)))


class Faulty(Estimator):
    """Causes the fault that the architecture names, and then reports."""

    def evaluate(self, evaluation: Evaluation) -> None:
        fault = str(evaluation.architecture["fault"])
        FAULTS[fault]()
        if fault != "no_report":
            evaluation.report(1, {"accuracy": float("nan") if fault == "nan" else 0.5})
