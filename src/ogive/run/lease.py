"""Who holds a run's lease, and whether that controller is still alive."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class LeaseHolder:
    """A controller's process. `born` tells it from a later process with the same number."""

    host: str
    pid: int
    born: str

    @staticmethod
    def mine() -> LeaseHolder:
        return LeaseHolder(socket.gethostname(), os.getpid(), process_start(os.getpid()))

    @staticmethod
    def parse(text: str) -> LeaseHolder:
        return LeaseHolder(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def process_start(pid: int) -> str:
    """When a living process began, in a form that does not change when the computer's clock is set; "" for none.

    A zombie, which nobody has asked after since it ended, does not live.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        stat, boot = Path(f"/proc/{pid}/stat"), Path("/proc/sys/kernel/random/boot_id")
        if stat.exists() and boot.exists():
            ticks = stat.read_text().rpartition(")")[2].split()[19]  # since boot; field 22 of proc(5)
            return f"{boot.read_text().strip()}/{ticks}"
        return str(round(process.create_time()))
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return ""


def holder_alive(
    holder: LeaseHolder,
    read_beat: Callable[[], int],
    beat: int,
    patience: float,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether the holder of a lease lives: by its process on this machine, by its heartbeat elsewhere.

    No clocks are compared: `beat` was read before, and the holder is alive if it has changed within `patience` seconds.
    """
    if holder.host == socket.gethostname():
        return process_start(holder.pid) == holder.born
    waited = 0.0
    while waited < patience:
        wait(0.5)
        waited += 0.5
        if read_beat() != beat:
            return True
    return False
