"""How much a candidate promises. Symbols: m candidates, o objectives, f points of a front, k directions."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from ogive.arrays import FloatArray


def expected_improvement(mean: FloatArray, deviation: FloatArray, best: float | FloatArray) -> FloatArray:
    """E[max(best - Y, 0)] for Y ~ N(mean, deviation^2), elementwise: how far a candidate is expected below `best`.

    Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions" (1998), equation 15.
    """
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.asarray(deviation * (z * ndtr(z) + density))


def probability_below(mean: FloatArray, deviation: FloatArray, threshold: float) -> FloatArray:
    """P[Y <= threshold] for Y ~ N(mean, deviation^2), elementwise: the probability that a constraint is kept."""
    return np.asarray(ndtr((threshold - mean) / deviation))


def expected_growth_of_area(
    mean: FloatArray, deviation: FloatArray, front: FloatArray, reference: FloatArray
) -> FloatArray:
    """Expected growth of the hypervolume [m] of two objectives, exactly, by candidates N(mean, deviation^2), both [m, 2].

    Emmerich, Giannakoglou and Naujoks (2006); here in one sum: between two neighbours of the `front` [f, 2], what can be
    gained is as high as the upper one leaves it, and E[(h - Y2)+] is the expected height; a difference of E[(a - Y1)+] is
    the expected width. `reference` [2] bounds the area.
    """
    inside = front[(front < reference).all(axis=1)]
    inside = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
    edges = np.append(inside[:, 0], reference[0])  # [f + 1], right ends of the strips
    heights = np.insert(np.minimum.accumulate(inside[:, 1]), 0, reference[1])  # [f + 1]
    below = expected_improvement(mean[:, :1], deviation[:, :1], edges)  # [m, f + 1]
    widths = np.diff(below, axis=1, prepend=0.0)
    return np.asarray((widths * expected_improvement(mean[:, 1:], deviation[:, 1:], heights)).sum(axis=1))


def directions(k: int, objectives: int, rng: np.random.Generator) -> FloatArray:
    """k directions [k, o] of unit length, uniform over those with no negative part."""
    d = np.abs(rng.standard_normal((k, objectives)))
    return np.asarray(np.maximum(d, 1e-6) / np.linalg.norm(d, axis=1, keepdims=True))


def hypervolume_scalarization(costs: FloatArray, reference: FloatArray, directions: FloatArray) -> FloatArray:
    """[..., o] costs -> [..., k]: max(0, min_i (reference_i - cost_i) / direction_i)^o.

    The mean over directions of the maximum over points is their hypervolume, but for a constant (Zhang and Golovin,
    "Random hypervolume scalarizations for provable multi-objective black box optimization", ICML 2020, lemma 5).
    """
    lengths = ((reference - costs)[..., None, :] / directions).min(axis=-1)
    return np.asarray(np.maximum(lengths, 0.0) ** costs.shape[-1])


def hypervolume_constant(objectives: int) -> float:
    """The constant: hypervolume = constant * mean over directions; pi^(o/2) / (2^o Gamma(o/2 + 1))."""
    return float(math.pi ** (objectives / 2) / (2**objectives * math.gamma(objectives / 2 + 1)))


def hypervolume_improvement(
    samples: FloatArray, front: FloatArray, reference: FloatArray, directions: FloatArray
) -> FloatArray:
    """Expected growth of the hypervolume [m] by each candidate, from samples [s, m, o] of its costs.

    `front` [f, o] is what was reached, and `reference` [o] bounds the volume. The expectation over directions is an
    average over those that are given.
    """
    reached = hypervolume_scalarization(front, reference, directions).max(axis=0, initial=0.0)  # [k]
    grown = hypervolume_scalarization(samples, reference, directions)  # [s, m, k]
    gain = np.maximum(grown - reached, 0.0).mean(axis=(0, 2))
    return np.asarray(hypervolume_constant(samples.shape[-1]) * gain)
