"""Run tests repeatedly while other processes keep the cores busy: python benchmarks/busy_tests.py --repeats 10 tests/run

Race conditions appear on a busy machine first. Prints the failed tests of each round; the exit code is 1 if there are any.
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
    """Run `count` processes that compute all the time."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", nargs="+", help="tests to run, and options of pytest")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--busy", type=int, default=2, help="number of processes that keep the cores busy")
    options, pytest_options = parser.parse_known_args()
    failures = 0
    with busy(options.busy):
        for number in range(1, options.repeats + 1):
            start = time.monotonic()
            command = [sys.executable, "-m", "pytest", "-q", "--tb=short", *pytest_options, *options.tests]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = done.stdout.strip().splitlines()
            failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
            failures += done.returncode != 0
            seconds = time.monotonic() - start
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
