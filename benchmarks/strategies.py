"""The performance of strategies on the NAS-Bench-201 table, with sequential trials and the accuracy of full training.

    python benchmarks/strategies.py --what regret --seeds 30
    python benchmarks/strategies.py --what front --seeds 5 --strategies auto gp:graph=none random
    python benchmarks/strategies.py --what constrained --seeds 30 --strategies auto
    python benchmarks/strategies.py --what time --strategies auto
    python benchmarks/strategies.py --what transfer --strategies regularized_evolution local_search

- regret: the regret of the incumbent in accuracy points, and the number of seeds that find the best cell.
- front: the share of the table's hypervolume of error and latency_ms_pixel3 (reference point: 20% error and the 90th
  percentile of latency) after 200 trials. If Optuna is installed, its NSGA-II and TPE samplers are compared.
- constrained: the number of seeds within 0.1 points of the best cell with at most 30 ms on a Raspberry Pi 4 after 100
  trials, with a latency that is known before a trial, and one that is known after it.
- time: CPU seconds of one `ask` after 100, 1,000 and 10,000 trials. The hard case has 5^20 architectures, two objectives, a
  constraint that half of the trials violate, and every seventh trial fails.
- transfer: regret with and without a warm start from an earlier search of 100 trials: of NAS-Bench-201 with trainings of 12
  epochs, and of other data sets of NAS-Bench-Graph (package nas-bench-graph).

The table must be where the tests expect it: in the folder OGIVE_TEST_DATA, or in `shared/data` next to the repository.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core; must be set before NumPy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
import nasbench201_regret as table

from ogive import bench
from ogive import strategy as strategies
from ogive.bench.catalog import parse_plugin
from ogive.errors import JobError
from ogive.objective import Constraint, hypervolume
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of
from ogive.strategy import warm_start
from ogive.strategy.base import Strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

AFTER = (25, 50, 75, 100, 150)
FRONT_TRIALS = 200
BOTH = ("accuracy", "latency")
LIMIT = Constraint("latency", at_most=30.0, hard=True)
NEAR = 0.1
Measure = Callable[[Architecture], Mapping[str, float]]
TRANSFERS = (("cora", "citeseer"), ("photo", "computers"), ("cs", "physics"))
"""Pairs of data sets of NAS-Bench-Graph: the earlier search, and the search that it warms up."""


def metrics(architecture: Architecture, device: str) -> dict[str, float]:
    cell = table.operations_of(architecture)
    return {"accuracy": table.accuracies()[cell], "latency": table.column(f"latency_ms_{device}")[cell]}


def trials(strategy: Strategy, n: int, seed: int, measure: Measure) -> Iterator[Trial]:
    """Run n sequential trials; yield each before the strategy receives it."""
    for number in range(n):
        proposal = strategy.ask(generator(seed, number), Pending(), {})
        reports = (Report(1, measure(proposal.architecture)),)
        yield (trial := Trial(number, proposal, status=Status.FINISHED, reports=reports))
        strategy.tell(trial)


def regret(names: list[str], seeds: range) -> None:
    print(f"mean regret in accuracy points over {len(seeds)} seeds (standard error), after")
    print(f"{'trials':<24}" + "".join(f"{n:>15}" for n in AFTER) + "   at the best   CPU ms per trial")
    for name in names:
        start = time.process_time()
        runs = np.array([table.regrets(_unique(_create(name, table.SPACE)), AFTER[-1], s) for s in seeds])
        milliseconds = (time.process_time() - start) / runs.size * 1e3
        columns = [runs[:, n - 1] for n in AFTER]
        errors = [column.std(ddof=1) / np.sqrt(len(column)) for column in columns]
        cells = "".join(f"{c.mean():8.3f} ({e:.3f})" for c, e in zip(columns, errors, strict=True))
        print(f"{name:<24}{cells}{(columns[-1] < 1e-9).sum():>10}/{len(runs)}{milliseconds:17.2f}", flush=True)


def front(names: list[str], seeds: range) -> None:
    latency = np.array(list(table.column("latency_ms_pixel3").values()))
    error = 100.0 - np.array(list(table.accuracies().values()))
    reference = (20.0, float(np.percentile(latency, 90)))
    best = hypervolume(np.stack([error, latency], axis=1), reference)

    def share(rows: list[dict[str, float]]) -> float:
        return hypervolume([[100.0 - row["accuracy"], row["latency"]] for row in rows], reference) / best

    def ours(name: str) -> Callable[[int], list[dict[str, float]]]:
        def run(seed: int) -> list[dict[str, float]]:
            strategy = _unique(_create(name, table.SPACE, list(BOTH)))
            finished = trials(strategy, FRONT_TRIALS, seed, lambda a: metrics(a, "pixel3"))
            return [dict(trial.metrics) for trial in finished]

        return run

    runs = {name: ours(name) for name in names}
    if find_spec("optuna"):
        runs |= {f"Optuna {name}": _optuna(name) for name in ("NSGAIISampler", "TPESampler")}
    print(
        f"share of the table's hypervolume after {FRONT_TRIALS} trials, {len(seeds)} seeds: mean (standard error), minimum"
    )
    for name, run in runs.items():
        shares = np.array([share(run(seed)) for seed in seeds])
        spread = shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else 0.0
        print(f"{name:<24}{100 * shares.mean():8.2f}% ({100 * spread:.2f}){100 * shares.min():8.2f}%", flush=True)


def _optuna(sampler: str) -> Callable[[int], list[dict[str, float]]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def run(seed: int) -> list[dict[str, float]]:
        rows = []

        def evaluate(trial: optuna.Trial) -> tuple[float, float]:
            choices = {edge: trial.suggest_categorical(edge, table.OPERATIONS) for edge in table.EDGES}
            rows.append(metrics(table.SPACE.architecture(choices), "pixel3"))
            return rows[-1]["accuracy"], rows[-1]["latency"]

        study = optuna.create_study(
            directions=["maximize", "minimize"], sampler=getattr(optuna.samplers, sampler)(seed=seed)
        )
        study.optimize(evaluate, n_trials=FRONT_TRIALS)
        return rows

    return run


def constrained(names: list[str], seeds: range) -> None:
    latencies = table.column("latency_ms_raspi4")
    best = max(value for cell, value in table.accuracies().items() if latencies[cell] <= LIMIT.threshold)
    print(f"seeds of {len(seeds)} within {NEAR} points of the best cell with {LIMIT} on a Raspberry Pi 4, 100 trials")
    for name in names:
        for screened in (True, False):
            regrets = [_constrained_regret(name, seed, screened, best) for seed in seeds]
            moment = "known before" if screened else "known after"
            near = sum(value <= NEAR for value in regrets)
            print(f"{name:<24}{moment:<18}{near}/{len(seeds)}   mean regret {np.mean(regrets):.3f}", flush=True)


def _constrained_regret(name: str, seed: int, screened: bool, best: float) -> float:
    """Return the regret after 100 trials; `screened`: the strategy proposes architectures within the constraint only."""

    def measure(architecture: Architecture) -> dict[str, float]:
        return metrics(architecture, "raspi4")

    strategy = _unique(_create(name, table.SPACE, "accuracy", (LIMIT,)))
    if screened:
        strategy = strategies.Constrained(strategy, lambda architecture: {"latency": measure(architecture)["latency"]})
    reported = [trial.metrics for trial in trials(strategy, 100, seed, measure)]
    return best - max((m["accuracy"] for m in reported if m["latency"] <= LIMIT.threshold), default=0.0)


def ask_time(names: list[str], seeds: range) -> None:
    print(
        "CPU seconds of an ask by the number of trials: the first in a continued search; median and maximum of 10 more"
    )
    for name in names:
        for title, create, make_trial in (("", _create_plain, _random_trial), (", hard", _create_hard, _hard_trial)):
            for count in (100, 1_000, 10_000):
                try:
                    strategy = create(name)
                except JobError as error:
                    print(f"{name + title:<40}{error}", flush=True)
                    break
                for number in range(count):
                    strategy.tell(make_trial(number))
                seconds = []
                for number in range(count, count + 11):
                    start = time.process_time()
                    strategy.ask(generator(0, number), Pending(), {})
                    seconds.append(time.process_time() - start)
                    strategy.tell(make_trial(number))
                row = f"{seconds[0]:8.3f}{np.median(seconds[1:]):8.3f}{max(seconds[1:]):8.3f}"
                print(f"{name + title:<40}{count:>7}{row}", flush=True)


def _create_plain(name: str) -> Strategy:
    return _create(name, table.SPACE)


def _random_trial(number: int) -> Trial:
    proposal = Proposal(table.SPACE.sample(generator(1, number)))
    return table.finished(number, proposal, table.accuracy(proposal.architecture))


TWENTY = Space(layer(table.cell, *(one_of(*range(5), name=f"d{i}") for i in range(20))))


def _create_hard(name: str) -> Strategy:
    return _create(name, TWENTY, list(BOTH), [Constraint("latency", at_most=10.0)])


def _hard_trial(number: int) -> Trial:
    """Return a trial with two conflicting objectives; half of the trials violate the constraint, and one in seven fails."""
    proposal = Proposal(TWENTY.sample(generator(1, number)))
    if number % 7 == 0:
        return Trial(number, proposal, status=Status.ERROR)
    weights, numbers = generator(0, "weights").random((2, 20)), np.array(list(proposal.architecture.values()))
    values = {"accuracy": float(weights[0] @ (numbers == 2)), "latency": float(weights[1] @ numbers) / 2}
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, values),))


def transfer(names: list[str], seeds: range) -> None:
    after = (10, 25, 50)
    print(f"mean regret in accuracy points over {len(seeds)} seeds (standard error), after")
    print(f"{'':<60}" + "".join(f"{n:>15}" for n in after))
    for title, space, measure_before, measure_now, optimum in _transfers():
        for name in names:
            for warm in (False, True):
                runs = []
                for seed in seeds:
                    strategy = _create(name, space)
                    if warm:
                        earlier = list(trials(_unique(_create(name, space)), 100, 1000 + seed, measure_before))
                        transferred = warm_start.transfer_best(space, space, earlier, strategy.objectives)
                        strategy = strategies.WarmStart(strategy, transferred.architectures, transferred.trials)
                    finished = trials(_unique(strategy), after[-1], seed, measure_now)
                    accuracies = [trial.metrics["accuracy"] for trial in finished]
                    runs.append(optimum - np.maximum.accumulate(accuracies))
                columns = [np.array(runs)[:, n - 1] for n in after]
                cells = "".join(f"{c.mean():8.2f} ({c.std(ddof=1) / np.sqrt(len(c)):.2f})" for c in columns)
                row = f"{name}, {title if warm else title.split(' after ')[0]}"
                print(f"{row:<60}{cells}", flush=True)


def _transfers() -> Iterator[tuple[str, Space, Measure, Measure, float]]:
    """Yield (title, space, metrics of the earlier search, metrics of the search, optimum), accuracies in per cent."""
    short = table.column("cifar10_valid_accuracy_12_epochs")
    title = "NAS-Bench-201 in full after 12 epochs"
    yield (
        title,
        table.SPACE,
        lambda a: {"accuracy": short[table.operations_of(a)]},
        _full,
        max(table.accuracies().values()),
    )
    for earlier, later in TRANSFERS:
        old, new = (bench.load(f"nasbench-graph:data={data}") for data in (earlier, later))
        title = f"NAS-Bench-Graph {later} after {earlier}"
        yield title, new.space, _percent(old), _percent(new), 100 * new.bounds["accuracy"].best


def _full(architecture: Architecture) -> dict[str, float]:
    return {"accuracy": table.accuracy(architecture)}


def _percent(problem: bench.Problem) -> Measure:
    return lambda architecture: {"accuracy": 100 * problem.truth(architecture)["accuracy"]}


def _create(spec: str, space: Space, *arguments: Any) -> Strategy:
    plugin = parse_plugin(spec)
    return strategies.create(plugin.name, space, *arguments, **plugin.options)


def _unique(strategy: Strategy) -> Strategy:
    return strategies.Deduplicated(strategy)


STUDIES = {"regret": regret, "front": front, "constrained": constrained, "time": ask_time, "transfer": transfer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=STUDIES, default="regret")
    parser.add_argument("--strategies", nargs="+", default=[n for n in strategies.names() if n != "listed"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    STUDIES[options.what](options.strategies, range(options.first, options.first + options.seeds))


if __name__ == "__main__":
    main()
