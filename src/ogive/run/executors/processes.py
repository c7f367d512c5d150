"""Evaluations in warm worker processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from ogive.errors import RunError
from ogive.run.executors.base import Assignment, Executor, Listener, Outcome
from ogive.run.executors.strays import MARK, kill_marked
from ogive.run.executors.worker import LEFT
from ogive.trial import Status

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
MAX_OUTPUT = 10_000_000
"""Bytes of a trial's output that are kept."""
LOOK_SECONDS = 0.5
"""How often limits are checked."""
MAX_STILLBORN = 5
"""Workers in a row that may be killed while they start."""
KILLED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """The controller's end of one worker."""

    def __init__(self, name: str, mark: str, threads: int, start: Mapping[str, Any], log: Path) -> None:
        self.name = name
        self.mark = f"{mark}/{name}"
        ours, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), MARK: self.mark}
        command = [sys.executable, "-m", "ogive.run.executors.worker", str(theirs.fileno())]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        theirs.close()
        self.connection = Connection(ours.detach())
        self.ready = False
        self.assignment: Assignment | None = None
        self.began = 0.0
        self.memory_before = 0
        self.killed_for: Outcome | None = None
        self.send(start)

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            self.connection.send_bytes(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; its connection says so at the next poll

    def kill(self) -> None:
        """Kill the worker and all that its evaluations started."""
        self.process.kill()
        self.process.wait()
        kill_marked(self.mark)
        self.connection.close()


class Processes(Executor):
    """`workers` warm processes, each with its share of the cores.

    Args:
        payload: the file with the space and the estimator; see `worker.load`.
        folder: of the run; the workers' own output goes to `worker-*.log` in it.
        workers: how many evaluations at a time.
        time_limit: compute seconds of one trial.
        memory_limit: gigabytes that one trial may allocate.
    """

    def __init__(
        self,
        payload: Path,
        folder: Path,
        workers: int,
        *,
        time_limit: float | None = None,
        memory_limit: float | None = None,
    ) -> None:
        self._folder = folder
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._threads = max(1, cores() // workers)
        self._start = {"path": sys.path, "cwd": os.getcwd(), "payload": str(payload)}
        self._run_mark = run_mark(folder)
        kill_marked(self._run_mark)  # what a killed controller's workers may have left running
        self._mark = f"{self._run_mark}/{uuid.uuid4().hex[:8]}"
        self._recalled = False
        self._looked = 0.0
        self._stillborn = 0
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "ogive.run.executors.guardian", self._mark],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._workers = [self._launch(f"worker-{i}") for i in range(workers)]

    def _launch(self, name: str) -> _Worker:
        return _Worker(name, self._mark, self._threads, self._start, self._folder / f"{name}.log")

    @property
    def idle(self) -> int:
        return sum(worker.assignment is None and worker.ready for worker in self._workers)

    def submit(self, assignment: Assignment) -> str:
        worker = next(w for w in self._workers if w.ready and w.assignment is None)
        worker.assignment, worker.began, worker.killed_for = assignment, time.monotonic(), None
        worker.memory_before = _memory(worker.process.pid) if self._memory_limit else 0
        worker.send({"assignment": vars(assignment), "memory_limit": self._memory_limit})
        return worker.name

    def poll(self, listener: Listener, timeout: float) -> None:
        by_connection = {worker.connection: worker for worker in self._workers}
        ready = wait(list(by_connection), timeout)
        for connection in ready:
            worker = by_connection[connection]  # type: ignore[index]
            try:
                message = json.loads(worker.connection.recv_bytes())
            except (EOFError, OSError):
                self._died(worker, listener)
                continue
            self._handle(worker, message, listener)
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            for worker in list(self._workers):
                if worker.process.poll() is not None and not worker.connection.poll():
                    self._died(worker, listener)  # what it forked may still hold the connection open
                else:
                    self._check(worker, listener)

    def _handle(self, worker: _Worker, message: Mapping[str, Any], listener: Listener) -> None:
        if message["is"] == "ready":
            worker.ready, self._stillborn = True, 0
        elif message["is"] == "broken":
            raise RunError(
                f"the workers cannot start: {message['reason']}\n{message['traceback']}\n"
                f"see also {self._folder / worker.name}.log"
            )
        elif message["is"] == "report":
            assert worker.assignment is not None
            trial = worker.assignment.trial
            action = listener.on_report(trial, message["step"], message["metrics"], message["seconds"])
            worker.send({"action": action.value, "recalled": self._recalled})
        else:
            self._ended(worker, listener, Outcome(Status(message["status"]), *_texts(message)))

    def _ended(self, worker: _Worker, listener: Listener, outcome: Outcome) -> None:
        assignment = worker.assignment
        assert assignment is not None
        worker.assignment = None
        _bound_output(Path(assignment.folder) / "output.txt", MAX_OUTPUT)
        listener.on_end(assignment.trial, outcome)

    def _died(self, worker: _Worker, listener: Listener) -> None:
        """A worker's connection has closed: replace it, and say what became of its trial."""
        try:
            code = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # the evaluation has closed the connection itself
            worker.process.kill()
            worker.process.wait()
            code = 1
        outcome = worker.killed_for or _death(code, time.monotonic() - worker.began)
        worker.kill()
        place = self._workers.index(worker)
        if not worker.ready:
            self._stillborn += 1
            if code >= 0 or self._stillborn >= MAX_STILLBORN:
                log = self._folder / f"{worker.name}.log"
                raise RunError(f"a worker ended while it was starting ({outcome.reason}); its last words are in {log}")
        self._workers[place] = self._launch(worker.name)
        if worker.assignment is not None:
            self._ended(worker, listener, outcome)
        elif code != LEFT:
            listener.on_warning(f"{worker.name} ended while it was idle ({outcome.reason}) and was replaced")

    def _check(self, worker: _Worker, listener: Listener) -> None:
        """Enforce the limits of a running evaluation."""
        assignment = worker.assignment
        if assignment is None or worker.killed_for is not None:
            return
        _bound_output(Path(assignment.folder) / "output.txt", MAX_OUTPUT)
        spent = time.monotonic() - worker.began
        if self._time_limit is not None and assignment.spent + spent > self._time_limit:
            reason = f"the time limit of {self._time_limit:g} s is used up"
            self._end_by_force(worker, Outcome(Status.TIME_LIMIT, reason, "", spent))
        elif self._memory_limit is not None:
            used = _memory(worker.process.pid)
            if (
                used > self._memory_limit * 1e9 * 1.5 + 1e9
            ):  # its own limit should have stopped it; its children have none
                reason = f"{used / 1e9:.1f} GB are used, and the memory limit is {self._memory_limit:g} GB"
                self._end_by_force(worker, Outcome(Status.OUT_OF_MEMORY, reason, "", spent))

    def _end_by_force(self, worker: _Worker, outcome: Outcome) -> None:
        worker.killed_for = outcome
        worker.process.kill()

    def recall(self) -> None:
        self._recalled = True

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.kill()
        kill_marked(self._mark)
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait()


def run_mark(folder: Path) -> str:
    """The mark of every process that works for the run in `folder`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(folder.resolve())))[:18]


def _texts(message: Mapping[str, Any]) -> tuple[str, str, float]:
    return message["reason"], message["traceback"], message["seconds"]


def _death(code: int, seconds: float) -> Outcome:
    if code == LEFT:
        return Outcome(Status.WAITING, "the worker was asked to leave")
    if code >= 0:
        return Outcome(Status.EXITED, f"the evaluation ended its worker with exit code {code}", "", seconds)
    name = signal.Signals(-code).name
    if -code in KILLED_FROM_OUTSIDE:
        return Outcome(Status.KILLED, f"the worker was killed by {name}", "", seconds)
    return Outcome(Status.EXITED, f"the evaluation crashed its worker ({name})", "", seconds)


def _memory(pid: int) -> int:
    """Bytes that a process and all below it have in memory."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _bound_output(path: Path, limit: int) -> None:
    """Keep the beginning and the end of an output that has outgrown `limit`; writers append, so they just go on."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= limit:
        return
    with path.open("rb+") as file:
        head = file.read(limit // 4)
        file.seek(size - limit // 4)
        tail = file.read(limit // 4)
        file.seek(0)
        file.truncate(0)
        file.write(head + f"\n... {size - len(head) - len(tail)} bytes left out ...\n".encode() + tail)
