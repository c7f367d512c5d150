"""The worker process: `python -m ogive.executors.worker FD`. The controller starts it, with a socket at file descriptor FD.

It unpickles space and estimator once, prepares the estimator once, and then carries out one assignment after another.
Messages are JSON, so they can always be read, whatever objects an evaluation creates.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ogive.errors import JobError, RunError
from ogive.executors.channel import BlockingChannel, Disconnected, ProtocolError
from ogive.executors.evaluate import create_trial_folder, evaluate
from ogive.executors.limits import limit_memory
from ogive.executors.messages import make_outcome_fields
from ogive.executors.orphans import find_descendants, kill_strays
from ogive.executors.rank_group import RankGroup, use_loopback
from ogive.executors.worker_client import DISCONNECTED_EXIT_CODE, LEFT_EXIT_CODE
from ogive.run import signal_handlers
from ogive.run.estimator import SINGLE_PROCESS, Estimator, Team
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify, find_disk_fault
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step

PR_SET_CHILD_SUBREAPER = 36
"""The number of the option of this name of Linux's prctl."""
TRACEBACK_SHARE = 0.9
"""The share of `startup_limit` after which a worker that is not ready writes a traceback to its log."""
RENDEZVOUS_FILE = "rendezvous"
"""The name of the file in a trial's folder through which the ranks of an attempt find each other."""


class _Worker:
    """The worker process.

    Attributes:
        channel: the connection to the controller.
        is_awaiting_answer: whether a report was sent and its answer has not been received yet.
        pid: the id of this process. A process that the evaluation forks has another id.
        is_recalled: whether the controller has asked evaluations to end at their next report.
        is_leaving: whether the evaluation should end at its next report and this process then exit, because of a signal; or
            whether this process should exit after the assignment, because a rank has failed.
        is_busy: whether an assignment is being carried out.
        lock: a lock of the channel, since the thread that watches the ranks sends messages, too.
        ranks: the other ranks of data-parallel trials, in which this process is rank 0; None without them.
    """

    def __init__(self, channel: BlockingChannel) -> None:
        self.channel = channel
        self.is_awaiting_answer = False
        self.pid = os.getpid()
        self.is_recalled = False
        self.is_leaving = False
        self.is_busy = False
        self.lock = threading.Lock()
        self.ranks: RankGroup | None = None
        self._install_handlers()

    def _install_handlers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal_handlers.install(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Let the evaluation end at its next report, then exit. Without an evaluation, exit at once."""
        self.is_leaving = True
        if not self.is_busy:
            os._exit(LEFT_EXIT_CODE)

    def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the controller."""
        if os.getpid() != self.pid:  # a process that the evaluation has forked must not send
            os._exit(0)
        try:
            with self.lock:
                self.channel.send(message)
        except Disconnected:
            self._exit_disconnected()

    def _receive(self) -> dict[str, Any]:
        """Wait for a message of the controller and return it."""
        try:
            return self.channel.receive()
        except Disconnected:
            self._exit_disconnected()

    def _exit_disconnected(self) -> NoReturn:
        """Kill all descendants and exit: the controller has ended, or user code has closed the channel."""
        kill_strays(set())
        os._exit(DISCONNECTED_EXIT_CODE)

    def _deliver(self, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        """Send a report and wait for its answer."""
        self._drop_answer()
        try:
            self._send({"is": "report", "step": step, "metrics": dict(metrics), "seconds": seconds})
        except ProtocolError as error:
            raise JobError(f"the report at step {step}, of {len(metrics):,} metrics, is {error}") from None
        self.is_awaiting_answer = True
        answer = self._receive()
        self.is_awaiting_answer = False
        self.is_recalled = answer["recalled"]
        return Action(answer["action"])

    def _drop_answer(self) -> None:
        """Receive and ignore an outstanding answer. (An alarm of user code may have interrupted the wait for it.)"""
        if self.is_awaiting_answer:
            self._receive()
            self.is_awaiting_answer = False

    def run(self) -> None:
        """Load space and estimator, then carry out assignments until the controller or a signal ends this process."""
        start = self._receive()
        # The controller kills this process at the limit. Shortly before that, log where it hangs.
        if start["startup_limit"]:
            # time.monotonic() gives the same time in the controller, which has set `launched`. The delay must be above 0.
            since_launch = time.monotonic() - start["launched"]
            faulthandler.dump_traceback_later(max(0.1, TRACEBACK_SHARE * start["startup_limit"] - since_launch))
        sys.path[:] = start["path"]
        os.chdir(start["cwd"])
        if start.get("ranks", 1) > 1:
            use_loopback()
            self.ranks = RankGroup(start)  # before loading, so that the ranks load at the same time as this process
        try:
            space, estimator = unpickle_payload(Path(start["payload"]))
            estimator.prepare()
        except BaseException as error:  # noqa: BLE001 - the controller shows it to the user
            self._send({"is": "broken", **make_outcome_fields(classify(error))})
            return
        if self.ranks is not None and (broken := self.ranks.wait_until_ready()):
            self._send(broken)
            return
        # Evaluations need the processes that the estimator started in `prepare`, so these are not killed.
        estimator_processes = find_descendants() - self._rank_processes()
        faulthandler.cancel_dump_traceback_later()
        self._send({"is": "ready"})
        while not self.is_leaving:
            self._drop_answer()
            message = self._receive()
            self.is_busy = True
            end = self._carry_out(space, estimator, message, start.get("process_index", 0))
            kill_strays(estimator_processes | self._rank_processes())
            try:
                self._restore(start)
            except OSError as error:
                reason = f"the working directory {start['cwd']} of the search does not exist any more: {error}"
                end = {"is": "fault", "reason": reason}
            self._send({**end, "leaving": self.is_leaving})
            self.is_busy = False
        os._exit(LEFT_EXIT_CODE)  # sys.exit would wait for threads that evaluations have started

    def _carry_out(
        self, space: Space, estimator: Estimator, message: dict[str, Any], process_index: int
    ) -> dict[str, Any]:
        """Carry out one assignment; return the message that ends it. See `Team` for `process_index`."""
        assignment = Assignment(**message["assignment"])
        self.is_recalled = False
        try:
            folder = create_trial_folder(assignment)
            if self.ranks is not None and (broken := self.ranks.replace_dead()):
                return broken
            team = (
                SINGLE_PROCESS if self.ranks is None else self._begin_team(self.ranks, message, folder, process_index)
            )
            with redirect_output(folder), apply_memory_limit(message["memory_limit"]):
                try:
                    outcome = evaluate(
                        space, estimator, assignment, self._deliver, is_leaving=self._has_to_end, team=team
                    )
                except KeyboardInterrupt as error:  # raised by user code, since signals only set `is_leaving`
                    outcome = classify(error)
            if self.ranks is not None:
                outcome, can_continue = self.ranks.settle(outcome)
                self.is_leaving |= not can_continue
        except (RunError, OSError) as error:  # files cannot be written: a fault of the machine, not of the architecture
            return {"is": "fault", "reason": f"{assignment.folder}: {find_disk_fault(error) or error}"}
        finally:
            if os.getpid() != self.pid:  # a process that the evaluation has forked must not continue as a worker
                os._exit(0)
        return {"is": "end", **make_outcome_fields(outcome)}

    def _has_to_end(self) -> bool:
        return self.is_recalled or self.is_leaving

    def _begin_team(self, ranks: RankGroup, message: Mapping[str, Any], folder: Path, process_index: int) -> Team:
        """Send the assignment to all ranks; return the team from the point of view of this process."""
        rendezvous = folder / RENDEZVOUS_FILE
        rendezvous.unlink(missing_ok=True)  # a killed attempt may have left it
        ranks.begin({**message, "rendezvous": str(rendezvous)}, self._report_failed_rank_and_exit)
        return Team(rank=0, size=ranks.size, process_index=process_index, rendezvous=rendezvous)

    def _rank_processes(self) -> set[int]:
        return set() if self.ranks is None else self.ranks.find_processes()

    def _report_failed_rank_and_exit(self, outcome: Outcome) -> NoReturn:
        """Report the outcome and exit: another rank has failed, and this process hangs because it waits for that rank."""
        self._send({"is": "end", **make_outcome_fields(outcome), "leaving": True})
        os._exit(LEFT_EXIT_CODE)

    def _restore(self, start: Mapping[str, Any]) -> None:
        """Restore the working directory, the alarm and the signal handlers, which an evaluation may have changed."""
        os.chdir(start["cwd"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._install_handlers()


def unpickle_payload(payload: Path) -> tuple[Space, Estimator]:
    """Return the space and the estimator of a run from `payload`, a file that `ogive.search` has written."""
    with payload.open("rb") as file:
        space, estimator = pickle.load(file)
    return space, estimator


@contextmanager
def redirect_output(folder: Path) -> Iterator[None]:
    """Write standard output and error of this process, including native code, to `output.txt` in the folder of a trial.

    The evaluation gets separate streams, so it may close or replace them without affecting anything else. They are
    line-buffered, so that the file contains the last lines even if the process is killed.
    """
    saved_descriptors = os.dup(1), os.dup(2)
    streams = sys.stdout, sys.stderr
    file = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    sys.stdout, sys.stderr = (
        open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        for number in (1, 2)
    )
    try:
        yield
    finally:
        for stream in (*streams, sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the disk is full, or the evaluation has closed the stream
                stream.flush()
        sys.stdout, sys.stderr = streams
        for number, saved in zip((1, 2), saved_descriptors, strict=True):
            os.dup2(saved, number)
            os.close(saved)


@contextmanager
def apply_memory_limit(gigabytes: float | None) -> Iterator[None]:
    """Limit the memory that this process may allocate, while the context is active; see `limit_memory`."""
    previous_limits = limit_memory(gigabytes)
    try:
        yield
    finally:
        if previous_limits is not None:
            resource.setrlimit(resource.RLIMIT_DATA, previous_limits)


def main() -> None:
    """Serve the controller until the socket is closed. Its file descriptor is the first argument of the command line."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    # Let orphaned descendants become children of this process, so that it can find them.
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    code = 0
    try:
        _Worker(BlockingChannel(descriptor)).run()
    except BaseException:  # noqa: BLE001 - a bug of this program, for the worker's log
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # returning would wait for threads that evaluations have started


if __name__ == "__main__":
    main()
