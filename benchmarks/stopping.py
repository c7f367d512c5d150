"""The rate of false stops of the stop rules, and their delay.

They are measured on simulated searches (tests/support/simulated_searches.py; ogive/monitor/stop_rules.py defines a false
stop and a delay), and on searches of the NAS-Bench-201 table, with the regret that stopping costs. The table must be where
the tests expect it.

    python benchmarks/stopping.py --searches 1000 --seeds 20
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
import nasbench201_regret
import simulated_searches as simulated

from ogive import strategy as strategies
from ogive.monitor.stop_rules import INVALID_SHARE, compute_failure_rate_limit
from ogive.monitor.trend import count_trials_at_latest_test
from ogive.seeds import generator
from ogive.trial import Pending

FIRST_SEED = 1000
"""The constants of `ogive.monitor.trend` were chosen with other seeds."""
TRIALS = {"random": 600, "regularized_evolution": 500, "local_search": 500, "gp": 300}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument(
        "--seeds", type=int, default=20, help="searches per strategy on the table; a quarter of them for gp"
    )
    options = parser.parse_args()
    evaluate_on_simulated_searches(options.searches)
    print()
    evaluate_on_failures(options.searches)
    print()
    for name, trials in TRIALS.items():
        evaluate_on_table(name, trials, max(2, options.seeds // (4 if name == "gp" else 1)))


def evaluate_on_simulated_searches(searches: int) -> None:
    """Print false stops and delays by the shape of the simulated search."""
    rows = []
    for seed in range(searches):
        search = simulated.simulate(seed)
        trial, rule = simulated.stop(search.rewards)
        rows.append((search.shape, rule, simulated.is_false(search, trial, rule), simulated.delay(search, trial)))
    print(f"{searches} simulated searches of 100 to 2,000 trials; delays as shares of the planned trials")
    print(f"{'shape':<13}{'searches':>9}{'stopped':>9}{'false':>7}{'delay: mean':>13}{'median':>8}{'90%':>7}")
    for shape in (*simulated.SHAPES, "all"):
        group = [row for row in rows if shape in (row[0], "all")]
        false = sum(row[2] for row in group)
        delays = [row[3] for row in group if row[1] and not row[2]] or [np.nan]
        stopped = sum(bool(row[1]) for row in group)
        numbers = f"{np.mean(delays):13.3f}{np.median(delays):8.3f}{np.quantile(delays, 0.9):7.3f}"
        print(f"{shape:<13}{len(group):>9}{stopped:>9}{false:>7}{numbers}")
    print(
        f"false stops: {np.mean([row[2] for row in rows]):.1%} of all searches; {dict(Counter(row[1] for row in rows))}"
    )


def evaluate_on_failures(searches: int) -> None:
    """Print how many searches are stopped for a share of invalid trials, and when."""
    rng = np.random.default_rng(1)
    for share in (INVALID_SHARE, 0.35, 0.5, 1.0):
        stops = [_first_alarm(np.cumsum(rng.random(1000) < share)) for _ in range(searches)]
        stopped = [trial for trial in stops if trial is not None]
        after = f", after {np.median(stopped):.0f} trials (median)" if stopped else ""
        print(f"{share:.0%} invalid trials: {len(stopped) / searches:.1%} of searches of 1,000 trials stopped{after}")


def _first_alarm(failed: np.ndarray) -> int | None:
    """Return the number of trials at which the rule on failures stops a search; None if it does not.

    Args:
        failed: the number of failed trials among the first 1, 2, ... trials.
    """
    looks = sorted({count_trials_at_latest_test(k, 5) for k in range(5, len(failed) + 1)})
    return next(
        (look for look in looks if compute_failure_rate_limit(int(failed[look - 1]), look) > INVALID_SHARE), None
    )


def evaluate_on_table(name: str, trials: int, seeds: int) -> None:
    """Print when searches of the table are stopped, and the accuracy that this costs."""
    stops, losses = [], []
    for seed in range(seeds):
        values = search_table(name, trials, FIRST_SEED + seed)
        stops.append(simulated.stop(values, name))
        losses.append(values.max() - values[: stops[-1][0]].max())
    rules = dict(Counter(rule or "none" for _, rule in stops))
    print(
        f"{name}, {seeds} searches of {trials} trials on NAS-Bench-201: stopped by {rules}, at trial "
        f"{np.median([trial for trial, _ in stops]):.0f} (median); accuracy points lost: mean {np.mean(losses):.3f}, "
        f"maximum {np.max(losses):.3f}"
    )


def search_table(name: str, trials: int, seed: int) -> np.ndarray:
    """Search the table, and return the accuracies of the trials in per cent: [trials]."""
    strategy = strategies.Deduplicated(strategies.create(name, nasbench201_regret.SPACE))
    values = []
    for number in range(trials):
        proposal = strategy.ask(generator(seed, number), Pending(), {})
        values.append(nasbench201_regret.accuracy(proposal.architecture))
        strategy.tell(nasbench201_regret.finished(number, proposal, values[-1]))
    return np.array(values)


if __name__ == "__main__":
    main()
