"""What TPE and BOHB have in common: trials cut into good ones and others, and the candidate that lies most with the good.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011), section 4.1: l(x) is the density of the good
ones, g(x) that of the others, and expected improvement grows with l(x) / g(x).
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
    """The architectures that two densities are made of, l(x) of the good ones and g(x) of the others, of `of` trials."""

    good: list[Architecture]
    bad: list[Architecture]
    of: int

    @property
    def said(self) -> dict[str, int]:
        """For a proposal's note, where they are not all of them."""
        fitted = len(self.good) + len(self.bad)
        return {"fitted_on": fitted, "of": self.of} if fitted < self.of else {}


def split(known: Observations, best: int, max_fit: int, in_order: bool = False) -> GoodBadSplit:
    """The `best` trials, and the latest of the others, failed ones too, so that there are `max_fit` at most.

    The good ones stand with the best first, or `in_order` of their numbers; the others in the order of theirs.
    """
    order = [known.trials[row] for row in np.argsort(known.ranks(), kind="stable")] if len(known.trials) else []
    others = _by_number([*order[best:], *known.failed])
    good = _by_number(order[:best]) if in_order else order[:best]
    latest = others[-(max_fit - len(good)) :]
    return GoodBadSplit(
        [trial.architecture for trial in good], [trial.architecture for trial in latest], len(order) + len(known.failed)
    )


def likeliest(space: Space, drawn: Sequence[Architecture], l: Mixture, g: Mixture) -> Architecture | None:  # noqa: E741
    """Of `drawn` the one with the greatest l(x) / g(x) that the space's constraint allows; None where it allows none."""
    scores = l.log_density(drawn) - g.log_density(drawn)
    ordered = (drawn[i] for i in np.argsort(-scores, kind="stable"))
    return next((architecture for architecture in ordered if space.violation(architecture) is None), None)


def _by_number(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.id)
