"""How often the stop rules are wrong, and how late when they are right.

On simulated searches of known level (tests/support/simulated_searches.py; what a false stop and a delay are is said in
ogive/monitor/stop_rules.py), and on searches of the NAS-Bench-201 table, with the regret that stopping costs. The table is
looked for where the tests look for it.

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
from ogive.monitor.stop_rules import INVALID_SHARE, failing
from ogive.monitor.trend import last_look
from ogive.seeds import generator
from ogive.trial import Pending

FIRST_SEED = 1000
"""The constants of `ogive.monitor.trend` were chosen looking at others."""
TRIALS = {"random": 600, "regularized_evolution": 500, "local_search": 500, "gp": 300}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20, help="of every strategy on the table; a fourth of them of gp")
    options = parser.parse_args()
    on_simulated(options.searches)
    print()
    false_alarms(options.searches)
    print()
    for name, trials in TRIALS.items():
        on_table(name, trials, max(2, options.seeds // (4 if name == "gp" else 1)))


def on_simulated(searches: int) -> None:
    rows = []
    for seed in range(searches):
        search = simulated.simulate(seed)
        at, rule = simulated.stop(search.rewards)
        rows.append((search.shape, rule, simulated.is_false(search, at, rule), simulated.delay(search, at)))
    print(f"{searches} simulated searches of 100 to 2,000 trials; delays as shares of the trials planned")
    print(f"{'shape':<13}{'searches':>9}{'stopped':>9}{'false':>7}{'delay: mean':>13}{'median':>8}{'90 %':>7}")
    for shape in (*simulated.SHAPES, "all"):
        of = [row for row in rows if shape in (row[0], "all")]
        false = sum(row[2] for row in of)
        delays = [row[3] for row in of if row[1] and not row[2]] or [np.nan]
        stopped = sum(bool(row[1]) for row in of)
        numbers = f"{np.mean(delays):13.3f}{np.median(delays):8.3f}{np.quantile(delays, 0.9):7.3f}"
        print(f"{shape:<13}{len(of):>9}{stopped:>9}{false:>7}{numbers}")
    print(
        f"false stops: {np.mean([row[2] for row in rows]):.1%} of all searches; {dict(Counter(row[1] for row in rows))}"
    )


def false_alarms(searches: int) -> None:
    rng = np.random.default_rng(1)
    for share in (INVALID_SHARE, 0.35, 0.5, 1.0):
        stops = [_alarm(np.cumsum(rng.random(1000) < share)) for _ in range(searches)]
        found = [at for at in stops if at]
        after = f", after {np.median(found):.0f} trials (median)" if found else ""
        print(f"{share:.0%} invalid trials: {len(found) / searches:.1%} of searches of 1,000 trials stopped{after}")


def _alarm(failed: np.ndarray) -> int:
    looks = sorted({last_look(k, 5) for k in range(5, len(failed) + 1)})
    return next((at for at in looks if failing(int(failed[at - 1]), at) > INVALID_SHARE), 0)


def on_table(name: str, trials: int, seeds: int) -> None:
    stops, losses = [], []
    for seed in range(seeds):
        values = on_the_table(name, trials, FIRST_SEED + seed)
        stops.append(simulated.stop(values, name))
        losses.append(values.max() - values[: stops[-1][0]].max())
    rules = dict(Counter(rule or "none" for _, rule in stops))
    print(
        f"{name}, {seeds} searches of {trials} trials on NAS-Bench-201: stopped by {rules}, at trial "
        f"{np.median([at for at, _ in stops]):.0f} (median); accuracy points lost: mean {np.mean(losses):.3f}, "
        f"most {np.max(losses):.3f}"
    )


def on_the_table(name: str, trials: int, seed: int) -> np.ndarray:
    """Accuracy in % of the trials of a search: [trials]."""
    strategy = strategies.Deduplicated(strategies.create(name, nasbench201_regret.SPACE))
    values = []
    for number in range(trials):
        proposal = strategy.ask(generator(seed, number), Pending(), {})
        values.append(nasbench201_regret.accuracy(proposal.architecture))
        strategy.tell(nasbench201_regret.finished(number, proposal, values[-1]))
    return np.array(values)


if __name__ == "__main__":
    main()
