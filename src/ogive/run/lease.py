"""Who holds a run's lease, and whether that controller is still alive."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import psutil


@dataclass(frozen=True)
class Holder:
    """A controller's process. `born` tells it from a later process with the same number."""

    host: str
    pid: int
    born: float

    @staticmethod
    def mine() -> Holder:
        return Holder(socket.gethostname(), os.getpid(), round(psutil.Process().create_time(), 2))

    @staticmethod
    def parse(text: str) -> Holder:
        return Holder(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def holder_alive(
    holder: Holder,
    read_beat: Callable[[], int],
    beat: int,
    patience: float,
    wait: Callable[[float], None] | None = None,
) -> bool:
    """Whether the holder of a lease lives: by its process on this machine, by its heartbeat elsewhere.

    No clocks are compared: `beat` was read before, and the holder is alive if it has changed within `patience` seconds.
    """
    if holder.host == socket.gethostname():
        try:
            born = round(psutil.Process(holder.pid).create_time(), 2)
        except psutil.NoSuchProcess:
            return False
        return abs(born - holder.born) < 1.0
    wait = wait or time.sleep
    waited = 0.0
    while waited < patience:
        wait(0.5)
        waited += 0.5
        if read_beat() != beat:
            return True
    return False
