"""A worker's end of the further processes that carry out its trials with it: ranks 1 to k - 1 of k.

They are warm, as the worker is: each loads the space and the estimator once and is then given every assignment that the
worker gets, and tells how it ended. Whatever goes wrong in one of them ends the attempt for all, since the others would
wait for it; and as nobody can say what a process still holds that was left alone in the middle of an exchange, a worker
whose ranks did not all end well leaves, and a fresh one takes its place.
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

from ogive.executors.channel import Disconnected, Line, ProtocolError
from ogive.executors.messages import check_message, outcome_fields, outcome_of, rejected
from ogive.executors.orphans import descendants
from ogive.run.executor import Outcome
from ogive.run.outcome import death
from ogive.trial import Status

PARTING_SECONDS = 10.0
"""How long further ranks may go on after rank 0 has ended."""
CAUSE_SECONDS = 3.0
"""How long to wait for the word of a rank that others have lost, and for rank 0 to notice that it has lost one."""
_LOST_A_RANK = re.compile(
    r"Dist(Backend|Network|Store)Error|gloo|nccl|connection (closed|reset) by peer", re.IGNORECASE
)
"""Failures that are the echo of another rank's."""


class _Rank:
    """One further process, and what it has said; a thread listens to it.

    Attributes:
        said: its last message; None before.
        gone: its channel is closed or has failed, and so it is dead or dying.
        rejected: how the attempt ends, if it has written something else than messages to its channel.
    """

    def __init__(self, rank: int, start: Mapping[str, Any], changed: threading.Condition) -> None:
        self.rank = rank
        self.said: dict[str, Any] | None = None
        self.gone = False
        self.rejected: Outcome | None = None
        self._ready = False
        self._changed = changed
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ogive.executors.rank_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
            self._line = Line(ours.detach())
        threading.Thread(target=self._listen, daemon=True).start()
        self.send({**start, "rank": rank})

    def _listen(self) -> None:
        try:
            while True:
                message = self._line.receive()
                check_message(message, ("end",) if self._ready else ("ready", "broken"))
                with self._changed:
                    self.said, self._ready = message, True
                    self._changed.notify_all()
        except Disconnected:
            pass
        except ProtocolError as error:
            self.rejected = rejected(error, f"rank {self.rank}'s")
            self.process.kill()
        self._line.close()
        with self._changed:
            self.gone = True
            self._changed.notify_all()

    def send(self, message: Mapping[str, Any]) -> None:
        with suppress(Disconnected):  # it has died, and the thread notices
            self._line.send(message)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended its assignment; None where it has not said so."""
        if self.said is None or self.said["is"] != "end":
            return None
        return outcome_of(self.said)

    @property
    def failed(self) -> bool:
        return self.outcome.status.failed if self.outcome is not None else self.gone

    def bury(self) -> int:
        """End what is left of it; its exit code."""
        try:
            self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.process.wait()


class RankGroup:
    """The further processes of one worker.

    Args:
        start: what the worker itself was started with; `ranks` is the size of a team.
    """

    def __init__(self, start: Mapping[str, Any]) -> None:
        self.size = int(start["ranks"])
        self._start = start
        self._changed = threading.Condition()
        self._working = False
        self._ranks = [_Rank(rank, start, self._changed) for rank in range(1, self.size)]

    def processes(self) -> set[int]:
        """The numbers of the ranks that live and of what they have started; each ends its own strays."""
        pids = {rank.process.pid for rank in self._ranks if rank.process.poll() is None}
        return pids.union(*map(descendants, pids))

    def ready(self) -> dict[str, Any] | None:
        """Wait until all have loaded what they need; None then, else the message that says why one cannot."""
        limit = self._start["startup_limit"]
        with self._changed:
            self._changed.wait_for(lambda: all(rank.said or rank.gone for rank in self._ranks), limit)
        for rank in self._ranks:
            if rank.said is None:
                late = f"{self._name(rank)} was not ready after the startup_limit of {limit} s"
                reason = f"{self._told(rank, 0.0).reason} while it was starting" if rank.gone else late
                return {"is": "broken", **outcome_fields(Outcome(Status.EXITED, reason))}
            if rank.said["is"] == "broken":
                return rank.said
        return None

    def mend(self) -> dict[str, Any] | None:
        """Replace those that were killed while they were idle; as `ready`."""
        for index, rank in enumerate(self._ranks):
            if rank.gone or rank.process.poll() is not None:
                rank.bury()
                self._ranks[index] = _Rank(rank.rank, self._start, self._changed)
        return self.ready()

    def begin(self, message: Mapping[str, Any], stuck: Callable[[Outcome], NoReturn]) -> None:
        """Give all of them the worker's assignment. `stuck` is called, from a thread, if one comes to grief and rank 0,
        which may hang in native code for want of it, does not end by itself; it does not return.
        """
        self._working = True
        for rank in self._ranks:
            rank.said = None
            rank.send(message)
        threading.Thread(target=self._watch, args=(stuck,), daemon=True).start()

    def _watch(self, stuck: Callable[[Outcome], NoReturn]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._working or any(rank.failed for rank in self._ranks))
            if not self._working or self._changed.wait_for(lambda: not self._working, CAUSE_SECONDS):
                return
            first = self._cause() or next(rank for rank in self._ranks if rank.failed)
            stuck(self._told(first, 0.0))  # with the lock, which `settle` needs: an attempt ends once

    def settle(self, own: Outcome) -> tuple[Outcome, bool]:
        """How the attempt ended, given how rank 0 did; and whether all can go on with another one."""
        with self._changed:
            self._working = False
            self._changed.notify_all()
            echo = own.status.failed and _LOST_A_RANK.search(own.reason)
            if own.status.failed and not echo:
                return own, False
            over = self._changed.wait_for(
                lambda: all(rank.outcome or rank.gone for rank in self._ranks),
                CAUSE_SECONDS if echo else PARTING_SECONDS,
            )
            first = self._cause()
        if first is not None:
            return self._told(first, own.seconds), False
        return own, over and not echo and not any(rank.failed for rank in self._ranks)

    def _cause(self) -> _Rank | None:
        """The rank that made the others fail: one that died, or else one that failed for a reason of its own."""
        dead = [rank for rank in self._ranks if rank.outcome is None and rank.gone]
        own_fault = [r for r in self._ranks if r.outcome and r.failed and not _LOST_A_RANK.search(r.outcome.reason)]
        return next(iter([*dead, *own_fault]), None)

    def _told(self, rank: _Rank, seconds: float) -> Outcome:
        told = rank.outcome
        if told is None and rank.rejected is not None:
            return rank.rejected
        if told is None:
            return death(rank.bury(), seconds, rank=self._name(rank))
        return Outcome(told.status, f"{self._name(rank)}: {told.reason}", told.traceback, seconds)

    def _name(self, rank: _Rank) -> str:
        return f"rank {rank.rank} of {self.size}"


def plain_signals() -> None:
    """A rank lives and dies with its worker, which alone answers the controller's signals; one meant for a rank ends it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def use_loopback() -> None:
    """Let the processes of a team talk over this machine's loopback interface, whatever its name resolves to."""
    if sys.platform.startswith("linux"):
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, "lo")
