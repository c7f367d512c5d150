"""How far the table of digits can be trusted, and what it is like; `ogive bench build` makes the table first.

`python benchmarks/bundled.py`; with `--searches 30`, also what the strategies find on it.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

from ogive.bench import Protocol, compare, digits
from ogive.bench.comparison_page import tables
from ogive.bench.curve_file import level_correlations, rank_correlations
from ogive.document.markdown import markdown_table

BETTER = (1.0, 0.5, 0.1)
STRATEGIES = ("auto", "tpe", "local_search", "regularized_evolution", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=0, help="seeds of each strategy")
    options = parser.parse_args()
    for metric in ("log_loss", "accuracy"):
        show(metric)
    print(f"{digits.FILE.name}: {digits.FILE.stat().st_size / 1e6:.2f} MB")
    if options.searches:
        search(options.searches)


def show(metric: str) -> None:
    """Correlations of one metric, and what is between the best and the others."""
    table = digits.load(metric)
    print(f"{metric}: {table.size} architectures, {table.repetitions} seeds, {table.epochs} epochs")
    print(f"  a full training takes {table.full_seconds:.2f} CPU seconds on average")
    print(f"  best and worst mean over the seeds: {table.bounds[metric].best:.4f}, {table.bounds[metric].worst:.4f}")
    for words, found in (
        ("between single seeds", rank_correlations(table, metric)),
        ("of an epoch with the last", level_correlations(table, metric)),
    ):
        print(f"  rank correlation {words}: " + ", ".join(f"{epoch}: {rho:.3f}" for epoch, rho in found.items()))
    values = table.values(metric)
    order = np.argsort(values.mean(axis=1) * (1 if metric == "log_loss" else -1), kind="stable")
    for share in BETTER:
        rows = values[order[: round(share * len(order))]]
        spread, noise = rows.mean(axis=1).std(ddof=1), np.sqrt(rows.var(axis=1, ddof=1).mean())
        print(f"  best {share:.0%}: means spread by {spread:.4f}, seeds of one architecture by {noise:.4f}")


def search(seeds: int) -> None:
    """Regret of some strategies on the bundled table."""
    with tempfile.TemporaryDirectory() as folder:
        done = compare(["digits"], STRATEGIES, folder, seeds=seeds, protocol=Protocol(trials=100), processes=2)
        for _, grids in tables(done):
            for grid in grids:
                print(f"\n{grid.title}\n\n{markdown_table(grid)}\n\n{grid.note}")


if __name__ == "__main__":
    main()
