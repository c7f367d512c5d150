"""The guardian: a small process that kills what is left of a controller's workers when the controller dies.

It waits for the end of its standard input, which only the controller holds open. It notices a controller that was
killed with SIGKILL, and workers that would not notice by themselves because they hang in native code.
"""

from __future__ import annotations

import signal
import sys

from ogive.run.executors.strays import kill_marked


def main() -> None:
    """`python -m ogive.run.executors.guardian MARK`: wait, then kill every process that has the mark."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill_marked(sys.argv[1])


if __name__ == "__main__":
    main()
