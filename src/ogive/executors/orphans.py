"""Processes that evaluations left behind: found by a mark in their environment or by descent, and killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

MARK = "OGIVE_WORKER"
"""The environment variable that every process below a worker inherits: `<run>/<session>/<worker>`, outermost first."""
ROUNDS = 20
"""How often processes are looked for, since a dying one may still fork."""


def marked(mark: str) -> dict[str, str]:
    """The environment that gives a process `mark`, beside the marks of the searches that this process works for."""
    return {MARK: f"{os.environ.get(MARK, '')} {mark}".strip()}


def kill_marked(mark: str, session: int | None = None) -> int:
    """Kill every process with a mark that begins with `mark`, and all below it; returns how many there were.

    A mark is inherited by whatever a worker starts, also by what leaves its session. What was started with another
    environment is found below the process that started it, or below the worker that adopted it; when those are gone, by
    its `session`.
    """
    killed = 0
    for _ in range(ROUNDS):
        found = _with_descendants(
            process for process in psutil.process_iter() if _is_marked(process, mark) or _is_of(process, session)
        )
        if not found:
            break
        for process in found:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()
                killed += 1
        psutil.wait_procs(found, timeout=1)
    return killed


def find_marked(mark: str) -> list[int]:
    """The numbers of the processes with a mark that begins with `mark`."""
    return [process.pid for process in psutil.process_iter() if _is_marked(process, mark)]


def _is_marked(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(part.startswith(mark) for part in process.environ().get(MARK, "").split())
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False  # gone, or another user's, which a worker cannot have started


def _is_of(process: psutil.Process, session: int | None) -> bool:
    try:
        return session is not None and os.getsid(process.pid) == session
    except (ProcessLookupError, PermissionError):
        return False


def _with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found = {process.pid: process for process in processes}
    below: dict[int, list[psutil.Process]] = defaultdict(list)
    if found:
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                below[process.ppid()].append(process)
    waiting = list(found)
    while waiting:
        for child in below[waiting.pop()]:
            if child.pid not in found and child.pid != os.getpid():
                found[child.pid] = child
                waiting.append(child.pid)
    return list(found.values())


def descendants(pid: int | None = None) -> set[int]:
    """The numbers of the processes below `pid` (default: this one), zombies included.

    Quick where there are none, since a worker asks after every trial.
    """
    top = os.getpid() if pid is None else pid
    if not Path(f"/proc/{top}/task/{top}/children").exists():  # not Linux, or a kernel without these lists
        return {process.pid for process in psutil.Process(top).children(recursive=True)}
    found: set[int] = set()
    waiting = [top]
    while waiting:
        below = set(_children(waiting.pop())) - found
        found |= below
        waiting += below
    return found


def _children(pid: int) -> Iterable[int]:
    with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                yield from map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())


def end_strays(spare: set[int]) -> None:
    """Kill what the last evaluation left running below this process, except `spare` and Python's own helpers."""
    with _sigchld_unhandled():
        for _ in range(ROUNDS):
            strays = descendants() - spare - _helpers()
            if not strays:
                return
            killed = [pid for pid in strays if _kill(pid)]
            for pid in killed:
                with suppress(ChildProcessError):  # a grandchild: it is this process's own in the next round
                    os.waitpid(pid, 0)


@contextmanager
def _sigchld_unhandled() -> Iterator[None]:
    """Suspend the evaluation's handler of SIGCHLD: PyTorch's raises when a worker of a DataLoader is killed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can change handlers, and this process is about to end
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if handler is None else handler)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # gone, or it runs with other rights
        return False
    return True


def _helpers() -> set[int]:
    """The servers that `multiprocessing` starts once in a process and relies on to be there; they end with it."""
    found: set[int | None] = set()
    if server := sys.modules.get("multiprocessing.forkserver"):
        found.add(getattr(server._forkserver, "_forkserver_pid", None))
    if tracker := sys.modules.get("multiprocessing.resource_tracker"):
        found.add(getattr(tracker._resource_tracker, "_pid", None))
    return {pid for pid in found if pid is not None}
