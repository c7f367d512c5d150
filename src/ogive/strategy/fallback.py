"""Random proposals where the arithmetic of a model fails, with the reason in the proposal's note."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from ogive.strategy.base import Strategy
from ogive.surrogates.numerical_errors import NUMERICAL, format_error
from ogive.trial import Fidelity, Pending, Proposal

FALLBACK_KEY = "fallback"
"""The key of a proposal's note that says why a model, or a part of it, was not used. The controller warns of the first."""

S = TypeVar("S", bound=Strategy)
Ask = Callable[[S, np.random.Generator, Pending, Fidelity], Proposal]


def random_on_numerical_error(ask: Ask[S]) -> Ask[S]:
    """Decorate the `ask` of a model-based strategy: propose at random if fitting or evaluating the model fails numerically.

    So a model that cannot be fitted, for example because all values are equal or overflow, never ends a search.
    """

    @wraps(ask)
    def ask_or_sample(self: S, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        try:
            # NumPy's warnings are off: code that infinities or NaN could mislead checks for them itself.
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
