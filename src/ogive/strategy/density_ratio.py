"""The steps that TPE and BOHB share: split trials into two groups, and choose the candidate by the ratio of their densities.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011), section 4.1: with l(x) the density of the good
trials and g(x) that of the others, the expected improvement increases with l(x) / g(x).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ogive.space import Architecture, Space
from ogive.strategy.observations import Observations
from ogive.surrogates.parzen import Mixture
from ogive.trial import Trial


class GoodBadSplit(NamedTuple):
    """The architectures that the two densities are fitted to.

    Attributes:
        good: the architectures of l(x).
        bad: the architectures of g(x).
        total: the number of trials before the split. It exceeds the size of `good` and `bad` if `max_fit` left out trials.
    """

    good: list[Architecture]
    bad: list[Architecture]
    total: int

    @property
    def note(self) -> dict[str, int]:
        """The number of used and of all trials, as entries of a proposal's note; empty if all trials were used."""
        fitted = len(self.good) + len(self.bad)
        return {"fitted_on": fitted, "of": self.total} if fitted < self.total else {}


def split_good_bad(observations: Observations, good_count: int, max_fit: int, good_by_id: bool = False) -> GoodBadSplit:
    """Split trials into good trials, the `good_count` best, and bad trials, which include failed trials.

    Only the latest of the bad trials are used, so that there are at most `max_fit` trials in total; `max_fit` must be above
    `good_count`. Bad trials are sorted by their ids. Good trials are sorted by their ranks, or by their ids if `good_by_id`.
    """
    trials = observations.trials
    ranked = [trials[row] for row in np.argsort(observations.ranks(), kind="stable")] if len(trials) else []
    good = _sort_by_id(ranked[:good_count]) if good_by_id else ranked[:good_count]
    bad = _sort_by_id([*ranked[good_count:], *observations.failed])[-(max_fit - len(good)) :]
    return GoodBadSplit(
        good=[trial.architecture for trial in good],
        bad=[trial.architecture for trial in bad],
        total=len(ranked) + len(observations.failed),
    )


def maximize_density_ratio(
    space: Space,
    candidates: Sequence[Architecture],
    l: Mixture,  # noqa: E741 - the paper's symbol
    g: Mixture,
) -> Architecture | None:
    """Return the candidate with the greatest l(x) / g(x) that the space's constraint allows; None if it allows none."""
    log_ratios = l.log_density(candidates) - g.log_density(candidates)
    best_first = (candidates[i] for i in np.argsort(-log_ratios, kind="stable"))
    # The constraint is a function of the user that may be slow, so it is called only until it allows a candidate.
    return next((candidate for candidate in best_first if space.violation(candidate) is None), None)


def _sort_by_id(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.id)
