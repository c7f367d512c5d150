"""A worker's end of the further processes that train its trials together with it: ranks 1 to k - 1 of k.

The ranks are warm, as the worker is: each loads space and estimator once, receives every assignment of the worker, and
reports how it ended. If one of them fails, the attempt ends for all, since the others would wait for it. The state of a
process that was interrupted during a collective operation is unknown. So a worker whose ranks did not all end well
exits, and the controller starts a new one.
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
from ogive.executors.messages import check_message, outcome_fields, outcome_of, rejected_outcome
from ogive.executors.orphans import find_descendants
from ogive.run.executor import Outcome
from ogive.run.outcome import death
from ogive.trial import Status

ENDING_SECONDS = 10.0
"""How long further ranks may continue after rank 0 has ended."""
CAUSE_SECONDS = 3.0
"""How long to wait for the outcome of a rank that others have lost, and for rank 0 to notice that it has lost one."""
_LOST_A_RANK = re.compile(
    r"Dist(Backend|Network|Store)Error|gloo|nccl|connection (closed|reset) by peer", re.IGNORECASE
)
"""Reasons of failures that are the consequence of another rank's failure."""


class _Rank:
    """One further process; a thread receives its messages.

    Attributes:
        message: its last message; None before the first, and at the start of an assignment.
        disconnected: whether its channel is closed or has failed, so the process has ended or is ending.
        rejected: the outcome of the attempt if the process has written something else than messages to its channel.
    """

    def __init__(self, rank: int, start: Mapping[str, Any], changed: threading.Condition) -> None:
        self.rank = rank
        self.message: dict[str, Any] | None = None
        self.disconnected = False
        self.rejected: Outcome | None = None
        self._ready = False
        self._changed = changed
        own_end, rank_end = socket.socketpair()
        with own_end, rank_end:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ogive.executors.rank_process", str(rank_end.fileno())],
                pass_fds=[rank_end.fileno()],
                stdin=subprocess.DEVNULL,
            )
            self._channel = BlockingChannel(own_end.detach())
        threading.Thread(target=self._listen, daemon=True).start()
        self.send({**start, "rank": rank})

    def _listen(self) -> None:
        try:
            while True:
                message = self._channel.receive()
                check_message(message, ("end",) if self._ready else ("ready", "broken"))
                with self._changed:
                    self.message, self._ready = message, True
                    self._changed.notify_all()
        except Disconnected:
            pass
        except ProtocolError as error:
            self.rejected = rejected_outcome(error, f"rank {self.rank}'s")
            self.process.kill()
        self._channel.close()
        with self._changed:
            self.disconnected = True
            self._changed.notify_all()

    def send(self, message: Mapping[str, Any]) -> None:
        with suppress(Disconnected):  # the process has ended, which the thread notices
            self._channel.send(message)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of its assignment; None while it has not reported one."""
        if self.message is None or self.message["is"] != "end":
            return None
        return outcome_of(self.message)

    @property
    def failed(self) -> bool:
        """Whether its assignment has failed, or the process has ended without an outcome."""
        return self.outcome.status.failed if self.outcome is not None else self.disconnected

    def clean_up(self) -> int:
        """Kill the process if it has not ended; return its exit code."""
        try:
            self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.process.wait()


class RankGroup:
    """The further processes of one worker.

    Args:
        start: the start message of the worker; its `ranks` is the number of processes, the worker included.
    """

    def __init__(self, start: Mapping[str, Any]) -> None:
        self.size = int(start["ranks"])
        self._start = start
        self._changed = threading.Condition()
        self._working = False
        self._ranks = [_Rank(rank, start, self._changed) for rank in range(1, self.size)]

    def processes(self) -> set[int]:
        """Return the ids of the living ranks and of their descendants. Each rank kills its own strays."""
        pids = {rank.process.pid for rank in self._ranks if rank.process.poll() is None}
        return pids.union(*map(find_descendants, pids))

    def wait_until_ready(self) -> dict[str, Any] | None:
        """Wait until all ranks have loaded space and estimator.

        Returns:
            None if all are ready; else the message for the controller that says why one is not.
        """
        limit = self._start["startup_limit"]
        with self._changed:
            self._changed.wait_for(lambda: all(rank.message or rank.disconnected for rank in self._ranks), limit)
        for rank in self._ranks:
            if rank.message is None:
                if rank.disconnected:
                    reason = f"{self._outcome_of(rank, 0.0).reason} while it was starting"
                else:
                    reason = f"{self._name(rank)} was not ready after the startup_limit of {limit:g} s"
                return {"is": "broken", **outcome_fields(Outcome(Status.EXITED, reason))}
            if rank.message["is"] == "broken":
                return rank.message
        return None

    def replace_dead(self) -> dict[str, Any] | None:
        """Replace the ranks that were killed while they were idle. Returns as `wait_until_ready`."""
        for index, rank in enumerate(self._ranks):
            if rank.disconnected or rank.process.poll() is not None:
                rank.clean_up()
                self._ranks[index] = _Rank(rank.rank, self._start, self._changed)
        return self.wait_until_ready()

    def begin(self, message: Mapping[str, Any], on_stuck: Callable[[Outcome], NoReturn]) -> None:
        """Send the worker's assignment to all ranks.

        Args:
            message: the message with the assignment.
            on_stuck: called from a thread with the outcome of the attempt, if a rank fails and rank 0 does not end by
                itself: it may hang in native code because the other rank is missing. It does not return.
        """
        self._working = True
        for rank in self._ranks:
            rank.message = None
            rank.send(message)
        threading.Thread(target=self._watch, args=(on_stuck,), daemon=True).start()

    def _watch(self, on_stuck: Callable[[Outcome], NoReturn]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._working or any(rank.failed for rank in self._ranks))
            if not self._working or self._changed.wait_for(lambda: not self._working, CAUSE_SECONDS):
                return
            cause = self._find_cause() or next(rank for rank in self._ranks if rank.failed)
            # The lock is not released before this process exits. `settle` needs it, so the attempt cannot end a second time.
            on_stuck(self._outcome_of(cause, 0.0))

    def settle(self, outcome: Outcome) -> tuple[Outcome, bool]:
        """Wait for the ranks to end.

        Args:
            outcome: the outcome of rank 0.

        Returns:
            The outcome of the attempt, and whether all processes can continue with another assignment.
        """
        with self._changed:
            self._working = False
            self._changed.notify_all()
            lost_a_rank = outcome.status.failed and _LOST_A_RANK.search(outcome.reason)
            if outcome.status.failed and not lost_a_rank:
                return outcome, False
            all_ended = self._changed.wait_for(
                lambda: all(rank.outcome or rank.disconnected for rank in self._ranks),
                CAUSE_SECONDS if lost_a_rank else ENDING_SECONDS,
            )
            cause = self._find_cause()
        if cause is not None:
            return self._outcome_of(cause, outcome.seconds), False
        return outcome, all_ended and not lost_a_rank and not any(rank.failed for rank in self._ranks)

    def _find_cause(self) -> _Rank | None:
        """Return the rank that made the others fail: one that has died, or one that failed for a reason of its own."""
        dead = [rank for rank in self._ranks if rank.outcome is None and rank.disconnected]
        failed = [r for r in self._ranks if r.outcome and r.failed and not _LOST_A_RANK.search(r.outcome.reason)]
        return next(iter([*dead, *failed]), None)

    def _outcome_of(self, rank: _Rank, seconds: float) -> Outcome:
        """Return the outcome of the attempt because of the outcome of `rank`."""
        outcome = rank.outcome
        if outcome is None and rank.rejected is not None:
            return rank.rejected
        if outcome is None:
            return death(rank.clean_up(), seconds, rank=self._name(rank))
        return Outcome(outcome.status, f"{self._name(rank)}: {outcome.reason}", outcome.traceback, seconds)

    def _name(self, rank: _Rank) -> str:
        return f"rank {rank.rank} of {self.size}"


def reset_signals() -> None:
    """Let signals end this rank. The worker alone answers the controller's signals, and its ranks end with it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def use_loopback() -> None:
    """Let the ranks communicate over the loopback interface, whatever the name of this machine resolves to."""
    if sys.platform.startswith("linux"):
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, "lo")
