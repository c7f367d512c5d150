"""Models of all that is measured of a trial: its objectives, its constraints, and whether it fails.

Each is a Gaussian process of its own, in several copies with parameters drawn from their posterior
(`ogive.strategy.regression`). What is computed here is a function of what was told, and is kept as long as that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ogive.seeds import generator
from ogive.strategy.kernels import Kernel
from ogive.strategy.regression import Regression, condition, draw_parameters

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]
Transform = Callable[[FloatArray], FloatArray]

GROWTH = 1.1
"""Parameters are drawn anew when the number of trials has grown by this factor."""


@dataclass(frozen=True)
class Output:
    """Something that is measured.

    Attributes:
        name: what the models are remembered under.
        x, values: [n, p] embedded architectures and [n] what was measured of them.
        fitted, core: rows of these that the models are conditioned on, and that the parameters are drawn from.
        transform: brings values of some rows to the scale that is modelled.
    """

    name: str
    x: FloatArray
    values: FloatArray
    fitted: Rows
    core: Rows
    transform: Transform


@dataclass
class Surrogate:
    """Models of outputs by name; remembers the latest ones."""

    kernel: Kernel
    draws: int
    _parameters: dict[str, tuple[bytes, Sequence[FloatArray]]] = field(default_factory=dict)
    _models: dict[str, tuple[bytes, list[Regression]]] = field(default_factory=dict)

    def models(self, output: Output) -> list[Regression]:
        """One Gaussian process for each draw of the parameters, conditioned on the fitted rows."""
        x, y = output.x[output.fitted], output.transform(output.values[output.fitted])
        thetas = self._drawn(output)
        key = x.tobytes() + y.tobytes() + np.concatenate(thetas).tobytes()
        known = self._models.get(output.name)
        if known is None or known[0] != key:
            known = key, [condition(self.kernel, theta, x, y) for theta in thetas]
            self._models[output.name] = known
        return known[1]

    def _drawn(self, output: Output) -> Sequence[FloatArray]:
        x, y = output.x[output.core], output.transform(output.values[output.core])
        key = x.tobytes() + y.tobytes()
        known = self._parameters.get(output.name)
        if known is None or known[0] != key:
            rng = generator(0, "parameters", output.name)
            known = key, draw_parameters(self.kernel, x, y, self.draws, rng)
            self._parameters[output.name] = known
        return known[1]


def milestone(n: int) -> int:
    """The last number up to `n` at which parameters are drawn: 1, 2, ... and from 20 on a tenth part more each time."""
    number = 1
    while (following := max(number + 1, int(number * GROWTH))) <= n:
        number = following
    return number


def spread(values: FloatArray, most: int) -> Rows:
    """Rows of `values` [n], in order: all, or the `most // 3` least and an even spread of the others."""
    if len(values) <= most:
        return np.arange(len(values))
    order = np.argsort(values, kind="stable")
    rest = order[most // 3 :]
    chosen = np.linspace(0, len(rest) - 1, most - most // 3).round().astype(int)
    return np.sort(np.concatenate([order[: most // 3], rest[chosen]]))
