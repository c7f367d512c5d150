"""Rank correlations against SciPy, their intervals by simulated coverage; the probability of being the true best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ogive.stats.best_probability import noise, probabilities
from ogive.stats.rank_correlation import STATISTICS, Correlation, both, correlation, interval, population

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12)


@settings(max_examples=25, deadline=None)
@given(PAIRS)
def test_the_values_are_scipys_ties_included(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    for name, witness in (("kendall", stats.kendalltau), ("spearman", stats.spearmanr)):
        found = correlation(name, a, b)
        if len(set(a)) == 1 or len(set(b)) == 1:
            assert found.value is None
            continue
        assert found.value == pytest.approx(witness(a, b).statistic, abs=1e-12)
        if len(pairs) > 2:
            assert found.low is not None
            assert found.high is not None
            assert -1 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("r", [0.0, 0.9])
def test_the_intervals_cover_the_true_correlation(n: int, r: float) -> None:
    """At least 93 % of 95 % intervals, less what 1,500 simulations may miss it by (two standard errors)."""
    rng = np.random.default_rng(n)
    x, e = rng.standard_normal((2, 1500, n))
    y = r * x + math.sqrt(1 - r * r) * e
    truth = {"kendall": 2 / math.pi * math.asin(r), "spearman": 6 / math.pi * math.asin(r / 2)}
    for name, statistic in STATISTICS.items():
        assert population(name, r) == pytest.approx(truth[name])
        values, counts = np.unique(statistic(x, y).round(9), return_counts=True)
        chosen = values[:: max(1, len(values) // 12)]  # bounds grow with the value: those between are between
        low, high = (
            np.interp(values, chosen, bounds) for bounds in zip(*(interval(name, n, v) for v in chosen), strict=True)
        )
        covered = counts[(low <= truth[name]) & (truth[name] <= high)].sum() / counts.sum()
        assert covered >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 1500), name


def test_two_equal_rankings_are_no_proof() -> None:
    """Resampling would give [1, 1]. With tau = 1 for n pairs the bound is where that has a chance of 2.5 %."""
    lows = [correlation("kendall", range(n), range(n)).low or 0.0 for n in (3, 5, 10)]
    assert lows == sorted(lows)
    assert lows[0] < -0.5
    assert 0 < lows[1] < 0.5
    assert correlation("kendall", range(5), range(5, 0, -1)).high == pytest.approx(-lows[1], abs=0.05)


def test_too_little_to_say_is_said() -> None:
    assert both([1, 2], [3, 5])[0] == Correlation("kendall", 1.0, None, None, 2)
    assert both([1, 1, 1], [1, 2, 3])[1].value is None
    for wrong in (([1, 2], [1]), ([1, math.nan], [1, 2])):
        with pytest.raises(ValueError, match="equally long lists of finite numbers"):
            correlation("kendall", *wrong)
    with pytest.raises(ValueError, match="kendall or spearman"):
        correlation("pearson", [1, 2], [1, 2])


def test_the_better_of_two_by_the_normal_distribution() -> None:
    """Two networks whose true values may be anything: P(first is better) is Phi(difference / its standard error)."""
    covariance = np.diag([0.5, 0.5])
    for difference in (0.0, 1.0, 2.0):
        blur = noise([[difference], [0.0]], None)
        blur = type(blur)(None, 0, covariance)
        found = probabilities([[difference], [0.0]], "maximize", blur)
        assert found.sum() == pytest.approx(1)
        assert 0.5 - 0.02 <= found[0] <= stats.norm.cdf(difference) + 0.02, "shrunk towards a half, never beyond"
        assert probabilities([[difference], [0.0]], "minimize", blur)[1] == pytest.approx(found[0], abs=0.02)


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 8), st.floats(1e-6, 1e6), st.integers(0, 10**6))
def test_the_unit_of_a_metric_does_not_matter(k: int, unit: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(k, 3))
    plain = probabilities(list(values), "maximize", noise(list(values)))
    scaled = probabilities(list(values * unit), "maximize", noise(list(values * unit)))
    np.testing.assert_allclose(scaled, plain, atol=0.03)


def test_the_probability_is_calibrated() -> None:
    """Simulated second stages: of those to which it gives p, the search's best is the true best in about a share p."""
    rng = np.random.default_rng(0)
    told, was = [], []
    for _ in range(120):
        true = rng.normal(size=8)
        searched = true + rng.normal(size=8)
        values = list(true[:, None] + rng.normal(scale=0.7, size=(8, 2)))
        best = int(searched.argmax())
        told.append(probabilities(values, "maximize", noise(values), searched)[best])
        was.append(true.argmax() == best)
    shares, hits = np.array(told), np.array(was)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.01)):
        group = (shares >= low) & (shares < high)
        error = 3 * math.sqrt(0.25 / group.sum())
        assert abs(shares[group].mean() - hits[group].mean()) < error


def test_noise_is_pooled_over_networks_and_examples() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(3, 50))
    found = noise([[1.0, 3.0], [2.0], [5.0, 5.0, 5.0]], scores)
    assert found.seeds == pytest.approx(math.sqrt(2.0 / 3))
    assert found.degrees == 3
    assert found.examples is not None
    np.testing.assert_allclose(found.examples, np.cov(scores) / 50)
    assert not noise([[1.0], [2.0]]).known
    with pytest.raises(ValueError, match="something is known"):
        probabilities([[1.0], [2.0]], "maximize", noise([[1.0], [2.0]]))
