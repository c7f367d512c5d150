"""Models of all that is measured of a trial: its objectives, its constraints, and whether it fails.

Each is a Gaussian process of its own, in several copies with parameters drawn from their posterior
(`ogive.surrogates.gp_regression`). What is computed here is a function of what was told, and is kept as long as that stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ogive.arrays import FloatArray
from ogive.seeds import generator
from ogive.surrogates.architecture_kernel import ArchitectureKernel
from ogive.surrogates.gp_regression import GPRegression, condition, draw_parameters
from ogive.surrogates.numerical_errors import NUMERICAL, one_line

Rows = NDArray[np.int64]

GROWTH = 1.1
"""Parameters are drawn anew when the number of trials has grown by this factor."""


THIN = 4
"""Steps of the chain of parameters from one draw to the next."""


@dataclass(frozen=True)
class ModelledOutput:
    """Something that is measured.

    Attributes:
        name: what the models are remembered under.
        x, y: [n, p] embedded architectures and [n] values, on the scale that is modelled, to condition on.
        core_x, core_y: [k, p] and [k] from which the parameters are drawn.
        turn: which of the draws are taken: those with the same remainder, divided by THIN, are.
    """

    name: str
    x: FloatArray
    y: FloatArray
    core_x: FloatArray
    core_y: FloatArray
    turn: int = 0


@dataclass
class MetricModels:
    """Models of outputs by name; remembers the latest ones.

    Attributes:
        trouble: why models have the mean of the prior as parameters, since it was last set to None; None where all were
            drawn.
    """

    kernel: ArchitectureKernel
    draws: int
    trouble: str | None = None
    _parameters: dict[str, tuple[bytes, Sequence[FloatArray], str | None]] = field(default_factory=dict)
    _models: dict[str, tuple[bytes, list[GPRegression]]] = field(default_factory=dict)

    def models(self, output: ModelledOutput) -> list[GPRegression]:
        """One Gaussian process for each draw of the parameters."""
        thetas = self._drawn(output)[output.turn % THIN :: THIN]
        key = output.x.tobytes() + output.y.tobytes() + np.concatenate(thetas).tobytes()
        known = self._models.get(output.name)
        if known is None or known[0] != key:
            known = key, [condition(self.kernel, theta, output.x, output.y) for theta in thetas]
            self._models[output.name] = known
        return known[1]

    def _drawn(self, output: ModelledOutput) -> Sequence[FloatArray]:
        key = output.core_x.tobytes() + output.core_y.tobytes()
        known = self._parameters.get(output.name)
        if known is None or known[0] != key:
            known = (key, *self._draw(output))
            self._parameters[output.name] = known
        self.trouble = self.trouble or known[2]
        return known[1]

    def _draw(self, output: ModelledOutput) -> tuple[Sequence[FloatArray], str | None]:
        """Parameters, and why they are no more than the mean of the prior, where they are."""
        rng = generator(0, "parameters", output.name)
        try:
            return draw_parameters(self.kernel, output.core_x, output.core_y, self.draws * THIN, rng), None
        except NUMERICAL as error:
            reason = f"parameters of the prior for {output.name}: {one_line(error)}"
            return [self.kernel.prior.mean] * (self.draws * THIN), reason


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
