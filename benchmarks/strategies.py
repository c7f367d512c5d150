"""Regret of the strategies on the NAS-Bench-201 table, trials in sequence, full-training accuracy as the objective.

The table is looked for where the tests look for it: in the folder OGIVE_TEST_DATA, or in `shared/data` beside the
repository.

    python benchmarks/strategies.py --seeds 30
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "strategy"))
import nasbench201

from ogive import strategy as strategies

AFTER = (25, 50, 75, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="+", default=list(strategies.names()))
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    print(f"mean regret in accuracy points over {options.seeds} seeds (standard error), after")
    print(f"{'trials':<24}" + "".join(f"{n:>15}" for n in AFTER) + "   CPU ms a trial")
    for name in options.strategies:
        began = time.process_time()
        runs = np.array(
            [
                nasbench201.regrets(
                    strategies.Deduplicated(strategies.create(name, nasbench201.SPACE)), AFTER[-1], seed
                )
                for seed in range(options.seeds)
            ]
        )
        cost = (time.process_time() - began) / runs.size * 1e3
        columns = [runs[:, n - 1] for n in AFTER]
        errors = [column.std(ddof=1) / np.sqrt(len(column)) for column in columns]
        cells = (f"{column.mean():8.2f} ({error:.2f})" for column, error in zip(columns, errors, strict=True))
        print(f"{name:<24}" + "".join(cells) + f"{cost:17.2f}")


if __name__ == "__main__":
    main()
