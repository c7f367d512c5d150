"""Kernels: positive semi-definite on every space, equal to their closed forms, and Weisfeiler-Lehman features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from ogive.errors import JobError
from ogive.objective import parse_objectives
from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of
from ogive.strategy.gaussian_process import GaussianProcess
from ogive.surrogates.architecture_kernel import ArchitectureKernel, Embedding
from ogive.surrogates.graph_features import (
    build_decision_graph,
    compute_histograms,
    encode_paths,
    iterate_relabelings,
    list_paths,
    parse_graph_option,
)
from ogive.testing.spaces import SPACES, part

DIAMOND = (["in", "conv", "pool", "out"], [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)])


def embed_samples(space: Space, n: int, seed: int, graph: object = None) -> tuple[Embedding, np.ndarray]:
    embedding = Embedding(space, parse_graph_option(graph, space), depth=2)
    rng = generator(seed)
    return embedding, embedding([space.sample(rng) for _ in range(n)])


@given(hs.sampled_from(sorted(SPACES)), hs.integers(0, 10**6), hs.sampled_from([None, "decisions"]))
@settings(max_examples=40, deadline=None)
def test_the_kernel_is_positive_semi_definite_for_all_parameters(name: str, seed: int, graph: str | None) -> None:
    embedding, x = embed_samples(SPACES[name](), 24, seed, graph)
    kernel = ArchitectureKernel(embedding)
    theta = kernel.prior.mean + 2 * kernel.prior.deviation * generator(seed).standard_normal(len(kernel.prior.mean))
    k = kernel(theta, x, x)
    np.testing.assert_allclose(k, k.T, atol=1e-9 * k.max())
    np.testing.assert_allclose(np.diag(k), kernel.diagonal(theta, x), rtol=1e-9)
    assert np.linalg.eigvalsh(k).min() > -1e-9 * k.max() * len(k)


def parameters_of_product_kernel(kernel: ArchitectureKernel, **weights: float) -> np.ndarray:
    """Return parameters with s_1 = 1 and almost nothing else; `weights` are those of components, by "decision_kind"."""
    theta = np.full(len(kernel.prior.mean), -60.0)
    theta[kernel.decision_component_count + kernel.graph_component_count] = 0.0
    for index, component in enumerate(kernel.components[: kernel.decision_component_count]):
        theta[index] = math.log(weights.get("_".join(component), 1e-30))
    return theta


def test_categories_have_an_exponentiated_hamming_kernel_with_a_weight_for_each_decision() -> None:
    space = Space(layer(part, one_of("a", "b", "c", name="p"), one_of("x", "y", name="q")))
    embedding = Embedding(space)
    kernel = ArchitectureKernel(embedding)
    x = embedding([space.architecture({"p": p, "q": q}) for p, q in (("a", "x"), ("b", "x"), ("c", "y"))])
    k = kernel(parameters_of_product_kernel(kernel, p_label=0.7, q_label=0.4), x, x)
    assert k[0] == pytest.approx([1, math.exp(-0.7), math.exp(-1.1)])
    assert k[1, 2] == pytest.approx(math.exp(-1.1)), "c is as far from b as from a"


def test_conditional_numbers_have_the_arc_kernel() -> None:
    """Swersky et al. 2013, section 3: a conditional number is at radius r and angle pi u; inactive is the origin."""
    space = Space(layer(part, one_of(off=layer(part), on=layer(part, integer(0, 4, name="n")), name="s")))
    embedding = Embedding(space)
    kernel = ArchitectureKernel(embedding)
    off, *on = embedding([space.architecture(c) for c in ({"s": "off"}, *({"s": "on", "n": n} for n in range(5)))])
    theta = parameters_of_product_kernel(kernel, n_active=0.3, n_order=2.0)
    k = kernel(theta, np.stack([off, *on]), np.stack([off, *on]))
    r = 0.5
    for n in range(5):
        chord = 2 * r**2 * (1 - math.cos(math.pi * n / 4))
        assert k[1, 1 + n] == pytest.approx(math.exp(-2.0 * chord))
        assert k[0, 1 + n] == pytest.approx(math.exp(-2.0 * r**2 - 0.3)), "inactive is equally far from all values"


def test_alternatives_that_are_numbers_have_an_order_and_strings_have_none() -> None:
    space = Space(layer(part, one_of(16, 32, 64, name="w"), one_of("16", "32", "64", name="v"), one_of(1, 2, name="b")))
    assert Embedding(space).components[:4] == [("w", "label"), ("w", "order"), ("v", "label"), ("b", "label")]


def test_labels_of_equal_alternatives_are_counted_at_any_position() -> None:
    space = Space(layer(part, *(one_of("a", "b", name=f"e{i}") for i in range(3)), one_of("a", "c", name="other")))
    embedding, _ = embed_samples(space, 1, 0)
    labels = ("aab", "aba", "bbb")
    x = embedding([space.architecture({f"e{i}": c for i, c in enumerate(row)} | {"other": "a"}) for row in labels])
    counts = x[:, embedding.component_of_column == len(embedding.components) - 1] * math.sqrt(2)
    assert counts.round(9).tolist() == [[2, 1], [2, 1], [0, 3]]


def test_weisfeiler_lehman_histograms_do_not_depend_on_the_order_of_nodes() -> None:
    level0, level1 = iterate_relabelings(*DIAMOND, depth=1)
    assert level0 == ["'in'", "'conv'", "'pool'", "'out'"]
    assert len(set(level1)) == 4
    reordered = ([DIAMOND[0][i] for i in (3, 1, 0, 2)], [(2, 1), (2, 3), (1, 0), (3, 0), (2, 0)])
    without_shortcut = (DIAMOND[0], DIAMOND[1][:-1])
    first, second, other = compute_histograms([DIAMOND, reordered, without_shortcut], depth=1).reshape(3, 2, -1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[0], other[0], "the same labels")
    assert ((first[1] - other[1]) ** 2).sum() == pytest.approx(2), (
        "at level 1 the labels of both ends of the edge differ"
    )


def test_path_encoding_of_a_cell() -> None:
    assert list_paths(*DIAMOND) == [("in", "out"), ("in", "conv", "out"), ("in", "pool", "out")]


def test_the_distance_of_path_columns_counts_different_paths() -> None:
    other = (["in", "conv", "conv", "out"], DIAMOND[1])
    one, two = encode_paths([DIAMOND, other])
    assert ((one - two) ** 2).sum() == pytest.approx(0.5), "one path is missing, and there is no other"
    assert list_paths(*DIAMOND, max_paths=1) == [("in", "out")], "the shortest"
    layers = [(2 * i + a, 2 * i + 2 + b) for i in range(39) for a in (0, 1) for b in (0, 1)]
    assert len(list_paths(["a", "b"] * 40, layers)) == 100, "of 2^40"


def test_the_graph_that_a_space_declares_is_used() -> None:
    space = Space(layer(part, one_of("a", "b", name="o")), graph=build_decision_graph)
    assert parse_graph_option(None, space).args == (build_decision_graph,)  # called through a check
    assert parse_graph_option("none", space) is None
    assert ("graph", "paths") in GaussianProcess(space, parse_objectives("accuracy"))._pool.embedding.components


def test_the_edges_of_the_decision_graph_lead_to_activated_decisions() -> None:
    space = Space(layer(part, one_of(off=layer(part), on=layer(part, one_of(3, 5, name="k")), name="s")))
    labels, edges = build_decision_graph(space.architecture({"s": "on", "k": 5}))
    assert ([label for _, label in labels], edges) == (["'on'", "5"], [(0, 1)])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (3, "graph=3 is not valid; allowed are a function of an architecture"),
        ("decision", "graph='decision'"),
        ("no.such:f", "cannot be imported"),
    ],
)
def test_an_error_names_a_wrong_graph(spec: object, message: str) -> None:
    with pytest.raises(JobError, match=message):
        parse_graph_option(spec, SPACES["conditional"]())
