"""Acquisition functions against estimates by sampling, and hypervolumes against those of moocore."""

from __future__ import annotations

import numpy as np
import pytest

from ogive.objective import hypervolume
from ogive.seeds import generator
from ogive.strategy.acquisition import (
    exact_expected_hypervolume_improvement,
    expected_improvement,
    hypervolume_constant,
    hypervolume_scalarization,
    probability_below,
    sample_directions,
    sampled_expected_hypervolume_improvement,
)


def test_expected_improvement_and_feasibility_equal_estimates_by_sampling() -> None:
    samples = generator(0).normal(0.3, 0.8, size=400_000)
    mean, deviation = np.array([0.3]), np.array([0.8])
    assert expected_improvement(mean, deviation, 0.1)[0] == pytest.approx(np.maximum(0.1 - samples, 0).mean(), rel=0.01)
    assert probability_below(mean, deviation, 0.1)[0] == pytest.approx((samples <= 0.1).mean(), abs=0.003)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_the_mean_of_random_scalarizations_is_the_hypervolume(objectives: int) -> None:
    rng = generator(1)
    costs, reference = rng.random((8, objectives)), np.full(objectives, 1.1)
    scalars = hypervolume_scalarization(costs, reference, sample_directions(40_000, objectives, rng))
    volume = hypervolume_constant(objectives) * scalars.max(axis=0).mean()
    assert volume == pytest.approx(hypervolume(costs, reference.tolist()), rel=0.02)


def test_expected_hypervolume_improvement_equals_estimates_by_sampling() -> None:
    """Some candidates are dominated, some are not. Points of the front beyond the reference point do not count."""
    rng = generator(2)
    front, reference = np.array([[0.2, 0.8], [0.2, 0.9], [0.5, 0.4], [0.9, 0.1], [0.1, 3.0]]), np.array([1.0, 1.0])
    mean, deviation = rng.uniform(0, 1.2, (6, 2)), rng.uniform(0.05, 0.3, (6, 2))
    samples = mean + deviation * rng.standard_normal((1500, 6, 2))
    volume = hypervolume(front, reference.tolist())
    improvements = [[hypervolume([*front, point], reference.tolist()) - volume for point in row] for row in samples]
    expected = np.mean(improvements, axis=0)
    np.testing.assert_allclose(
        exact_expected_hypervolume_improvement(mean, deviation, front, reference), expected, rtol=0.12, atol=2e-3
    )
    by_directions = sampled_expected_hypervolume_improvement(
        samples[:300], front, reference, sample_directions(2000, 2, rng)
    )
    np.testing.assert_allclose(by_directions, np.mean(improvements[:300], axis=0), rtol=0.12, atol=3e-3)
