"""A warm worker: `python -m ogive.executors.worker FD`, fed by the controller over the socket at FD.

It unpickles the space and the estimator once, prepares the estimator once, and then carries out one assignment after
another. Messages are JSON, so that nothing an evaluation raises or returns can spoil them.
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
from ogive.executors.channel import Disconnected, Line, ProtocolError
from ogive.executors.evaluate import evaluate, make_folder
from ogive.executors.limits import limit_memory
from ogive.executors.messages import outcome_fields
from ogive.executors.orphans import descendants, end_strays
from ogive.executors.rank_group import RankGroup, use_loopback
from ogive.executors.worker_client import CUT, LEFT
from ogive.run import signal_handlers
from ogive.run.estimator import ALONE, Estimator, Team
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify, disk_fault
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step

PR_SET_CHILD_SUBREAPER = 36
TRACEBACK_AFTER = 0.9
"""The share of `startup_limit` after which a worker writes to its log where it is."""
RENDEZVOUS = "rendezvous"
"""The file in a trial's folder by which the processes of an attempt find each other."""


class _Worker:
    def __init__(self, line: Line) -> None:
        self.line = line
        self.unanswered = False  # a report is
        self.pid = os.getpid()
        self.recalled = False
        self.leaving = False
        self.busy = False
        self.lock = threading.Lock()  # whoever watches the ranks sends, too
        self.ranks: RankGroup | None = None  # of a data-parallel trial; this process is rank 0
        self._listen()

    def _listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal_handlers.install(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Checkpoint, put back, leave: at the next report, or at once where nothing is being evaluated."""
        self.leaving = True
        if not self.busy:
            os._exit(LEFT)

    def _send(self, message: Mapping[str, Any]) -> None:
        if os.getpid() != self.pid:  # a process that an evaluation forked has found its way back here
            os._exit(0)
        try:
            with self.lock:
                self.line.send(message)
        except Disconnected:
            self._cut_off()

    def _receive(self) -> dict[str, Any]:
        try:
            return self.line.receive()
        except Disconnected:
            self._cut_off()

    def _cut_off(self) -> NoReturn:
        """The controller is gone, or user code has closed the channel: end at once, and leave nothing running."""
        end_strays(set())
        os._exit(CUT)

    def _deliver(self, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        self._drop_answer()
        try:
            self._send({"is": "report", "step": step, "metrics": dict(metrics), "seconds": seconds})
        except ProtocolError as error:
            raise JobError(f"the report at step {step}, of {len(metrics):,} metrics, is {error}") from None
        self.unanswered = True
        answer = self._receive()
        self.unanswered = False
        self.recalled = answer["recalled"]
        return Action(answer["action"])

    def _drop_answer(self) -> None:
        """Receive the answer for which an evaluation did not wait, since an alarm of its own has raised meanwhile."""
        if self.unanswered:
            self._receive()
            self.unanswered = False

    def run(self) -> None:
        start = self._receive()
        if start["startup_limit"]:  # the controller kills it then; its log says where it hangs
            since = time.monotonic() - start["launched"]
            faulthandler.dump_traceback_later(max(0.1, TRACEBACK_AFTER * start["startup_limit"] - since))
        sys.path[:] = start["path"]
        os.chdir(start["cwd"])
        if start.get("ranks", 1) > 1:
            use_loopback()
            self.ranks = RankGroup(start)  # they load at the same time
        try:
            space, estimator = load(Path(start["payload"]))
            estimator.prepare()
        except BaseException as error:  # noqa: BLE001 - told to the controller, which tells the user
            self._send({"is": "broken", **outcome_fields(classify(error))})
            return
        if self.ranks is not None and (broken := self.ranks.ready()):
            self._send(broken)
            return
        own = descendants() - self._of_ranks()  # what the estimator has started to work with stays
        faulthandler.cancel_dump_traceback_later()
        self._send({"is": "ready"})
        while not self.leaving:
            self._drop_answer()
            message = self._receive()
            self.busy = True
            last = self._one(space, estimator, message, start.get("place", 0))
            end_strays(own | self._of_ranks())
            try:
                self._restore(start)
            except OSError as error:
                last = {"is": "fault", "reason": f"the working directory {start['cwd']} of the search is gone: {error}"}
            self._send({**last, "leaving": self.leaving})
            self.busy = False
        os._exit(LEFT)  # not by sys.exit, which would wait for threads that evaluations have left

    def _one(self, space: Space, estimator: Estimator, message: dict[str, Any], place: int) -> dict[str, Any]:
        """Carry out one assignment; returns the message to end it with."""
        assignment = Assignment(**message["assignment"])
        self.recalled = False
        try:
            folder = make_folder(assignment)
            if self.ranks is not None and (broken := self.ranks.mend()):
                return broken
            team = ALONE if self.ranks is None else self._team(self.ranks, message, folder, place)
            with output_to(folder), memory_limited(message["memory_limit"]):
                try:
                    outcome = evaluate(
                        space, estimator, assignment, self._deliver, lambda: self.recalled or self.leaving, team
                    )
                except KeyboardInterrupt as error:  # raised by the evaluation itself: signals only set `leaving`
                    outcome = classify(error)
            if self.ranks is not None:
                outcome, sound = self.ranks.settle(outcome)
                self.leaving |= not sound
        except (RunError, OSError) as error:  # of the machine, not of the architecture: nothing can be written
            return {"is": "fault", "reason": f"{assignment.folder}: {disk_fault(error) or error}"}
        finally:
            if os.getpid() != self.pid:
                os._exit(0)
        return {"is": "end", **outcome_fields(outcome)}

    def _team(self, ranks: RankGroup, message: Mapping[str, Any], folder: Path, place: int) -> Team:
        """Let all ranks begin the assignment with this process."""
        rendezvous = folder / RENDEZVOUS
        rendezvous.unlink(missing_ok=True)  # of an attempt that was killed
        ranks.begin({**message, "rendezvous": str(rendezvous)}, self._stuck)
        return Team(0, ranks.size, place, rendezvous)

    def _of_ranks(self) -> set[int]:
        return set() if self.ranks is None else self.ranks.processes()

    def _stuck(self, outcome: Outcome) -> NoReturn:
        """Another rank has ended, and this process waits for it where nothing can wake it: tell, and leave."""
        self._send({"is": "end", **outcome_fields(outcome), "leaving": True})
        os._exit(LEFT)

    def _restore(self, start: Mapping[str, Any]) -> None:
        """Undo what the last evaluation may have changed for the next one."""
        os.chdir(start["cwd"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._listen()


def load(payload: Path) -> tuple[Space, Estimator]:
    """The space and the estimator of a run, as `ogive.search` has left them in its folder."""
    with payload.open("rb") as file:
        space, estimator = pickle.load(file)
    return space, estimator


@contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Send standard output and error of this process, native code included, to the trial's `output.txt`.

    The evaluation gets streams of its own, so that closing or replacing them harms nobody else; they are written line by
    line, so that the last words of a process that is killed are there.
    """
    kept = os.dup(1), os.dup(2)
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
            with suppress(OSError, ValueError):  # the disk is full, or the evaluation has closed it
                stream.flush()
        sys.stdout, sys.stderr = streams
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)


@contextmanager
def memory_limited(gigabytes: float | None) -> Iterator[None]:
    """Limit what this process may allocate; see `limit_memory`."""
    former = limit_memory(gigabytes)
    try:
        yield
    finally:
        if former is not None:
            resource.setrlimit(resource.RLIMIT_DATA, former)


def main() -> None:
    """Serve the controller at the socket whose file descriptor is the first argument, until it is closed."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    if sys.platform.startswith("linux"):  # what an evaluation's children leave behind becomes this process's own
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    code = 0
    try:
        _Worker(Line(descriptor)).run()
    except BaseException:  # noqa: BLE001 - a fault of this program, for the worker's log
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # not by returning, which would wait for threads that evaluations have left


if __name__ == "__main__":
    main()
