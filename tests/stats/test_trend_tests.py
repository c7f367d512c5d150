"""The rank tests of the stop rules, compared with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, mannwhitneyu

from ogive.stats.trend_tests import mann_kendall, mann_whitney


@pytest.mark.parametrize("n", [5, 20, 33, 34, 300, 700])
@pytest.mark.parametrize("levels", [0, 4])
def test_mann_kendall_equals_scipy_with_and_without_ties(n: int, levels: int) -> None:
    rng = np.random.default_rng(n)
    for drift in (-1.0, 0.0, 1.0):
        values = rng.normal(size=n) + drift * np.arange(n) / n
        values = np.round(values * levels / 4, 0) if levels else values
        tau, p = mann_kendall(values)
        expected = kendalltau(np.arange(n), values, alternative="less")
        assert tau == pytest.approx(expected.statistic, abs=1e-12)
        assert p == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("levels", [0, 3])
def test_mann_whitney_equals_scipy_with_and_without_ties(levels: int) -> None:
    rng = np.random.default_rng(1)
    for n, m, shift in ((8, 20, 0.0), (60, 60, 1.0), (100, 400, -0.2), (400, 30, 0.5)):
        a, b = rng.normal(size=n) + shift, rng.normal(size=m)
        if levels:
            a, b = np.round(a * levels), np.round(b * levels)
        expected = mannwhitneyu(a, b, alternative="greater", method="asymptotic").pvalue
        assert mann_whitney(a, b) == pytest.approx(expected, rel=1e-9)


def test_equal_values_have_a_p_value_of_1() -> None:
    assert mann_kendall(np.ones(50)) == (0.0, 1.0)
    assert mann_whitney(np.ones(8), np.ones(20)) == 1.0
