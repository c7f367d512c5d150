"""The time to open the report and the live view of a long run, each in a separate process, and the size of the report.

python benchmarks/report.py [TRIALS]

The journal is that of a search in a temporary folder (regularized evolution, an inline function, some failures). Wall-clock
and CPU seconds are medians of three runs. Only the former depend on what else the machine is doing.
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
from ogive.report import show_plain_view
state = og.open_run(sys.argv[1]).state
with show_plain_view(io.StringIO()) as observe:
    observe(state, None)
"""
REPEATS = 3


def evaluate(architecture: object) -> dict[str, float]:
    """Return a metric with some structure; raise an error for one in twenty architectures."""
    choices = dict(architecture)  # type: ignore[call-overload]
    noise = zlib.crc32(str(sorted(choices.items())).encode()) % 1000 / 1000
    if noise < 0.05:
        raise ValueError(f"shape {noise} does not fit")
    return {"accuracy": 0.6 + 0.02 * sum(int(v) % 4 for v in choices.values()) / len(choices) + 0.05 * noise}


def search(folder: Path, trials: int) -> None:
    """Create a run with this number of trials."""
    import ogive as og

    space = og.Space(og.layer(dict, **{f"layer{i}": og.one_of(*range(6), name=f"layer{i}") for i in range(16)}))
    og.search(
        space,
        og.estimate.function(evaluate),
        strategy="regularized_evolution",
        max_trials=trials,
        max_failed_trials=trials,
        executor="inline",
        cache=False,
        run=folder,
        observer=lambda state, event: None,
    )


def measure(code: str, *arguments: str) -> tuple[float, float]:
    """Run Python code, and return the medians of wall-clock and CPU seconds."""
    wall, cpu = [], []
    for _ in range(REPEATS):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True)
        wall.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        search(folder, trials)
        page = folder / "report.html"
        print(f"{trials:,} trials")
        for name, code, arguments in (
            ("report", REPORT, (str(folder), str(page))),
            ("live view", VIEW, (str(folder),)),
        ):
            wall, cpu = measure(code, *arguments)
            print(f"{name:10} opens in {wall:.2f} s ({cpu:.2f} s of CPU time)")
        print(f"the page has {page.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
