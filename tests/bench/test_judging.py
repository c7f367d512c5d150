"""What a report judges by, recomputed by hand from the trials: incumbents, constraints, fronts, tests, ranks, equal cost."""

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
from ogive.bench.anytime_curve import Recorder, start
from ogive.bench.catalog import entrant
from ogive.bench.comparison_results import all_results, ranks
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import PluginSpec, make_strategy, simulate
from ogive.bench.synthetic import nk
from ogive.bench.table_problem import Table
from ogive.run.state import State
from ogive.seeds import generator

SPACE = og.Space(og.layer(dict, *(og.one_of(0, 1, 2, name=f"x{i}") for i in range(4))))
GRID = list(SPACE.grid())
KEYS = [architecture.id for architecture in GRID]


def searched(problem: Problem, spec: str, **options: Any) -> tuple[State, Recorder]:
    chosen, recorder = entrant(spec), Recorder(problem)
    return simulate(problem, chosen.strategy, chosen.schedule, observer=recorder, **options), recorder


def table(*constraints: og.Constraint, several: bool = False, **options: Any) -> Table:
    """81 architectures, two repetitions that differ, so that what is seen is not what is true."""
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
def test_the_incumbent_is_the_best_of_those_that_went_furthest(seed: int) -> None:
    rng = generator(1, "falling")
    falls = np.stack([rng.random(81) + above for above in (2, 1, 0)], axis=1)
    columns = {"accuracy": falls}
    problem = Table("falls", SPACE, KEYS, columns, "accuracy", levels=(1, 3, 9), continuable=True, split="")
    state, recorder = searched(problem, "random@asha:eta=3", trials=60, seed=seed)
    top = max(trial.step for trial in state.trials.values())
    furthest = [trial for trial in state.trials.values() if trial.step == top]
    best = max(furthest, key=lambda trial: trial.metrics["accuracy"])
    assert top == 9
    assert recorder.points[-1].values[0] == pytest.approx(falls[:, 2].max() - best.metrics["accuracy"])


@pytest.mark.parametrize("seed", range(4))
def test_what_violates_a_constraint_in_truth_is_as_bad_as_the_worst(seed: int) -> None:
    problem = table(og.Constraint("latency", at_most=0.2))
    state, recorder = searched(problem, "random", trials=81, seed=seed)
    truth = {trial.id: problem.truth(trial.architecture) for trial in state.trials.values()}
    allowed = [t["accuracy"] for t in truth.values() if t["latency"] <= 0.2]
    best, worst = max(allowed), min(allowed)
    curve = {point.evaluations: point.values[0] for point in recorder.points}
    incumbent: Any = None
    for number, trial in enumerate(state.trials.values(), 1):
        key = max(0.0, trial.metrics["latency"] - 0.2), -trial.metrics["accuracy"]
        if incumbent is None or key < incumbent[0]:
            incumbent = key, truth[trial.id]
        fits = incumbent[1]["latency"] <= 0.2
        regret = max(0.0, best - incumbent[1]["accuracy"]) if fits else best - worst
        shown = curve[max(n for n in curve if n <= number)]
        assert shown == pytest.approx(regret), f"after {number} evaluations"
    assert start(problem) == (pytest.approx(best - worst),)


def test_a_front_is_of_what_was_seen_to_be_feasible_and_its_volume_that_of_the_truths() -> None:
    """The volume is pymoo's."""
    problem = table(og.Constraint("memory", at_most=0.5), several=True, reference=(0.5, 1.2))
    state, recorder = searched(problem, "random", trials=40, seed=5)

    def points(metrics: Any) -> np.ndarray:
        return np.array([[-m["accuracy"], m["latency"]] for m in metrics])

    feasible = [trial for trial in state.trials.values() if trial.metrics["memory"] <= 0.5]
    seen, truths = points(t.metrics for t in feasible), [problem.truth(trial.architecture) for trial in feasible]
    front = [not any((b <= a).all() and (b < a).any() for b in seen) for a in seen]
    volume = HV(ref_point=np.array([0.5, 1.2]))
    found = points(t for t, on in zip(truths, front, strict=True) if on and t["memory"] <= 0.5)
    assert len(found) < sum(front), "some that were seen to keep the constraint do not"
    everything = points(t for t in map(problem.truth, GRID) if t["memory"] <= 0.5)
    gap = 100 * (1 - volume(found) / volume(everything))
    assert recorder.points[-1].values == (pytest.approx(gap),)


def test_hard_constraints_that_are_known_before_cost_no_trial() -> None:
    problem = table(og.Constraint("latency", at_most=0.3, hard=True), screened=("latency",))
    allowed = {a.id for a in GRID if problem.screen(a)["latency"] <= 0.3}
    for name in ("random", "local_search", "tpe"):
        state, _ = searched(problem, name, trials=100)
        assert {trial.architecture.id for trial in state.trials.values()} == allowed
        assert len(state.trials) == len(allowed)


def test_the_default_strategy_is_told_how_many_trials_there_are() -> None:
    wrapped = make_strategy(PluginSpec("auto"), nk(4, 1, 2), trials=24)
    assert wrapped.strategy.trials == 24  # type: ignore[attr-defined]


def test_the_optimum_is_counted_by_validation_and_the_test_split_decides(tmp_path: Path) -> None:
    rng = generator(2, "split")
    columns = {"accuracy": rng.random(81), "unseen": rng.random(81)}
    split = Table("split", SPACE, KEYS, columns, "accuracy", test={"accuracy": "unseen"})
    og.bench.register("split", lambda: split)
    (item,) = all_results(compare(["split"], [], tmp_path, seeds=2, protocol=Protocol(trials=81)))
    assert item.measures == ("accuracy (validation)", "accuracy (test)")
    assert item.at_optimum("random") == 2
    best = columns["unseen"].max() - columns["unseen"][columns["accuracy"].argmax()]
    assert best > 0, "what is best there is not what is best here"
    assert item.final == pytest.approx(np.full((1, 2), best))


def test_entrants_are_tested_in_pairs_and_corrected(tmp_path: Path) -> None:
    """Against SciPy, and Holm's step-down procedure by hand."""
    done = compare(
        ["nk:n=6", "chain:depth=3"], ["local_search", "tpe"], tmp_path, seeds=8, protocol=Protocol(trials=40)
    )
    for item in all_results(done):
        random = item.final[item.names.index("random")]
        found = item.against("random")
        p = {}
        for name in ("local_search", "tpe"):
            difference = item.final[item.names.index(name)] - random
            assert found[name].mean == pytest.approx(difference.mean())
            p[name] = found[name].p
            if (difference != 0).all() and len(set(np.abs(difference))) == 8:
                assert p[name] == pytest.approx(wilcoxon(difference, method="exact").pvalue)
        less, more = sorted(p, key=p.__getitem__)
        assert found[less].corrected == pytest.approx(min(1.0, 2 * p[less]))
        assert found[more].corrected == pytest.approx(max(min(1.0, 2 * p[less]), p[more]))
        assert found["local_search"].mean < 0, "below 0 is better"


def test_five_benchmarks_are_ranked_by_their_means(tmp_path: Path) -> None:
    specs = [f"chain:depth=3,seed={seed}" for seed in range(5)]
    results = all_results(compare(specs, ["local_search"], tmp_path, seeds=3, protocol=Protocol(trials=40)))
    found, values, blocks = ranks(results)
    means = [[item.final[row].mean() for row in range(2)] for item in results]
    assert blocks == "benchmarks (means over seeds)"
    assert values.tolist() == means
    assert found == pytest.approx(rankdata(means, axis=1).mean(axis=0))
    assert found[0] < found[1], "local search is better than random search"


def test_at_equal_cost_the_end_is_where_the_cheapest_search_ended(tmp_path: Path) -> None:
    done = compare(["chain:depth=3"], ["random@asha:eta=3"], tmp_path, seeds=3, protocol=Protocol(trials=20))
    (item,) = all_results(done)
    costs = [episode["cost"] / item.problem.full_seconds for name in item.names for episode in item.facts(name)]
    assert item.end == pytest.approx(min(costs))
    assert item.end < 0.7 * max(costs)


def test_which_evaluations_fail_depends_on_the_seed() -> None:
    problem = og.bench.load("additive:decisions=3,alternatives=3,failures=0.4")

    def failed(seed: int) -> set[str]:
        found = set()
        for architecture in problem.space.grid():
            try:
                list(problem.evaluate(architecture, {}, seed))
            except RuntimeError:
                found.add(architecture.id)
        return found

    sets = [failed(seed) for seed in range(4)]
    assert all(a != b for a, b in itertools.combinations(sets, 2))
    assert sets[0] == failed(0)
