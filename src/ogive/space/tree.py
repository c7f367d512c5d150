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
class ConstantNode:
    """A plain value."""

    value: Any


@dataclass(frozen=True)
class LayerNode:
    """A layer: `factory(*args, **kwargs)`. `path` is the position in the declaration; "" is the root."""

    path: str
    factory: Callable[..., Any]
    args: tuple[Node, ...]
    kwargs: Mapping[str, Node]


@dataclass(frozen=True)
class SequenceNode:
    """A list or a tuple of nodes."""

    kind: type
    items: tuple[Node, ...]


@dataclass(frozen=True)
class DictNode:
    """A dict of nodes."""

    items: Mapping[Any, Node]


@dataclass(frozen=True)
class OneOfNode:
    """A `one_of`: the label of `decision` selects the alternative. `path` is the position in the declaration."""

    path: str
    decision: str
    alternatives: Mapping[Label, Node]


@dataclass(frozen=True)
class SomeOfNode:
    """A `some_of`: the label of `decision`, a tuple, selects the list of alternatives."""

    path: str
    decision: str
    alternatives: Mapping[Label, Node]


@dataclass(frozen=True)
class NumberNode:
    """An `integer` or a `real`: the label of `decision` itself."""

    path: str
    decision: str


@dataclass(frozen=True)
class RepeatNode:
    """A `repeat`: the first `times` of `items`, spliced into the surrounding list or arguments."""

    path: str
    times: Node
    items: tuple[Node, ...]


@dataclass(frozen=True)
class DerivedNode:
    """A derived value: `function(*operands)`."""

    function: Callable[..., Any]
    operands: tuple[Node, ...]


Node = (
    ConstantNode | LayerNode | SequenceNode | DictNode | OneOfNode | SomeOfNode | NumberNode | RepeatNode | DerivedNode
)


def build_value(node: Node, labels: Mapping[str, Label]) -> Any:
    """Evaluate `node` for these labels of an architecture: call the factories of all active layers.

    Raises:
        Exception: whatever a factory raises, with a note that names the position of the layer.
    """
    match node:
        case ConstantNode(value):
            return value
        case LayerNode(path, factory, args, kwargs):
            values = _build_items(args, labels)
            keywords = {key: build_value(value, labels) for key, value in kwargs.items()}
            try:
                return factory(*values, **keywords)
            except USER_EXCEPTIONS as error:
                error.add_note(f"while building the layer at {path or 'the root'!r} of the space")
                raise
        case SequenceNode(kind, items):
            return kind(_build_items(items, labels))
        case DictNode(items):
            return {key: build_value(value, labels) for key, value in items.items()}
        case OneOfNode(_, decision, alternatives):
            return build_value(alternatives[labels[decision]], labels)
        case SomeOfNode(_, decision, alternatives):
            return [build_value(alternatives[label], labels) for label in labels[decision]]
        case NumberNode(_, decision):
            return labels[decision]
        case DerivedNode(function, operands):
            values = [build_value(operand, labels) for operand in operands]
            try:
                return function(*values)
            except USER_EXCEPTIONS as error:
                error.add_note(f"while computing {function.__name__}({', '.join(map(repr, values))}) in the space")
                raise
        # Not reached in a compiled tree, in which every repeat is an item of a list or an argument (see _build_items).
        case RepeatNode():
            return _build_items((node,), labels)


def _build_items(items: tuple[Node, ...], labels: Mapping[str, Label]) -> list[Any]:
    """Evaluate `items` in order, and splice repeats into the list."""
    values: list[Any] = []
    for item in items:
        if isinstance(item, RepeatNode):
            times = build_value(item.times, labels)
            values.extend(_build_items(item.items[:times], labels))
        else:
            values.append(build_value(item, labels))
    return values
