"""Acquisition functions: scores of candidates, computed from predicted means and standard deviations.

Symbols: m candidates, o objectives, f points of a front, k directions, s samples. Costs are minimized.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from ogive.arrays import FloatArray


def expected_improvement(mean: FloatArray, deviation: FloatArray, best: float | FloatArray) -> FloatArray:
    """Return E[max(best - Y, 0)] for Y ~ N(mean, deviation^2), elementwise: the expected improvement below `best`.

    Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions" (1998), equation 15.
    """
    # Equation 15: (f_min - mean) Phi(z) + deviation phi(z), with z = (f_min - mean) / deviation.
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.asarray(deviation * (z * ndtr(z) + density))


def probability_below(mean: FloatArray, deviation: FloatArray, threshold: float) -> FloatArray:
    """Return P[Y <= threshold] for Y ~ N(mean, deviation^2), elementwise: the probability that a constraint holds."""
    return np.asarray(ndtr((threshold - mean) / deviation))


def exact_expected_hypervolume_improvement(
    mean: FloatArray, deviation: FloatArray, front: FloatArray, reference: FloatArray
) -> FloatArray:
    """Return the exact expected hypervolume improvement [m] of candidates for two objectives.

    Emmerich, Giannakoglou and Naujoks, "Single- and multiobjective evolutionary optimization assisted by Gaussian random
    field metamodels" (2006). The authors sum over the cells of a grid. Here the sum is over the f + 1 vertical strips that
    the points of the front separate. This suffices, because within one strip the height of the gained area depends only on
    the second cost of the candidate.

    Args:
        mean: [m, 2] the means of the costs of each candidate, which are normally distributed and independent.
        deviation: [m, 2] the standard deviations of these costs.
        front: [f, 2] the costs of the front so far.
        reference: [2] the point that bounds the area.
    """
    # Points that are not better than the reference in both objectives add no area.
    inside = front[(front < reference).all(axis=1)]
    inside = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
    # Strip j ends where the first cost is edges[j]. In it, the front dominates the area above heights[j], not that below.
    edges = np.append(inside[:, 0], reference[0])  # [f + 1]
    heights = np.insert(np.minimum.accumulate(inside[:, 1]), 0, reference[1])  # [f + 1]
    # E[(edges[j] - Y1)+] is the expected width that a candidate covers in strips 0 to j together. The difference of two
    # adjacent values is the expected width in one strip.
    cumulative_widths = expected_improvement(mean[:, :1], deviation[:, :1], edges)  # [m, f + 1]
    widths = np.diff(cumulative_widths, axis=1, prepend=0.0)
    # The costs are independent, so the expected area of a strip is its expected width times the expected height.
    return np.asarray((widths * expected_improvement(mean[:, 1:], deviation[:, 1:], heights)).sum(axis=1))


def sample_directions(k: int, objectives: int, rng: np.random.Generator) -> FloatArray:
    """Return k random directions [k, o] of unit length, uniform over the directions without negative components."""
    # The direction of a normal vector is uniform; the absolute values reflect it into the positive orthant.
    d = np.abs(rng.standard_normal((k, objectives)))
    # The scalarization divides by the components, so they must not be 0.
    return np.asarray(np.maximum(d, 1e-6) / np.linalg.norm(d, axis=1, keepdims=True))


def hypervolume_scalarization(costs: FloatArray, reference: FloatArray, directions: FloatArray) -> FloatArray:
    """Return the hypervolume scalarization of costs: max(0, min_i (reference_i - cost_i) / direction_i)^o.

    The hypervolume of points is a constant times the mean over directions of the maximum over points (Zhang and Golovin,
    "Random hypervolume scalarizations for provable multi-objective black box optimization", ICML 2020, lemma 5). The
    constant is `hypervolume_constant`.

    Args:
        costs: [..., o] the costs.
        reference: [o] the point that bounds the volume.
        directions: [k, o] the directions.

    Returns:
        [..., k] a value for each direction.
    """
    lengths = ((reference - costs)[..., None, :] / directions).min(axis=-1)
    return np.asarray(np.maximum(lengths, 0.0) ** costs.shape[-1])


def hypervolume_constant(objectives: int) -> float:
    """Return the constant of lemma 5, see `hypervolume_scalarization`: pi^(o/2) / (2^o Gamma(o/2 + 1))."""
    return float(math.pi ** (objectives / 2) / (2**objectives * math.gamma(objectives / 2 + 1)))


def sampled_expected_hypervolume_improvement(
    samples: FloatArray, front: FloatArray, reference: FloatArray, directions: FloatArray
) -> FloatArray:
    """Return the expected hypervolume improvement [m] of candidates for any number of objectives, estimated from samples.

    Args:
        samples: [s, m, o] samples of the costs of each candidate.
        front: [f, o] costs of the front so far.
        reference: [o] the point that bounds the volume.
        directions: [k, o] directions over which the scalarization is averaged.
    """
    # Apply lemma 5 to the front without and with a candidate. In each direction, the candidate increases the maximum of the
    # scalarization over the points by (its own scalarization - the maximum over the front)+.
    front_values = hypervolume_scalarization(front, reference, directions).max(axis=0, initial=0.0)  # [k]
    candidate_values = hypervolume_scalarization(samples, reference, directions)  # [s, m, k]
    gain = np.maximum(candidate_values - front_values, 0.0).mean(axis=(0, 2))
    return np.asarray(hypervolume_constant(samples.shape[-1]) * gain)
