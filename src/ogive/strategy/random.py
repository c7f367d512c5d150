"""Random search, the reference of every comparison: each active decision is uniform over its alternatives."""

from __future__ import annotations

import numpy as np

from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial


class Random(Strategy):
    """Sample the space, independently of all earlier trials.

    Li and Talwalkar, "Random search and reproducibility for neural architecture search" (UAI 2019).
    """

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(rng), note={"origin": "random"})

    def tell(self, trial: Trial) -> None:
        """Do nothing: a random search learns nothing from trials."""
