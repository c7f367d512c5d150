"""The compiled tree: the declaration with every place named and every open choice tied to its decision.

`realise` evaluates it for an architecture. Drawings and supernets walk the same nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ogive.space.domain import Label
from ogive.user_code import RAISED


@dataclass(frozen=True)
class Constant:
    """A plain value."""

    value: Any


@dataclass(frozen=True)
class Call:
    """A layer: `factory(*args, **kwargs)`. `path` is its place in the declaration, "" for the root."""

    path: str
    factory: Callable[..., Any]
    args: tuple[Node, ...]
    kwargs: Mapping[str, Node]


@dataclass(frozen=True)
class Group:
    """A list or a tuple of nodes."""

    kind: type
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Table:
    """A dict of nodes."""

    items: Mapping[Any, Node]


@dataclass(frozen=True)
class Choose:
    """A `one_of`: the alternative behind the label of `decision`. `path` is its place."""

    path: str
    decision: str
    alternatives: Mapping[Label, Node]


@dataclass(frozen=True)
class ChooseSome:
    """A `some_of`: the list of the alternatives behind the labels of `decision`."""

    path: str
    decision: str
    alternatives: Mapping[Label, Node]


@dataclass(frozen=True)
class Value:
    """An `integer` or a `real`: the label of `decision` itself."""

    path: str
    decision: str


@dataclass(frozen=True)
class Splice:
    """A `repeat`: the first `times` of `items`, spliced into what holds it."""

    path: str
    times: Node
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Compute:
    """A derived value: `function(*operands)`."""

    function: Callable[..., Any]
    operands: tuple[Node, ...]


Node = Constant | Call | Group | Table | Choose | ChooseSome | Value | Splice | Compute


def realise(node: Node, choices: Mapping[str, Label]) -> Any:
    """Evaluate `node` for the labels in `choices`, calling every factory on the way.

    Raises whatever a factory raises, with a note that names the layer's place.
    """
    match node:
        case Constant(value):
            return value
        case Call(path, factory, args, kwargs):
            values = realise_items(args, choices)
            keywords = {key: realise(value, choices) for key, value in kwargs.items()}
            try:
                return factory(*values, **keywords)
            except RAISED as error:
                error.add_note(f"while building the layer at {path or 'the root'!r} of the space")
                raise
        case Group(kind, items):
            return kind(realise_items(items, choices))
        case Table(items):
            return {key: realise(value, choices) for key, value in items.items()}
        case Choose(_, decision, alternatives):
            return realise(alternatives[choices[decision]], choices)
        case ChooseSome(_, decision, alternatives):
            return [realise(alternatives[label], choices) for label in choices[decision]]
        case Value(_, decision):
            return choices[decision]
        case Compute(function, operands):
            operated = [realise(operand, choices) for operand in operands]
            try:
                return function(*operated)
            except RAISED as error:
                error.add_note(f"while computing {function.__name__}({', '.join(map(repr, operated))}) in the space")
                raise
        case Splice():
            return realise_items((node,), choices)


def realise_items(items: tuple[Node, ...], choices: Mapping[str, Label]) -> list[Any]:
    """Evaluate nodes in order, splicing repeats."""
    values: list[Any] = []
    for item in items:
        if isinstance(item, Splice):
            times = realise(item.times, choices)
            values.extend(realise_items(item.items[:times], choices))
        else:
            values.append(realise(item, choices))
    return values
