"""How long `import ogive` and `ogive --help` take beside an empty interpreter, and that neither loads PyTorch or NumPy.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LOADED = "import sys; print(','.join(m for m in ('torch', 'numpy', 'sqlalchemy', 'matplotlib') if m in sys.modules))"
HELP = """
import sys
from ogive.cli.main import main
sys.argv = ["ogive", "--help"]
try:
    main()
except SystemExit:
    pass
"""


def seconds(*command: str, times: int = 7) -> float:
    """The median of several runs."""
    measured = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        measured.append(time.perf_counter() - began)
    return statistics.median(measured)


def loaded(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def main() -> None:
    empty = seconds(sys.executable, "-c", "pass")
    imported = seconds(sys.executable, "-c", "import ogive")
    helped = seconds(sys.executable, "-m", "ogive", "--help")
    for what, took, modules in (
        ("an empty interpreter", empty, "none"),
        ("import ogive", imported, loaded("import ogive")),
        ("ogive --help", helped, loaded(HELP)),
    ):
        print(f"{what:<22}{took * 1e3:6.0f} ms   heavy modules loaded: {modules or 'none'}")


if __name__ == "__main__":
    main()
