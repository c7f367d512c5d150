"""The measures of a report, recomputed from the trials: incumbents, constraints, fronts, tests, ranks and equal cost."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymoo.indicators.hv import HV
from scipy.stats import rankdata, wilcoxon

import ogive as og
from ogive.bench import Protocol, compare
from ogive.bench.anytime_curve import Recorder, compute_worst_values
from ogive.bench.catalog import parse_method
from ogive.bench.comparison_results import collect_results, compute_ranks
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import PluginSpec, make_strategy, simulate
from ogive.bench.synthetic import nk
from ogive.bench.table_problem import Table
from ogive.run.state import State
from ogive.seeds import generator

SPACE = og.Space(og.layer(dict, *(og.one_of(0, 1, 2, name=f"x{i}") for i in range(4))))
GRID = list(SPACE.grid())
KEYS = [architecture.id for architecture in GRID]


def run_search(problem: Problem, spec: str, **options: Any) -> tuple[State, Recorder]:
    method, recorder = parse_method(spec), Recorder(problem)
    return simulate(problem, method.strategy, method.schedule, observer=recorder, **options), recorder


def make_table(*constraints: og.Constraint, several: bool = False, **options: Any) -> Table:
    """81 architectures with two different repetitions, so that reported and true values differ."""
    rng = generator(0, "judging")
    accuracy, latency = rng.random((81, 1, 1)), rng.random((81, 1, 1))
    columns = {
        "accuracy": accuracy + 0.2 * rng.standard_normal((81, 2, 1)),
        "latency": latency + 0.2 * rng.standard_normal((81, 2, 1)),
        "memory": rng.random((81, 1, 1)) + 0.4 * rng.standard_normal((81, 2, 1)),
    }
    objectives = ["accuracy", "latency"] if several else ["accuracy"]
    return Table("judged", SPACE, KEYS, columns, objectives, constraints=constraints, **options)


@pytest.mark.parametrize("seed", range(4))
def test_the_incumbent_is_the_best_trial_at_the_highest_fidelity(seed: int) -> None:
    rng = generator(1, "falling")
    falling = np.stack([rng.random(81) + offset for offset in (2, 1, 0)], axis=1)
    columns = {"accuracy": falling}
    problem = Table("falls", SPACE, KEYS, columns, "accuracy", levels=(1, 3, 9), continuable=True, split="")
    state, recorder = run_search(problem, "random@asha:eta=3", trials=60, seed=seed)
    top = max(trial.step for trial in state.trials.values())
    furthest = [trial for trial in state.trials.values() if trial.step == top]
    best = max(furthest, key=lambda trial: trial.metrics["accuracy"])
    assert top == 9
    assert recorder.points[-1].values[0] == pytest.approx(falling[:, 2].max() - best.metrics["accuracy"])


@pytest.mark.parametrize("seed", range(4))
def test_an_incumbent_that_violates_a_constraint_in_truth_has_the_worst_regret(seed: int) -> None:
    problem = make_table(og.Constraint("latency", at_most=0.2))
    state, recorder = run_search(problem, "random", trials=81, seed=seed)
    truth = {trial.id: problem.truth(trial.architecture) for trial in state.trials.values()}
    allowed = [t["accuracy"] for t in truth.values() if t["latency"] <= 0.2]
    best, worst = max(allowed), min(allowed)
    curve = {point.evaluations: point.values[0] for point in recorder.points}
    incumbent: Any = None
    for number, trial in enumerate(state.trials.values(), 1):
        key = max(0.0, trial.metrics["latency"] - 0.2), -trial.metrics["accuracy"]
        if incumbent is None or key < incumbent[0]:
            incumbent = key, truth[trial.id]
        feasible = incumbent[1]["latency"] <= 0.2
        regret = max(0.0, best - incumbent[1]["accuracy"]) if feasible else best - worst
        recorded = curve[max(n for n in curve if n <= number)]
        assert recorded == pytest.approx(regret), f"after {number} evaluations"
    assert compute_worst_values(problem) == (pytest.approx(best - worst),)


def test_the_front_consists_of_reported_metrics_and_its_hypervolume_of_true_ones() -> None:
    """The hypervolume is computed by pymoo."""
    problem = make_table(og.Constraint("memory", at_most=0.5), several=True, reference=(0.5, 1.2))
    state, recorder = run_search(problem, "random", trials=40, seed=5)

    def points(metrics: Any) -> np.ndarray:
        return np.array([[-m["accuracy"], m["latency"]] for m in metrics])

    feasible = [trial for trial in state.trials.values() if trial.metrics["memory"] <= 0.5]
    reported, truths = points(t.metrics for t in feasible), [problem.truth(trial.architecture) for trial in feasible]
    front = [not any((b <= a).all() and (b < a).any() for b in reported) for a in reported]
    volume = HV(ref_point=np.array([0.5, 1.2]))
    members = points(t for t, on in zip(truths, front, strict=True) if on and t["memory"] <= 0.5)
    assert len(members) < sum(front), "some trials satisfy the constraint by their reports, but not in truth"
    everything = points(t for t in map(problem.truth, GRID) if t["memory"] <= 0.5)
    gap = 100 * (1 - volume(members) / volume(everything))
    assert recorder.points[-1].values == (pytest.approx(gap),)


def test_screened_hard_constraints_cost_no_trial() -> None:
    problem = make_table(og.Constraint("latency", at_most=0.3, hard=True), screened=("latency",))
    allowed = {a.id for a in GRID if problem.screen(a)["latency"] <= 0.3}
    for name in ("random", "local_search", "tpe"):
        state, _ = run_search(problem, name, trials=100)
        assert {trial.architecture.id for trial in state.trials.values()} == allowed
        assert len(state.trials) == len(allowed)


def test_the_default_strategy_receives_the_number_of_trials() -> None:
    wrapped = make_strategy(PluginSpec("auto"), nk(4, 1, 2), trials=24)
    assert wrapped.strategy.trials == 24  # type: ignore[attr-defined]


def test_optima_are_counted_on_validation_and_regret_is_measured_on_test(tmp_path: Path) -> None:
    rng = generator(2, "split")
    columns = {"accuracy": rng.random(81), "unseen": rng.random(81)}
    split = Table("split", SPACE, KEYS, columns, "accuracy", test={"accuracy": "unseen"})
    og.bench.register("split", lambda: split)
    (item,) = collect_results(compare(["split"], [], tmp_path, seeds=2, protocol=Protocol(trials=81)))
    assert item.measures == ("accuracy (validation)", "accuracy (test)")
    assert item.count_optimal_seeds("random") == 2
    best = columns["unseen"].max() - columns["unseen"][columns["accuracy"].argmax()]
    assert best > 0, "the best on validation is not the best on test"
    assert item.final_regrets == pytest.approx(np.full((1, 2), best))


def test_methods_are_compared_by_paired_tests_with_correction(tmp_path: Path) -> None:
    """Compared with SciPy, and with Holm's step-down procedure by hand."""
    done = compare(
        ["nk:n=6", "chain:depth=3"], ["local_search", "tpe"], tmp_path, seeds=8, protocol=Protocol(trials=40)
    )
    for item in collect_results(done):
        random = item.final_regrets[item.names.index("random")]
        tests = item.compare_with("random")
        p = {}
        for name in ("local_search", "tpe"):
            difference = item.final_regrets[item.names.index(name)] - random
            assert tests[name].mean == pytest.approx(difference.mean())
            p[name] = tests[name].p
            if (difference != 0).all() and len(set(np.abs(difference))) == 8:
                assert p[name] == pytest.approx(wilcoxon(difference, method="exact").pvalue)
        less, more = sorted(p, key=p.__getitem__)
        assert tests[less].corrected == pytest.approx(min(1.0, 2 * p[less]))
        assert tests[more].corrected == pytest.approx(max(min(1.0, 2 * p[less]), p[more]))
        assert tests["local_search"].mean < 0, "below 0 is better"


def test_five_benchmarks_are_ranked_by_their_means(tmp_path: Path) -> None:
    specs = [f"chain:depth=3,seed={seed}" for seed in range(5)]
    results = collect_results(compare(specs, ["local_search"], tmp_path, seeds=3, protocol=Protocol(trials=40)))
    mean_ranks, values, blocks = compute_ranks(results)
    means = [[item.final_regrets[row].mean() for row in range(2)] for item in results]
    assert blocks == "benchmarks (means over seeds)"
    assert values.tolist() == means
    assert mean_ranks == pytest.approx(rankdata(means, axis=1).mean(axis=0))
    assert mean_ranks[0] < mean_ranks[1], "local search is better than random search"


def test_at_equal_cost_the_end_is_the_cost_of_the_cheapest_search(tmp_path: Path) -> None:
    done = compare(["chain:depth=3"], ["random@asha:eta=3"], tmp_path, seeds=3, protocol=Protocol(trials=20))
    (item,) = collect_results(done)
    costs = [episode["cost"] / item.problem.full_seconds for name in item.names for episode in item.list_episodes(name)]
    assert item.end_position == pytest.approx(min(costs))
    assert item.end_position < 0.7 * max(costs)


def test_the_failing_evaluations_depend_on_the_seed() -> None:
    problem = og.bench.load("additive:decisions=3,alternatives=3,failures=0.4")

    def failed(seed: int) -> set[str]:
        ids = set()
        for architecture in problem.space.grid():
            try:
                list(problem.evaluate(architecture, {}, seed))
            except RuntimeError:
                ids.add(architecture.id)
        return ids

    sets = [failed(seed) for seed in range(4)]
    assert all(a != b for a, b in itertools.combinations(sets, 2))
    assert sets[0] == failed(0)
