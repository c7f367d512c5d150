"""A restricted space contains exactly those architectures of the whole space whose labels were kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ogive as og
from ogive.errors import SpaceError
from ogive.space.domain import Categorical, IntegerRange, Subset


def block(i: int) -> Any:
    return og.one_of(plain=og.layer(dict, kernel=og.one_of(3, 5, 7)), pool=og.layer(dict, size=og.integer(2, 3)))


def space(**more: Any) -> og.Space:
    blocks = og.layer(dict, inner=[og.repeat(block, times=og.integer(1, 3, name="depth"))])
    some = og.some_of((1, 2), a=1, b=2, c=3, name="some")
    return og.Space(og.layer(dict, blocks=blocks, some=some, width=og.one_of(8, 16, name="width")), **more)


def key(choices: Any) -> frozenset[tuple[str, Any]]:
    return frozenset((name, tuple(label) if isinstance(label, list) else label) for name, label in choices.items())


def is_kept(architecture: og.Architecture, domains: dict[str, Any], only: dict[str, list[Any]]) -> bool:
    for name, labels in only.items():
        if name in architecture:
            label = architecture[name]
            if isinstance(domains[name], IntegerRange):
                allowed = labels[0] <= label <= labels[1]
            else:
                allowed = set(label) <= set(labels) if isinstance(label, tuple) else label in labels
            if not allowed:
                return False
    return True


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_restricted_space_is_the_filtered_whole_space(data: st.DataObject) -> None:
    whole = space()
    only: dict[str, list[Any]] = {}
    for decision in data.draw(st.lists(st.sampled_from(whole.decisions), unique=True, max_size=4)):
        domain = decision.domain
        if isinstance(domain, IntegerRange):
            ends = data.draw(st.tuples(*[st.integers(domain.low, domain.high)] * 2))
            only[decision.name] = sorted(ends)
        else:
            assert isinstance(domain, (Categorical, Subset))
            only[decision.name] = data.draw(st.lists(st.sampled_from(domain.labels), min_size=1, unique=True))
    domains = {decision.name: decision.domain for decision in whole.decisions}
    expected = {key(a.to_json()) for a in whole.grid() if is_kept(a, domains, only)}
    narrow = whole.restricted(only)
    architectures = list(narrow.grid())
    assert {key(a.to_json()) for a in architectures} == expected
    assert narrow.size() == len(expected) == len(architectures)
    for architecture in architectures[:5]:
        wide = whole.architecture(architecture.to_json())
        assert wide.id == architecture.id
        assert wide.build() == architecture.build()
    rng = np.random.default_rng(0)
    sample = narrow.sample(rng)
    assert narrow.decode(narrow.encode([sample])) == [sample]


def test_a_restricted_space_has_another_fingerprint_and_the_same_constraint_and_canonical_form() -> None:
    whole = space(constraint=lambda a: "no" if a["width"] == 16 else None, canonical=lambda a: a["width"])
    narrow = whole.restricted({"depth": [1, 1]})
    assert narrow.fingerprint != whole.fingerprint
    assert {a["width"] for a in narrow.grid()} == {8}
    assert narrow.restricted({"some": ["a"]}).size() == whole.restricted({"some": ["a"], "depth": [1, 1]}).size()


def test_a_space_read_from_a_journal_can_be_restricted() -> None:
    read = og.Space.from_json(space().to_json())
    assert read.restricted({"depth": [2, 2]}).size() == space().restricted({"depth": [2, 2]}).size()
    restrictions = [{"depth": [2, 2]}, {"depth": [1, 2]}, {"width": [8]}]
    fingerprints = [read.restricted(only).fingerprint for only in restrictions]
    assert len({read.fingerprint, *fingerprints}) == 4
    assert read.restricted({"depth": [2, 2]}).fingerprint == fingerprints[0]


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"widht": [8]}, "there is no decision 'widht'; did you mean 'width'?"),
        ({"width": [12]}, "decision 'width': 12 is not one of 8, 16"),
        ({"width": []}, r"decision 'width': \[\] is not a list of at least one label to keep"),
        ({"width": "8"}, "decision 'width': '8' is not a list of at least one label to keep"),
        ({"depth": [1, 2, 3]}, r"decision 'depth': \[1, 2, 3\] are not the two ends of a range, such as \[1, 3\]"),
        ({"depth": [3, 2]}, "the lower end comes first"),
        ({"depth": [0, 2]}, "0 is not a whole number from 1 to 3"),
    ],
)
def test_an_invalid_restriction_raises_with_its_reason(only: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        space().restricted(only)
