"""Regret on a published table, compared with that of small reference implementations.

The reference values are the mean regret in accuracy points after 25, 50 and 100 trials, over 30 seeds, of implementations
written from the papers. Standard errors are up to a third of the mean, so a mean of 12 seeds may be 1.6 times as large.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nasbench201_regret import SPACE, regrets

from ogive import strategy as strategies
from ogive.strategy import Deduplicated

SEEDS = 12


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("random", {}, {25: 0.91, 50: 0.67, 100: 0.59}),
        ("local_search", {"initial": 1}, {25: 0.62, 50: 0.23, 100: 0.10}),
        ("regularized_evolution", {"population": 30, "sample": 10}, {25: 0.91, 50: 0.47, 100: 0.15}),
    ],
)
def test_regret_is_near_that_of_reference_implementations(
    name: str, options: dict[str, Any], reference: dict[int, float]
) -> None:
    runs = [regrets(Deduplicated(strategies.create(name, SPACE, **options)), 100, seed) for seed in range(SEEDS)]
    mean = np.mean(runs, axis=0)
    for trials, expected in reference.items():
        assert mean[trials - 1] < 1.6 * expected, f"after {trials} trials"
    if name == "random":
        assert mean[99] > 0.6 * reference[100], "random search is no better than chance"


def test_gp_has_half_the_regret_of_random_search_with_half_the_trials() -> None:
    random = np.mean([regrets(Deduplicated(strategies.create("random", SPACE)), 100, s) for s in range(6)], axis=0)
    model = np.mean([regrets(Deduplicated(strategies.create("gp", SPACE)), 50, s) for s in range(6)], axis=0)
    assert model[49] < 0.5 * random[99]
