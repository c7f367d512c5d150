"""What a strategy proposes where the numbers of its model fail: a random architecture, with a note."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from ogive.strategy.base import Strategy
from ogive.surrogates.numerical_errors import NUMERICAL, one_line
from ogive.trial import Fidelity, Pending, Proposal

NOTE = "fallback"
"""The entry of a proposal's note that says why a model, or a part of it, was not used. The controller warns of the first."""

S = TypeVar("S", bound=Strategy)
Ask = Callable[[S, np.random.Generator, Pending, Fidelity], Proposal]


def random_if_numbers_fail(ask: Ask[S]) -> Ask[S]:
    """`ask` of a strategy with a model, which proposes at random where fitting or asking the model fails numerically."""

    @wraps(ask)
    def safe(self: S, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        try:
            with np.errstate(all="ignore"):  # infinities are looked for where they matter
                return ask(self, rng, pending, fidelity)
        except NUMERICAL as error:
            return Proposal(self.space.sample(rng), note={"origin": "random", NOTE: f"no model: {one_line(error)}"})

    return safe


def noted(reason: str | None) -> dict[str, Any]:
    """The entry of a note for `reason`, where there is one."""
    return {} if reason is None else {NOTE: reason}
