"""What strategies find on a published table, against what small reference implementations found there.

Figures: mean regret in accuracy points after 25, 50 and 100 trials of 30 seeds of reference implementations written from
the papers. Standard errors are up to a third of the mean, so a mean of 12 seeds may be as much as 1.6 times as large.
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
        assert mean[99] > 0.6 * reference[100], "random search finds no more than chance gives"


def test_model_and_neighbors_beat_random_search() -> None:
    """The witness that model-based methods fit the contracts: half the regret of random search with half the trials."""
    random = np.mean([regrets(Deduplicated(strategies.create("random", SPACE)), 100, s) for s in range(6)], axis=0)
    model = np.mean([regrets(Deduplicated(strategies.create("gp", SPACE)), 50, s) for s in range(6)], axis=0)
    assert model[49] < 0.5 * random[99]
