"""Format an architecture as Python source: the nested calls that build its model without Ogive."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ogive.export.literals import NoSource, Refer, format_call, format_items, format_literal, format_sequence
from ogive.source.objects import get_display_name
from ogive.space.domain import Label
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value, build_value

WRITABLE = (
    "numbers, texts, tensors, arrays, members of enums, dataclasses, classes and functions of modules, and lists, tuples, "
    "sets and dicts of these"
)


class UnwritableArgument(NoSource):
    """An argument of a layer cannot be written as source. The message names it, and says which values can be written."""


def format_expression(node: Node, choices: Mapping[str, Label], refer: Refer) -> str:
    """Return the source of an expression with the value of `build_value(node, choices)`.

    Args:
        node: a node of the space's tree.
        choices: the labels of the architecture.
        refer: returns the names of classes and functions.

    Raises:
        NoSource: a value in it cannot be written as source.
        RunError: `refer` raises it.
    """
    format_node = functools.partial(format_expression, choices=choices, refer=refer)
    match node:
        case Constant(value):
            return format_literal(value, refer)
        case Call():
            return _format_layer(node, choices, refer)
        case Group(kind, items):
            return format_sequence(kind, [format_node(item) for item in _expand_splices(items, choices)])
        case Table(items):
            return format_items("{", [f"{format_literal(k, refer)}: {format_node(v)}" for k, v in items.items()], "}")
        case Choose(_, decision, alternatives):
            return format_node(alternatives[choices[decision]])
        case ChooseSome(_, decision, alternatives):
            labels: Any = choices[decision]
            return format_sequence(list, [format_node(alternatives[label]) for label in labels])
        case Value() | Compute():
            return format_literal(build_value(node, choices), refer)
        case Splice():
            return format_sequence(list, [format_node(item) for item in _expand_splices((node,), choices)])


def _format_layer(node: Call, choices: Mapping[str, Label], refer: Refer) -> str:
    def format_argument(argument: str, value: Node) -> str:
        try:
            return format_expression(value, choices, refer)
        except UnwritableArgument:  # the argument belongs to a layer inside this one, and the message names it already
            raise
        except NoSource as error:
            location = f" at {node.path!r} of the space" if node.path else ""
            raise UnwritableArgument(
                f"argument {argument} of the layer {get_display_name(node.factory)}{location}: {error}; what can: {WRITABLE}"
            ) from error

    names = _list_positional_parameters(node.factory)
    positional = [
        format_argument(repr(names[i]) if i < len(names) else str(i + 1), value)
        for i, value in enumerate(_expand_splices(node.args, choices))
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


def _expand_splices(items: Iterable[Node], choices: Mapping[str, Label]) -> Iterator[Node]:
    """Yield the items. A `repeat` is replaced by its items, as many as the architecture has."""
    for item in items:
        if isinstance(item, Splice):
            yield from _expand_splices(item.items[: build_value(item.times, choices)], choices)
        else:
            yield item
