"""What a trial may take: memory of its processes, and the size of its output."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

MAX_OUTPUT = 10_000_000
"""Bytes of a trial's output that are kept."""
LEFT_OUT = b"\n... the middle of a long output is left out here ...\n"


def limit_memory(gigabytes: float | None) -> tuple[int, int] | None:
    """Let this process allocate at most so much more than it has; beyond that, allocations raise. Returns the old limits.

    The limit is on private data rather than on address space, which libraries reserve without using; each process that an
    evaluation forks has the same limit for itself. A process that has touched a GPU is left alone: its driver reserves
    far more than it uses. Where the system has no such limit, the controller looks at what is used.
    """
    torch = sys.modules.get("torch")
    if gigabytes is None or not sys.platform.startswith("linux") or (torch and torch.cuda.is_initialized()):
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    data = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
    wanted = data + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    return soft, hard


def resident(pid: int) -> int:
    """Bytes of memory of one process, shared pages included; quick."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def family_memory(pid: int) -> int:
    """Bytes that a process and all below it have in memory; pages that they share count once."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    if len(family) == 1:
        return resident(pid)
    total = 0
    for member in family:
        try:
            memory = member.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += getattr(memory, "pss", memory.uss)
    return total


def bound_output(path: Path, limit: int = MAX_OUTPUT) -> None:
    """Keep the beginning and the end of an output that has outgrown `limit`; writers append, so they just go on."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= limit:
        return
    with path.open("rb+") as file:
        head = file.read(limit // 4).partition(LEFT_OUT)[0]
        file.seek(size - limit // 4)
        tail = file.read(limit // 4)
        tail = (tail + file.read(limit))[-(limit // 4) :]  # and what was written meanwhile, such as the last words
        file.seek(0)
        file.truncate(0)
        file.write(head + LEFT_OUT + tail)
