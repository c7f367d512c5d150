"""Processes that evaluations left behind, found by a mark in their environment and killed."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

MARK = "OGIVE_WORKER"
"""The environment variable that every process below a worker inherits, `<run>/<worker>`."""


def kill_marked(mark: str, spare: int | None = None) -> int:
    """Kill every process whose mark begins with `mark`, except `spare`; returns how many there were.

    A mark is inherited by whatever a worker starts, also by what leaves its process group, so nothing escapes. Processes
    are looked for until none is found, since a dying one may still fork.
    """
    killed = 0
    for _ in range(20):
        found = [process for process in psutil.process_iter() if process.pid != spare and _marked(process, mark)]
        if not found:
            return killed
        for process in found:
            try:
                process.kill()
                killed += 1
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(found, timeout=1)
    return killed


def _marked(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK, "").startswith(mark)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False  # gone, or another user's, which a worker cannot have started


def children() -> list[int]:
    """The numbers of this process's children, adopted ones included; quick, since a worker asks after every trial."""
    listed = Path(f"/proc/{os.getpid()}/task")
    if not listed.is_dir():  # not Linux
        return [process.pid for process in psutil.Process().children()]
    pids: list[int] = []
    for thread in listed.iterdir():
        try:
            pids += [int(pid) for pid in (thread / "children").read_text().split()]
        except FileNotFoundError:
            continue  # the thread has just ended, or the kernel keeps no such list
    return pids


def reap_children() -> None:
    """Kill whatever this process's last evaluation has forked, and what those processes forked in turn."""
    while pids := children():
        for pid in pids:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        for pid in pids:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue
