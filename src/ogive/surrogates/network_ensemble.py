"""An ensemble of small networks that predict how good architectures are, written in NumPy; all members train at once.

Symbols: n architectures, p columns of the encoding, M members of the ensemble, h the width of a hidden layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ogive.arrays import FloatArray

Layers = list[tuple[FloatArray, FloatArray]]
"""The weights [M, in, out] and biases [M, 1, out] of each layer."""

LEARNING_RATE, BETA1, BETA2, EPSILON = 0.01, 0.9, 0.999, 1e-8
"""The parameters of Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1)."""


@dataclass(frozen=True)
class Ensemble:
    """M fully connected networks with ReLU and one output, which differ in their initial weights."""

    layers: Layers

    def predict(self, x: FloatArray) -> FloatArray:
        """Return the predictions [M, n] of all members at `x` [n, p]."""
        return _forward(self.layers, x)[-1][..., 0]


def fit_ensemble(
    x: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
    members: int = 5,
    *,
    width: int = 20,
    depth: int = 3,
    steps: int = 200,
    decay: float = 1e-3,
) -> Ensemble:
    """Train networks by Adam; each step uses the mean squared error of all n examples.

    Args:
        x: the inputs, [n, p].
        y: the targets, [n].
        rng: the source of the initial weights.
        members: M, the number of networks.
        width: h, the width of the hidden layers.
        depth: the number of hidden layers.
        steps: the number of steps of Adam.
        decay: the weight of the squared weights in the loss (L2 regularization).
    """
    sizes = [x.shape[1], *[width] * depth, 1]
    # He initialization, for ReLU.
    layers: Layers = [
        (rng.standard_normal((members, a, b)) * math.sqrt(2.0 / max(a, 1)), np.zeros((members, 1, b)))
        for a, b in pairwise(sizes)
    ]
    parameters = [array for layer in layers for array in layer]
    first_moments = [np.zeros_like(array) for array in parameters]
    second_moments = [np.zeros_like(array) for array in parameters]
    for step in range(1, steps + 1):
        gradients = _compute_gradients(layers, x, y, decay)
        # Adam: the bias correction of both moments is applied to the learning rate.
        rate = LEARNING_RATE * math.sqrt(1 - BETA2**step) / (1 - BETA1**step)
        for array, g, m, v in zip(parameters, gradients, first_moments, second_moments, strict=True):
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            array -= rate * m / (np.sqrt(v) + EPSILON)
    return Ensemble(layers)


def _forward(layers: Layers, x: FloatArray) -> list[FloatArray]:
    """Return the activations of every layer: the input [1, n, p], hidden layers [M, n, h], the output [M, n, 1]."""
    activations = [x[None]]
    for number, (weights, biases) in enumerate(layers):
        z = activations[-1] @ weights + biases
        activations.append(np.maximum(z, 0.0) if number < len(layers) - 1 else z)
    return activations


def _compute_gradients(layers: Layers, x: FloatArray, y: FloatArray, decay: float) -> list[FloatArray]:
    """Return the gradients of the loss with respect to weights and biases, layer after layer.

    The loss of a member is mean((output - y)^2) + decay |weights|^2 / 2.
    """
    activations = _forward(layers, x)
    # Backpropagation: delta is the gradient with respect to the output of a layer before its activation function.
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
