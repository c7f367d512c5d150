"""The holder of a run's lease, and whether that controller is still alive."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.5
"""The time between two readings of the number of renewals, if the holder is on another machine."""


@dataclass(frozen=True)
class LeaseHolder:
    """The process of a controller.

    Attributes:
        host: the name of its machine.
        pid: the id of the process on this machine.
        born: the start of the process (see `find_process_start`), since a later process may have the same `pid`.
    """

    host: str
    pid: int
    born: str

    @staticmethod
    def this_process() -> LeaseHolder:
        """Return this process."""
        return LeaseHolder(socket.gethostname(), os.getpid(), find_process_start(os.getpid()) or "")

    @staticmethod
    def from_json(text: str) -> LeaseHolder:
        """Return the holder that `to_json` wrote."""
        return LeaseHolder(**json.loads(text))

    def to_json(self) -> str:
        """Return the holder as JSON."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def find_process_start(pid: int) -> str | None:
    """Return when process `pid` started, as a text that is only compared; None if the process is not alive.

    On Linux, the text does not depend on the clock of the machine, which may be set while the process runs.

    A zombie (which has ended, and waits for its parent to read its exit code) is not alive.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat, boot = Path(f"/proc/{pid}/stat"), Path("/proc/sys/kernel/random/boot_id")
        if stat.exists() and boot.exists():
            # The start in clock ticks since boot is field 22 of proc(5). The text after the name in brackets begins with
            # field 3, so its index is 19.
            ticks = stat.read_text().rpartition(")")[2].split()[19]
            return f"{boot.read_text().strip()}/{ticks}"
        return str(round(process.create_time()))
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def is_alive(
    holder: LeaseHolder,
    read_beat: Callable[[], int],
    last_beat: int,
    patience: float,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Return whether the holder of a lease is alive.

    A holder on this machine is alive if its process is alive. A holder on another machine is alive if it renews the lease
    within `patience` seconds; the clocks of the machines are not compared.

    Args:
        holder: the holder of the lease.
        read_beat: a function that returns the present number of renewals of the lease.
        last_beat: the number of renewals that was read before.
        patience: the longest time to wait for a renewal, in seconds.
        wait: a function that sleeps for a number of seconds.
    """
    if holder.host == socket.gethostname():
        return find_process_start(holder.pid) == holder.born
    waited = 0.0
    while waited < patience:
        wait(POLL_SECONDS)
        waited += POLL_SECONDS
        if read_beat() != last_beat:
            return True
    return False
