"""How long the report and the live view of a long run take to open, each in a process of its own, and how large the page is.

python benchmarks/report.py [TRIALS]

The journal is made by a search (regularized evolution, an inline function, some failures) in a temporary folder.
Measured are seconds on the clock and of the processor, medians of three runs: what the machine does besides shows in the
former alone.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

REPORT = """
import sys
from pathlib import Path
import ogive as og
og.open_run(sys.argv[1]).report(sys.argv[2])
"""
VIEW = """
import io, sys, time
import ogive as og
from ogive.report import plain_view
state = og.open_run(sys.argv[1]).state
with plain_view(io.StringIO()) as observe:
    observe(state, None)
"""
TIMES = 3


def judge(architecture: object) -> dict[str, float]:
    """A value with some structure, and a failure in twenty."""
    choices = dict(architecture)  # type: ignore[call-overload]
    luck = zlib.crc32(str(sorted(choices.items())).encode()) % 1000 / 1000
    if luck < 0.05:
        raise ValueError(f"shape {luck} does not fit")
    return {"accuracy": 0.6 + 0.02 * sum(int(v) % 4 for v in choices.values()) / len(choices) + 0.05 * luck}


def make(folder: Path, trials: int) -> None:
    """A run with so many trials."""
    import ogive as og

    space = og.Space(og.layer(dict, **{f"layer{i}": og.one_of(*range(6), name=f"layer{i}") for i in range(16)}))
    og.search(
        space,
        og.estimate.function(judge),
        strategy="regularized_evolution",
        max_trials=trials,
        max_failed_trials=trials,
        executor="inline",
        cache=False,
        run=folder,
        observer=lambda state, event: None,
    )


def measure(code: str, *arguments: str) -> tuple[float, float]:
    """Medians of seconds on the clock, and of the processor."""
    clock, processor = [], []
    for _ in range(TIMES):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True)
        clock.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(clock), statistics.median(processor)


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        make(folder, trials)
        page = folder / "report.html"
        print(f"{trials:,} trials")
        for name, code, arguments in (
            ("report", REPORT, (str(folder), str(page))),
            ("live view", VIEW, (str(folder),)),
        ):
            clock, processor = measure(code, *arguments)
            print(f"{name:10} opens in {clock:.2f} s ({processor:.2f} s of the processor)")
        print(f"the page has {page.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
