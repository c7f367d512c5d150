"""Synthetic problems, compared with brute force, and wrappers, which keep the optimum."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ogive.bench import Protocol, catalog, compare
from ogive.bench.problem import Problem
from ogive.bench.synthetic import Additive, Chain, nk
from ogive.bench.wrappers import EvaluationFailed, Failing, Noisy, Padded, Permuted
from ogive.errors import JobError
from ogive.objective import parse_objectives as parse_objectives
from ogive.seeds import generator


def truths(problem: Problem) -> list[float]:
    return [problem.truth(architecture)["accuracy"] for architecture in problem.space.grid()]


@pytest.mark.parametrize(
    "problem", [Additive(4, 3), nk(5, 2, 3), Chain(2, epochs=9), Chain(2, epochs=9, seed=4)], ids=lambda p: p.name
)
def test_the_bounds_are_those_of_brute_force(problem: Problem) -> None:
    values = truths(problem)
    assert problem.bounds["accuracy"] == pytest.approx((max(values), min(values)), abs=1e-12)


def test_nk_landscapes_have_more_local_optima_for_larger_k() -> None:
    """Local optima are counted by brute force: one for k = 0, and about 2^n / (n + 1) for k = n - 1."""

    def local_optima(problem: Problem) -> int:
        value = {a.id: problem.truth(a)["accuracy"] for a in problem.space.grid()}
        return sum(all(value[n.id] <= value[a.id] for n in problem.space.neighbors(a)) for a in problem.space.grid())

    counts = [np.mean([local_optima(nk(8, k, 2, seed)) for seed in range(6)]) for k in (0, 3, 7)]
    assert counts[0] == 1
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] == pytest.approx(2**8 / 9, rel=0.35)
    with pytest.raises(JobError, match="k must be below n"):
        nk(4, 4)


def test_curves_of_a_chain_end_at_the_truth_and_cross() -> None:
    problem = Chain(4, epochs=27)
    rng = generator(0)
    architectures = [problem.space.sample(rng) for _ in range(300)]
    curves = [[s.metrics["accuracy"] for s in problem.evaluate(a, {"epochs": 27}, 0)] for a in architectures]
    ends = [problem.truth(a)["accuracy"] for a in architectures]
    assert [curve[-1] for curve in curves] == pytest.approx(ends)
    early = [curve[0] for curve in curves]
    swapped = sum((early[i] - early[j]) * (ends[i] - ends[j]) < 0 for i, j in itertools.combinations(range(100), 2))
    assert swapped > 0.02 * 4950


def test_wrappers_keep_the_values_of_the_wrapped_problem() -> None:
    inner = nk(5, 2, 3)
    permuted, padded = Permuted(inner, seed=2), Padded(inner, 2, 2)
    assert sorted(truths(permuted)) == pytest.approx(sorted(truths(inner)))
    assert truths(permuted) != truths(inner)
    assert padded.space.size() == 4 * inner.space.size()
    assert sorted(set(truths(padded))) == pytest.approx(sorted(set(truths(inner))))
    assert permuted.fingerprint != inner.fingerprint != Permuted(inner, seed=3).fingerprint


class Paired(Additive):
    """A problem with a canonical form (the first two decisions can be exchanged) and a constraint (not both are 0)."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.space.canonical = lambda a: [sorted((a["x0"], a["x1"])), a["x2"]]
        self.space.constraint = lambda a: "both are 0" if a["x0"] == a["x1"] == 0 else None

    def truth(self, architecture: Any) -> dict[str, float]:
        assert self.space.violation(architecture) is None
        low, high = sorted((architecture["x0"], architecture["x1"]))
        return {"accuracy": (low + 3 * high + 9 * architecture["x2"]) / 26}


@pytest.mark.parametrize("wrapped", [Permuted(Paired(), seed=1), Padded(Paired(), 1, 2)], ids=lambda p: p.name)
def test_wrapped_spaces_keep_constraint_and_canonical_form(wrapped: Problem) -> None:
    """Otherwise a search that proposes each id once could miss the optimum, or propose infeasible architectures."""
    inner, values = Paired(), dict[str, set[float]]()
    for architecture in wrapped.space.grid():
        values.setdefault(architecture.id, set()).add(wrapped.truth(architecture)["accuracy"])
    assert all(len(distinct) == 1 for distinct in values.values()), "equal networks have equal values"
    times = 2 if isinstance(wrapped, Padded) else 1
    assert sorted(v for distinct in values.values() for v in distinct) == sorted(times * list(set(truths(inner))))


def test_noise_depends_on_architecture_and_seed_and_has_mean_zero() -> None:
    inner = Additive(4, 3)
    noisy = Noisy(inner, 0.1)
    architecture = inner.space.sample(generator(1))

    def report(seed: int) -> float:
        (result,) = noisy.evaluate(architecture, {}, seed)
        return result.metrics["accuracy"]

    truth = inner.truth(architecture)["accuracy"]
    values = np.array([report(seed) for seed in range(400)])
    assert report(3) == report(3) != report(4)
    assert abs(values.mean() - truth) < 4 * 0.1 / 20
    assert values.std() == pytest.approx(0.1, rel=0.15)
    assert noisy.truth(architecture)["accuracy"] == truth


def test_the_given_share_of_evaluations_fails() -> None:
    inner = Additive(4, 3)
    failing = Failing(inner, 0.3)

    def fails(architecture: Any) -> bool:
        try:
            list(failing.evaluate(architecture, {}, 7))
        except EvaluationFailed:
            return True
        return False

    share = np.mean([fails(architecture) for architecture in inner.space.grid()])
    assert share == pytest.approx(0.3, abs=0.15)


def test_benchmarks_are_loaded_by_name_with_options_and_wrappers() -> None:
    problem = catalog.load("nk:n=5,k=1,noise=0.05,irrelevant=2")
    assert problem.name == "nk-5-1 with noise 0.05 with 2 irrelevant decisions"
    assert len(problem.space.decisions) == 7
    for spec, message in (
        ("nkk", r"no benchmark 'nkk' \(did you mean 'nk'\?\)"),
        ("nk:kay=1", r"no option 'kay'"),
        ("nk:k", r"'k' is not a valid option; write name:option=value"),
        ("nasbench201", "needs the option 'path'"),
        ("additive:noise=0", "deviation is 0, but must be a number above 0"),
        ("additive:noise=loud", "deviation is 'loud', but must be a number above 0"),
        ("additive:failures=1", "share is 1, but must be below 1"),
        ("additive:failures=some", "share is 'some', but must be a number above 0"),
        ("additive:permuted=yes", "seed is True, but must be a whole number"),
        ("additive:permuted=x", "seed is 'x', but must be a whole number"),
        ("additive:decisions=many", "decisions is 'many', but must be a whole number"),
    ):
        with pytest.raises(JobError, match=message):
            catalog.load(spec)


class Trade(Additive):
    """A user's problem with two objectives, without the properties that such problems need."""

    def __init__(self, decisions: int = 3) -> None:
        super().__init__(decisions, 2)
        self.objectives = parse_objectives(["accuracy", "latency"])


class TradeWithFront(Trade):
    front = ({"accuracy": 1.0, "latency": 0.0},)  # type: ignore[assignment]


def test_missing_properties_of_a_problem_raise_before_anything_runs(tmp_path: Path) -> None:
    for number, (problem_class, missing) in enumerate(((Trade, "front"), (TradeWithFront, "reference"))):
        catalog.register(f"trade-{number}", problem_class)
        message = (
            rf"does not define '{missing}'.* add to its class {problem_class.__name__} the property `def {missing}"
        )
        with pytest.raises(JobError, match=message):
            compare([f"trade-{number}"], [], tmp_path / "comparison", seeds=1, protocol=Protocol(trials=3))
    assert not (tmp_path / "comparison").exists()


def test_the_text_of_a_method_is_parsed_as_the_same_method() -> None:
    spec = "regularized_evolution:sample=5,population=20@asha:eta=4"
    method = catalog.parse_method(spec)
    assert str(method) == "regularized_evolution:population=20,sample=5@asha:eta=4"
    assert catalog.parse_method(str(method)) == method
    with pytest.raises(JobError, match=r"no option 'poplation' \(did you mean 'population'\?\)"):
        catalog.parse_method("regularized_evolution:poplation=20")
    with pytest.raises(JobError, match=r"no strategy 'randon' \(did you mean 'random'\?\)"):
        catalog.parse_method("randon@full")


def test_strategies_with_their_own_schedule_accept_no_other() -> None:
    pair = catalog.parse_method("bohb:eta=4,min_epochs=2")
    assert str(pair.schedule) == "hyperband:eta=4,min_epochs=2"
    assert str(pair) == "bohb:eta=4,min_epochs=2"
    with pytest.raises(JobError, match="strategy 'bohb' brings its own schedule, 'hyperband'; remove @asha"):
        catalog.parse_method("bohb@asha")
