"""An architecture as Python: the nested calls that build its model, without Ogive."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch

from ogive.errors import RunError
from ogive.space.domain import Label
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value, realise

WIDTH = 100


class Refer(Protocol):
    """Writes an object of a module (a class, a function) as a dotted name, and sees to its import."""

    def __call__(self, thing: Any) -> str: ...


def expression(node: Node, choices: Mapping[str, Label], refer: Refer) -> str:
    """The source of what `realise(node, choices)` evaluates.

    Raises:
        RunError: it holds a value that cannot be written as source.
    """
    write = functools.partial(expression, choices=choices, refer=refer)
    match node:
        case Constant(value):
            return literal(value, refer)
        case Call(_, factory, args, kwargs):
            values = [*_items(args, choices, write), *(f"{key}={write(value)}" for key, value in kwargs.items())]
            return _called(literal(factory, refer), values)
        case Group(kind, items):
            return _sequence(kind, _items(items, choices, write))
        case Table(items):
            return _braced("{", [f"{literal(k, refer)}: {write(v)}" for k, v in items.items()], "}")
        case Choose(_, decision, alternatives):
            return write(alternatives[choices[decision]])
        case ChooseSome(_, decision, alternatives):
            labels: Any = choices[decision]
            return _sequence(list, [write(alternatives[label]) for label in labels])
        case Value() | Compute():
            return literal(realise(node, choices), refer)
        case Splice():
            return _sequence(list, _items((node,), choices, write))


def _items(items: Iterable[Node], choices: Mapping[str, Label], write: Callable[[Node], str]) -> list[str]:
    values: list[str] = []
    for item in items:
        if isinstance(item, Splice):
            values += _items(item.items[: realise(item.times, choices)], choices, write)
        else:
            values.append(write(item))
    return values


def literal(value: Any, refer: Refer) -> str:
    """The source of a plain value.

    Raises:
        RunError: it has none.
    """
    write = functools.partial(literal, refer=refer)
    match value:
        case enum.Enum():
            return f"{refer(type(value))}.{value.name}"
        case float() if not math.isfinite(value):
            return f'float("{value}")'
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case list() | tuple() | set() | frozenset() if type(value) in (list, tuple, set, frozenset):
            return _sequence(type(value), [write(item) for item in value])
        case dict() if type(value) is dict:
            return _braced("{", [f"{write(k)}: {write(v)}" for k, v in value.items()], "}")
        case functools.partial():
            bound = [*map(write, value.args), *(f"{k}={write(v)}" for k, v in value.keywords.items())]
            return _called(refer(functools.partial), [write(value.func), *bound])
        case torch.dtype():
            return repr(value)
        case torch.device():
            return f"torch.{value!r}"
        case torch.Tensor():
            return f"torch.tensor({value.tolist()}, dtype={value.dtype})"
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init]
            return _called(refer(type(value)), [f"{name}={write(item)}" for name, item in fields])
        case _ if hasattr(value, "__qualname__"):
            return refer(value)
    raise RunError(f"the argument {value!r} of a layer is a {type(value).__name__}, which cannot be written as source")


def _sequence(kind: type, items: list[str]) -> str:
    if kind is list:
        return _braced("[", items, "]")
    if kind is tuple:
        return _braced("(", items, ",)" if len(items) == 1 else ")")
    if kind is set and items:
        return _braced("{", items, "}")
    return _called(kind.__name__, [_sequence(list, items)] if items else [])


def _called(name: str, values: list[str]) -> str:
    return _braced(f"{name}(", values, ")")


def _braced(left: str, items: list[str], right: str) -> str:
    """`left item, item right` in one line, or with a line for each item where that is too long."""
    line = f"{left}{', '.join(items)}{right}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    lines = "".join(f"    {item},\n".replace("\n", "\n    ").removesuffix("    ") for item in items)
    return f"{left}\n{lines}{right.removeprefix(',')}"
