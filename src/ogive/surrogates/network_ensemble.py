"""An ensemble of small networks that predict how good architectures are: NumPy, all members at once.

Symbols: n architectures, p columns, M members, h width of the hidden layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ogive.arrays import FloatArray

Layers = list[tuple[FloatArray, FloatArray]]
"""Weights [M, in, out] and biases [M, 1, out] of each layer."""

RATE, BETA1, BETA2, EPSILON = 0.01, 0.9, 0.999, 1e-8
"""Of Adam (Kingma and Ba 2015)."""


@dataclass(frozen=True)
class Ensemble:
    """M fully connected networks with ReLU and one output, which differ in their initial weights."""

    layers: Layers

    def predict(self, x: FloatArray) -> FloatArray:
        """[n, p] -> [M, n]."""
        return _forward(self.layers, x)[-1][..., 0]


def fit_ensemble(
    x: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
    members: int = 5,
    width: int = 20,
    depth: int = 3,
    steps: int = 200,
    decay: float = 1e-3,
) -> Ensemble:
    """Train on y [n] at x [n, p] by `steps` steps of Adam on the mean squared error, all of the data in each step.

    There are `members` networks with `depth` hidden layers of `width`; `decay` is that of the weights (L2).
    """
    sizes = [x.shape[1], *[width] * depth, 1]
    layers: Layers = [
        (rng.standard_normal((members, a, b)) * math.sqrt(2.0 / max(a, 1)), np.zeros((members, 1, b)))
        for a, b in pairwise(sizes)
    ]
    first = [np.zeros_like(part) for layer in layers for part in layer]
    second = [np.zeros_like(part) for layer in layers for part in layer]
    for step in range(1, steps + 1):
        gradients = _gradients(layers, x, y, decay)
        rate = RATE * math.sqrt(1 - BETA2**step) / (1 - BETA1**step)
        for part, g, m, v in zip((part for layer in layers for part in layer), gradients, first, second, strict=True):
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            part -= rate * m / (np.sqrt(v) + EPSILON)
    return Ensemble(layers)


def _forward(layers: Layers, x: FloatArray) -> list[FloatArray]:
    """Activations of every layer: x [1, n, p], then [M, n, h] ..., at last the output [M, n, 1]."""
    activations = [x[None]]
    for number, (weights, biases) in enumerate(layers):
        z = activations[-1] @ weights + biases
        activations.append(np.maximum(z, 0.0) if number < len(layers) - 1 else z)
    return activations


def _gradients(layers: Layers, x: FloatArray, y: FloatArray, decay: float) -> list[FloatArray]:
    """Of mean((output - y)^2) + decay |weights|^2 / 2 by weights and biases, layer after layer."""
    activations = _forward(layers, x)
    delta = 2.0 * (activations[-1] - y[None, :, None]) / len(y)  # [M, n, 1]
    gradients: list[FloatArray] = []
    for number in range(len(layers) - 1, -1, -1):
        weights, _ = layers[number]
        gradients = [
            np.swapaxes(activations[number], 1, 2) @ delta + decay * weights,
            delta.sum(axis=1, keepdims=True),
            *gradients,
        ]
        if number:
            delta = (delta @ np.swapaxes(weights, 1, 2)) * (activations[number] > 0)
    return gradients
