"""An architecture as Python: the nested calls that build its model, without Ogive."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ogive.export.literals import NoSource, Refer, braced, called, literal, sequence
from ogive.source.objects import name_of
from ogive.space.domain import Label
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value, realise

WRITABLE = (
    "numbers, texts, tensors, arrays, members of enums, dataclasses, classes and functions of modules, and lists, tuples, "
    "sets and dicts of these"
)


class UnwritableArgument(NoSource):
    """An argument of a layer that cannot be written as source; the message names it, and says what can."""


def expression(node: Node, choices: Mapping[str, Label], refer: Refer) -> str:
    """The source of what `realise(node, choices)` evaluates.

    Raises:
        NoSource: it holds a value that cannot be written as source.
        RunError: as `refer`.
    """
    write = functools.partial(expression, choices=choices, refer=refer)
    match node:
        case Constant(value):
            return literal(value, refer)
        case Call():
            return _layer(node, choices, refer)
        case Group(kind, items):
            return sequence(kind, [write(item) for item in _spliced(items, choices)])
        case Table(items):
            return braced("{", [f"{literal(k, refer)}: {write(v)}" for k, v in items.items()], "}")
        case Choose(_, decision, alternatives):
            return write(alternatives[choices[decision]])
        case ChooseSome(_, decision, alternatives):
            labels: Any = choices[decision]
            return sequence(list, [write(alternatives[label]) for label in labels])
        case Value() | Compute():
            return literal(realise(node, choices), refer)
        case Splice():
            return sequence(list, [write(item) for item in _spliced((node,), choices)])


def _layer(node: Call, choices: Mapping[str, Label], refer: Refer) -> str:
    def written(argument: str, value: Node) -> str:
        try:
            return expression(value, choices, refer)
        except UnwritableArgument:  # of a layer inside
            raise
        except NoSource as error:
            where = f" at {node.path!r} of the space" if node.path else ""
            raise UnwritableArgument(
                f"argument {argument} of the layer {name_of(node.factory)}{where}: {error}; what can: {WRITABLE}"
            ) from error

    names = _parameters(node.factory)
    positional = [
        written(repr(names[i]) if i < len(names) else str(i + 1), value)
        for i, value in enumerate(_spliced(node.args, choices))
    ]
    named = [f"{key}={written(repr(key), value)}" for key, value in node.kwargs.items()]
    return called(literal(node.factory, refer), [*positional, *named])


def _parameters(factory: Callable[..., Any]) -> list[str]:
    """The names of what a layer takes by position; none where it does not say."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _spliced(items: Iterable[Node], choices: Mapping[str, Label]) -> Iterator[Node]:
    """`items` with what repeats put in their places."""
    for item in items:
        if isinstance(item, Splice):
            yield from _spliced(item.items[: realise(item.times, choices)], choices)
        else:
            yield item
