"""Errors in a declaration or an architecture name its position and how to fix it."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from random_spaces import record
from torch import nn

from ogive import space as og
from ogive.errors import SpaceError, UserCodeError

CHOICE = og.one_of(1, 2)


def cyclic() -> og.Space:
    """x activates y in one branch, y activates x in the other."""
    x = og.one_of(a=og.layer(record, og.one_of(c=1, d=2, name="y")), b=0, name="x")
    y = og.one_of(c=og.layer(record, og.one_of(a=1, b=2, name="x")), d=0, name="y")
    return og.Space(og.one_of(first=og.layer(record, x), second=og.layer(record, y)))


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "truth of a choice": (lambda: 1 if CHOICE else 2, "no truth value .* Move the `if` into the factory"),
    "comparison": (lambda: 1 if CHOICE == 1 else 2, "no truth value"),
    "maximum": (lambda: max(CHOICE, 3), "no truth value"),
    "iteration": (lambda: list(og.layer(record)), "cannot be iterated"),
    "two argument positions": (
        lambda: og.Space(og.layer(record, CHOICE, key=CHOICE)),
        "'0' and 'key': name the choice .* or write two choices",
    ),
    "derived at two argument positions": (
        lambda: og.Space((lambda d: og.layer(record, d, d + 1))(CHOICE * 2)),
        "two argument positions",
    ),
    "times at two positions": (
        lambda: og.Space(og.layer(record, og.repeat(1, CHOICE), og.repeat(2, CHOICE))),
        "two argument positions, '0.times' and '1.times'",
    ),
    "label clash": (
        lambda: og.one_of(og.layer(record), og.layer(record, 2)),
        "two alternatives have the label 'record'",
    ),
    "label clash in JSON": (lambda: og.one_of(1, "1"), "label '1'"),
    "label clash of a truth value": (lambda: og.one_of(1, True), "label True"),
    "no alternative": (lambda: og.one_of(), "at least one alternative"),
    "no label": (lambda: og.one_of([1], [2]), r"\[1\] needs a label"),
    "label that is not JSON": (lambda: og.one_of(1.0, math.inf), "cannot be a label"),
    "a name for two choices": (
        lambda: og.Space(og.layer(record, og.one_of(1, 2, name="w"), [og.one_of(1, 3, name="w")])),
        r"'w' is used for .*\[1, 2\].* at '0' and for .*\[1, 3\].* at '1.0': use the same labels",
    ),
    "a name that is a path": (
        lambda: og.Space(og.layer(record, og.one_of(1, 2), og.one_of(1, 2, name="0"))),
        "two choices are called '0'",
    ),
    "one path for two keys": (
        lambda: og.Space({1: og.one_of(1, 2), "1": og.one_of(1, 2)}),
        "two choices are called '1'",
    ),
    "empty name": (lambda: og.one_of(1, name=""), "non-empty string"),
    "repeat as a keyword": (lambda: og.Space(og.layer(record, key=og.repeat(1, 2))), "at 'key': .*wrap it"),
    "repeat as a root": (lambda: og.Space(og.repeat(1, 2)), "the root.*wrap it"),
    "repeat as an alternative": (lambda: og.Space(og.one_of(a=og.repeat(1, 2))), "at 'a'.*wrap it"),
    "repeat in a repeat": (lambda: og.Space([og.repeat(og.repeat(1, 2), 2)]), "directly in a repeat"),
    "repeat of a class": (lambda: og.repeat(dict, 2), r"write repeat\(layer\(dict"),
    "times": (lambda: og.repeat(1, og.one_of("few", "many")), "times must be a whole number"),
    "negative times": (lambda: og.repeat(1, og.integer(-1, 2)), "times must be a whole number"),
    "not a factory": (lambda: og.layer(3), "first argument must be a class or a function"),
    "choice of a class": (lambda: og.layer(og.one_of(record, dict)), "make each alternative a layer instead"),
    "layer of a layer": (lambda: og.layer(og.layer(record)), "first argument must be a class or a function"),
    "a module, not a layer": (lambda: og.Space(og.layer(nn.Sequential, nn.ReLU())), r"'0'.*write layer\(nn.ReLU"),
    "a choice in a set": (lambda: og.Space(og.layer(record, {CHOICE})), "choices inside .* at '0'"),
    "a choice as a key": (lambda: og.Space(og.layer(record, {CHOICE: 1})), "choices inside .* at '0'"),
    "a choice in an OrderedDict": (lambda: og.Space(og.layer(record, OrderedDict(a=CHOICE))), "plain lists, tuples"),
    "a choice in a partial": (lambda: og.Space(og.layer(partial(record, CHOICE))), "in a partial"),
    "a cycle": (cyclic, "activate one another: x -> y -> x"),
    "empty range": (lambda: og.integer(3, 2), "low <= high"),
    "log of zero": (lambda: og.integer(0, 2, log=True), "low >= 1 for log"),
    "beyond exact vectors": (lambda: og.integer(0, 10**15), "10\\*\\*12"),
    "fractions": (lambda: og.integer(1, 2.5), "whole numbers"),  # type: ignore[arg-type]
    "empty interval": (lambda: og.real(1, 1), "low < high"),
    "infinite interval": (lambda: og.real(0, math.inf), "finite"),
    "interval wider than a float": (lambda: og.real(-1e308, 1e308), "finite"),
    "more than there are": (lambda: og.some_of(3, 1, 2), "between 0 and the number of alternatives, 2"),
    "example input": (lambda: og.Space(1, example_input=(1, "a")), "shape of one input"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_declaration_raises_with_its_position(mistake: str) -> None:
    declare, message = MISTAKES[mistake]
    with pytest.raises(SpaceError, match=re.compile(message, re.DOTALL)):
        declare()


SPACE = og.Space(
    og.layer(
        record,
        kernel=og.one_of(3, 5),
        depth=og.integer(1, 9, step=2),
        rate=og.real(0, 1),
        ops=og.some_of((1, 2), "a", "b", "c"),
        op=og.one_of(conv=og.layer(record, og.one_of("x", "y", name="inner")), skip=None),
    )
)
RIGHT = {"kernel": 3, "depth": 5, "rate": 0.5, "ops": ["a", "b"], "op": "skip"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernal": 3}, "no decision 'kernal'; did you mean 'kernel'"),
        ({"zzz": 3}, "no decision 'zzz'; the decisions are kernel, depth"),
        ({"kernel": 4}, "'kernel': 4 is not one of 3, 5"),
        ({"kernel": [3]}, "'kernel': .* is not one of 3, 5"),
        ({"depth": 4}, "'depth': 4 is not a whole number from 1 to 9 in steps of 2"),
        ({"depth": math.inf}, "inf is not a whole number"),
        ({"depth": math.nan}, "nan is not a whole number"),
        ({"depth": True}, "True is not a whole number"),
        ({"depth": "5"}, "'5' is not a whole number"),
        ({"rate": 1.01}, "1.01 is not a number from 0.0 to 1.0"),
        ({"rate": math.nan}, "nan is not a number"),
        ({"ops": ["a", "a"]}, "not a list of different labels of 'a', 'b', 'c'"),
        ({"ops": [["a"]]}, "not a list of different labels"),
        ({"ops": "ab"}, "not a list of different labels"),
        ({"ops": []}, "has 0 labels; 1 to 2 are allowed"),
        ({"op": "conv"}, "decision 'inner' is missing; its labels are 'x', 'y'"),
        ({"inner": "x"}, "decision 'inner' is not active with the other labels"),
    ],
)
def test_an_invalid_architecture_raises_with_its_reason(wrong: dict[str, Any], message: str) -> None:
    assert SPACE.architecture(RIGHT)
    with pytest.raises(SpaceError, match=message):
        SPACE.architecture({**RIGHT, **wrong})


def test_labels_can_have_equivalent_types() -> None:
    equivalents = {"kernel": np.int64(3), "depth": 5.0, "rate": np.float32(0.5), "ops": {"b", "a"}}
    assert SPACE.architecture({**RIGHT, **equivalents}).to_json() == RIGHT


def test_a_missing_decision_is_named() -> None:
    with pytest.raises(SpaceError, match=r"'depth' is missing; it is a number from 1 to 9"):
        SPACE.architecture({k: v for k, v in RIGHT.items() if k != "depth"})


def test_the_error_of_a_constraint_that_allows_nothing_has_its_reason_and_count() -> None:
    space = og.Space(og.one_of(1, 2, name="a"), constraint=lambda a: f"{a['a']} is too wide")
    rng, architecture = np.random.default_rng(0), space.architecture({"a": 1})
    for generate in (
        lambda: space.sample(rng),
        lambda: space.mutate(architecture, rng),
        lambda: space.crossover(architecture, architecture, rng),
    ):
        with pytest.raises(SpaceError, match=r"allows none of 1000 .*; main reason \(\d+ times\): [12] is too wide"):
            generate()


def test_a_constraint_that_returns_a_bool_raises() -> None:
    space = og.Space(og.one_of(1, 2), constraint=lambda a: False)  # type: ignore[arg-type,return-value]
    with pytest.raises(
        UserCodeError, match=r"constraint .*<lambda>\(\) returned False,\n.*\n  for the architecture root="
    ):
        space.sample(np.random.default_rng(0))


def test_a_mutation_without_alternatives_raises() -> None:
    space = og.Space(og.one_of("only"))
    with pytest.raises(SpaceError, match="cannot be mutated"):
        space.mutate(space.sample(np.random.default_rng(0)), np.random.default_rng(0))


@pytest.mark.parametrize("encoded", [np.zeros(9), np.zeros((2, 3)), np.full((1, 9), np.nan)])
def test_a_vector_of_wrong_shape_raises(encoded: np.ndarray) -> None:
    assert len(SPACE.columns()) == 11
    with pytest.raises(SpaceError, match=r"shape \[n, 11\] without NaN"):
        SPACE.decode(encoded)


def test_an_error_of_a_factory_has_a_note_with_its_position() -> None:
    def narrow(width: int) -> None:
        raise ValueError("too narrow")

    space = og.Space(og.layer(record, [og.one_of(conv=og.layer(narrow, og.one_of(1, 2)))]))
    with pytest.raises(ValueError, match="too narrow") as caught:
        space.sample(np.random.default_rng(0)).build()
    assert caught.value.__notes__ == ["while building the layer at '0.0.conv' of the space"]


def test_an_error_of_a_derived_value_has_a_note_with_its_operands() -> None:
    space = og.Space(og.layer(record, 8 // og.one_of(0)))
    with pytest.raises(ZeroDivisionError) as caught:
        next(space.grid()).build()
    assert "floordiv(8, 0)" in caught.value.__notes__[0]
