"""Simulated searches: the decisions of a real search, virtual time that adds up, and exact regret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaln

import ogive as og
from ogive.bench import anytime_curve
from ogive.bench.anytime_curve import Recorder
from ogive.bench.benchmark_estimator import estimator
from ogive.bench.catalog import load, parse_method
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import FULL_SCHEDULE, PluginSpec, simulate
from ogive.bench.synthetic import Chain, nk
from ogive.bench.table_problem import Table
from ogive.run.state import State
from ogive.trial import Status


def run_search(problem: Problem, spec: str, **options: object) -> tuple[State, Recorder]:
    method, recorder = parse_method(spec), Recorder(problem)
    state = simulate(problem, method.strategy, method.schedule, observer=recorder, **options)  # type: ignore[arg-type]
    return state, recorder


def test_random_search_has_the_regret_of_the_order_statistic() -> None:
    """Without replacement, the best of n of N values is at most the j-th smallest with probability C(j, n) / C(N, n)."""
    problem = nk(6, 3, 3)
    values = np.sort([problem.truth(a)["accuracy"] for a in problem.space.grid()])
    marks, seeds = [5, 15, 40], 200
    measured = np.empty((seeds, len(marks)))
    for seed in range(seeds):
        _, recorder = run_search(problem, "random", trials=marks[-1], seed=seed)
        regrets = anytime_curve.evaluate_curve(
            recorder.points, "evaluations", list(map(float, marks)), anytime_curve.compute_worst_values(problem)
        )
        measured[seed] = [row[0] for row in regrets]
    for column, n in enumerate(marks):
        expected = values[-1] - _expected_best(values, n)
        error = measured[:, column].std(ddof=1) / np.sqrt(seeds)
        assert abs(measured[:, column].mean() - expected) < 2 * error, f"after {n} trials"


def _expected_best(values: np.ndarray, n: int) -> float:
    total = len(values)
    j = np.arange(n, total + 1)

    def choose(a: np.ndarray | int) -> np.ndarray:
        return np.asarray(gammaln(np.asarray(a) + 1.0) - gammaln(np.asarray(a) - n + 1.0))

    at_most = np.exp(choose(j) - choose(total))
    return float((values[n - 1 :] * np.diff(at_most, prepend=0.0)).sum())


@pytest.mark.parametrize("spec", ["regularized_evolution:population=8,sample=3", "random@asha:eta=3", "local_search"])
def test_a_simulated_search_takes_the_decisions_of_a_real_search(tmp_path: Path, spec: str) -> None:
    problem, method = Chain(3, epochs=9, noise=0.05), parse_method(spec)
    state, _ = run_search(problem, spec, trials=40, seed=3)
    run = og.search(
        problem.space,
        estimator(problem),
        objectives=problem.objectives,
        strategy={method.strategy.name: method.strategy.options},
        schedule={method.schedule.name: method.schedule.options},
        max_trials=40,
        seed=3,
        run=tmp_path / "run",
        executor="inline",
    )

    def summarize(trials: Mapping[int, og.Trial]) -> list[tuple[object, ...]]:
        return [(t.architecture.to_json(), t.step, t.status, t.metrics["accuracy"]) for t in trials.values()]

    assert summarize(run.state.trials) == summarize(state.trials)


def test_virtual_time_is_that_of_the_table_divided_among_workers() -> None:
    problem = Chain(3, epochs=9)
    one, recorder = run_search(problem, "random", trials=40, seed=1)
    four, _ = run_search(problem, "random", trials=40, seed=1, workers=4)
    spent = sum(
        item.seconds for trial in one.trials.values() for item in problem.evaluate(trial.architecture, {"epochs": 9}, 0)
    )
    assert one.elapsed_seconds == pytest.approx(spent, rel=1e-4)
    assert four.compute_seconds == pytest.approx(spent, rel=1e-4)
    assert spent / 4 <= four.elapsed_seconds + 1e-3 < spent / 3
    assert recorder.evaluations == 40
    assert [p.evaluations for p in recorder.points] == sorted(p.evaluations for p in recorder.points)


def test_a_promoted_trial_costs_only_the_epochs_it_still_needs() -> None:
    problem = Chain(3, epochs=9)
    state, _ = run_search(problem, "random@asha:eta=3", trials=27)
    for trial in state.trials.values():
        paid = sum(item.seconds for item in problem.evaluate(trial.architecture, {"epochs": trial.step}, trial.seed))
        assert trial.seconds == pytest.approx(paid, abs=1e-4)


def test_trainings_that_cannot_be_continued_cost_all_their_epochs() -> None:
    problem = nk(5, 2, 3)
    values = np.array([problem.truth(a)["accuracy"] for a in problem.space.grid()])
    keys = [a.id for a in problem.space.grid()]
    columns = {"accuracy": np.stack([values / 2, values], axis=1)}
    table = Table("two", problem.space, keys, columns, "accuracy", levels=(12, 200))
    state, _ = run_search(table, "random@asha:min_epochs=12,eta=17", trials=60)
    paid = {trial.seconds for trial in state.trials.values()}
    assert paid == {12.0, 212.0}


def test_failures_end_trials_but_not_the_search() -> None:
    state, recorder = run_search(load("additive:decisions=5,alternatives=3,failures=0.4"), "random", trials=60)
    assert state.status_counts[Status.ERROR] + state.status_counts[Status.FINISHED] == 60
    assert state.status_counts[Status.ERROR] > 10
    assert recorder.evaluations == 60
    assert "a failure simulated by the benchmark" in next(t.reason for t in state.trials.values() if t.status.failed)


def test_a_search_ends_normally_when_all_architectures_were_proposed() -> None:
    state, recorder = run_search(load("additive:decisions=3,alternatives=2"), "random", trials=100)
    assert len(state.trials) == 8
    assert state.end_reason.startswith("every architecture that the space allows was proposed")
    assert recorder.points[-1].values == (0.0,)


def test_the_limit_of_cost_ends_the_search() -> None:
    problem = Chain(3, epochs=9)
    state, _ = run_search(problem, "random", trials=100, cost=20.0, workers=2)
    assert 20.0 <= state.compute_seconds < 22.0
    assert state.end_reason == "the budget of 20 s of training is used up"


class Lucky(Table):
    """A table that reports the opposite of the true values."""

    def evaluate(self, architecture: og.Architecture, fidelity: Mapping[str, float], seed: int) -> Iterator[object]:  # type: ignore[override]
        from dataclasses import replace

        for result in super().evaluate(architecture, fidelity, seed):
            yield replace(result, metrics={"accuracy": 1.0 - result.metrics["accuracy"]})


def test_the_incumbent_is_chosen_by_reports_and_its_regret_computed_from_the_truth() -> None:
    inner = nk(4, 1, 2)
    values = [inner.truth(a)["accuracy"] for a in inner.space.grid()]
    table = Lucky("lucky", inner.space, [a.id for a in inner.space.grid()], {"accuracy": values}, "accuracy")
    _, recorder = run_search(table, "random", trials=16)
    assert recorder.points[-1].values == (1.0,), "the best by the reports is the worst in truth"


def test_the_hypervolume_gap_closes_when_the_whole_front_is_found() -> None:
    space = og.Space(og.layer(dict, x=og.one_of(*range(30), name="x")))
    x = np.arange(30.0)
    columns = {"error": np.abs(x - 20) % 13, "latency_ms": x}
    keys = [a.id for a in space.grid()]
    goals = [og.Objective("error", "minimize"), og.Objective("latency_ms", "minimize")]
    table = Table("front", space, keys, columns, goals, reference=(13.0, 30.0))
    simulate(table, PluginSpec("random"), FULL_SCHEDULE, trials=30, observer=(recorder := Recorder(table)))
    gaps = [point.values[0] for point in recorder.points]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 1
    assert gaps[-1] == pytest.approx(0.0, abs=1e-9)


def test_the_estimator_of_a_problem_conforms() -> None:
    problem = Chain(3, epochs=9, noise=0.1)
    og.testing.check_estimator(lambda: estimator(problem), problem.space, epochs=3)
