"""The compiled tree: the declaration, with a path for each node, and with the name of the decision for each choice.

`build_value` evaluates the tree for an architecture. Drawings and supernets walk the same nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ogive.space.domain import Label
from ogive.user_code import USER_EXCEPTIONS


@dataclass(frozen=True)
class Constant:
    """A plain value."""

    value: Any


@dataclass(frozen=True)
class Call:
    """A layer: `factory(*args, **kwargs)`. `path` is the position in the declaration; "" is the root."""

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
    """A `one_of`: the label of `decision` selects the alternative. `path` is the position in the declaration."""

    path: str
    decision: str
    alternatives: Mapping[Label, Node]


@dataclass(frozen=True)
class ChooseSome:
    """A `some_of`: the label of `decision`, a tuple, selects the list of alternatives."""

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
    """A `repeat`: the first `times` of `items`, spliced into the surrounding list or arguments."""

    path: str
    times: Node
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Compute:
    """A derived value: `function(*operands)`."""

    function: Callable[..., Any]
    operands: tuple[Node, ...]


Node = Constant | Call | Group | Table | Choose | ChooseSome | Value | Splice | Compute


def build_value(node: Node, choices: Mapping[str, Label]) -> Any:
    """Evaluate `node` for the labels in `choices`: call the factories of all active layers.

    Raises:
        Exception: whatever a factory raises, with a note that names the position of the layer.
    """
    match node:
        case Constant(value):
            return value
        case Call(path, factory, args, kwargs):
            values = _build_items(args, choices)
            keywords = {key: build_value(value, choices) for key, value in kwargs.items()}
            try:
                return factory(*values, **keywords)
            except USER_EXCEPTIONS as error:
                error.add_note(f"while building the layer at {path or 'the root'!r} of the space")
                raise
        case Group(kind, items):
            return kind(_build_items(items, choices))
        case Table(items):
            return {key: build_value(value, choices) for key, value in items.items()}
        case Choose(_, decision, alternatives):
            return build_value(alternatives[choices[decision]], choices)
        case ChooseSome(_, decision, alternatives):
            return [build_value(alternatives[label], choices) for label in choices[decision]]
        case Value(_, decision):
            return choices[decision]
        case Compute(function, operands):
            values = [build_value(operand, choices) for operand in operands]
            try:
                return function(*values)
            except USER_EXCEPTIONS as error:
                error.add_note(f"while computing {function.__name__}({', '.join(map(repr, values))}) in the space")
                raise
        case Splice():
            return _build_items((node,), choices)


def _build_items(items: tuple[Node, ...], choices: Mapping[str, Label]) -> list[Any]:
    """Evaluate `items` in order, and splice repeats into the list."""
    values: list[Any] = []
    for item in items:
        if isinstance(item, Splice):
            times = build_value(item.times, choices)
            values.extend(_build_items(item.items[:times], choices))
        else:
            values.append(build_value(item, choices))
    return values
