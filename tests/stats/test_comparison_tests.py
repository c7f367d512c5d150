"""Corrections, ranks and critical differences, compared with published tables and worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ogive.stats.comparison_tests import (
    average_ranks,
    critical_difference,
    friedman_p_value,
    indistinguishable_groups,
    mean_interval,
)
from ogive.stats.corrections import correct_by_holm
from ogive.stats.paired import compare_pairs

# Demsar (2006), table 5(a): q at 0.05 for the two-tailed Nemenyi test, by the number of methods
NEMENYI = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize(("k", "q"), NEMENYI.items())
def test_critical_differences_equal_those_of_demsar(k: int, q: float) -> None:
    assert critical_difference(k, 14) == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), abs=2e-3)


def test_the_worked_example_of_demsar() -> None:
    """Demsar (2006), table 6: four variants of C4.5 on 14 data sets."""
    plain = [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957]
    m = [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978]
    cf = [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946]
    both = [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970]
    ranks = average_ranks(-np.array([plain, m, cf, both]).T)
    assert ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-3)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert friedman_p_value(-np.array([plain, m, cf, both]).T) < 0.05


def test_holm_is_the_step_down_procedure() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04 x 1, which is raised to the one before it
    assert correct_by_holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert correct_by_holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_groups_are_the_maximal_ranges_that_do_not_differ() -> None:
    assert indistinguishable_groups([1.0, 1.5, 2.2, 4.0, 4.1], 1.0) == [(0, 1), (1, 2), (3, 4)]
    assert indistinguishable_groups([1.0, 3.0], 1.0) == []


def test_95_percent_intervals_contain_the_mean_in_95_percent_of_cases() -> None:
    rng = np.random.default_rng(0)
    _, low, high = mean_interval(rng.standard_normal((8, 4000)))
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.012)
    assert np.isinf(mean_interval(np.ones((1, 2)))[2]).all()


def test_paired_tests_detect_a_shift_and_no_difference() -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal(30)
    shifted = compare_pairs((a + 0.5 + 0.1 * rng.standard_normal(30)).tolist(), a.tolist())
    assert shifted.p < 1e-6
    assert shifted.low < 0.5 < shifted.high
    assert compare_pairs(a.tolist(), a.tolist()).p == 1.0
    noise = rng.standard_normal((300, 12))
    p = [compare_pairs(row.tolist(), [0.0] * 12).p for row in noise]
    assert stats.kstest(p, "uniform").statistic < 0.12, "p-values without a difference are uniform"
