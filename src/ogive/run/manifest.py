"""The manifest of a session: its host, process, versions and threads."""

from __future__ import annotations

import os
import platform
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("ogive", "torch", "numpy", "scikit-learn")


def count_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collect_manifest(workers: int, workers_per_trial: int = 1, threads: int | None = None) -> dict[str, Any]:
    """Return host, process, versions and threads, which are needed to reproduce a result, as JSON.

    Args:
        workers: the number of trials that are trained at a time.
        workers_per_trial: the number of processes that train a trial together.
        threads: the number of threads of each process; None for an equal share of the cores.
    """
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": count_cores(),
        "workers": workers,
        **({"workers_per_trial": workers_per_trial} if workers_per_trial > 1 else {}),
        "threads": threads or max(1, count_cores() // (workers * workers_per_trial)),
        "versions": {name: number for name in PACKAGES if (number := _find_version(name))},
        "command": " ".join(sys.argv),
    }


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
