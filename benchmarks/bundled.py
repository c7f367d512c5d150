"""Statistics of the bundled table of digits: sizes, bounds, rank correlations, and noise.

`ogive bench build` builds the table. `python benchmarks/bundled.py` prints the statistics; with `--searches 30`, also the
regret of some strategies on it.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

from ogive.bench import Protocol, compare, digits
from ogive.bench.comparison_page import make_regret_tables
from ogive.bench.curve_file import compute_level_correlations, compute_seed_correlations
from ogive.document.markdown import markdown_table

TOP_SHARES = (1.0, 0.5, 0.1)
STRATEGIES = ("auto", "tpe", "local_search", "regularized_evolution", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=0, help="number of seeds of each strategy; 0 for no searches")
    options = parser.parse_args()
    for metric in ("log_loss", "accuracy"):
        print_statistics(metric)
    print(f"{digits.TABLE_FILE.name}: {digits.TABLE_FILE.stat().st_size / 1e6:.2f} MB")
    if options.searches:
        print_regrets(options.searches)


def print_statistics(metric: str) -> None:
    """Print the rank correlations of a metric, and the spread of means and of seeds among the best architectures."""
    table = digits.load(metric)
    print(f"{metric}: {table.size} architectures, {table.repetitions} seeds, {table.epochs} epochs")
    print(f"  a full training takes {table.full_seconds:.2f} CPU seconds on average")
    print(f"  best and worst mean over the seeds: {table.bounds[metric].best:.4f}, {table.bounds[metric].worst:.4f}")
    for description, correlations in (
        ("between single seeds", compute_seed_correlations(table, metric)),
        ("of an epoch with the last", compute_level_correlations(table, metric)),
    ):
        text = ", ".join(f"{epoch}: {rho:.3f}" for epoch, rho in correlations.items())
        print(f"  rank correlation {description}: {text}")
    values = table.values(metric)
    order = np.argsort(values.mean(axis=1) * (1 if metric == "log_loss" else -1), kind="stable")
    for share in TOP_SHARES:
        rows = values[order[: round(share * len(order))]]
        spread, noise = rows.mean(axis=1).std(ddof=1), np.sqrt(rows.var(axis=1, ddof=1).mean())
        print(f"  best {share:.0%}: means spread by {spread:.4f}, seeds of one architecture by {noise:.4f}")


def print_regrets(seeds: int) -> None:
    """Print the regrets of some strategies on the bundled table."""
    with tempfile.TemporaryDirectory() as folder:
        comparison = compare(["digits"], STRATEGIES, folder, seeds=seeds, protocol=Protocol(trials=100), processes=2)
        for _, regret_tables in make_regret_tables(comparison):
            for table in regret_tables:
                print(f"\n{table.title}\n\n{markdown_table(table)}\n\n{table.note}")


if __name__ == "__main__":
    main()
