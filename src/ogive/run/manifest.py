"""What a session of the controller records about itself: host, process, versions and threads."""

from __future__ import annotations

import os
import platform
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("ogive", "torch", "numpy", "scikit-learn")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def manifest(workers: int, per_trial: int = 1, threads: int | None = None) -> dict[str, Any]:
    """Host, process, versions and threads: what a reader needs to repeat a result. `per_trial`: `workers_per_trial`."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": cores(),
        "workers": workers,
        **({"workers_per_trial": per_trial} if per_trial > 1 else {}),
        "threads": threads or max(1, cores() // (workers * per_trial)),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "command": " ".join(sys.argv),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
