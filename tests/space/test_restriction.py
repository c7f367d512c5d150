"""A restricted space holds exactly those architectures of the wider one that keep to what is left."""

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


def kept(architecture: og.Architecture, domains: dict[str, Any], only: dict[str, list[Any]]) -> bool:
    for name, left in only.items():
        if name in architecture:
            label = architecture[name]
            if isinstance(domains[name], IntegerRange):
                good = left[0] <= label <= left[1]
            else:
                good = set(label) <= set(left) if isinstance(label, tuple) else label in left
            if not good:
                return False
    return True


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_is_left_is_what_a_filter_of_the_whole_space_leaves(data: st.DataObject) -> None:
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
    expected = {key(a.to_json()) for a in whole.grid() if kept(a, domains, only)}
    narrow = whole.restricted(only)
    found = list(narrow.grid())
    assert {key(a.to_json()) for a in found} == expected
    assert narrow.size() == len(expected) == len(found)
    for architecture in found[:5]:
        wide = whole.architecture(architecture.to_json())
        assert wide.id == architecture.id
        assert wide.build() == architecture.build()
    rng = np.random.default_rng(0)
    sample = narrow.sample(rng)
    assert narrow.decode(narrow.encode([sample])) == [sample]


def test_another_fingerprint_the_same_constraint_and_canonical_form() -> None:
    whole = space(constraint=lambda a: "no" if a["width"] == 16 else None, canonical=lambda a: a["width"])
    narrow = whole.restricted({"depth": [1, 1]})
    assert narrow.fingerprint != whole.fingerprint
    assert {a["width"] for a in narrow.grid()} == {8}
    assert narrow.restricted({"some": ["a"]}).size() == whole.restricted({"some": ["a"], "depth": [1, 1]}).size()


def test_a_space_read_from_a_journal_can_be_restricted() -> None:
    read = og.Space.from_json(space().to_json())
    assert read.restricted({"depth": [2, 2]}).size() == space().restricted({"depth": [2, 2]}).size()


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"widht": [8]}, "there is no decision 'widht'; did you mean 'width'?"),
        ({"width": [12]}, "decision 'width': 12 is not one of 8, 16"),
        ({"width": []}, r"decision 'width': \[\] is no list of labels that are left"),
        ({"width": "8"}, "decision 'width': '8' is no list"),
        ({"depth": [1, 2, 3]}, r"decision 'depth': \[1, 2, 3\] are not the two ends of what is left, such as \[1, 3\]"),
        ({"depth": [3, 2]}, "the lower end comes first"),
        ({"depth": [0, 2]}, "0 is not a whole number from 1 to 3"),
    ],
)
def test_what_cannot_be_left_is_told(only: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        space().restricted(only)
