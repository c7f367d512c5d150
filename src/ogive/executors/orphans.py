"""Find and kill the processes that evaluations leave behind, by a mark in their environment or as descendants."""

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

MARK_VARIABLE = "OGIVE_WORKER"
"""The environment variable that all descendants of a worker inherit. It contains the mark `<run>/<session>/<worker>`, where
the session is that of the controller; in a nested search, also the marks of the outer searches, outermost first.
"""
MAX_ROUNDS = 20
"""At most this many times, processes are searched for and killed. (A process may fork while it is being killed.)"""


def mark_environment(mark: str) -> dict[str, str]:
    """Return the environment variable that gives a new process `mark` in addition to the marks of this process."""
    return {MARK_VARIABLE: f"{os.environ.get(MARK_VARIABLE, '')} {mark}".strip()}


def kill_marked(mark: str, process_session: int | None = None) -> int:
    """Kill every process with a mark that begins with `mark`, and all of its descendants.

    A process inherits the mark even if it leaves the process session of its worker. A process that was started with another
    environment does not have the mark. It is found as a descendant of the process that started it, or of the worker that
    adopted it (see `worker.main`); if these have ended, it is found by its process session.

    Args:
        mark: the beginning of a mark.
        process_session: the id of a session of the operating system (`os.getsid`), whose processes are killed as well; None
            for no session.

    Returns:
        The number of processes that were killed.
    """
    killed = 0
    for _ in range(MAX_ROUNDS):
        processes = _add_descendants(
            process
            for process in psutil.process_iter()
            if _is_marked(process, mark) or _is_in_process_session(process, process_session)
        )
        if not processes:
            break
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()
                killed += 1
        psutil.wait_procs(processes, timeout=1)
    return killed


def find_marked(mark: str) -> list[int]:
    """Return the ids of the processes with a mark that begins with `mark`."""
    return [process.pid for process in psutil.process_iter() if _is_marked(process, mark)]


def _is_marked(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(part.startswith(mark) for part in process.environ().get(MARK_VARIABLE, "").split())
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False  # the process has ended, or belongs to another user, so no worker has started it


def _is_in_process_session(process: psutil.Process, process_session: int | None) -> bool:
    try:
        return process_session is not None and os.getsid(process.pid) == process_session
    except (ProcessLookupError, PermissionError):
        return False


def _add_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return the processes and all of their descendants, without this process."""
    family = {process.pid: process for process in processes}
    children: dict[int, list[psutil.Process]] = defaultdict(list)
    if family:
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                children[process.ppid()].append(process)
    queue = list(family)
    while queue:
        for child in children[queue.pop()]:
            if child.pid not in family and child.pid != os.getpid():
                family[child.pid] = child
                queue.append(child.pid)
    return list(family.values())


def find_descendants(pid: int | None = None) -> set[int]:
    """Return the ids of the descendants of a process (by default this one), including zombies.

    A worker calls it after every trial, so it avoids the slower psutil where it can.
    """
    root = os.getpid() if pid is None else pid
    if not Path(f"/proc/{root}/task/{root}/children").exists():  # not Linux, or a kernel without these lists
        return {process.pid for process in psutil.Process(root).children(recursive=True)}
    descendants: set[int] = set()
    queue = [root]
    while queue:
        children = set(_list_children(queue.pop())) - descendants
        descendants |= children
        queue += children
    return descendants


def _list_children(pid: int) -> Iterable[int]:
    """Yield the ids of the children of a process on Linux, which keeps a list for each thread."""
    with suppress(FileNotFoundError, ProcessLookupError):  # the process has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                yield from map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())


def kill_strays(spare: set[int]) -> None:
    """Kill the descendants of this process that the last evaluation left running.

    Args:
        spare: the ids of processes that are not killed. The servers of `multiprocessing` are not killed either.
    """
    with _default_sigchld_handler():
        for _ in range(MAX_ROUNDS):
            strays = find_descendants() - spare - _find_multiprocessing_servers()
            if not strays:
                return
            killed = [pid for pid in strays if _kill(pid)]
            for pid in killed:
                # Without waiting, the process would stay a zombie and be found again in the next round. A grandchild cannot
                # be waited for yet; in the next round it is a child of this process.
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)


@contextmanager
def _default_sigchld_handler() -> Iterator[None]:
    """Replace the handler of SIGCHLD by the default: PyTorch's handler raises an error if a DataLoader worker is killed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can change handlers; in another thread, this process is about to end anyway
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if handler is None else handler)


def _kill(pid: int) -> bool:
    """Kill a process; return whether this was possible."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # the process has ended, or belongs to another user
        return False
    return True


def _find_multiprocessing_servers() -> set[int]:
    """Return the ids of the servers that `multiprocessing` starts once and needs until this process ends."""
    pids: set[int | None] = set()
    if server := sys.modules.get("multiprocessing.forkserver"):
        pids.add(getattr(server._forkserver, "_forkserver_pid", None))
    if tracker := sys.modules.get("multiprocessing.resource_tracker"):
        pids.add(getattr(tracker._resource_tracker, "_pid", None))
    return {pid for pid in pids if pid is not None}
