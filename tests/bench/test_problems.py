"""Synthetic problems against brute force, and wrappers that leave the optimum where it was."""

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
from ogive.objective import objectives as parse_objectives
from ogive.seeds import generator


def truths(problem: Problem) -> list[float]:
    return [problem.truth(architecture)["accuracy"] for architecture in problem.space.grid()]


@pytest.mark.parametrize(
    "problem", [Additive(4, 3), nk(5, 2, 3), Chain(2, epochs=9), Chain(2, epochs=9, seed=4)], ids=lambda p: p.name
)
def test_the_known_optimum_is_what_brute_force_finds(problem: Problem) -> None:
    found = truths(problem)
    assert problem.bounds["accuracy"] == pytest.approx((max(found), min(found)), abs=1e-12)


def test_nk_is_kauffmans_sum_and_its_ruggedness_grows_with_k() -> None:
    """Counted by brute force: with k = 0 there is one local optimum, with k = n - 1 about 2^n / (n + 1)."""

    def local_optima(problem: Problem) -> int:
        value = {a.id: problem.truth(a)["accuracy"] for a in problem.space.grid()}
        return sum(all(value[n.id] <= value[a.id] for n in problem.space.neighbors(a)) for a in problem.space.grid())

    counts = [np.mean([local_optima(nk(8, k, 2, seed)) for seed in range(6)]) for k in (0, 3, 7)]
    assert counts[0] == 1
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] == pytest.approx(2**8 / 9, rel=0.35)
    with pytest.raises(JobError, match="k must be below n"):
        nk(4, 4)


def test_a_chains_curve_ends_at_the_truth_and_misleads_early() -> None:
    problem = Chain(4, epochs=27)
    rng = generator(0)
    architectures = [problem.space.sample(rng) for _ in range(300)]
    curves = [[s.metrics["accuracy"] for s in problem.evaluate(a, {"epochs": 27}, 0)] for a in architectures]
    ends = [problem.truth(a)["accuracy"] for a in architectures]
    assert [curve[-1] for curve in curves] == pytest.approx(ends)
    early = [curve[0] for curve in curves]
    swapped = sum((early[i] - early[j]) * (ends[i] - ends[j]) < 0 for i, j in itertools.combinations(range(100), 2))
    assert swapped > 0.02 * 4950


def test_wrappers_change_what_is_seen_and_not_what_is_best() -> None:
    inner = nk(5, 2, 3)
    permuted, padded = Permuted(inner, seed=2), Padded(inner, 2, 2)
    assert sorted(truths(permuted)) == pytest.approx(sorted(truths(inner)))
    assert truths(permuted) != truths(inner)
    assert padded.space.size() == 4 * inner.space.size()
    assert sorted(set(truths(padded))) == pytest.approx(sorted(set(truths(inner))))
    assert permuted.fingerprint != inner.fingerprint != Permuted(inner, seed=3).fingerprint


class Paired(Additive):
    """The order of the first two decisions makes no difference, and not both of them are 0."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.space.canonical = lambda a: [sorted((a["x0"], a["x1"])), a["x2"]]
        self.space.constraint = lambda a: "both are 0" if a["x0"] == a["x1"] == 0 else None

    def truth(self, architecture: Any) -> dict[str, float]:
        assert self.space.violation(architecture) is None
        low, high = sorted((architecture["x0"], architecture["x1"]))
        return {"accuracy": (low + 3 * high + 9 * architecture["x2"]) / 26}


@pytest.mark.parametrize("wrapped", [Permuted(Paired(), seed=1), Padded(Paired(), 1, 2)], ids=lambda p: p.name)
def test_wrapped_spaces_allow_and_merge_what_the_inner_one_does(wrapped: Problem) -> None:
    """A search that proposes each id once could otherwise miss the best, or be refused what is allowed."""
    inner, values = Paired(), dict[str, set[float]]()
    for architecture in wrapped.space.grid():
        values.setdefault(architecture.id, set()).add(wrapped.truth(architecture)["accuracy"])
    assert all(len(found) == 1 for found in values.values()), "the same network has one value"
    times = 2 if isinstance(wrapped, Padded) else 1
    assert sorted(v for found in values.values() for v in found) == sorted(times * list(set(truths(inner))))


def test_noise_is_a_function_of_architecture_and_seed_and_averages_out() -> None:
    inner = Additive(4, 3)
    noisy = Noisy(inner, 0.1)
    architecture = inner.space.sample(generator(1))

    def seen(seed: int) -> float:
        (observation,) = noisy.evaluate(architecture, {}, seed)
        return observation.metrics["accuracy"]

    truth = inner.truth(architecture)["accuracy"]
    values = np.array([seen(seed) for seed in range(400)])
    assert seen(3) == seen(3) != seen(4)
    assert abs(values.mean() - truth) < 4 * 0.1 / 20
    assert values.std() == pytest.approx(0.1, rel=0.15)
    assert noisy.truth(architecture)["accuracy"] == truth


def test_a_planted_share_of_evaluations_fails() -> None:
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


def test_benchmarks_are_found_by_name_with_options_and_wrappers() -> None:
    problem = catalog.load("nk:n=5,k=1,noise=0.05,irrelevant=2")
    assert problem.name == "nk-5-1 with noise 0.05 with 2 irrelevant decisions"
    assert len(problem.space.decisions) == 7
    for spec, message in (
        ("nkk", r"no benchmark 'nkk' \(did you mean 'nk'\?\)"),
        ("nk:kay=1", r"no option 'kay'"),
        ("nk:k", r"'k' is no option; write name:option=value"),
        ("nasbench201", "needs its option 'path'"),
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
    """Accuracy against the number of ones: a user's own problem, which does not say what it is judged by."""

    def __init__(self, decisions: int = 3) -> None:
        super().__init__(decisions, 2)
        self.objectives = parse_objectives(["accuracy", "latency"])


class TradeWithFront(Trade):
    front = ({"accuracy": 1.0, "latency": 0.0},)  # type: ignore[assignment]


def test_a_problem_with_several_objectives_is_asked_what_it_is_judged_by_before_anything_runs(tmp_path: Path) -> None:
    for number, (made, missing) in enumerate(((Trade, "front"), (TradeWithFront, "reference"))):
        catalog.register(f"trade-{number}", made)
        message = rf"write in its class {made.__name__} the property {missing}, `def {missing}"
        with pytest.raises(JobError, match=message):
            compare([f"trade-{number}"], [], tmp_path / "comparison", seeds=1, protocol=Protocol(trials=3))
    assert not (tmp_path / "comparison").exists()


def test_entrants_read_back_what_they_print() -> None:
    spec = "regularized_evolution:sample=5,population=20@asha:eta=4"
    entrant = catalog.entrant(spec)
    assert str(entrant) == "regularized_evolution:population=20,sample=5@asha:eta=4"
    assert catalog.entrant(str(entrant)) == entrant
    with pytest.raises(JobError, match=r"no option 'poplation' \(did you mean 'population'\?\)"):
        catalog.entrant("regularized_evolution:poplation=20")
    with pytest.raises(JobError, match=r"no strategy 'randon' \(did you mean 'random'\?\)"):
        catalog.entrant("randon@full")


def test_named_pairs_bring_their_schedule_and_refuse_another() -> None:
    pair = catalog.entrant("bohb:eta=4,min_epochs=2")
    assert str(pair.schedule) == "hyperband:eta=4,min_epochs=2"
    assert str(pair) == "bohb:eta=4,min_epochs=2"
    with pytest.raises(JobError, match="strategy 'bohb' brings its own schedule, 'hyperband'; leave @asha out"):
        catalog.entrant("bohb@asha")
