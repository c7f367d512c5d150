"""Kernels: positive semi-definite on any space, equal to their closed forms, and to a hand count of Weisfeiler-Lehman."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from ogive.errors import JobError
from ogive.objective import objectives
from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of
from ogive.strategy.gaussian_process import GaussianProcess
from ogive.surrogates.architecture_kernel import ArchitectureKernel, Embedding
from ogive.surrogates.graph_features import decision_graph, graph_of, histograms, path_columns, paths, relabelled
from ogive.testing.spaces import SPACES, part

DIAMOND = (["in", "conv", "pool", "out"], [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)])


def embedded(space: Space, n: int, seed: int, graph: object = None) -> tuple[Embedding, np.ndarray]:
    embedding = Embedding(space, graph_of(graph, space), depth=2)
    rng = generator(seed)
    return embedding, embedding([space.sample(rng) for _ in range(n)])


@given(hs.sampled_from(sorted(SPACES)), hs.integers(0, 10**6), hs.sampled_from([None, "decisions"]))
@settings(max_examples=40, deadline=None)
def test_positive_semi_definite_whatever_the_parameters(name: str, seed: int, graph: str | None) -> None:
    embedding, x = embedded(SPACES[name](), 24, seed, graph)
    kernel = ArchitectureKernel(embedding)
    theta = kernel.prior.mean + 2 * kernel.prior.deviation * generator(seed).standard_normal(len(kernel.prior.mean))
    k = kernel(theta, x, x)
    np.testing.assert_allclose(k, k.T, atol=1e-9 * k.max())
    np.testing.assert_allclose(np.diag(k), kernel.diagonal(theta, x), rtol=1e-9)
    assert np.linalg.eigvalsh(k).min() > -1e-9 * k.max() * len(k)


def product_only(kernel: ArchitectureKernel, **weights: float) -> np.ndarray:
    """Parameters with s_1 = 1 and next to nothing else; weights of components by "decision kind"."""
    theta = np.full(len(kernel.prior.mean), -60.0)
    theta[kernel.C + kernel.H] = 0.0
    for place, component in enumerate(kernel_components(kernel)):
        theta[place] = math.log(weights.get("_".join(component), 1e-30))
    return theta


def kernel_components(kernel: ArchitectureKernel) -> list[tuple[str, str]]:
    return kernel.components[: kernel.C]


def test_categories_are_exponentiated_hamming_distance_with_a_weight_for_each_decision() -> None:
    space = Space(layer(part, one_of("a", "b", "c", name="p"), one_of("x", "y", name="q")))
    embedding = Embedding(space)
    kernel = ArchitectureKernel(embedding)
    x = embedding([space.architecture({"p": p, "q": q}) for p, q in (("a", "x"), ("b", "x"), ("c", "y"))])
    k = kernel(product_only(kernel, p_label=0.7, q_label=0.4), x, x)
    assert k[0] == pytest.approx([1, math.exp(-0.7), math.exp(-1.1)])
    assert k[1, 2] == pytest.approx(math.exp(-1.1)), "c is as far from b as from a"


def test_numbers_and_activity_are_the_arc_kernel() -> None:
    """Swersky et al. 2013, section 3: a conditional number is at radius r and angle pi u; inactive is the origin."""
    space = Space(layer(part, one_of(off=layer(part), on=layer(part, integer(0, 4, name="n")), name="s")))
    embedding = Embedding(space)
    kernel = ArchitectureKernel(embedding)
    off, *on = embedding([space.architecture(c) for c in ({"s": "off"}, *({"s": "on", "n": n} for n in range(5)))])
    theta = product_only(kernel, n_active=0.3, n_order=2.0)
    k = kernel(theta, np.stack([off, *on]), np.stack([off, *on]))
    r = 0.5
    for n in range(5):
        chord = 2 * r**2 * (1 - math.cos(math.pi * n / 4))
        assert k[1, 1 + n] == pytest.approx(math.exp(-2.0 * chord))
        assert k[0, 1 + n] == pytest.approx(math.exp(-2.0 * r**2 - 0.3)), "inactive is equally far from all values"


def test_alternatives_that_are_numbers_have_an_order_and_words_have_none() -> None:
    space = Space(layer(part, one_of(16, 32, 64, name="w"), one_of("16", "32", "64", name="v"), one_of(1, 2, name="b")))
    assert Embedding(space).components[:4] == [("w", "label"), ("w", "order"), ("v", "label"), ("b", "label")]


def test_labels_of_equal_alternatives_are_counted_wherever_they_stand() -> None:
    space = Space(layer(part, *(one_of("a", "b", name=f"e{i}") for i in range(3)), one_of("a", "c", name="other")))
    embedding, _ = embedded(space, 1, 0)
    labels = ("aab", "aba", "bbb")
    x = embedding([space.architecture({f"e{i}": c for i, c in enumerate(row)} | {"other": "a"}) for row in labels])
    counts = x[:, embedding.component == len(embedding.components) - 1] * math.sqrt(2)
    assert counts.round(9).tolist() == [[2, 1], [2, 1], [0, 3]]


def test_weisfeiler_lehman_by_hand_and_blind_to_the_order_of_nodes() -> None:
    level0, level1 = relabelled(*DIAMOND, depth=1)
    assert level0 == ["'in'", "'conv'", "'pool'", "'out'"]
    assert len(set(level1)) == 4
    turned = ([DIAMOND[0][i] for i in (3, 1, 0, 2)], [(2, 1), (2, 3), (1, 0), (3, 0), (2, 0)])
    without_shortcut = (DIAMOND[0], DIAMOND[1][:-1])
    same, again, other = histograms([DIAMOND, turned, without_shortcut], depth=1).reshape(3, 2, -1)
    np.testing.assert_array_equal(same, again)
    np.testing.assert_array_equal(same[0], other[0], "the same labels")
    assert ((same[1] - other[1]) ** 2).sum() == pytest.approx(2), "at level 1 the two ends of the edge are others"


def test_path_encoding_of_a_cell() -> None:
    assert paths(*DIAMOND) == [("in", "out"), ("in", "conv", "out"), ("in", "pool", "out")]


def test_a_path_that_stands_for_another_is_one_unit_away() -> None:
    other = (["in", "conv", "conv", "out"], DIAMOND[1])
    one, two = path_columns([DIAMOND, other])
    assert ((one - two) ** 2).sum() == pytest.approx(0.5), "one path is gone, and no other is there"
    fewest = paths(*DIAMOND, most=1)
    assert fewest == [("in", "out")], "the shortest"
    layers = [(2 * i + a, 2 * i + 2 + b) for i in range(39) for a in (0, 1) for b in (0, 1)]
    assert len(paths(["a", "b"] * 40, layers)) == 100, "of 2^40"


def test_a_space_brings_its_graph_along() -> None:
    space = Space(layer(part, one_of("a", "b", name="o")), graph=decision_graph)
    assert graph_of(None, space).args == (decision_graph,)  # called through a check
    assert graph_of("none", space) is None
    assert ("graph", "paths") in GaussianProcess(space, objectives("accuracy"))._source.embedding.components


def test_the_graph_of_decisions_follows_what_activates_what() -> None:
    space = Space(layer(part, one_of(off=layer(part), on=layer(part, one_of(3, 5, name="k")), name="s")))
    labels, edges = decision_graph(space.architecture({"s": "on", "k": 5}))
    assert ([label for _, label in labels], edges) == (["'on'", "5"], [(0, 1)])


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (3, "graph=3: a function of an architecture"),
        ("decision", "graph='decision'"),
        ("no.such:f", "cannot be imported"),
    ],
)
def test_a_wrong_graph_is_named(spec: object, text: str) -> None:
    with pytest.raises(JobError, match=text):
        graph_of(spec, SPACES["conditional"]())
