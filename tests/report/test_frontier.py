"""The knee and the dominated volume of fronts with known answers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ogive.report.frontier import compute_dominated_volumes, find_knee


def test_the_knee_is_furthest_from_the_line_through_the_ends() -> None:
    costs = np.array([[0.0, 10.0], [1.0, 4.0], [2.0, 1.0], [4.0, 0.0]])
    knee = find_knee([7, 8, 9, 10], costs)
    assert knee is not None
    assert knee.trial == 9  # scaled (0.5, 0.1): 0.4 before the line, (0.25, 0.4) 0.35
    assert knee.distance == pytest.approx(0.4 / np.sqrt(2))


def test_the_knee_does_not_depend_on_units() -> None:
    costs = np.array([[0.0, 10.0], [1.0, 4.0], [2.0, 1.0], [4.0, 0.0]])
    scaled = costs * [1e6, 1e-3] + [5.0, -2.0]
    one, other = find_knee([0, 1, 2, 3], costs), find_knee([0, 1, 2, 3], scaled)
    assert one is not None
    assert other is not None
    assert (one.trial, one.distance) == (other.trial, pytest.approx(other.distance))


@pytest.mark.parametrize(
    "costs",
    [
        [[0.0, 1.0], [1.0, 0.0]],  # two ends
        [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]],  # a straight line
        [[0.0, 2.0], [1.9, 1.9], [2.0, 0.0]],  # concave
        [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]],  # a point
    ],
)
def test_fronts_without_a_knee(costs: list[list[float]]) -> None:
    assert find_knee(list(range(len(costs))), np.array(costs)) is None


def test_with_three_objectives_the_knee_is_furthest_from_the_plane_through_the_ends() -> None:
    costs = np.array([[0.0, 1, 1], [1, 0.0, 1], [1, 1, 0.0], [0.5, 0.5, 0.5], [0.7, 0.7, 0.6]])
    knee = find_knee([0, 1, 2, 3, 4], costs)
    assert knee is not None
    assert knee.trial == 3
    assert knee.distance == pytest.approx((2 - 1.5) / np.sqrt(3))  # from the plane x + y + z = 2


def test_the_volume_of_two_objectives_is_the_area_of_a_staircase() -> None:
    costs = np.array([[4.0, 4.0], [0.0, 2.0], [np.nan, 0.0], [2.0, 0.0], [3.0, 3.0]])
    counts, shares = compute_dominated_volumes(costs)
    assert counts == [1, 2, 3, 4, 5]
    assert shares == pytest.approx([0.0, 0.5, 0.5, 0.75, 0.75])


def test_the_volume_never_decreases_and_needs_finite_values() -> None:
    rng = np.random.default_rng(0)
    counts, shares = compute_dominated_volumes(rng.random((500, 3)))
    assert len(counts) == len(shares) == 80
    assert counts[-1] == 500
    assert all(b >= a for a, b in pairwise(shares))
    assert compute_dominated_volumes(np.full((3, 2), np.nan)) == ([], [])
