"""Estimators for fault tests: cheap ones that save their progress, and ones that misbehave. Workers import this module."""

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
from ogive.executors.orphans import MARK
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.space import Space, layer, one_of

SPACE = Space(layer(dict, a=one_of(*range(12)), b=one_of(*range(12))))


@dataclass
class Staged(Estimator):
    """Reports a value a step that depends on all steps before; saves its progress in the trial's folder.

    `journey.txt` tells who did which step.
    """

    pause: float = 0.01

    def evaluate(self, evaluation: Evaluation) -> None:
        saved = evaluation.folder / "progress.json"
        done, value = json.loads(saved.read_text()) if saved.exists() else (0, 0.0)
        if done > evaluation.reported and evaluation.report(done, {"accuracy": value}) is not Action.CONTINUE:
            return
        for step in range(done + 1, evaluation.until + 1):
            _note(evaluation.folder, step)
            time.sleep(self.pause)
            rng = np.random.default_rng([evaluation.seed, step])
            value = round(0.5 * value + evaluation.architecture["a"] + rng.random(), 6)
            aside = saved.with_suffix(".tmp")
            aside.write_text(json.dumps([step, value]))
            aside.replace(saved)
            if evaluation.report(step, {"accuracy": value}) is not Action.CONTINUE:
                return


def _note(folder: Path, step: int) -> None:
    with (folder / "journey.txt").open("a") as file:
        file.write(f"{os.getpid()} {step}\n")


def journey(folder: Path) -> list[tuple[int, int]]:
    """(worker's process, step) of each step that was begun."""
    lines = (folder / "journey.txt").read_text().split("\n")[:-1]
    return [(int(pid), int(step)) for pid, step in (line.split() for line in lines)]


class Unpicklable(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def _hang() -> None:
    ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock: no signal handler and no thread runs


def _eat() -> None:
    kept = [np.ones(40_000_000) for _ in range(20)]
    raise AssertionError(f"{len(kept)} arrays were allowed")


def _eat_in_children() -> None:
    for _ in range(8):  # each below the limit, but not together
        if os.fork() == 0:
            kept = np.ones(25_000_000)
            time.sleep(1000)
            os._exit(len(kept))
    time.sleep(1000)


def _segfault() -> None:
    ctypes.string_at(0)


def _unpicklable() -> None:
    raise Unpicklable("with a lock inside")


def _unspeakable() -> None:
    raise Unspeakable


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


def nap(mark: str) -> str:
    """A long time in seconds that only this run's trials sleep, by which they are found whatever else they hide."""
    return f"1000.{int(mark[:8], 16)}"


def _daemonise() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    subprocess.Popen(["sleep", nap(os.environ[MARK])], env={}, start_new_session=True)  # without the mark


def _daemonise_and_die() -> None:
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
    subprocess.Popen(["sleep", nap(os.environ[MARK])], env={})
    os._exit(9)


def _fork_back() -> None:
    os.fork()  # and both go on


def _nothing() -> None:
    pass


MISDEEDS = {
    "hang": _hang,
    "eat": _eat,
    "eat_in_children": _eat_in_children,
    "exit_0": lambda: os._exit(0),
    "exit_3": lambda: os._exit(3),
    "sys_exit": lambda: sys.exit("enough"),
    "segfault": _segfault,
    "unpicklable": _unpicklable,
    "unspeakable": _unspeakable,
    "interrupt": _interrupt,
    "infeasible": _infeasible,
    "disconnect": _disconnect,
    "daemonise_and_die": _daemonise_and_die,
    "nan": _nothing,
    "mute": _nothing,
    "close_output": _close_output,
    "print": _print,
    "fork": _fork,
    "daemonise": _daemonise,
    "fork_back": _fork_back,
    "good": _nothing,
}
BAD_SPACE = Space(layer(dict, deed=one_of(*MISDEEDS)))


class Misbehaving(Estimator):
    """Does what the architecture says, and then reports."""

    def evaluate(self, evaluation: Evaluation) -> None:
        deed = str(evaluation.architecture["deed"])
        MISDEEDS[deed]()
        if deed != "mute":
            evaluation.report(1, {"accuracy": float("nan") if deed == "nan" else 0.5})
