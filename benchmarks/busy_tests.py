"""Run tests repeatedly while other processes keep the cores busy: python benchmarks/busy_tests.py --repeats 10 tests/run

Races show on a busy machine first. Prints a line for each round with what failed; exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that compute without end."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", nargs="+", help="what pytest is to run, and its options")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--busy", type=int, default=2, help="processes that compute meanwhile")
    options, others = parser.parse_known_args()
    failures = 0
    with busy(options.busy):
        for number in range(1, options.repeats + 1):
            began = time.monotonic()
            command = [sys.executable, "-m", "pytest", "-q", "--tb=short", *others, *options.tests]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = done.stdout.strip().splitlines()
            failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
            failures += done.returncode != 0
            seconds = time.monotonic() - began
            print(
                f"round {number}: exit code {done.returncode} after {seconds:.0f} s; {lines[-1] if lines else ''}",
                flush=True,
            )
            print(*failed, sep="\n", end="\n" if failed else "", flush=True)
            if done.returncode:
                print(done.stdout[-6000:], flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
