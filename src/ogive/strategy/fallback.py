"""Random proposals in place of a model whose computation fails numerically, with the reason in the proposal's note."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from ogive.strategy.base import Strategy
from ogive.surrogates.numerical_errors import NUMERICAL, format_error
from ogive.trial import Fidelity, Pending, Proposal

FALLBACK_KEY = "fallback"
"""The key of a proposal's note whose value says why a model, or a part of it, was not used. The controller gives a warning
for the first such proposal of a search."""

S = TypeVar("S", bound=Strategy)
Ask = Callable[[S, np.random.Generator, Pending, Fidelity], Proposal]


def random_on_numerical_error(ask: Ask[S]) -> Ask[S]:
    """Decorate the `ask` of a model-based strategy: propose at random if fitting or evaluating the model fails numerically.

    So a search continues although a model cannot be fitted, for example because all values are equal, or because they
    overflow.
    """

    @wraps(ask)
    def ask_or_sample(self: S, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        try:
            # Disable NumPy's warnings: where infinities or NaN could lead to a wrong result, the code checks for them.
            with np.errstate(all="ignore"):
                return ask(self, rng, pending, fidelity)
        except NUMERICAL as error:
            return Proposal(
                self.space.sample(rng), note={"origin": "random", FALLBACK_KEY: f"no model: {format_error(error)}"}
            )

    return ask_or_sample


def fallback_note(reason: str | None) -> dict[str, Any]:
    """Return the entry of a proposal's note that gives `reason`; empty if `reason` is None."""
    return {} if reason is None else {FALLBACK_KEY: reason}
