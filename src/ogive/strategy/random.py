"""Random search: every active decision uniform over its alternatives. The reference of every comparison."""

from __future__ import annotations

import numpy as np

from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial


class Random(Strategy):
    """Sample the space, whatever was found. See Li and Talwalkar, "Random search and reproducibility for NAS" (2020)."""

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(rng), note={"origin": "random"})

    def tell(self, trial: Trial) -> None:
        pass
