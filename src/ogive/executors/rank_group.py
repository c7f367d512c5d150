"""The processes that train trials together with a worker: the worker is rank 0 of k, they are the ranks 1 to k - 1.

Each rank loads space and estimator once, then receives every assignment of the worker, and reports its outcome. If a rank
fails, the attempt ends for all ranks, since the others would wait for it. The state of a process that was interrupted during
a collective operation is unknown. So a worker exits if one of its ranks has failed, and the controller starts a new worker.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from ogive.executors.channel import BlockingChannel, Disconnected, ProtocolError
from ogive.executors.messages import check_message, make_outcome_fields, make_rejected_outcome, parse_outcome
from ogive.executors.orphans import find_descendants
from ogive.run.executor import Outcome
from ogive.run.outcome import classify_exit
from ogive.trial import Status

ENDING_SECONDS = 10.0
"""How long the other ranks may continue after rank 0 has ended."""
CAUSE_SECONDS = 3.0
"""How long to wait for the cause of a failure: for the outcome of a rank to which other ranks have lost the connection, and
for rank 0 to fail after another rank has failed.
"""
EXIT_SECONDS = 1.0
"""How long to wait for a rank that is ending before it is killed."""
_LOST_CONNECTION = re.compile(
    r"Dist(Backend|Network|Store)Error|gloo|nccl|connection (closed|reset) by peer", re.IGNORECASE
)
"""Matches the reason of a failure that is a consequence of another rank's failure."""


class _Rank:
    """One rank other than 0: its process, and a thread that receives its messages.

    Attributes:
        number: the number of the rank, at least 1.
        message: the last message of the process; None before the first message, and at the start of an assignment.
        is_disconnected: whether the channel is closed or has failed, so the process has ended or is ending.
        rejected_outcome: the outcome of the attempt if the process has written bytes to its channel that are not a message;
            else None.
    """

    def __init__(self, number: int, start: Mapping[str, Any], changed: threading.Condition) -> None:
        self.number = number
        self.message: dict[str, Any] | None = None
        self.is_disconnected = False
        self.rejected_outcome: Outcome | None = None
        self._is_ready = False
        self._changed = changed
        worker_end, rank_end = socket.socketpair()
        with worker_end, rank_end:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ogive.executors.rank_process", str(rank_end.fileno())],
                pass_fds=[rank_end.fileno()],
                stdin=subprocess.DEVNULL,
            )
            self._channel = BlockingChannel(worker_end.detach())
        threading.Thread(target=self._listen, daemon=True).start()
        self.send({**start, "rank": number})

    def _listen(self) -> None:
        """Receive messages until the channel is closed or has failed."""
        try:
            while True:
                message = self._channel.receive()
                check_message(message, ("end",) if self._is_ready else ("ready", "broken"))
                with self._changed:
                    self.message, self._is_ready = message, True
                    self._changed.notify_all()
        except Disconnected:
            pass
        except ProtocolError as error:
            self.rejected_outcome = make_rejected_outcome(error, f"rank {self.number}'s")
            self.process.kill()
        self._channel.close()
        with self._changed:
            self.is_disconnected = True
            self._changed.notify_all()

    def send(self, message: Mapping[str, Any]) -> None:
        with suppress(Disconnected):  # the process has ended; the thread sets `is_disconnected`
            self._channel.send(message)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the present assignment; None if the process has not reported it yet."""
        if self.message is None or self.message["is"] != "end":
            return None
        return parse_outcome(self.message)

    @property
    def has_failed(self) -> bool:
        """Whether the present assignment has failed, or the process has ended without an outcome."""
        return self.outcome.status.failed if self.outcome is not None else self.is_disconnected

    def clean_up(self) -> int:
        """Wait for the end of the process, kill it if this takes too long, and return its exit code."""
        try:
            self.process.wait(timeout=EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.process.wait()


class RankGroup:
    """The ranks of one worker, other than the worker itself, which is rank 0.

    Args:
        start: the start message of the worker; its entry `ranks` is the number of processes, including the worker.
    """

    def __init__(self, start: Mapping[str, Any]) -> None:
        self.size = int(start["ranks"])
        self._start = start
        self._changed = threading.Condition()
        self._is_working = False
        self._ranks = [_Rank(number, start, self._changed) for number in range(1, self.size)]

    def find_processes(self) -> set[int]:
        """Return the ids of the living ranks and of their descendants. The worker does not kill them as orphans."""
        pids = {rank.process.pid for rank in self._ranks if rank.process.poll() is None}
        return pids.union(*map(find_descendants, pids))

    def wait_until_ready(self) -> dict[str, Any] | None:
        """Wait until all ranks have loaded space and estimator.

        Returns:
            None if all ranks are ready; else a message for the controller that says why one is not.
        """
        limit = self._start["startup_limit"]
        with self._changed:
            self._changed.wait_for(lambda: all(rank.message or rank.is_disconnected for rank in self._ranks), limit)
        for rank in self._ranks:
            if rank.message is None:
                if rank.is_disconnected:
                    reason = f"{self._get_attempt_outcome(rank, seconds=0.0).reason} while it was starting"
                else:
                    reason = f"{self._name(rank)} was not ready after the startup_limit of {limit:g} s"
                return {"is": "broken", **make_outcome_fields(Outcome(Status.EXITED, reason))}
            if rank.message["is"] == "broken":
                return rank.message
        return None

    def replace_dead(self) -> dict[str, Any] | None:
        """Replace the ranks that were killed while they were idle. The return value is that of `wait_until_ready`."""
        for index, rank in enumerate(self._ranks):
            if rank.is_disconnected or rank.process.poll() is not None:
                rank.clean_up()
                self._ranks[index] = _Rank(rank.number, self._start, self._changed)
        return self.wait_until_ready()

    def begin(self, message: Mapping[str, Any], on_stuck: Callable[[Outcome], NoReturn]) -> None:
        """Send the worker's assignment to all ranks.

        Args:
            message: the message with the assignment.
            on_stuck: a function that is called from a thread with the outcome of the attempt if a rank fails and rank 0 does
                not end by itself. Rank 0 may hang in native code because the failed rank is missing. `on_stuck` does not
                return.
        """
        self._is_working = True
        for rank in self._ranks:
            rank.message = None
            rank.send(message)
        threading.Thread(target=self._watch, args=(on_stuck,), daemon=True).start()

    def _watch(self, on_stuck: Callable[[Outcome], NoReturn]) -> None:
        """Wait for the failure of a rank. If rank 0 does not end soon after, call `on_stuck` (see `begin`)."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_working or any(rank.has_failed for rank in self._ranks))
            if not self._is_working or self._changed.wait_for(lambda: not self._is_working, CAUSE_SECONDS):
                return
            cause = self._find_cause() or next(rank for rank in self._ranks if rank.has_failed)
            # This thread holds the lock until the process exits. `settle` needs the lock, so it cannot report a second end.
            on_stuck(self._get_attempt_outcome(cause, seconds=0.0))

    def settle(self, outcome: Outcome) -> tuple[Outcome, bool]:
        """Wait for the other ranks to end the assignment.

        Args:
            outcome: the outcome of rank 0.

        Returns:
            The outcome of the attempt, and whether all processes can continue with another assignment.
        """
        with self._changed:
            self._is_working = False
            self._changed.notify_all()
            # Rank 0 may have failed only because another rank had failed.
            lost_connection = outcome.status.failed and _LOST_CONNECTION.search(outcome.reason)
            if outcome.status.failed and not lost_connection:
                return outcome, False
            all_ended = self._changed.wait_for(
                lambda: all(rank.outcome or rank.is_disconnected for rank in self._ranks),
                CAUSE_SECONDS if lost_connection else ENDING_SECONDS,
            )
            cause = self._find_cause()
        if cause is not None:
            return self._get_attempt_outcome(cause, outcome.seconds), False
        return outcome, all_ended and not lost_connection and not any(rank.has_failed for rank in self._ranks)

    def _find_cause(self) -> _Rank | None:
        """Return a rank that caused the failure: one that has died, else one that failed for another reason than a lost
        connection; None if there is none.
        """
        dead = [rank for rank in self._ranks if rank.outcome is None and rank.is_disconnected]
        failed = [
            r for r in self._ranks if r.outcome and r.has_failed and not _LOST_CONNECTION.search(r.outcome.reason)
        ]
        return next(iter([*dead, *failed]), None)

    def _get_attempt_outcome(self, rank: _Rank, seconds: float) -> Outcome:
        """Return the outcome of the attempt, which ended because of `rank`."""
        outcome = rank.outcome
        if outcome is None and rank.rejected_outcome is not None:
            return rank.rejected_outcome
        if outcome is None:
            return classify_exit(rank.clean_up(), seconds, rank_name=self._name(rank))
        return Outcome(outcome.status, f"{self._name(rank)}: {outcome.reason}", outcome.traceback, seconds)

    def _name(self, rank: _Rank) -> str:
        return f"rank {rank.number} of {self.size}"


def reset_signals() -> None:
    """Restore the default handlers of signals in a rank. Only the worker handles them, and its ranks end with it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def use_loopback() -> None:
    """Let the ranks communicate over the loopback interface, since the machine's own name may not be resolvable."""
    if sys.platform.startswith("linux"):
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, "lo")
