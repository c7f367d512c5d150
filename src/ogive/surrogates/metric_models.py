"""Models of the outputs of a trial: its objectives, its constraints, and whether it fails.

Each output has several Gaussian processes, with different draws of the kernel's parameters
(`ogive.surrogates.gp_regression`). Models are cached, and depend only on the data that they are fitted to.

Symbols: n trials, k core trials (from which the parameters are drawn), p columns of the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ogive.arrays import FloatArray
from ogive.seeds import generator
from ogive.surrogates.architecture_kernel import ArchitectureKernel
from ogive.surrogates.gp_regression import GPRegression, condition_process, draw_parameters
from ogive.surrogates.numerical_errors import NUMERICAL, format_error

RowIndices = NDArray[np.int64]

GROWTH_FACTOR = 1.1
"""Parameters are drawn again when the number of trials has grown by this factor."""

THINNING_STEPS = 4
"""The number of steps of the Markov chain from one draw of the parameters to the next."""


@dataclass(frozen=True, kw_only=True)
class ModelledOutput:
    """The data of one output.

    Attributes:
        name: the key under which the models of the output are cached; also part of the seed of the parameters' draws.
        x, y: the embedded architectures [n, p] and the transformed values [n] that the models are conditioned on.
        core_x, core_y: the embedded architectures [k, p] and values [k] from which the kernel's parameters are drawn.
        thinning_offset: the first step of the Markov chain that is used, modulo `THINNING_STEPS`. From there, every
            `THINNING_STEPS`-th step is a draw of the parameters. So another offset gives other draws.
    """

    name: str
    x: FloatArray
    y: FloatArray
    core_x: FloatArray
    core_y: FloatArray
    thinning_offset: int = 0


@dataclass
class MetricModels:
    """Fits models of outputs, and caches the latest models of each output.

    Attributes:
        kernel: the kernel of all models.
        draws: the number of draws of the kernel's parameters, and of models for each output.
        sampling_error: why the parameters of an output could not be drawn, so that its models use the mean of the prior.
            None if all could be drawn. The caller resets it to None, and `fit` stores the first error after that.
    """

    kernel: ArchitectureKernel
    draws: int
    sampling_error: str | None = None
    # By name of the output: the bytes of the data from which the entry was computed, and the steps of the chain, with the
    # error if there was one.
    _parameters: dict[str, tuple[bytes, Sequence[FloatArray], str | None]] = field(default_factory=dict)
    # By name of the output: the bytes of the data and the parameters of the models, and the models.
    _models: dict[str, tuple[bytes, list[GPRegression]]] = field(default_factory=dict)

    def fit(self, output: ModelledOutput) -> list[GPRegression]:
        """Return a Gaussian process for each draw of the parameters."""
        thetas = self._get_parameters(output)[output.thinning_offset % THINNING_STEPS :: THINNING_STEPS]
        key = output.x.tobytes() + output.y.tobytes() + np.concatenate(thetas).tobytes()
        cached = self._models.get(output.name)
        if cached is None or cached[0] != key:
            cached = key, [condition_process(self.kernel, theta, output.x, output.y) for theta in thetas]
            self._models[output.name] = cached
        return cached[1]

    def _get_parameters(self, output: ModelledOutput) -> Sequence[FloatArray]:
        """Return all steps of the chain of parameters."""
        key = output.core_x.tobytes() + output.core_y.tobytes()
        cached = self._parameters.get(output.name)
        if cached is None or cached[0] != key:
            cached = (key, *self._draw_parameters(output))
            self._parameters[output.name] = cached
        self.sampling_error = self.sampling_error or cached[2]
        return cached[1]

    def _draw_parameters(self, output: ModelledOutput) -> tuple[Sequence[FloatArray], str | None]:
        """Return all steps of the chain, and None; if they cannot be computed, the mean of the prior, and the error."""
        # The seed is fixed, so the draws depend only on the data and the name of the output, not on earlier calls. A search
        # that is continued in another session draws the same parameters.
        rng = generator(0, "parameters", output.name)
        try:
            chain = draw_parameters(
                self.kernel, output.core_x, output.core_y, steps=self.draws * THINNING_STEPS, rng=rng
            )
            return chain, None
        except NUMERICAL as error:
            message = (
                f"the kernel's parameters for {output.name!r} could not be drawn, so the mean of their prior is used: "
                f"{format_error(error)}"
            )
            return [self.kernel.prior.mean] * (self.draws * THINNING_STEPS), message


def find_last_milestone(n: int) -> int:
    """Return the largest milestone that is at most `n`.

    Milestones are the whole numbers up to 20. Each later milestone is a tenth larger than the one before it, rounded down.
    """
    milestone = 1
    while (next_milestone := max(milestone + 1, int(milestone * GROWTH_FACTOR))) <= n:
        milestone = next_milestone
    return milestone


def select_rows_by_rank(values: FloatArray, limit: int) -> RowIndices:
    """Return the ascending indices of at most `limit` of the `values` [n].

    If there are more than `limit` values, a third of the indices are those of the smallest values. The others are those of
    values whose ranks are spread evenly over the remaining ranks.
    """
    if len(values) <= limit:
        return np.arange(len(values))
    order = np.argsort(values, kind="stable")
    remaining = order[limit // 3 :]
    ranks = np.linspace(0, len(remaining) - 1, limit - limit // 3).round().astype(int)
    return np.sort(np.concatenate([order[: limit // 3], remaining[ranks]]))
