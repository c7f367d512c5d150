"""The controller's end of one worker process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ogive.executors.channel import Channel, ProtocolError
from ogive.executors.limits import bound_output, family_memory, resident
from ogive.executors.messages import check_message, rejected
from ogive.executors.orphans import kill_marked, marked
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import death
from ogive.trial import Status

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PARTING_SECONDS = 5.0
"""How long a worker may go on after its channel has closed or it was killed, and its channel after the worker has ended."""
MOMENT_SECONDS = 0.1
"""How long to wait for the end of a process whose channel has just closed."""
LEFT = 75
"""The exit code of a worker that was asked to leave and has put its trial back."""
_WHILE_WORKING: tuple[str, ...] = ("report", "end", "fault")
_STARTING = ("ready", "broken")
CUT = 76
"""The exit code of a worker that finds its channel closed."""


class WorkerClient:
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
        self._since = time.monotonic()
        self._parting: float | None = None  # since when it ends
        self._spent = 0.0
        self._last_step = 0  # that the present assignment has reported
        self._memory_before = 0
        ours, theirs = socket.socketpair()
        with ours, theirs, log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ogive.executors.worker", str(theirs.fileno())],
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
            self.channel = Channel(ours.dup())
        self.channel.send({**start, "launched": self._since})

    @property
    def idle(self) -> bool:
        ending = self.leaving or self.channel.closed or self.killed_for is not None
        return self.ready and not ending and self.assignment is None

    def receive(self) -> dict[str, Any] | None:
        """The next message; None if none is complete.

        Raises:
            ProtocolError: something else was written to its channel.
        """
        message = self.channel.receive()
        if message is None:
            return None
        assignment = self.assignment
        expected = _WHILE_WORKING if assignment else () if self.ready else _STARTING
        if assignment and not self._alone:
            expected = (*expected, "broken")  # a rank that is started again cannot load its code
        check_message(message, expected, assignment)
        if message["is"] == "report":
            if message["step"] <= self._last_step:
                raise ProtocolError(f"found a report of step {message['step']} after one of step {self._last_step}")
            self._last_step = message["step"]
        if message["is"] in ("report", "end"):
            self._spent += message["seconds"]
            self._since = time.monotonic()
        return message

    def begin(self, assignment: Assignment, memory_limit: float | None) -> None:
        """Give it work."""
        self.assignment, self._since, self._spent, self._last_step = assignment, time.monotonic(), 0.0, 0
        before = resident if self._alone else family_memory
        self._memory_before = before(self.process.pid) if memory_limit else 0
        self.channel.send({"assignment": vars(assignment), "memory_limit": memory_limit})

    def finish(self) -> Assignment:
        """Take its work away; returns what it was."""
        assignment = self.assignment
        assert assignment is not None
        self.assignment = None
        bound_output(Path(assignment.folder) / "output.txt")
        return assignment

    def enforce(self, time_limit: float | None, memory_limit: float | None, startup_limit: float | None) -> None:
        """Kill it where it exceeds a limit."""
        if self.killed_for is not None:
            return
        if not self.ready:
            self._limit_startup(startup_limit)
            return
        assignment = self.assignment
        if assignment is None:
            return
        bound_output(Path(assignment.folder) / "output.txt")
        unreported = time.monotonic() - self._since
        if time_limit is not None and assignment.spent + self._spent + unreported > time_limit:
            self.kill_for(Outcome(Status.TIME_LIMIT, f"the time limit of {time_limit:g} s is used up", "", unreported))
        elif memory_limit is not None:
            used = (family_memory(self.process.pid) - self._memory_before) / 1e9
            if used > memory_limit:  # by several processes together, or in ways that the system's own limit leaves out
                reason = f"{used:.2f} GB were taken, and the memory limit is {memory_limit:g} GB"
                self.kill_for(Outcome(Status.OUT_OF_MEMORY, reason, "", unreported))

    def _limit_startup(self, limit: float | None) -> None:
        if limit is not None and time.monotonic() - self._since > limit:
            remedy = "raise it if the code and the data take longer to load"
            self.kill_for(
                Outcome(Status.TIME_LIMIT, f"it was not ready after the startup_limit of {limit:g} s; {remedy}")
            )

    def reject(self, error: ProtocolError) -> None:
        """Kill it for what was written to its channel."""
        self.kill_for(rejected(error, "its worker's", time.monotonic() - self._since))
        self.channel.closed = True

    def kill_for(self, outcome: Outcome) -> None:
        """Kill it; `outcome` is that of its trial, unless it was killed for something else before."""
        self.killed_for = self.killed_for or outcome
        self.process.kill()

    @property
    def over(self) -> bool:
        """It has ended and nothing of it is left to read, or it does not end.

        A child of it may hold the channel open, it may have closed the channel and run on, and the system may be unable to
        kill it.
        """
        ended = self.process.poll() is not None
        if ended and self.channel.quiet:
            return True
        if self._parting is None and (ended or self.channel.closed or self.killed_for is not None):
            self._parting = time.monotonic()
        return self._parting is not None and time.monotonic() - self._parting > PARTING_SECONDS

    def wait_a_moment(self) -> None:
        """Wait for its process, whose channel has closed."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=MOMENT_SECONDS)

    def bury(self) -> tuple[int | None, Outcome]:
        """End what is left of it; returns its exit code and what that says of its evaluation."""
        unreported = time.monotonic() - self._since
        code = self.process.poll()
        self.kill()
        return code, self.killed_for or _death(code, unreported)

    def kill(self) -> None:
        """Kill it and all that its evaluations started."""
        kill_marked(self._mark, session=self.process.pid)  # first, since strays are also found below it
        self.end()

    def end(self) -> None:
        """Kill the worker itself."""
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):  # it is in a call of the system that cannot be interrupted
            self.process.wait(timeout=PARTING_SECONDS)
        self.channel.close()


def _death(code: int | None, seconds: float) -> Outcome:
    if code in (None, CUT):
        return Outcome(Status.EXITED, "the evaluation closed its worker's connection to the controller", "", seconds)
    if code == LEFT:
        return Outcome(Status.KILLED, "the worker was asked to leave and did not wait for a report", "", seconds)
    return death(code, seconds)
