"""What the controller costs beside the training: CPU time of one trial with an estimator that does nothing.

Inline executor, regularized evolution, SQLite journal; 1,000 and 10,000 trials of 6 and 60 decisions. Optuna's random
sampler stands beside it in the same run, in memory and on SQLite, with the same decisions.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ogive as og


def space(decisions: int) -> og.Space:
    """`decisions` decisions; of 60, every third activates the next."""
    if decisions <= 6:
        return og.Space(og.layer(dict, **{f"d{i}": og.one_of(*range(5)) for i in range(decisions)}))
    blocks = [
        og.one_of(conv=og.layer(dict, kernel=og.one_of(3, 5, 7)), mb=og.layer(dict, expand=og.one_of(3, 6)))
        for _ in range(decisions // 3)
    ]
    return og.Space(og.layer(list, blocks))


def nothing(architecture: Any) -> dict[str, float]:
    return {"accuracy": float(len(architecture))}


def ogive(trials: int, decisions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        og.search(
            space(decisions),
            og.estimate.function(nothing),
            strategy={"regularized_evolution": {"population": 50, "sample": 10}},
            max_trials=trials,
            run=Path(folder) / "run",
            executor="inline",
            observer=lambda state, event: None,
        )


def optuna_random(trials: int, decisions: int, sqlite: bool) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: Any) -> float:
        if decisions <= 6:
            return float(sum(trial.suggest_categorical(f"d{i}", list(range(5))) for i in range(decisions)))
        total = 0.0
        for i in range(decisions // 3):
            if trial.suggest_categorical(f"op{i}", ["conv", "mb"]) == "conv":
                total += trial.suggest_categorical(f"kernel{i}", [3, 5, 7])
            else:
                total += trial.suggest_categorical(f"expand{i}", [3, 6])
        return total

    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/optuna.db" if sqlite else None
        study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(objective, n_trials=trials)


def cpu(work: Callable[[], None], trials: int) -> float:
    """CPU milliseconds of one trial."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / trials * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000], help="lengths of Ogive's runs")
    parser.add_argument("--optuna-sqlite", type=int, default=300, help="trials of Optuna on SQLite, which is slow")
    options = parser.parse_args()
    ogive(50, 6)  # imports
    optuna_random(5, 6, sqlite=True)
    print("CPU ms a trial              decisions: 6        60")
    ours: dict[int, list[float]] = {}
    for trials in options.trials:
        ours[trials] = [cpu(lambda n=trials, d=d: ogive(n, d), trials) for d in (6, 60)]
        print(f"ogive, SQLite, {trials:6,} trials   {ours[trials][0]:8.2f}  {ours[trials][1]:8.2f}")
    first = ours[options.trials[0]]
    for sqlite, trials in ((False, options.trials[0]), (True, options.optuna_sqlite)):
        theirs = [cpu(lambda n=trials, d=d, s=sqlite: optuna_random(n, d, s), trials) for d in (6, 60)]
        where = "SQLite" if sqlite else "memory"
        print(f"Optuna, {where}, {trials:6,} trials  {theirs[0]:8.2f}  {theirs[1]:8.2f}", end="")
        print(f"   ({theirs[0] / first[0]:.1f} and {theirs[1] / first[1]:.1f} times Ogive's)")
    if len(ours) > 1:
        last = ours[options.trials[-1]]
        print(f"growth of the cost of a trial, {options.trials[0]:,} to {options.trials[-1]:,}: ", end="")
        print(f"{last[0] / first[0]:.2f} and {last[1] / first[1]:.2f}")


if __name__ == "__main__":
    main()
