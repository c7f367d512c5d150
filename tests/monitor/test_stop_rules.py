"""The stop rules on recorded and simulated searches, and compared with closed forms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulated_searches as simulated
from journal_events import events_of
from scipy.stats import binomtest

from ogive.monitor.rewards import compute_rewards, make_single_objective_rewards
from ogive.monitor.stop_rules import (
    RULES,
    StopVerdict,
    check_convergence,
    check_no_trend,
    compute_failure_rate_limit,
    evaluate_rules,
)
from ogive.monitor.trend import assess_trend, count_trials_at_latest_test
from ogive.objective import Constraint
from ogive.run.state import State

CURVES = json.loads((Path(__file__).parents[1] / "support" / "recorded_curves.json").read_text())
"""Accuracy by trial of four real searches, None where a trial failed; docs/measured.md says of which."""


def last_verdicts(values: object, **settings: object) -> list[StopVerdict]:
    """Return the verdicts at the first stop by a rule other than the budget, or at the end, asked for after every trial."""
    events = events_of(values, max_failed_trials=10**6, **settings)
    state, result = State.from_events(events[:1]), []
    for event in events[1:]:
        trial = state.apply(event)
        if trial is not None and (trial.status.ended or trial.status == "paused"):
            result = evaluate_rules(state, previous=result, ended=trial)
            if stopped_by(result):
                break
    return result


def stopped_by(result: list[StopVerdict]) -> list[str]:
    return [verdict.rule for verdict in result if verdict.stop and verdict.rule != "budget"]


@pytest.mark.parametrize(
    ("curve", "strategy", "rule", "earliest", "latest"),
    [
        ("rising then flat", "regularized_evolution", "converged", 80, 250),
        ("flat", "regularized_evolution", "no_trend", 500, 600),
        ("noisy", "regularized_evolution", None, 400, 400),
        ("failing", "random", "failures", 20, 120),
    ],
)
def test_recorded_searches_get_the_right_verdict(
    curve: str, strategy: str, rule: str | None, earliest: int, latest: int
) -> None:
    result = last_verdicts(CURVES[curve], strategy=strategy)
    assert stopped_by(result) == ([rule] if rule else []), [verdict.reason for verdict in result]
    assert earliest <= next(v for v in result if v.rule == "budget").numbers["trials"] <= latest


def test_simulated_searches_are_stopped_correctly_and_in_time() -> None:
    """Like in benchmarks/stopping.py, which measures the mean delay; for few searches the median is more reliable."""
    rows = []
    for seed in range(60):
        search = simulated.simulate(seed, n=150 + 10 * seed)
        at, rule = simulated.stop(search.rewards)
        false, late = simulated.is_false(search, at, rule), simulated.delay(search, at)
        rows.append((search.shape in simulated.NEVER_SETTLED, rule, false, late))
    assert np.mean([false for _, _, false, _ in rows]) <= 0.05
    assert np.median([late for _, rule, false, late in rows if rule and not false]) <= 0.2
    settling = [bool(rule) for never, rule, _, _ in rows if not never]
    assert np.mean(settling) >= 0.6, "a rule that never stops would be useless"


def test_searches_that_grow_and_strategies_that_do_not_learn_are_not_stopped() -> None:
    for shape in ("line", "logarithm"):
        stops = [simulated.stop(simulated.simulate(seed, shape, n=500).rewards)[1] for seed in range(5)]
        assert not any(stops), shape
    rng = np.random.default_rng(0)
    result = last_verdicts(rng.normal(size=700), strategy="random")
    assert not stopped_by(result)
    assert "strategy random does not learn from trials" in result[RULES.index("no_trend")].reason


def test_the_trend_is_kendalls_tau_with_its_limit() -> None:
    """Without a trend, the variance of tau is 2 (2n + 5) / (9 n (n - 1)) (Kendall 1938)."""
    rng = np.random.default_rng(1)
    taus = [assess_trend(rng.permutation(60).astype(float)) for _ in range(400)]
    assert np.std([t.tau for t in taus]) == pytest.approx(np.sqrt(2 * 125 / (9 * 60 * 59)), rel=0.1)
    values = rng.permutation(60).astype(float)
    pairs = [np.sign(values[j] - values[i]) for j in range(60) for i in range(j)]
    assert assess_trend(values).tau == pytest.approx(np.mean(pairs))
    assert assess_trend(np.arange(60.0)).better_p < 1e-4
    assert assess_trend(np.ones(600)).is_absent


def test_the_limit_of_the_failure_rate_is_the_exact_binomial_one() -> None:
    for failed, trials in ((3, 5), (12, 30), (1, 100)):
        limit = binomtest(failed, trials, alternative="greater").proportion_ci(0.999, method="exact").low
        assert compute_failure_rate_limit(failed, trials) == pytest.approx(limit)
    assert stopped_by(last_verdicts([None] * 40)) == ["failures"]
    assert not stopped_by(last_verdicts([None, 0.5, 0.5, 0.5, 0.5] * 40))  # 20% are allowed


def test_every_verdict_has_a_reason_and_finite_numbers_even_without_trials() -> None:
    for values in ([], [None] * 3, [0.5] * 60, [0.5, None] * 30, list(np.linspace(0, 1, 60))):
        result = evaluate_rules(State.from_events(events_of(values, max_trials=100)))
        assert [verdict.rule for verdict in result] == list(RULES)
        assert all(verdict.reason and np.isfinite(list(verdict.numbers.values())).all() for verdict in result)


def test_criteria_and_budget_say_what_was_reached() -> None:
    values = [{"accuracy": 0.8, "latency": 3.0}, {"accuracy": 0.95, "latency": 9.0}, {"accuracy": 0.92, "latency": 4.0}]
    criteria = (Constraint("accuracy", at_least=0.9), Constraint("latency", at_most=5))
    price = {"hourly": 6.0, "per": "worker"}
    result = evaluate_rules(
        State.from_events(events_of(values, criteria=criteria, budget={"money": 0.25}, price=price))
    )
    assert result[0].stop
    assert result[0].reason == (
        "trial 2 reaches all success criteria: accuracy 0.92 (accuracy >= 0.9), latency 4 (latency <= 5)"
    )
    assert result[1].stop, "three minutes at 6 an hour cost 0.3"
    assert result[1].numbers["money"] == pytest.approx(0.3)
    assert not evaluate_rules(State.from_events(events_of(values[:2], criteria=criteria, max_trials=9)))[0].stop


def test_a_trial_that_violates_a_constraint_is_no_success() -> None:
    criteria = (Constraint("accuracy", at_least=0.9),)
    small = ({"metric": "parameters", "at_most": 1_000_000, "at_least": None, "hard": False},)
    values = [{"accuracy": 0.95, "parameters": 2e6}, {"accuracy": 0.5, "parameters": 1e3}]
    events = events_of(values, criteria=criteria)
    events[0] = replace(events[0], data={**events[0].data, "constraints": list(small)})
    result = evaluate_rules(State.from_events(events))[0]
    assert not result.stop
    assert result.reason == "not yet: none of 2 trials reaches accuracy >= 0.9 within the constraints"


def test_the_budget_says_what_it_compared_in_human_units() -> None:
    price = {"hourly": 6.0, "per": "worker", "currency": "USD"}
    events = events_of([0.5] * 3, budget={"hours": 0.5, "money": 2e6}, price=price, max_trials=10_000)
    assert (
        evaluate_rules(State.from_events(events))[1].reason
        == "not yet: 3 of 10,000 trials, 3 min of 30 min, 0.30 of 2,000,000 USD"
    )
    later = evaluate_rules(State.from_events(events[:-1]), now=events[-1].time + 3600)[1]
    assert later.stop, "an open session counts up to now"
    assert later.reason.startswith("used up: 1 h 3 min of 30 min")


def test_money_without_a_price_is_not_compared() -> None:
    result = evaluate_rules(State.from_events(events_of([0.5], budget={"money": 2.0}, max_trials=10)))[1]
    assert "money" not in result.numbers, "`spending.spend` returns None for it"
    assert result.reason == "not yet: 1 of 10 trials, money is limited, but no session had a price"


def test_rewards_are_compared_at_equal_fidelity() -> None:
    """Some trials were trained up to step 2, where all values are better; they are compared at a step that they share."""
    one, two = [{"accuracy": 0.5}], [{"accuracy": 0.4}, {"accuracy": 0.9}]
    series = compute_rewards(State.from_events(events_of([one, one, two])), 3)
    assert (series.step, list(series.values)) == (1, [0.5, 0.5, 0.4])


def test_several_objectives_converge_when_the_front_does() -> None:
    """A front that advances has not converged; one that is constant, with trials close to it, has."""
    rng = np.random.default_rng(2)
    level = np.minimum(np.arange(300) / 60, 1)
    angle = rng.uniform(0.2, 1.4, size=300)
    radius = level + rng.normal(size=300) * (0.3 - 0.28 * level)
    metrics = [{"accuracy": r * np.cos(a), "latency": -r * np.sin(a)} for r, a in zip(radius, angle, strict=True)]
    both = ({"metric": "accuracy", "goal": "maximize"}, {"metric": "latency", "goal": "minimize"})
    state = State.from_events(events_of(metrics, both))
    assert check_convergence(compute_rewards(state, 250), 250).stop
    assert not check_convergence(compute_rewards(state, 60), 60).stop


def test_tests_are_made_at_a_geometric_sequence_of_numbers_of_trials() -> None:
    looks = sorted({count_trials_at_latest_test(n) for n in range(10_001)})
    assert looks[:4] == [0, 40, 44, 49]
    assert len(looks) < 60
    series = make_single_objective_rewards(np.linspace(0, 1, 45))
    assert check_convergence(series, 44).numbers["at"] == check_no_trend(series, 44, "gp").numbers["at"] == 44
