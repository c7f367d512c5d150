"""Limits of a trial: the memory of its processes, and the size of its output."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

MAX_OUTPUT = 10_000_000
"""The size up to which the output of a trial is stored, in bytes."""
LEFT_OUT = b"\n... the middle of a long output is left out here ...\n"


def limit_memory(gigabytes: float | None) -> tuple[int, int] | None:
    """Limit how much more memory this process may allocate; allocations beyond the limit raise an error.

    The limit is one on private data and not on address space, which libraries reserve without using it. A process that the
    evaluation forks has the same limit for itself. There is no limit for a process that uses a GPU, since the driver
    reserves far more than it uses, and on systems other than Linux; there the controller checks the memory that is used.

    Args:
        gigabytes: the memory beyond that of now; None for no limit.

    Returns:
        The former limits (soft, hard); None if they were not changed.
    """
    torch = sys.modules.get("torch")
    if gigabytes is None or not sys.platform.startswith("linux") or (torch and torch.cuda.is_initialized()):
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    data = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
    limit = data + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    return soft, hard


def resident(pid: int) -> int:
    """Return the memory of a process in bytes, shared pages included; 0 if it has ended. Fast."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def family_memory(pid: int) -> int:
    """Return the memory of a process and its descendants in bytes; pages that they share count once."""
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
    """Shorten an output file that is larger than `limit` bytes to its beginning and end. Its writers append, so they are not
    disturbed.
    """
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
        tail = (tail + file.read(limit))[-(limit // 4) :]  # with what was written since the size was read
        file.seek(0)
        file.truncate(0)
        file.write(head + LEFT_OUT + tail)
