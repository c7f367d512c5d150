"""A warm worker: `python -m ogive.run.executors.worker FD`, fed by the controller over the connection at FD.

It unpickles the space and the estimator once, prepares the estimator once, and then carries out one assignment after
another. Messages are JSON, so that nothing an evaluation raises or returns can spoil them.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import resource
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from ogive.run.estimator import Estimator
from ogive.run.executors.base import Assignment, Outcome
from ogive.run.executors.evaluate import evaluate
from ogive.run.executors.strays import reap_children
from ogive.run.outcome import classify
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step

PR_SET_CHILD_SUBREAPER = 36
LEFT = 75
"""The exit code of a worker that was asked to leave and has put its trial back."""


class _Worker:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.recalled = False
        self.leaving = False
        self.busy = False
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Checkpoint, put back, leave: at the next report, or at once where nothing is being evaluated."""
        self.leaving = True
        if not self.busy:
            sys.exit(LEFT)

    def _send(self, message: Mapping[str, Any]) -> None:
        if os.getpid() != self.pid:  # a process that an evaluation forked has found its way back here
            os._exit(0)
        self.connection.send_bytes(json.dumps(message).encode())

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv_bytes())
        return message

    def _deliver(self, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        self._send({"is": "report", "step": step, "metrics": dict(metrics), "seconds": seconds})
        answer = self._receive()
        self.recalled = answer["recalled"]
        return Action(answer["action"])

    def run(self) -> None:
        start = self._receive()
        sys.path[:] = start["path"]
        os.chdir(start["cwd"])
        try:
            space, estimator = load(Path(start["payload"]))
            estimator.prepare()
        except BaseException as error:  # noqa: BLE001 - told to the controller, which tells the user
            self._send({"is": "broken", **_outcome(classify(error))})
            return
        self._send({"is": "ready"})
        while not self.leaving:
            self._one(space, estimator, self._receive())
        sys.exit(LEFT)

    def _one(self, space: Space, estimator: Estimator, message: dict[str, Any]) -> None:
        assignment = Assignment(**message["assignment"])
        limit = message["memory_limit"]
        self.busy, self.recalled = True, False
        restore = _redirect_output(Path(assignment.folder))
        former = _limit_memory(limit)
        try:
            outcome = evaluate(space, estimator, assignment, self._deliver, lambda: self.recalled or self.leaving)
        finally:
            if former is not None:
                resource.setrlimit(resource.RLIMIT_DATA, former)
            restore()
        if os.getpid() != self.pid:
            os._exit(0)
        reap_children()
        self.busy = False
        self._send({"is": "end", **_outcome(outcome)})


def load(payload: Path) -> tuple[Space, Estimator]:
    """The space and the estimator of a run, as `ogive.search` has left them in its folder."""
    with payload.open("rb") as file:
        space, estimator = pickle.load(file)
    return space, estimator


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status.value,
        "reason": outcome.reason,
        "traceback": outcome.traceback,
        "seconds": outcome.seconds,
    }


def _redirect_output(folder: Path) -> Any:
    """Send standard output and error of this process, native code included, to the trial's `output.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    file = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)

    def restore() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)

    return restore


def _limit_memory(gigabytes: float | None) -> tuple[int, int] | None:
    """Let this process allocate at most so much more than it has; beyond that, allocations raise. Returns the old limits.

    The limit is on private data rather than on address space, which libraries reserve without using. A process that has
    touched a GPU is left alone: its driver reserves far more than it uses.
    """
    torch = sys.modules.get("torch")
    if gigabytes is None or not sys.platform.startswith("linux") or (torch and torch.cuda.is_initialized()):
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    data = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
    wanted = data + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    return soft, hard


def main() -> None:
    """Serve the connection whose file descriptor is the first argument, until it is closed."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    if sys.platform.startswith("linux"):  # what an evaluation's children leave behind becomes this process's own
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        _Worker(Connection(descriptor)).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the controller is gone


if __name__ == "__main__":
    main()
