"""The duration of `import ogive` and `ogive --help`, compared with an empty interpreter, and the heavy modules they import.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

PRINT_MODULES = (
    "import sys; print(','.join(m for m in ('torch', 'numpy', 'sqlalchemy', 'matplotlib') if m in sys.modules))"
)
HELP = """
import sys
from ogive.cli.main import main
sys.argv = ["ogive", "--help"]
try:
    main()
except SystemExit:
    pass
"""


def measure(*command: str, repeats: int = 7) -> float:
    """Return the median duration of a command in seconds."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


def imported_modules(code: str) -> str:
    """Return the heavy modules that are imported after running `code`."""
    command = [sys.executable, "-c", f"{code}\n{PRINT_MODULES}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def main() -> None:
    for name, seconds, modules in (
        ("an empty interpreter", measure(sys.executable, "-c", "pass"), "none"),
        ("import ogive", measure(sys.executable, "-c", "import ogive"), imported_modules("import ogive")),
        ("ogive --help", measure(sys.executable, "-m", "ogive", "--help"), imported_modules(HELP)),
    ):
        print(f"{name:<22}{seconds * 1e3:6.0f} ms   heavy modules imported: {modules or 'none'}")


if __name__ == "__main__":
    main()
