"""The watchdog: a small process that kills the workers of a controller, and all their descendants, if the controller dies.

It also works if the controller was killed with SIGKILL, and if a worker hangs in native code.
"""

from __future__ import annotations

import os
import select
import signal
import sys

from ogive.executors.orphans import kill_marked

POLL_SECONDS = 2.0
"""The time between two checks of the parent process."""


def main() -> None:
    """Wait for the end of the controller, then kill every marked process: `python -m ogive.executors.watchdog MARK`.

    The standard input ends when the controller closes its end or dies. But a process that the controller has forked may keep
    it open, so the watchdog also checks whether its parent process has changed.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()
    while os.getppid() == parent:
        if select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
            break
    kill_marked(sys.argv[1])


if __name__ == "__main__":
    main()
