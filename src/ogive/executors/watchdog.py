"""The guardian: a small process that kills what is left of a controller's workers when the controller dies.

It notices a controller that was killed with SIGKILL, and ends workers that would not notice by themselves because they
hang in native code.
"""

from __future__ import annotations

import os
import select
import signal
import sys

from ogive.executors.orphans import kill_marked

LOOK_SECONDS = 2.0


def main() -> None:
    """`python -m ogive.executors.watchdog MARK`: wait, then kill every process that has the mark.

    The end of its standard input says that the controller has closed or died; what the controller has forked may hold
    that open, so a change of parent says it, too.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()
    while os.getppid() == parent:
        if select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
            break
    kill_marked(sys.argv[1])


if __name__ == "__main__":
    main()
