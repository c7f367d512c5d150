"""Gaussian process regression compared with scikit-learn's, and elliptical slice sampling with a known posterior."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kstest

from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of
from ogive.strategy.observations import normal_scores
from ogive.surrogates.architecture_kernel import ArchitectureKernel, Embedding
from ogive.surrogates.gp_regression import condition_process, draw_parameters, elliptical_slice_step
from ogive.surrogates.graph_features import parse_graph_option
from ogive.surrogates.metric_models import find_last_milestone, select_rows_by_rank

SPACE = Space(layer(dict, *(one_of(*"abcd", name=f"d{i}") for i in range(4)), integer(1, 9, name="n")))


def test_posterior_and_marginal_likelihood_equal_those_of_scikit_learn() -> None:
    gp = pytest.importorskip("sklearn.gaussian_process")
    space = Space(layer(dict, one_of(*"abcd", name="p"), one_of(*"efg", name="q"), integer(1, 9, name="n")))
    embedding = Embedding(space)
    kernel = ArchitectureKernel(embedding)
    theta = kernel.prior.mean + generator(5).standard_normal(len(kernel.prior.mean))
    rng = generator(0)
    x, z = (embedding([space.sample(rng) for _ in range(40)]) for _ in range(2))
    y = rng.standard_normal(40)
    *weights, product, linear, _ = np.exp(theta)
    scales = 1 / np.sqrt(2 * np.array(weights)[embedding.component_of_column])
    k = gp.kernels
    reference = gp.GaussianProcessRegressor(
        k.ConstantKernel(product) * k.RBF(scales)
        + k.ConstantKernel(2 * linear / kernel.decision_component_count) * k.DotProduct(1e-9),
        alpha=kernel.noise(theta),
        optimizer=None,
    ).fit(x, y)
    process = condition_process(kernel, theta, x, y)
    for prediction, expected in zip(process.predict(z), reference.predict(z, return_std=True), strict=True):
        np.testing.assert_allclose(prediction, expected, atol=1e-7)
    assert process.log_marginal_likelihood == pytest.approx(reference.log_marginal_likelihood_value_)


@pytest.mark.parametrize("graph", [None, "decisions"])
def test_the_gradient_of_the_marginal_likelihood_equals_finite_differences(graph: str | None) -> None:
    embedding = Embedding(SPACE, parse_graph_option(graph, SPACE), depth=1)
    kernel, rng = ArchitectureKernel(embedding), generator(4)
    x, y = embedding([SPACE.sample(rng) for _ in range(25)]), rng.standard_normal(25)
    theta = kernel.prior.mean + 0.5 * rng.standard_normal(len(kernel.prior.mean))

    def value(step: np.ndarray) -> float:
        return condition_process(kernel, theta + step, x, y).log_marginal_likelihood

    steps = 1e-5 * np.eye(len(theta))
    differences = [(value(step) - value(-step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(condition_process(kernel, theta, x, y).log_likelihood_gradient, differences, atol=1e-6)


def test_conditioning_on_pending_points_keeps_the_means_and_reduces_the_deviations() -> None:
    embedding = Embedding(SPACE)
    kernel, rng = ArchitectureKernel(embedding), generator(1)
    x, z = (embedding([SPACE.sample(rng) for _ in range(20)]) for _ in range(2))
    before = condition_process(kernel, kernel.prior.mean, x, rng.standard_normal(20))
    after = before.condition_on_pending(z[:5])
    np.testing.assert_allclose(after.predict(z)[0], before.predict(z)[0], atol=1e-9)
    assert (after.predict(z)[1] < before.predict(z)[1] + 1e-9).all()
    assert (after.predict(z[:5])[1] < 0.5 * before.predict(z[:5])[1]).all()


def test_elliptical_slice_sampling_draws_from_a_posterior_with_a_closed_form() -> None:
    """Prior N(0, 1), one observation 2 with variance 0.25: the posterior is N(1.6, 0.2)."""
    rng = generator(3)

    def log_likelihood(z: np.ndarray) -> float:
        return -0.5 * float((z[0] - 2.0) ** 2) / 0.25

    z, value, samples = np.zeros(1), log_likelihood(np.zeros(1)), []
    for step in range(6000):
        z, value = elliptical_slice_step(z, value, log_likelihood, rng)
        samples += [z[0]] if step % 6 == 5 else []
    assert kstest(samples, "norm", args=(1.6, math.sqrt(0.2))).pvalue > 0.01


def test_a_metric_without_noise_is_predicted_with_small_deviations() -> None:
    """A latency that is a sum over decisions: 60 of 2,304 architectures are enough to predict the others."""
    embedding = Embedding(SPACE)
    kernel, rng = ArchitectureKernel(embedding), generator(6)
    part = dict(zip("abcd", (0.0, 1.0, 3.0, 2.0), strict=True))
    architectures = [SPACE.sample(rng) for _ in range(300)]
    y = np.array([sum(part[a[f"d{i}"]] * (i + 1) for i in range(4)) + a["n"] for a in architectures])
    y = (y - y.mean()) / y.std()
    x = embedding(architectures)
    for theta in draw_parameters(kernel, x[:60], y[:60], steps=4, rng=rng):
        mean, deviation = condition_process(kernel, theta, x[:60], y[:60]).predict(x[60:])
        assert np.sqrt(np.mean((mean - y[60:]) ** 2)) < 0.08
        assert deviation.mean() < 0.1


def test_the_draws_give_more_weight_to_decisions_that_matter() -> None:
    embedding = Embedding(SPACE)
    kernel, rng = ArchitectureKernel(embedding), generator(2)
    architectures = [SPACE.sample(rng) for _ in range(80)]
    effect = dict(zip("abcd", (-1.5, -0.5, 0.5, 1.5), strict=True))
    y = np.array([effect[a["d0"]] * effect[a["d1"]] for a in architectures])
    draws = np.array(draw_parameters(kernel, embedding(architectures), y / y.std(), steps=6, rng=rng))
    weight = dict(
        zip(
            [name for name, _ in kernel.components[: kernel.decision_component_count]], draws.mean(axis=0), strict=False
        )
    )
    assert min(weight["d0"], weight["d1"]) > max(weight["d2"], weight["d3"], weight["n"])


def test_many_trials_are_reduced_to_the_best_and_an_even_spread() -> None:
    values = generator(0).permutation(1000).astype(float)
    selected = np.sort(values[select_rows_by_rank(values, 90)])
    assert selected[:30].tolist() == list(range(30))
    assert len(selected) == 90
    assert np.diff(selected[30:]).max() <= 17
    assert [find_last_milestone(n) for n in (1, 19, 20, 21, 41, 42)] == [1, 19, 20, 20, 39, 42]


def test_normal_scores_use_the_mean_rank_of_ties_as_in_scipy() -> None:
    special, stats = pytest.importorskip("scipy.special"), pytest.importorskip("scipy.stats")
    values = generator(3).integers(0, 6, 20).astype(float)
    np.testing.assert_array_equal(normal_scores(values), special.ndtri((stats.rankdata(values) - 0.5) / 20))
