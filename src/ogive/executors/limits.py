"""Limits of a trial: the memory of its processes, and the size of its output."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

MAX_OUTPUT_BYTES = 10_000_000
"""The output file of a trial is shortened if it has more than this many bytes."""
OMISSION_MARKER = b"\n... the middle of a long output is left out here ...\n"


def limit_memory(gigabytes: float | None) -> tuple[int, int] | None:
    """Limit how much more memory this process may allocate. Allocations beyond the limit raise an error.

    The limit applies to private data and not to address space, which libraries reserve without using it. A process that the
    evaluation forks has the same limit for itself. No limit is set on systems other than Linux, and for a process that uses
    a GPU, since the driver reserves far more memory than it uses. There, only the controller checks the used memory.

    Args:
        gigabytes: the memory that may be allocated in addition to the present memory; None for no limit.

    Returns:
        The previous limits (soft, hard); None if they were not changed.
    """
    torch = sys.modules.get("torch")
    if gigabytes is None or not sys.platform.startswith("linux") or (torch and torch.cuda.is_initialized()):
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    present_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData"))
    limit = present_kib * 1024 + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    return soft, hard


def measure_resident_memory(pid: int) -> int:
    """Return the memory of a process in bytes, including shared pages; 0 if it has ended.

    This is faster than `measure_family_memory`.
    """
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def measure_family_memory(pid: int) -> int:
    """Return the memory of a process and its descendants in bytes. Pages that they share are counted once."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    if len(family) == 1:
        return measure_resident_memory(pid)
    total = 0
    for member in family:
        try:
            memory = member.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += getattr(memory, "pss", memory.uss)
    return total


def shorten_output(path: Path, limit: int = MAX_OUTPUT_BYTES) -> None:
    """Shorten an output file that is larger than `limit` bytes to its beginning and its end, each a quarter of the limit.

    Processes may have the file open for appending; they can continue to write.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= limit:
        return
    with path.open("rb+") as file:
        # If the file was shortened before, keep its beginning only up to the marker.
        head = file.read(limit // 4).partition(OMISSION_MARKER)[0]
        file.seek(size - limit // 4)
        tail = file.read(limit // 4)
        tail = (tail + file.read(limit))[-(limit // 4) :]  # add the bytes that were written since the size was read
        file.seek(0)
        file.truncate(0)
        file.write(head + OMISSION_MARKER + tail)
