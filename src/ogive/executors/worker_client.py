"""The controller's view of one worker process: starting it, exchanging messages, enforcing limits, and killing it."""

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
from ogive.executors.limits import measure_family_memory, measure_resident_memory, shorten_output
from ogive.executors.messages import check_message, make_rejected_outcome
from ogive.executors.orphans import kill_marked, mark_environment
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify_exit
from ogive.trial import Status

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ENDING_SECONDS = 5.0
"""How long to wait for a worker to end after its channel has closed or it was killed, and for the channel to close after the
worker has ended.
"""
BRIEF_SECONDS = 0.1
"""How long to wait for the end of a process whose channel has just closed."""
LEFT_EXIT_CODE = 75
"""The exit code of a worker that exits because of a signal or a failed rank, after it has sent the end of its assignment."""
DISCONNECTED_EXIT_CODE = 76
"""The exit code of a worker whose channel was closed."""
_MESSAGES_WHILE_WORKING: tuple[str, ...] = ("report", "end", "fault")
_MESSAGES_WHILE_STARTING = ("ready", "broken")


class WorkerClient:
    """A worker process, from the controller's point of view. Creating this object starts the process.

    Args:
        name: the name of the worker.
        mark: the mark of the session's processes; see `orphans.MARK_VARIABLE`.
        threads: the number of threads of the process.
        start: the first message to the worker.
        log: the file for the worker's output outside trials.

    Attributes:
        process: the worker process.
        channel: the connection to the worker.
        is_ready: whether the worker has loaded space and estimator.
        is_leaving: whether the worker has announced that it is about to exit.
        assignment: the assignment that the worker is carrying out; None if it is idle.
        kill_outcome: the outcome of the attempt after the controller has killed the worker; None if it has not.
    """

    def __init__(self, name: str, *, mark: str, threads: int, start: Mapping[str, Any], log: Path) -> None:
        self.name = name
        self.log = log
        self.is_ready = False
        self.is_leaving = False
        self.assignment: Assignment | None = None
        self.kill_outcome: Outcome | None = None
        self._mark = f"{mark}/{name}"
        self._has_ranks = start["ranks"] > 1
        self._last_report_time = time.monotonic()  # without a report, the start of the assignment or of the worker
        self._ending_since: float | None = None
        self._compute_seconds = 0.0  # the compute time of the present assignment up to its last report
        self._last_step = 0  # the last step that the present assignment has reported
        self._initial_memory = 0  # the memory at the start of the present assignment, in bytes
        controller_end, worker_end = socket.socketpair()
        with controller_end, worker_end, log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ogive.executors.worker", str(worker_end.fileno())],
                # A fixed hash seed gives sets of strings the same order in every attempt. The user may set another one.
                env={"PYTHONHASHSEED": "0", **os.environ}
                | dict.fromkeys(THREAD_VARIABLES, str(threads))
                | mark_environment(self._mark),
                pass_fds=[worker_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            self.channel = Channel(controller_end.dup())
        self.channel.send({**start, "launched": self._last_report_time})

    @property
    def is_idle(self) -> bool:
        """Whether the worker can receive an assignment."""
        is_ending = self.is_leaving or self.channel.is_closed or self.kill_outcome is not None
        return self.is_ready and not is_ending and self.assignment is None

    def receive(self) -> dict[str, Any] | None:
        """Return the next message of the worker; None if none is complete.

        Raises:
            ProtocolError: the bytes in the channel are not a message, or not one that the worker may send now.
        """
        message = self.channel.receive()
        if message is None:
            return None
        assignment = self.assignment
        # A worker that is ready and has no assignment sends nothing.
        expected = _MESSAGES_WHILE_WORKING if assignment else () if self.is_ready else _MESSAGES_WHILE_STARTING
        if assignment and self._has_ranks:
            expected = (*expected, "broken")  # a new rank, which replaces a killed one, may be unable to load its code
        check_message(message, expected, assignment)
        if message["is"] == "report":
            if message["step"] <= self._last_step:
                raise ProtocolError(f"found a report of step {message['step']} after one of step {self._last_step}")
            self._last_step = message["step"]
        if message["is"] in ("report", "end"):
            self._compute_seconds += message["seconds"]
            self._last_report_time = time.monotonic()
        return message

    def begin(self, assignment: Assignment, memory_limit: float | None) -> None:
        """Send an assignment to the worker."""
        self.assignment = assignment
        self._last_report_time, self._compute_seconds, self._last_step = time.monotonic(), 0.0, 0
        # The memory limit applies to the memory that the trial uses in addition to the loaded code and data.
        measure = measure_family_memory if self._has_ranks else measure_resident_memory
        self._initial_memory = measure(self.process.pid) if memory_limit else 0
        self.channel.send({"assignment": vars(assignment), "memory_limit": memory_limit})

    def finish(self) -> Assignment:
        """Mark the assignment of the worker as ended, shorten the output of its trial if it is long, and return it."""
        assignment = self.assignment
        assert assignment is not None
        self.assignment = None
        shorten_output(Path(assignment.folder) / "output.txt")
        return assignment

    def enforce_limits(self, time_limit: float | None, memory_limit: float | None, startup_limit: float | None) -> None:
        """Kill the worker if it exceeds a limit (see `ProcessExecutor`), and shorten a long output of its trial."""
        if self.kill_outcome is not None:
            return
        if not self.is_ready:
            self._enforce_startup_limit(startup_limit)
            return
        assignment = self.assignment
        if assignment is None:
            return
        shorten_output(Path(assignment.folder) / "output.txt")
        unreported_seconds = time.monotonic() - self._last_report_time
        if (
            time_limit is not None
            and assignment.spent_seconds + self._compute_seconds + unreported_seconds > time_limit
        ):
            reason = f"the time limit of {time_limit:g} s is used up"
            self.kill_with_outcome(Outcome(Status.TIME_LIMIT, reason, seconds=unreported_seconds))
        elif memory_limit is not None:
            used = (measure_family_memory(self.process.pid) - self._initial_memory) / 1e9
            # The worker also limits itself (`limit_memory`), but only for each process and on some systems.
            if used > memory_limit:
                reason = f"the trial used {used:.2f} GB, more than the memory limit of {memory_limit:g} GB"
                self.kill_with_outcome(Outcome(Status.OUT_OF_MEMORY, reason, seconds=unreported_seconds))

    def _enforce_startup_limit(self, limit: float | None) -> None:
        if limit is not None and time.monotonic() - self._last_report_time > limit:
            remedy = "raise it if the code and the data take longer to load"
            reason = f"it was not ready after the startup_limit of {limit:g} s; {remedy}"
            self.kill_with_outcome(Outcome(Status.TIME_LIMIT, reason))

    def reject(self, error: ProtocolError) -> None:
        """Kill the worker because bytes that are not a message were written to its channel."""
        self.kill_with_outcome(make_rejected_outcome(error, "its worker's", time.monotonic() - self._last_report_time))
        self.channel.is_closed = True

    def kill_with_outcome(self, outcome: Outcome) -> None:
        """Kill the worker. Its attempt ends with `outcome`, unless the worker was already killed for another reason."""
        self.kill_outcome = self.kill_outcome or outcome
        self.process.kill()

    @property
    def has_ended(self) -> bool:
        """Whether the worker has ended and its channel is drained, or this takes longer than `ENDING_SECONDS`.

        It can take too long because a child of the worker keeps the channel open, because the worker has closed its channel
        and continues, or because the operating system is unable to kill it.
        """
        process_ended = self.process.poll() is not None
        if process_ended and self.channel.is_drained:
            return True
        is_ending = process_ended or self.channel.is_closed or self.kill_outcome is not None
        if self._ending_since is None and is_ending:
            self._ending_since = time.monotonic()
        return self._ending_since is not None and time.monotonic() - self._ending_since > ENDING_SECONDS

    def wait_briefly(self) -> None:
        """Wait for the end of the process, whose channel has closed."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=BRIEF_SECONDS)

    def clean_up(self) -> tuple[int | None, Outcome]:
        """Kill all remaining processes of the worker.

        Returns:
            The exit code of the worker (None if it had not ended), and the outcome of its attempt.
        """
        unreported_seconds = time.monotonic() - self._last_report_time
        code = self.process.poll()
        self.kill_all_processes()
        return code, self.kill_outcome or _make_exit_outcome(code, unreported_seconds)

    def kill_all_processes(self) -> None:
        """Kill the worker and all processes that its evaluations started."""
        # The worker is killed last, since some of the processes are found as its descendants.
        kill_marked(self._mark, process_session=self.process.pid)
        self.kill_worker()

    def kill_worker(self) -> None:
        """Kill the worker process and close the channel."""
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):  # the process may be in a system call that cannot be interrupted
            self.process.wait(timeout=ENDING_SECONDS)
        self.channel.close()


def _make_exit_outcome(code: int | None, seconds: float) -> Outcome:
    """Return the outcome of an attempt whose worker has exited with `code`, or has only closed its channel (None)."""
    if code in (None, DISCONNECTED_EXIT_CODE):
        reason = "the evaluation closed its worker's connection to the controller"
        return Outcome(Status.EXITED, reason, seconds=seconds)
    if code == LEFT_EXIT_CODE:
        reason = "the worker was asked to leave and did not wait for a report"
        return Outcome(Status.KILLED, reason, seconds=seconds)
    return classify_exit(code, seconds)
