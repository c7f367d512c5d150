"""Properties of every space, tested on random spaces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from random_spaces import record, seeds, spaces

from ogive import space as og
from ogive.errors import SpaceError
from ogive.space.count import count
from ogive.space.tree import build_value

properties = settings(max_examples=80, deadline=None)
ENUMERABLE = 1500


def is_close(a: og.Architecture, b: og.Architecture) -> bool:
    """Return whether two architectures are equal up to the last of ten digits of their real labels."""

    def same(x: Any, y: Any) -> bool:
        return x == y or (isinstance(x, float) and math.isclose(x, y, rel_tol=1e-8, abs_tol=1e-8))

    return set(a) == set(b) and all(same(a[name], b[name]) for name in a)


def assert_valid(space: og.Space, architecture: og.Architecture) -> None:
    """Check that the space accepts the architecture, after a round trip through JSON text."""
    copy = space.architecture(json.loads(json.dumps(architecture.to_json())))
    assert copy == architecture
    assert copy.id == architecture.id
    assert list(copy) == list(architecture)


def changed_decisions(a: og.Architecture, b: og.Architecture) -> list[str]:
    """Return the decisions that are active in both and whose labels differ."""
    return [name for name in a if name in b and a[name] != b[name]]


@properties
@given(spaces(), seeds())
def test_samples_are_valid_and_build_the_same_model_each_time(space: og.Space, rng: np.random.Generator) -> None:
    architecture = space.sample(rng)
    assert_valid(space, architecture)
    assert architecture.build() == architecture.build()


class _Reader(Mapping[str, Any]):
    """Labels for all decisions, with a record of those that were read."""

    def __init__(self, labels: Mapping[str, Any]) -> None:
        self.labels, self.read = labels, set[str]()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self.labels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


@properties
@given(spaces(), seeds())
def test_a_decision_is_active_if_and_only_if_building_reads_it(space: og.Space, rng: np.random.Generator) -> None:
    architecture = space.sample(rng)
    assert decisions_read_by_build(space, architecture, rng) == set(architecture)


def decisions_read_by_build(space: og.Space, architecture: og.Architecture, rng: np.random.Generator) -> set[str]:
    labels = {d.name: d.domain.pick(rng.random()) for d in space.decisions}
    reader = _Reader({**labels, **architecture})
    build_value(space.tree, reader)
    return reader.read


def _several(**inside: Any) -> og.Choice:
    return og.some_of((1, 2), **{label: inside.get(label, 0) for label in ("a", "b", "c")}, name="several")


def _twice_in_itself() -> Any:
    both = _several(a=og.layer(record, _several(b=og.one_of("x", "y"))), b=og.one_of(1, 2))
    return [both, og.one_of(1, 2)]


def _alone_or_with_another() -> Any:
    shared = og.one_of("x", "y", name="shared")
    return _several(a=shared, b=og.layer(record, _several(c=shared)))


def _under_different_depths() -> Any:
    width, depth = og.integer(1, 3, name="width"), og.integer(0, 3, name="depth")
    always, sometimes = og.layer(record, width), [og.one_of(yes=og.layer(record, width), no=0) for _ in range(2)]
    return [og.repeat(lambda i: always if i == 2 else sometimes[i], depth)]


def _under_parts_of_a_choice() -> Any:
    shared, op = og.one_of("x", "y", name="shared"), ("a", "b", "c")
    ops = [og.one_of(**{o: shared if o in used else 0 for o in op}, name=n) for n, used in (("p", "ab"), ("q", "c"))]
    return [*ops, og.one_of(first=ops[1], second=[ops[0], og.one_of(on=[shared], off=1)])]


@pytest.mark.parametrize(
    ("declare", "size"),
    [
        (_twice_in_itself, 2 * (1 + 2 + 1 + 2 * 2 + 1 + 2)),  # the subsets a, b, c, ab, ac, bc
        (_alone_or_with_another, 2 + 1 + 1 + 2 + 2 + 2),
        (_under_different_depths, 1 + (1 + 3) + (1 + 3 * 3) + 4 * 3),  # depth 0 to 3
        (_under_parts_of_a_choice, (7 * 2 + 2) + (9 * 2 + 7 * 2 + 2)),  # 7 of p, q open `shared`; first, second
    ],
)
def test_conditions_of_a_decision_at_several_positions(declare: Callable[[], Any], size: int) -> None:
    space, rng = og.Space(declare()), np.random.default_rng(0)
    architectures = list(space.grid())
    assert len(set(architectures)) == len(architectures) == space.size() == size
    for architecture in architectures:
        assert decisions_read_by_build(space, architecture, rng) == set(architecture)


@properties
@given(spaces(), seeds())
def test_decode_inverts_encode_and_accepts_any_vector(space: og.Space, rng: np.random.Generator) -> None:
    architectures = [space.sample(rng) for _ in range(3)]
    encoded = space.encode(architectures)
    assert encoded.shape == (3, len(space.columns()))
    assert ((encoded >= 0) & (encoded <= 1)).all()
    assert space.decode(encoded) == architectures
    distant = np.full((1, encoded.shape[1]), 1e300)
    for decoded in space.decode(np.concatenate([rng.normal(0.5, 1.0, encoded.shape), distant, -distant])):
        assert_valid(space, decoded)


@properties
@given(spaces(), seeds())
def test_a_mutation_changes_one_decision_and_those_that_it_activates(space: og.Space, rng: np.random.Generator) -> None:
    parent = space.sample(rng)
    assume(any(d.domain.size > 1 for d in space.decisions if d.name in parent))
    child = space.mutate(parent, rng)
    assert_valid(space, child)
    assert len(changed_decisions(parent, child)) == 1


@properties
@given(spaces(), seeds())
def test_a_child_has_the_label_of_a_parent_for_every_decision_that_a_parent_has(
    space: og.Space, rng: np.random.Generator
) -> None:
    a, b = space.sample(rng), space.sample(rng)
    child = space.crossover(a, b, rng)
    assert_valid(space, child)
    for name in child:
        assert child[name] in [parent[name] for parent in (a, b) if name in parent] or (name not in a and name not in b)


@properties
@given(spaces(), seeds())
def test_neighbours_differ_in_one_decision_and_are_symmetric(space: og.Space, rng: np.random.Generator) -> None:
    center = space.sample(rng)
    neighbours = list(islice(space.neighbors(center), 25))
    assert len(set(neighbours)) == len(neighbours)
    for neighbour in neighbours:
        assert_valid(space, neighbour)
        assert len(changed_decisions(center, neighbour)) == 1
        if set(neighbour) == set(center):
            assert any(is_close(center, second) for second in space.neighbors(neighbour))


@properties
@given(spaces(reals=False, depth=2))
def test_size_is_the_number_of_architectures_and_lies_within_the_bounds(space: og.Space) -> None:
    size = space.size()
    assume(size <= ENUMERABLE)
    assert isinstance(size, int)
    enumerated = list(space.grid())
    assert len(enumerated) == len(set(enumerated)) == len({a.id for a in enumerated}) == size
    for max_states in (1, 2, 3):
        match count(space.decisions, max_states=max_states):
            case og.SizeBounds(low, high):
                assert 1 <= low <= size <= high
            case exact:
                assert exact == size


@properties
@given(spaces(), seeds())
def test_a_space_read_from_a_journal_behaves_the_same(space: og.Space, rng: np.random.Generator) -> None:
    copy = og.Space.from_json(json.loads(json.dumps(space.to_json())))
    assert copy.decisions == space.decisions
    assert copy.fingerprint == space.fingerprint
    assert copy.differences(space) == []
    seed = int(rng.integers(2**32))
    a, b = (s.sample(np.random.default_rng(seed)) for s in (space, copy))
    assert (a, a.id, list(a)) == (b, b.id, list(b))
    assert (space.encode([a]) == copy.encode([b])).all()
    assert list(islice(copy.neighbors(a), 5)) == list(islice(space.neighbors(b), 5))
    with pytest.raises(SpaceError, match="holds no layers"):
        b.build()


def test_samples_are_uniform_over_labels() -> None:
    """The share of each label in 6,000 samples is within five standard deviations of its probability."""
    space = og.Space(og.layer(record, og.one_of("a", "b", "c"), og.integer(2, 8, step=3), og.some_of((1, 2), 1, 2, 3)))
    rng = np.random.default_rng(0)
    samples = [space.sample(rng) for _ in range(6000)]
    for decision in space.decisions:
        labels = list(decision.domain.enumerate_labels(0))
        p = 1 / len(labels)
        for label in labels:
            share = sum(a[decision.name] == label for a in samples) / len(samples)
            assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / len(samples))


def test_mutations_are_uniform_over_decisions_and_other_labels() -> None:
    space = og.Space([og.one_of("a", "b", "c"), og.some_of(1, 1, 2, 3), og.integer(1, 3), og.one_of("only")])
    parent = space.architecture({"0": "b", "1": [3], "2": 2, "3": "only"})
    rng = np.random.default_rng(0)
    children = [space.mutate(parent, rng) for _ in range(3000)]
    assert set(children) == set(space.neighbors(parent))
    for child in set(children):
        assert abs(children.count(child) / 3000 - 1 / 6) < 5 * math.sqrt(1 / 6 * 5 / 6 / 3000)


def test_children_have_labels_of_both_parents() -> None:
    space = og.Space([og.integer(1, 9) for _ in range(8)])
    a, b = (space.architecture({str(i): n for i in range(8)}) for n in (1, 9))
    children = [space.crossover(a, b, np.random.default_rng(seed)) for seed in range(50)]
    assert len(set(children)) > 40


@example(1, 9, 2, 0.0)
@example(1, 1, 5, 0.999999)
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 50), st.integers(0, 10**6), st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_labels_of_integers_on_a_log_scale_survive_parsing_and_encoding(
    low: int, span: int, step: int, u: float
) -> None:
    domain = og.integer(low, low + span, step=step, log=True).domain
    assert domain.parse(domain.pick(u)) == domain.pick(u)
    assert domain.decode(domain.encode([domain.pick(u)])) == [domain.pick(u)]
    assert domain.pick(0.0) == low


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
    st.floats(1e-3, 1e6),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
def test_labels_of_real_numbers_survive_json_and_encoding(low: float, span: float, log: bool, u: float) -> None:
    low = abs(low) + 0.001 if log else low
    span += low / 10 if log else 0.0
    domain = og.real(low, low + span, log=log).domain
    label = domain.pick(u)
    assert low <= label <= low + span
    assert domain.parse(json.loads(json.dumps(label))) == label
    assert domain.decode(domain.encode([label])) == [label]
    for other in domain.neighbors(label):
        assert any(math.isclose(label, neighbour, abs_tol=1e-8 * span) for neighbour in domain.neighbors(other))
