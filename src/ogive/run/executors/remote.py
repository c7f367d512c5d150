"""The controller's end of one worker process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ogive.run.executors.base import Assignment, Outcome
from ogive.run.executors.limits import bound_output, family_memory, resident
from ogive.run.executors.strays import kill_marked, marked
from ogive.run.outcome import death
from ogive.trial import Status

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PARTING_SECONDS = 5.0
"""How long a worker may go on after its connection has closed."""
LEFT = 75
"""The exit code of a worker that was asked to leave and has put its trial back."""


class Remote:
    """A worker process, and what the controller knows of it.

    Attributes:
        ready: it has loaded the space and the estimator.
        leaving: it was asked to leave, and ends.
        assignment: what it is working on.
        killed_for: how its trial ends, where the controller had to kill it.
    """

    def __init__(self, name: str, mark: str, threads: int, start: Mapping[str, Any], log: Path) -> None:
        self.name = name
        self.log = log
        self.ready = False
        self.leaving = False
        self.assignment: Assignment | None = None
        self.killed_for: Outcome | None = None
        self._mark = f"{mark}/{name}"
        self._alone = start["ranks"] == 1
        self._since = 0.0
        self._spent = 0.0
        self._memory_before = 0
        ours, theirs = socket.socketpair()
        with ours, theirs, log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ogive.run.executors.worker", str(theirs.fileno())],
                # a fixed hash seed: sets of strings have one order in every attempt, unless the user wants otherwise
                env={"PYTHONHASHSEED": "0", **os.environ}
                | dict.fromkeys(THREAD_VARIABLES, str(threads))
                | marked(self._mark),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            self.connection = Connection(ours.detach())
        self.send(start)

    @property
    def idle(self) -> bool:
        return self.ready and not self.leaving and self.assignment is None and self.killed_for is None

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            self.connection.send_bytes(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; its connection says so at the next poll

    def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            EOFError, OSError: the connection is closed.
        """
        message: dict[str, Any] = json.loads(self.connection.recv_bytes())
        if message["is"] in ("report", "end"):
            self._spent += message["seconds"]
            self._since = time.monotonic()
        return message

    def begin(self, assignment: Assignment, memory_limit: float | None) -> None:
        """Give it work."""
        self.assignment, self._since, self._spent = assignment, time.monotonic(), 0.0
        before = resident if self._alone else family_memory
        self._memory_before = before(self.process.pid) if memory_limit else 0
        self.send({"assignment": vars(assignment), "memory_limit": memory_limit})

    def finish(self) -> Assignment:
        """Take its work away; returns what it was."""
        assignment = self.assignment
        assert assignment is not None
        self.assignment = None
        bound_output(Path(assignment.folder) / "output.txt")
        return assignment

    def enforce(self, time_limit: float | None, memory_limit: float | None) -> None:
        """Kill it where its evaluation exceeds a limit."""
        assignment = self.assignment
        if assignment is None or self.killed_for is not None:
            return
        bound_output(Path(assignment.folder) / "output.txt")
        unreported = time.monotonic() - self._since
        if time_limit is not None and assignment.spent + self._spent + unreported > time_limit:
            self._end_by_force(
                Outcome(Status.TIME_LIMIT, f"the time limit of {time_limit:g} s is used up", "", unreported)
            )
        elif memory_limit is not None:
            used = (family_memory(self.process.pid) - self._memory_before) / 1e9
            if used > memory_limit:  # by several processes together, or in ways that the system's own limit leaves out
                reason = f"{used:.2f} GB were taken, and the memory limit is {memory_limit:g} GB"
                self._end_by_force(Outcome(Status.OUT_OF_MEMORY, reason, "", unreported))

    def _end_by_force(self, outcome: Outcome) -> None:
        self.killed_for = outcome
        self.process.kill()

    @property
    def silent(self) -> bool:
        """It has ended, and has left nothing to read; what it forked may still hold the connection open."""
        return self.process.poll() is not None and not self.connection.poll()

    def bury(self) -> tuple[int | None, Outcome]:
        """End what is left of it; returns its exit code and what that says of its evaluation."""
        unreported = time.monotonic() - self._since
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):  # it runs on without a connection, and is killed now
            code = self.process.wait(timeout=PARTING_SECONDS)
        self.kill()
        return code, self.killed_for or _death(code, unreported)

    def kill(self) -> None:
        """Kill it and all that its evaluations started."""
        kill_marked(self._mark, session=self.process.pid)  # first, since strays are also found below it
        self.end()

    def end(self) -> None:
        """Kill the worker itself."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def _death(code: int | None, seconds: float) -> Outcome:
    if code is None:
        return Outcome(Status.EXITED, "the evaluation closed its worker's connection to the controller", "", seconds)
    if code == LEFT:
        return Outcome(Status.KILLED, "the worker was asked to leave and did not wait for a report", "", seconds)
    return death(code, seconds)
