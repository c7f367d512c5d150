"""Random search, the baseline of every comparison: the label of each active decision is uniformly distributed."""

from __future__ import annotations

import numpy as np

from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial


class Random(Strategy):
    """Samples the space, independently of all earlier trials.

    Li and Talwalkar, "Random search and reproducibility for neural architecture search" (UAI 2019).
    """

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(rng), note={"origin": "random"})

    def tell(self, trial: Trial) -> None:
        """Do nothing: a random search learns nothing from trials."""
