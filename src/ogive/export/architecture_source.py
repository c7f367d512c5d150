"""Format an architecture as Python source: the nested calls that build its model without Ogive."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ogive.export.literals import (
    NoSource,
    ReferenceFormatter,
    format_call,
    format_items,
    format_literal,
    format_sequence,
)
from ogive.source.objects import get_display_name
from ogive.space.domain import Label
from ogive.space.tree import (
    ConstantNode,
    DerivedNode,
    DictNode,
    LayerNode,
    Node,
    NumberNode,
    OneOfNode,
    RepeatNode,
    SequenceNode,
    SomeOfNode,
    build_value,
)

WRITABLE_VALUES = (
    "numbers, texts, tensors, arrays, members of enums, dataclasses, classes and functions of modules, and lists, tuples, "
    "sets and dicts of these"
)


class UnwritableArgument(NoSource):
    """The error for an argument of a layer that cannot be written as source. The message lists values that can be."""


def format_expression(node: Node, labels: Mapping[str, Label], refer: ReferenceFormatter) -> str:
    """Return the source of an expression with the value of `build_value(node, labels)`.

    Args:
        node: a node of the space's tree.
        labels: the labels of the architecture.
        refer: a function that returns the dotted name of a class or function.

    Raises:
        NoSource: a value in the expression cannot be written as source.
        RunError: `refer` raises it.
    """
    format_node = functools.partial(format_expression, labels=labels, refer=refer)
    match node:
        case ConstantNode(value):
            return format_literal(value, refer)
        case LayerNode():
            return _format_layer(node, labels, refer)
        case SequenceNode(kind, items):
            return format_sequence(kind, [format_node(item) for item in _expand_splices(items, labels)])
        case DictNode(items):
            return format_items("{", [f"{format_literal(k, refer)}: {format_node(v)}" for k, v in items.items()], "}")
        case OneOfNode(_, decision, alternatives):
            return format_node(alternatives[labels[decision]])
        case SomeOfNode(_, decision, alternatives):
            selected: Any = labels[decision]
            return format_sequence(list, [format_node(alternatives[label]) for label in selected])
        case NumberNode() | DerivedNode():
            return format_literal(build_value(node, labels), refer)
        case RepeatNode():
            return format_sequence(list, [format_node(item) for item in _expand_splices((node,), labels)])


def _format_layer(node: LayerNode, labels: Mapping[str, Label], refer: ReferenceFormatter) -> str:
    """Return the source of the call that makes a layer.

    Raises:
        UnwritableArgument: an argument cannot be written as source.
    """

    def format_argument(argument: str, value: Node) -> str:
        """Return the source of an argument; an error calls it `argument`: its name in quotes, or its position from 1."""
        try:
            return format_expression(value, labels, refer)
        except UnwritableArgument:  # the argument belongs to a layer inside this one, and the message names it already
            raise
        except NoSource as error:
            location = f" at {node.path!r} of the space" if node.path else ""
            raise UnwritableArgument(
                f"argument {argument} of the layer {get_display_name(node.factory)}{location}: {error}; "
                f"values that can be written: {WRITABLE_VALUES}"
            ) from error

    names = _list_positional_parameters(node.factory)
    positional = [
        format_argument(repr(names[i]) if i < len(names) else str(i + 1), value)
        for i, value in enumerate(_expand_splices(node.args, labels))
    ]
    keywords = [f"{key}={format_argument(repr(key), value)}" for key, value in node.kwargs.items()]
    return format_call(format_literal(node.factory, refer), [*positional, *keywords])


def _list_positional_parameters(factory: Callable[..., Any]) -> list[str]:
    """Return the names of a factory's positional parameters; empty if it has no signature."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _expand_splices(items: Iterable[Node], labels: Mapping[str, Label]) -> Iterator[Node]:
    """Yield the items. In place of a `repeat`, yield as many of its items as the architecture repeats."""
    for item in items:
        if isinstance(item, RepeatNode):
            yield from _expand_splices(item.items[: build_value(item.times, labels)], labels)
        else:
            yield item
