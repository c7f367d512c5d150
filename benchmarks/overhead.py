"""The overhead of the controller: CPU time per trial with an estimator that does nothing.

The searches use the inline executor, regularized evolution and a SQLite journal, with 1,000 and 10,000 trials of 6 and 60
decisions. For comparison, Optuna's random sampler is measured with the same decisions, in memory and on SQLite.

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
    """Return a space with this number of decisions; with 60, a third of them activates the others."""
    if decisions <= 6:
        return og.Space(og.layer(dict, **{f"d{i}": og.one_of(*range(5)) for i in range(decisions)}))
    blocks = [
        og.one_of(conv=og.layer(dict, kernel=og.one_of(3, 5, 7)), mb=og.layer(dict, expand=og.one_of(3, 6)))
        for _ in range(decisions // 3)
    ]
    return og.Space(og.layer(list, blocks))


def constant(architecture: Any) -> dict[str, float]:
    return {"accuracy": float(len(architecture))}


def search_with_ogive(trials: int, decisions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        og.search(
            space(decisions),
            og.estimate.function(constant),
            strategy={"regularized_evolution": {"population": 50, "sample": 10}},
            max_trials=trials,
            run=Path(folder) / "run",
            executor="inline",
            observer=lambda state, event: None,
        )


def search_with_optuna(trials: int, decisions: int, sqlite: bool) -> None:
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


def measure(search: Callable[[], None], trials: int) -> float:
    """Return the CPU time per trial in milliseconds."""
    start = time.process_time()
    search()
    return (time.process_time() - start) / trials * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[1000, 10_000], help="numbers of trials of Ogive's searches"
    )
    parser.add_argument(
        "--optuna-sqlite", type=int, default=300, help="number of trials of Optuna on SQLite, which is slow"
    )
    options = parser.parse_args()
    search_with_ogive(50, 6)  # the first searches import modules
    search_with_optuna(5, 6, sqlite=True)
    print("CPU ms per trial            decisions: 6        60")
    ours: dict[int, list[float]] = {}
    for trials in options.trials:
        ours[trials] = [measure(lambda n=trials, d=d: search_with_ogive(n, d), trials) for d in (6, 60)]
        print(f"ogive, SQLite, {trials:6,} trials   {ours[trials][0]:8.2f}  {ours[trials][1]:8.2f}")
    first = ours[options.trials[0]]
    for sqlite, trials in ((False, options.trials[0]), (True, options.optuna_sqlite)):
        theirs = [measure(lambda n=trials, d=d, s=sqlite: search_with_optuna(n, d, s), trials) for d in (6, 60)]
        storage = "SQLite" if sqlite else "memory"
        print(f"Optuna, {storage}, {trials:6,} trials  {theirs[0]:8.2f}  {theirs[1]:8.2f}", end="")
        print(f"   ({theirs[0] / first[0]:.1f} and {theirs[1] / first[1]:.1f} times Ogive's)")
    if len(ours) > 1:
        last = ours[options.trials[-1]]
        print(f"growth of the time per trial from {options.trials[0]:,} to {options.trials[-1]:,} trials: ", end="")
        print(f"{last[0] / first[0]:.2f} and {last[1] / first[1]:.2f}")


if __name__ == "__main__":
    main()
