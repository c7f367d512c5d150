"""Rank correlations compared with SciPy, the coverage of their intervals, and the probability of being the true best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ogive.stats.best_probability import Noise, best_probabilities, estimate_noise
from ogive.stats.rank_correlation import (
    STATISTICS,
    Correlation,
    correlation,
    correlation_interval,
    population_value,
    rank_correlations,
)

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12)


@settings(max_examples=25, deadline=None)
@given(PAIRS)
def test_the_values_equal_those_of_scipy_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    for name, reference in (("kendall", stats.kendalltau), ("spearman", stats.spearmanr)):
        result = correlation(name, a, b)
        if len(set(a)) == 1 or len(set(b)) == 1:
            assert result.value is None
            continue
        assert result.value == pytest.approx(reference(a, b).statistic, abs=1e-12)
        if len(pairs) > 2:
            assert result.low is not None
            assert result.high is not None
            assert -1 <= result.low <= result.value <= result.high <= 1


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("r", [0.0, 0.9])
def test_the_intervals_contain_the_true_correlation_often_enough(n: int, r: float) -> None:
    """At least 93% of the 95% intervals do, within two standard errors of 1,500 simulations."""
    rng = np.random.default_rng(n)
    x, e = rng.standard_normal((2, 1500, n))
    y = r * x + math.sqrt(1 - r * r) * e
    truth = {"kendall": 2 / math.pi * math.asin(r), "spearman": 6 / math.pi * math.asin(r / 2)}
    for name, statistic in STATISTICS.items():
        assert population_value(name, r) == pytest.approx(truth[name])
        values, counts = np.unique(statistic(x, y).round(9), return_counts=True)
        chosen = values[:: max(1, len(values) // 12)]  # bounds increase with the value, so interpolate between these
        low, high = (
            np.interp(values, chosen, bounds)
            for bounds in zip(*(correlation_interval(name, n, v) for v in chosen), strict=True)
        )
        coverage = counts[(low <= truth[name]) & (truth[name] <= high)].sum() / counts.sum()
        assert coverage >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 1500), name


def test_two_equal_short_rankings_have_a_wide_interval() -> None:
    """Resampling would give [1, 1]. The lower bound is the correlation at which tau = 1 has a probability of 2.5%."""
    lows = [correlation("kendall", range(n), range(n)).low or 0.0 for n in (3, 5, 10)]
    assert lows == sorted(lows)
    assert lows[0] < -0.5
    assert 0 < lows[1] < 0.5
    assert correlation("kendall", range(5), range(5, 0, -1)).high == pytest.approx(-lows[1], abs=0.05)


def test_too_few_pairs_have_no_interval_and_invalid_arguments_are_errors() -> None:
    assert rank_correlations([1, 2], [3, 5])[0] == Correlation(
        statistic="kendall", value=1.0, low=None, high=None, pairs=2
    )
    assert rank_correlations([1, 1, 1], [1, 2, 3])[1].value is None
    for arguments in (([1, 2], [1]), ([1, math.nan], [1, 2])):
        with pytest.raises(ValueError, match="equally long lists of finite numbers"):
            correlation("kendall", *arguments)
    with pytest.raises(ValueError, match="kendall or spearman"):
        correlation("pearson", [1, 2], [1, 2])


def test_the_probability_for_two_networks_is_below_that_of_the_normal_distribution() -> None:
    """Without a prior for the true values, P(first is better) would be Phi(difference / its standard error)."""
    covariance = np.diag([0.5, 0.5])
    for difference in (0.0, 1.0, 2.0):
        known_noise = Noise(None, 0, covariance)
        result = best_probabilities([[difference], [0.0]], "maximize", known_noise)
        assert result.sum() == pytest.approx(1)
        assert 0.5 - 0.02 <= result[0] <= stats.norm.cdf(difference) + 0.02, "shrunk towards a half"
        assert best_probabilities([[difference], [0.0]], "minimize", known_noise)[1] == pytest.approx(
            result[0], abs=0.02
        )


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 8), st.floats(1e-6, 1e6), st.integers(0, 10**6))
def test_the_unit_of_a_metric_does_not_matter(k: int, unit: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(k, 3))
    plain = best_probabilities(list(values), "maximize", estimate_noise(list(values)))
    scaled = best_probabilities(list(values * unit), "maximize", estimate_noise(list(values * unit)))
    np.testing.assert_allclose(scaled, plain, atol=0.03)


def test_the_probability_is_calibrated() -> None:
    """Where it is p for the best of the search, that network is the true best in about a share p of simulations."""
    rng = np.random.default_rng(0)
    predicted, actual = [], []
    for _ in range(120):
        true = rng.normal(size=8)
        searched = true + rng.normal(size=8)
        values = list(true[:, None] + rng.normal(scale=0.7, size=(8, 2)))
        best = int(searched.argmax())
        predicted.append(best_probabilities(values, "maximize", estimate_noise(values), searched)[best])
        actual.append(true.argmax() == best)
    shares, is_best = np.array(predicted), np.array(actual)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.01)):
        group = (shares >= low) & (shares < high)
        error = 3 * math.sqrt(0.25 / group.sum())
        assert abs(shares[group].mean() - is_best[group].mean()) < error


def test_noise_is_pooled_over_networks_and_examples() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(3, 50))
    result = estimate_noise([[1.0, 3.0], [2.0], [5.0, 5.0, 5.0]], scores)
    assert result.seed_deviation == pytest.approx(math.sqrt(2.0 / 3))
    assert result.degrees_of_freedom == 3
    assert result.example_covariance is not None
    np.testing.assert_allclose(result.example_covariance, np.cov(scores) / 50)
    assert not estimate_noise([[1.0], [2.0]]).is_known
    with pytest.raises(ValueError, match="at least one known source of noise"):
        best_probabilities([[1.0], [2.0]], "maximize", estimate_noise([[1.0], [2.0]]))
